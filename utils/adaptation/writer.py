"""Encoder–decoders with the subwords that they read and write: translators and summarisers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from utils import runtime
from utils.adaptation import subwords
from utils.adaptation.batching import by_length
from utils.adaptation.kept import seal, unseal
from utils.transformer import Encoder, EncoderDecoder, TransformerConfig, beam_search

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SETTINGS, _WEIGHTS, _SUBWORDS = "writer.json", "writer.safetensors", "subwords.json"


@dataclass(frozen=True)
class Writer:
    """A model of `task` that reads at most `max_length` tokens and writes at most `n_tokens`.

    `reader` is a folder with the tokenizer of the encoder that the model began with, if it began
    with one; `subwords` are those of the targets, if they are not the reader's. Targets are
    searched for with `n_beams` beams and `length_penalty`, see `beam_search`.
    """

    model: EncoderDecoder
    task: str
    max_length: int
    n_tokens: int
    reader: Path | None = None
    subwords: "Tokenizer | None" = None
    n_beams: int = 1
    length_penalty: float = 1.0

    def read(self, texts: Sequence[str], max_length: int | None = None) -> NDArray[np.int64]:
        """Token numbers of sources, (n_texts, longest), 0 after the end."""
        most = max_length or self.max_length
        if self.reader is None:
            return subwords.table(subwords.encode(self.pieces, texts, most))
        rows = self._tokenizer(list(texts), truncation=True, max_length=most)["input_ids"]
        return subwords.table(rows)

    def reads_in_full(self, texts: Sequence[str]) -> list[bool]:
        """Whether the model reads all of each text, or only as much as it can."""
        lengths = (self.read(texts, self.max_length + 1) != subwords.PAD).sum(axis=1)
        return [bool(length <= self.max_length) for length in lengths]

    def write(
        self,
        texts: Sequence[str],
        *,
        n_beams: int | None = None,
        length_penalty: float | None = None,
    ) -> list[str]:
        """What the model makes of each text, as far as it can read it."""
        if not texts:
            return []
        start_id, end_id = subwords.START, subwords.END
        if self.subwords is None:
            start_id, end_id = self._tokenizer.cls_token_id, self._tokenizer.sep_token_id
        written = search(
            self.model,
            self.read(texts),
            start_id=start_id,
            end_id=end_id,
            n_tokens=self.n_tokens,
            n_beams=n_beams or self.n_beams,
            length_penalty=self.length_penalty if length_penalty is None else length_penalty,
        )
        if self.subwords is None:
            found: list[str] = self._tokenizer.batch_decode(written, skip_special_tokens=True)
        else:
            found = self.subwords.decode_batch(written)
        return [text.strip() for text in found]

    @property
    def pieces(self) -> "Tokenizer":
        """The subwords of a model that has its own."""
        if self.subwords is None:
            raise ValueError("this writer has only the subwords of its reader")
        return self.subwords

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.reader)

    def save(self, folder: Path) -> None:
        """Write weights, subwords and settings to `folder`, which `load` reads."""
        from safetensors.torch import save_model

        folder.mkdir(parents=True, exist_ok=True)
        save_model(self.model, str(folder / _WEIGHTS))
        if self.subwords is not None:
            self.subwords.save(str(folder / _SUBWORDS))
        if self.reader is not None:
            self._tokenizer.save_pretrained(folder)
        encoder = self.model.encoder
        shares_tokens = encoder.embeddings.tokens is self.model.decoder.embeddings.tokens
        settings = {
            "task": self.task,
            "model": asdict(self.model.config),
            "causal": self.model.causal,
            "encoder": None if shares_tokens else asdict(encoder.config),
            "max_length": self.max_length,
            "n_tokens": self.n_tokens,
            "reader": self.reader is not None,
            "subwords": self.subwords is not None,
            "n_beams": self.n_beams,
            "length_penalty": self.length_penalty,
        }
        seal(folder, SETTINGS, settings)

    @classmethod
    def load(cls, folder: Path) -> "Writer":
        """A writer that was saved.

        Raises:
            CourseError: if there is none in `folder`, or it is damaged.
        """
        from safetensors.torch import load_model
        from tokenizers import Tokenizer

        settings = unseal(folder, SETTINGS)
        model = EncoderDecoder(TransformerConfig(**settings["model"]), causal=settings["causal"])
        if settings["encoder"]:
            model.encoder = Encoder(TransformerConfig(**settings["encoder"]))
        load_model(model, str(folder / _WEIGHTS))
        return cls(
            model.to(runtime.device()).eval(),
            settings["task"],
            settings["max_length"],
            settings["n_tokens"],
            folder if settings["reader"] else None,
            Tokenizer.from_file(str(folder / _SUBWORDS)) if settings["subwords"] else None,
            settings["n_beams"],
            settings["length_penalty"],
        )


AT_ONCE = 64
"""Texts that are written at a time."""


def search(
    model: EncoderDecoder,
    source_ids: NDArray[np.int64],
    *,
    start_id: int,
    end_id: int,
    n_tokens: int,
    n_beams: int = 1,
    length_penalty: float = 1.0,
) -> list[list[int]]:
    """What the model writes for each source (n, length), by beam search, in batches of like length.

    Leaves the model in `eval` mode.
    """
    model.eval()
    lengths = (source_ids != subwords.PAD).sum(axis=1)
    found: dict[int, list[int]] = {}
    for rows in by_length(lengths, AT_ONCE):
        longest = max(1, int(lengths[rows].max()))
        batch = torch.from_numpy(source_ids[rows, :longest]).to(runtime.device())
        written = beam_search(
            model,
            batch,
            (batch != subwords.PAD).long(),
            start_id=start_id,
            end_id=end_id,
            max_new_tokens=n_tokens,
            n_beams=n_beams,
            length_penalty=length_penalty,
        )
        found.update(zip(rows.tolist(), written, strict=True))
    return [found[i] for i in range(len(source_ids))]
