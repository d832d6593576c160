"""DyGIE++'s span heads on word vectors (Wadden et al., EMNLP 2019): which spans are entities, and how they relate.

Two rearrangements leave the results as they are. The first layer of a head is applied to the parts of its input (start,
end, width; one span, the other, their product) before they are combined, so most of it is done once a word. And only
pairs of spans that are entities are scored, because a relation of any other span is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch

_PAIRS = {"cpu": 2048, "other": 16_384}
"""Pairs of spans whose products (3 times the encoder's width, twice) are held at once."""


class Graph(NamedTuple):
    """What the heads found in one text."""

    entities: list[tuple[int, int, int]]
    """First word, last word, label; by first word, then by last. Spans may overlap."""
    relations: list[tuple[int, int, int]]
    """Source and target as positions in `entities`, type; by source, then by target."""


class Heads:
    """Weights: ``width``, and ``ner|pruner|relation`` + ``.0…n|.out`` + ``.weight|.bias``; float32, on one device."""

    def __init__(self, weights: Mapping[str, torch.Tensor], spans_per_word: float, max_span_width: int) -> None:
        import torch

        self.max_span_width, self.spans_per_word = max_span_width, spans_per_word
        self._widths = weights["width"]
        self._pairs = _PAIRS["cpu" if self._widths.device.type == "cpu" else "other"]
        self._ner, self._pruner, self._relation = (_Scorer(weights, name) for name in ("ner", "pruner", "relation"))
        # The two heads that see every span share the product of the words with their first layers.
        first, bias = (
            torch.cat([getattr(self._ner, name), getattr(self._pruner, name)]) for name in ("first", "first_bias")
        )
        dim = (first.shape[1] - self._widths.shape[1]) // 2
        self._hidden = len(self._ner.first)
        self._start, self._end = first[:, :dim].T.contiguous(), first[:, dim : 2 * dim].T.contiguous()
        self._width = self._widths @ first[:, 2 * dim :].T + bias

    def __call__(self, words: torch.Tensor, lengths: Sequence[int]) -> list[Graph]:
        """Graphs of the texts whose word vectors [all words, dim] follow each other in `words`; each has a word."""
        import torch

        start, width, bounds = self._spans(lengths)
        on_cpu = [start, width]
        start, width = start.to(words.device), width.to(words.device)
        hidden = (words @ self._start)[start] + (words @ self._end)[start + width]
        hidden = (hidden + self._width[width]).relu_()
        best, label = self._ner.rest(hidden[:, : self._hidden]).max(dim=-1)
        mention = self._pruner.rest(hidden[:, self._hidden :]).squeeze(-1)
        first, wide, best, label, scores = (*on_cpu, best.cpu(), label.cpu(), mention.cpu())

        kept = torch.zeros(len(first), dtype=torch.bool)
        for length, (low, high) in zip(lengths, pairwise(bounds), strict=True):
            kept[low + scores[low:high].topk(min(self._keep(length), high - low)).indices] = True
        found = (best > 0).nonzero().squeeze(-1)  # the null label scores 0 and comes first
        until = torch.searchsorted(found, torch.tensor(bounds)).tolist()  # entities before each text
        words_before = [0, *accumulate(lengths)]
        entities = list(zip(first[found].tolist(), wide[found].tolist(), label[found].tolist(), strict=True))
        graphs = [
            Graph([(s - before, s - before + w, name) for s, w, name in entities[low:high]], [])
            for before, (low, high) in zip(words_before, pairwise(until), strict=False)
        ]
        related = kept[found]
        position = related.nonzero().squeeze(-1).tolist()
        spans = found[related].to(words.device)
        if len(spans):
            counts = [int(related[low:high].sum()) for low, high in pairwise(until)]
            before = [0, *accumulate(counts)]
            vectors = [words[start[spans]], words[start[spans] + width[spans]], self._widths[width[spans]]]
            for text, a, b, kind in self._relations(torch.cat(vectors, dim=1), mention[spans], counts):
                source, target = (position[before[text] + i] - until[text] for i in (a, b))
                graphs[text].relations.append((source, target, kind))
        return graphs

    def _spans(self, lengths: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
        """First word and width - 1 of every span: by first word, then by width; and the bounds of each text's spans."""
        import torch

        ends = torch.tensor(lengths).cumsum(0)
        words = torch.arange(int(ends[-1]))
        room = ends.repeat_interleave(torch.tensor(lengths)) - words  # words from each to the end of its text
        start, width = (torch.arange(self.max_span_width) < room.unsqueeze(-1)).nonzero(as_tuple=True)
        return start, width, [0, *room.clamp(max=self.max_span_width).cumsum(0)[ends - 1].tolist()]

    def _keep(self, words: int) -> int:
        """How many spans of a text may have relations; the product is rounded to float32 first, as in DyGIE++."""
        import torch

        return max(1, int(torch.ceil(torch.tensor(float(words)) * self.spans_per_word)))

    def _relations(
        self, vectors: torch.Tensor, mention: torch.Tensor, counts: Sequence[int]
    ) -> Iterator[tuple[int, int, int, int]]:
        """(text, source, target, type) of all ordered pairs of one text's spans that are related, in order.

        `vectors` [spans, 2 dim + widths] and `mention` [spans] hold the spans of all texts, `counts` of each.
        A span may be related to itself.
        """
        import torch

        size = vectors.shape[1]
        first = self._relation.first
        source = vectors @ first[:, :size].T + self._relation.first_bias
        target = vectors @ first[:, size : 2 * size].T
        product = first[:, 2 * size :].T
        count = torch.tensor(counts)
        spans_before, pairs_until = count.cumsum(0) - count, (count * count).cumsum(0)
        total = int(pairs_until[-1])
        for low in range(0, total, self._pairs):
            pair = torch.arange(low, min(low + self._pairs, total))
            text = torch.searchsorted(pairs_until, pair, right=True)
            within = pair - (pairs_until - count * count)[text]
            a, b = within // count[text], within % count[text]
            i, j = ((spans_before[text] + x).to(vectors.device) for x in (a, b))
            hidden = (source[i] + target[j] + (vectors[i] * vectors[j]) @ product).relu_()
            scores = self._relation.rest(hidden) + (mention[i] + mention[j]).unsqueeze(-1)
            best, kind = (tensor.cpu() for tensor in scores.max(dim=-1))
            related = best > 0
            yield from zip(*(tensor[related].tolist() for tensor in (text, a, b, kind)), strict=True)


class _Scorer:
    """A feed-forward network with ReLU after each layer but the last, which gives the scores."""

    def __init__(self, weights: Mapping[str, torch.Tensor], name: str) -> None:
        layers = sum(key.startswith(f"{name}.") and key.endswith(".weight") for key in weights) - 1
        keys = [*(f"{name}.{i}" for i in range(layers)), f"{name}.out"]
        (self.first, self.first_bias), *self._layers = [
            (weights[f"{key}.weight"], weights[f"{key}.bias"]) for key in keys
        ]

    def rest(self, hidden: torch.Tensor) -> torch.Tensor:
        """Scores from what the first layer gives after its ReLU."""
        from torch.nn.functional import linear

        *middle, (out, out_bias) = self._layers
        for weight, bias in middle:
            hidden = linear(hidden, weight, bias).relu_()
        return linear(hidden, out, out_bias)
