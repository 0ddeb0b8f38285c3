"""Next sentence prediction: does B follow A? (Devlin et al., 2019, section 3.1, task 2).

Like the masks, pairs are drawn on the device of the tokens, all at once and of one length.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from utils.errors import CourseError
from utils.pretraining.packing import PackedText, Vocabulary

Negatives = Literal["other-document", "same-document"]

_LARGEST = 2**62


@dataclass(frozen=True)
class SentencePairs:
    """Pairs as the model sees them, and the answers.

    Attributes:
        input_ids: (batch, length): [CLS] A [SEP] B [SEP].
        token_type_ids: (batch, length): 0 up to the first [SEP], then 1.
        is_next: (batch,) 1 where B follows A in the text, else 0.
        documents: (batch, 2), numbers of the documents of A and B.
        places: (batch, 2), where A and B begin in the text.
    """

    input_ids: Tensor
    token_type_ids: Tensor
    is_next: Tensor
    documents: Tensor
    places: Tensor


class PairSource:
    """The documents of a text from which pairs of one length can be drawn.

    A document serves if it holds three times the tokens of a pair, so that there is always room for
    a wrong B, and if its origin has another such document.
    """

    def __init__(self, text: PackedText, vocabulary: Vocabulary, length: int) -> None:
        """`length` counts the three special tokens; raises `CourseError` if no document serves."""
        self.text, self.vocabulary, self.length = text, vocabulary, length
        self.n_tokens = length - 3
        if self.n_tokens < 4:
            raise CourseError(f"A pair of {length} tokens has no room for two sentences.")
        sizes = text.starts.diff() - 1
        long = (sizes >= 3 * self.n_tokens).nonzero().squeeze(1)
        _, which, n_of_origin = text.origins[long].unique(return_inverse=True, return_counts=True)
        self.documents = long[n_of_origin[which] > 1]
        if len(self.documents) == 0:
            raise CourseError(
                f"Pairs of {self.n_tokens} tokens need at least two documents of "
                f"{3 * self.n_tokens} tokens from one origin; {len(long)} of {len(sizes)} "
                "documents are as long. Shorten the pairs or add text."
            )
        self.begins, self.sizes = text.starts[self.documents], sizes[self.documents]
        # A pair may begin at any of these places: documents count by their length.
        n_places = self.sizes - self.n_tokens + 1
        self.ends = n_places.cumsum(0)
        self.firsts = self.ends - n_places
        _, group, counts = text.origins[self.documents].unique_consecutive(
            return_inverse=True, return_counts=True
        )
        last = counts.cumsum(0) - 1
        self.group_begins = self.firsts[last - counts + 1][group]
        self.group_ends = self.ends[last][group]

    def draw(self, n: int, negatives: Negatives = "other-document") -> SentencePairs:
        """`n` pairs, every second one with the wrong B, by torch's global random state.

        A takes between a quarter and three quarters of the tokens, whatever the answer, so that
        lengths give nothing away. A wrong B is drawn from another document of the same origin, long
        ones as often as for A, at the same relative place as the right one has in its own; or, the
        harder question, from the same document, outside A and the right B.
        """
        device = self.text.tokens.device
        is_next = torch.arange(n, device=device) % 2 == 0
        a, start = self._place(_below(self.ends[-1], n, device))
        quarter = self.n_tokens // 4
        n_first = torch.randint(quarter, self.n_tokens - quarter + 1, (n,), device=device)
        n_second = self.n_tokens - n_first
        right = start + n_first
        if negatives == "same-document":
            b, wrong = a, self._elsewhere(a, start, n_second)
        else:
            b = self._another(a)
            share = right / (self.sizes[a] - n_second)
            wrong = (share * (self.sizes[b] - n_second)).round().long()
        b = torch.where(is_next, a, b)
        first = self.begins[a] + start
        second = self.begins[b] + torch.where(is_next, right, wrong)
        return self._join(is_next, (a, b), (first, second), n_first)

    def _place(self, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """A number among all places → the document, and the place in it."""
        document = torch.searchsorted(self.ends, drawn, right=True)
        return document, drawn - self.firsts[document]

    def _another(self, document: Tensor) -> Tensor:
        """Another document of the same origin, in proportion to its places."""
        n_own = self.ends[document] - self.firsts[document]
        n_all = self.group_ends[document] - self.group_begins[document]
        drawn = self.group_begins[document] + _below(n_all - n_own, len(document), document.device)
        drawn += n_own * (drawn >= self.firsts[document])  # step over the document itself
        return self._place(drawn)[0]

    def _elsewhere(self, document: Tensor, start: Tensor, n_second: Tensor) -> Tensor:
        """A place for B that touches neither A nor the right B: before both, or after."""
        n_before = (start - n_second + 1).clamp(min=0)
        after = start + self.n_tokens
        n_after = (self.sizes[document] - n_second - after + 1).clamp(min=0)
        drawn = _below(n_before + n_after, len(document), document.device)
        return torch.where(drawn < n_before, drawn, after + drawn - n_before)

    def _join(
        self,
        is_next: Tensor,
        documents: tuple[Tensor, Tensor],
        places: tuple[Tensor, Tensor],
        n_first: Tensor,
    ) -> SentencePairs:
        position = torch.arange(self.length, device=n_first.device)
        n_first, first, second = n_first[:, None], places[0][:, None], places[1][:, None]
        in_first = position <= n_first
        index = torch.where(in_first, first + position - 1, second + position - n_first - 2)
        input_ids = self.text.tokens[index.clamp(0, len(self.text.tokens) - 1)].long()
        ends = (position == n_first + 1) | (position == self.length - 1)
        input_ids = input_ids.masked_fill(ends, self.vocabulary.sep_id)
        input_ids[:, 0] = self.vocabulary.cls_id
        return SentencePairs(
            input_ids=input_ids,
            token_type_ids=(position > n_first + 1).long(),
            is_next=is_next.long(),
            documents=torch.stack([self.documents[document] for document in documents], dim=1),
            places=torch.stack(places, dim=1),
        )


def _below(limit: Tensor, n: int, device: torch.device) -> Tensor:
    """`n` whole numbers, each drawn evenly from 0 to below its limit."""
    return torch.randint(_LARGEST, (n,), device=device) % limit
