"""BERT with its two heads, and the way to the library's format and back."""

import itertools
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from utils.errors import CourseError
from utils.transformer.bert import bert_config, bert_names, read_weights
from utils.transformer.config import TransformerConfig
from utils.transformer.layers import LayerNorm
from utils.transformer.models import (
    Decoder,
    Encoder,
    EncoderDecoder,
    LanguageModelHead,
    initialise,
)
from utils.transformer.positions import sinusoidal_positions

if TYPE_CHECKING:
    from transformers import BertConfig, BertTokenizer, PreTrainedModel

    from utils.transformer.attention import MultiHeadAttention

_MLM_NAMES = {
    "cls.predictions.transform.dense.weight": "transform.weight",
    "cls.predictions.transform.dense.bias": "transform.bias",
    "cls.predictions.transform.LayerNorm.weight": "transform_norm.weight",
    "cls.predictions.transform.LayerNorm.bias": "transform_norm.bias",
    "cls.predictions.bias": "head.bias",
}

_NSP_NAMES = {
    "pooler.dense.weight": "pooler.weight",
    "pooler.dense.bias": "pooler.bias",
    "cls.seq_relationship.weight": "next_sentence.weight",
    "cls.seq_relationship.bias": "next_sentence.bias",
}


class BertForPretraining(nn.Module):
    """Encoder, masked-language-model head and, if wanted, next-sentence head.

    Devlin et al., 2019, section 3.1. The first head (a dense layer, GELU, layer norm, and the token
    vectors as output weights) is only applied to the positions that are asked for: with 15 % of
    them, six of seven products with the large vocabulary matrix are saved.
    """

    def __init__(self, config: TransformerConfig, *, next_sentence: bool = False) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.transform = nn.Linear(config.d_model, config.d_model)
        self.transform_norm = LayerNorm(config)
        self.head = LanguageModelHead(self.encoder.embeddings.tokens)
        self.pooler = nn.Linear(config.d_model, config.d_model) if next_sentence else None
        self.next_sentence = nn.Linear(config.d_model, 2) if next_sentence else None
        for module in (self.transform, self.pooler, self.next_sentence):
            if module is not None:
                initialise(module)

    def forward(
        self,
        input_ids: Tensor,
        positions: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Logits of the hidden tokens (b, n_masked, V), and of "B follows", "it does not" (b, 2).

        `input_ids`, `token_type_ids` and `attention_mask` are (b, q), `positions` (b, n_masked).
        The second result has BERT's order of classes; it is None in a model without that head.
        """
        hidden = self.encoder(input_ids, attention_mask, token_type_ids)
        index = positions[..., None].expand(-1, -1, hidden.shape[-1])
        tokens = self.predict_tokens(hidden.gather(1, index))
        if self.pooler is None or self.next_sentence is None:
            return tokens, None
        return tokens, self.next_sentence(torch.tanh(self.pooler(hidden[:, 0])))

    def predict_tokens(self, hidden: Tensor) -> Tensor:
        """Hidden states (…, d_model) → logits (…, V)."""
        transformed = nn.functional.gelu(self.transform(hidden))
        return self.head(self.transform_norm(transformed))

    def start_from_frequencies(self, log_probabilities: Tensor) -> None:
        """Set the output bias to the tokens' log-probabilities (V,).

        Training then starts near the unigram entropy, and not at ln V, which it would reach in its
        first hundred updates by learning nothing but which tokens are frequent.
        """
        with torch.no_grad():
            self.head.bias.copy_(log_probabilities)


@torch.no_grad()
def start_from_vectors(stack: Encoder | Decoder, vectors: Tensor) -> None:
    """Let the tokens begin with `vectors` (V, d_model), see `counting.token_vectors`.

    Tokens whose vector is 0, or that have none, keep what was drawn for them.
    """
    rows = stack.embeddings.tokens.weight[: len(vectors)]
    vectors = vectors.to(rows)
    rows.copy_(torch.where(vectors.any(dim=1, keepdim=True), vectors, rows))


FIRST_OFFSETS = (-1, 1, -2, 2)
"""Where the heads look at first, in tokens from their own position."""

_N_LAYERS = 2
"""How many layers begin so, from the bottom; the others find out for themselves where to look."""

_SHARPNESS = 2.0
"""Scale of the products of queries and keys at the start."""


@torch.no_grad()
def start_looking_at_neighbours(stack: Encoder | Decoder) -> None:
    r"""Draw weights with which the heads look at neighbouring tokens from the first update on.

    BERT's own start (normal, $\sigma = 0.02$) suits wide models and long warm-ups. In narrow ones
    all scores are near zero: every token attends to all others alike, and for thousands of updates
    the model only learns which tokens occur in the same sequence. A trained BERT has heads that
    attend to the token before or after (Clark et al., 2019, section 3.1); here they are there from
    the start, as Trockman and Kolter (2023) let untrained attention resemble trained attention.

    Learned positions start at a tenth of the sinusoids $P_t$ of Vaswani et al. (2017). There is a
    rotation $R_o$ with $R_o P_t = P_{t+o}$, and so queries made by $R_o$ and keys made by the
    identity, both cut to the fastest turning pairs that a head has room for, give the largest
    score to the key at the distance $o$. The offsets $o$ of `FIRST_OFFSETS` are dealt out in turn
    to the heads of the first two layers. All other matrices of the layers are drawn as Glorot and
    Bengio (2010) do. Without learned positions only that is done. Where attention is causal, heads
    that cannot look ahead begin with their own position.
    """
    config = stack.config
    for module in stack.layers.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
    if config.positions != "learned":
        return
    positions = sinusoidal_positions(config.max_length, config.d_model)
    stack.embeddings.positions.copy_(0.1 * positions)
    offsets = itertools.cycle(FIRST_OFFSETS)
    d_head = config.d_model // config.n_heads
    for layer in stack.layers[:_N_LAYERS]:
        queries = [_turn(next(offsets), d_head, config.d_model) for _ in range(config.n_heads)]
        keys = [_turn(0, d_head, config.d_model)] * config.n_heads
        attention = cast("MultiHeadAttention", layer.attention)
        attention.query.weight.copy_(math.sqrt(_SHARPNESS) * torch.cat(queries))
        attention.key.weight.copy_(math.sqrt(_SHARPNESS) * torch.cat(keys))


def _turn(offset: int, d_head: int, d_model: int) -> Tensor:
    """(d_head, d_model): moves sinusoids by `offset` positions and keeps the first `d_head`."""
    pairs = torch.arange(0, d_head - 1, 2, dtype=torch.float64)
    angles = offset * 10000.0 ** (-pairs / d_model)
    even = pairs.long()
    matrix = torch.zeros(d_head, d_model)
    matrix[even, even] = matrix[even + 1, even + 1] = angles.cos().float()
    matrix[even, even + 1] = angles.sin().float()
    matrix[even + 1, even] = -angles.sin().float()
    return matrix


def export(model: BertForPretraining, dropout: float = 0.1) -> "PreTrainedModel":
    """The same model as the library's `BertForPreTraining`, or without next-sentence head as its
    `BertForMaskedLM`; with `save_pretrained` it can be stored and shared.

    Args:
        model: of BERT's own shape.
        dropout: what the configuration says; the library applies it when it trains.

    Raises:
        CourseError: if the library's BERT has no such variant: pre-LN, other positions, activations
            or segments.
    """
    from transformers import BertForMaskedLM, BertForPreTraining

    described = _described(model.config, dropout)
    family = BertForMaskedLM if model.next_sentence is None else BertForPreTraining
    theirs = family(described)
    ours = model.state_dict()
    weights = {
        name if name.startswith("cls.") else f"bert.{name}": ours[our_name]
        for name, our_name in _names(model).items()
    }
    weights["cls.predictions.decoder.weight"] = weights["bert.embeddings.word_embeddings.weight"]
    weights["cls.predictions.decoder.bias"] = weights["cls.predictions.bias"]
    theirs.load_state_dict(weights)
    return theirs.eval()


def _described(config: TransformerConfig, dropout: float) -> "BertConfig":
    from transformers import BertConfig

    wanted = {"norm": "post", "positions": "learned", "activation": "gelu", "n_segments": 2}
    for field, value in wanted.items():
        if (found := getattr(config, field)) != value:
            raise CourseError(
                f"The model has {field} = {found!r}, and the library's BERT only knows {value!r}. "
                f"Pre-train with {field} = {value!r} to export it, or store its state_dict."
            )
    return BertConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.d_model,
        num_hidden_layers=config.n_layers,
        num_attention_heads=config.n_heads,
        intermediate_size=config.d_ff,
        max_position_embeddings=config.max_length,
        layer_norm_eps=config.layer_norm_eps,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )


def save(
    model: BertForPretraining,
    tokenizer: "BertTokenizer",
    folder: Path,
    *,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write weights (safetensors), configuration and tokenizer in the library's format."""
    exported = export(model)
    nn.Module.to(exported, dtype)
    exported.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_encoder(
    encoder: Encoder,
    tokenizer: "BertTokenizer",
    folder: Path,
    *,
    causal: bool = False,
    decoder: Decoder | None = None,
) -> None:
    """Write an encoder without a head, in half precision, as the library's `BertModel`.

    With `causal` its configuration says `is_decoder`: the library then masks what comes later.
    Sentinels, which have numbers behind the vocabulary, are left out. The weights of a `decoder`
    stand beside those of the encoder, under our own names after "decoder."; the library passes over
    them, and `load_encoder_decoder` finds them.
    """
    from safetensors.torch import load_file, save_file
    from transformers import BertModel

    weights = encoder.state_dict()
    described = _described(encoder.config, dropout=0.1)
    described.vocab_size, described.is_decoder = len(tokenizer), causal
    theirs = BertModel(described, add_pooling_layer=False)
    names = bert_names(encoder.config.n_layers)
    stored = {name: weights[ours] for name, ours in names.items()}
    words = "embeddings.word_embeddings.weight"
    stored[words] = stored[words][: len(tokenizer)]
    theirs.load_state_dict(stored)
    nn.Module.to(theirs, torch.float16)
    theirs.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if decoder is not None:
        file = folder / "model.safetensors"
        more = {
            f"{_DECODER}{name}": tensor.half()
            for name, tensor in decoder.state_dict().items()
            if name != "embeddings.tokens.weight"  # the encoder's
        }
        save_file(load_file(file) | more, file, metadata={"format": "pt"})


_DECODER = "decoder."


def load_encoder_decoder(folder: Path) -> EncoderDecoder:
    """An encoder–decoder that begins with the BERT in `folder`, in `eval` mode.

    The decoder's weights are those that `save_encoder` wrote, if any are there. Otherwise they are
    drawn (Rothe et al., 2020, TACL, call that BERT2RND), with heads that look at neighbours. A
    model that was pre-trained as a causal one reads the source in the same way.
    """
    config = bert_config(folder)
    causal = bool(json.loads((folder / "config.json").read_text("utf-8")).get("is_decoder"))
    model = EncoderDecoder(config, causal=causal)
    stored = {name: tensor.float() for name, tensor in read_weights(folder).items()}
    model.encoder.load_state_dict(
        {ours: stored[n] for n, ours in bert_names(config.n_layers).items()}
    )
    decoder = {n.removeprefix(_DECODER): t for n, t in stored.items() if n.startswith(_DECODER)}
    if decoder:
        tokens = model.encoder.embeddings.tokens.weight.detach()
        model.decoder.load_state_dict({**decoder, "embeddings.tokens.weight": tokens})
    else:
        start_looking_at_neighbours(model.decoder)
    return model.eval()


def load(folder: Path, **changes: Any) -> BertForPretraining:
    """The model that `save` wrote, or any BERT with its masked-language-model head.

    `changes` go to our configuration, for example `dropout`. The weights come as float32 and the
    model in `eval` mode.

    Raises:
        CourseError: if weights of an encoder or of the head are missing.
    """
    config = bert_config(folder, **changes)
    stored = read_weights(folder)
    model = BertForPretraining(config, next_sentence="cls.seq_relationship.weight" in stored)
    names = _names(model)
    if missing := sorted(set(names) - set(stored)):
        raise CourseError(
            f"{folder.name} lacks {len(missing)} weights of a BERT with its masked-language-model "
            f"head, first {missing[0]}. Choose a checkpoint that was saved with this head."
        )
    weights = {our_name: stored[name].float() for name, our_name in names.items()}
    weights["head.embedding.weight"] = weights["encoder.embeddings.tokens.weight"]
    model.load_state_dict(weights)
    return model.eval()


def _names(model: BertForPretraining) -> dict[str, str]:
    """The library's name of each weight → ours."""
    names = {
        name: f"encoder.{our_name}" for name, our_name in bert_names(model.config.n_layers).items()
    }
    return names | _MLM_NAMES | (_NSP_NAMES if model.next_sentence is not None else {})
