"""Texts in, annotations out: a converted model's folder, its encoder and its heads."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from metrics.encoder import Encoder, ModelUnavailable, sha256
from metrics.radgraph import words as pre_processing
from metrics.radgraph.annotation import Annotation, Entity
from metrics.radgraph.heads import Graph, Heads
from metrics.sub_batches import halving

if TYPE_CHECKING:
    import torch

SETTINGS, HEADS = "radgraph.json", "heads.safetensors"
"""Files of a converted folder beside the encoder's and the tokenizer's."""
FORMAT = 1

_COMMAND = (
    "reward-service convert radgraph SRC DST --tokenizer DIR (SRC: radgraph.tar.gz, or radgraph-xl.tar.gz, of "
    "StanfordAIMI/RRG_scorers on the model hub; DIR: tokenizer and config.json of the encoder that its config.json "
    "names: microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract-fulltext, or microsoft/BiomedVLP-CXR-BERT-general "
    "for xl)"
)
_REMEMBERED_WORDS, _REMEMBERED_LENGTH = 100_000, 32
# Pieces whose vectors are held at once, and words whose spans are: on a CPU one text at a time.
_WINDOW = {"cpu": 32_768, "other": 262_144}
_GROUP = {"cpu": 1, "other": 16_384}


class _Reading(NamedTuple):
    words: list[str]
    ids: list[int]
    """Pieces of all words, without special tokens."""
    counts: list[int]
    """Pieces of each word; 0 for a word that the tokenizer drops, which then has a zero vector."""
    truncated: bool


class RadGraph:
    """A model made by `metrics.radgraph.convert`; loads on first use and is used from one thread.

    `folder`: what `convert` wrote. At most `max_words` words of a text are read: relations are quadratic in
    them. Raises `ModelUnavailable` where the folder is not one.
    """

    def __init__(
        self,
        folder: str,
        *,
        max_words: int = 1024,
        device: str = "cpu",
        max_batch: int = 128,
        max_padded_tokens: int | None = None,
        threads: int | None = None,
    ) -> None:
        if max_words < 1:
            raise ValueError("max_words must be at least 1")
        self.folder, self.max_words = Path(folder).expanduser(), max_words
        if not folder or not all((self.folder / name).is_file() for name in (SETTINGS, HEADS, "config.json")):
            what = (
                f"setting model={folder!r}: no converted RadGraph model there" if folder else "setting model is not set"
            )
            raise ModelUnavailable(f"{what}; make the folder with {_COMMAND}")
        try:
            self.settings: dict[str, Any] = json.loads((self.folder / SETTINGS).read_text(encoding="utf-8"))
            version = self.settings["format"]
        except (ValueError, KeyError, TypeError):
            raise ModelUnavailable(f"setting model={folder!r}: {SETTINGS} is damaged; again: {_COMMAND}") from None
        if version != FORMAT:
            raise ModelUnavailable(f"setting model={folder!r}: converted for another version; again: {_COMMAND}")
        self.encoder = Encoder(
            folder, device=device, max_batch=max_batch, max_padded_tokens=max_padded_tokens, threads=threads
        )
        self._kind = "cpu" if device == "cpu" else "other"
        self._pieces: dict[str, list[int]] = {}
        self._heads: Heads | None = None
        self._lock = threading.Lock()

    @cached_property
    def manifest(self) -> Mapping[str, object]:
        """What determines the annotations: sha256 of encoder, heads and tokenizer, labels, limits, library versions."""
        settings = {key: value for key, value in self.settings.items() if key != "source"}
        heads = sha256(self.folder / HEADS)
        return {**self.encoder.manifest(), "heads": heads, "radgraph": settings, "max_words": self.max_words}

    @property
    def stage(self) -> Literal["idle", "loading", "ready"]:
        """``ready`` once encoder and heads are loaded."""
        return "loading" if self.encoder.stage == "ready" and self._heads is None else self.encoder.stage

    def load(self) -> Heads:
        """Load encoder and heads, once. Raises `ModelUnavailable`."""
        self.encoder.load()
        with self._lock:
            if self._heads is None:
                from safetensors.torch import load_file

                weights = load_file(self.folder / HEADS, device=self.encoder.device)
                self._heads = Heads(weights, self.settings["spans_per_word"], self.settings["max_span_width"])
        return self._heads

    def warm_up(self) -> None:
        """Load, and run the encoder's largest shapes and one text. Raises `ModelUnavailable`."""
        self.load()
        self.encoder.warm_up()
        self.annotate(["no pleural effusion . " * (self.max_words // 4)])

    def annotate(self, texts: Sequence[str]) -> list[Annotation]:
        """One annotation per text, in order; each distinct text is read once. White space has no entities.

        An annotation does not depend on the other texts.
        """
        self.load()
        distinct = list(dict.fromkeys(texts))
        made: dict[str, Annotation] = {}
        readings = self._read(distinct)
        lengths = [len(reading.ids) + 1 for reading in readings]
        for low, high in _runs(lengths, _WINDOW[self._kind]):
            made.update(zip(distinct[low:high], self._annotate(readings[low:high]), strict=True))
        return [made[text] for text in texts]

    def _read(self, texts: Sequence[str]) -> list[_Reading]:
        split = [pre_processing.split(text, self.settings["model_type"]) for text in texts]
        cut = [words[: self.max_words] for words in split]
        pieces = self._pieces_of({pre_processing.shown(word) for words in cut for word in words})
        readings = []
        for words, all_words in zip(cut, split, strict=True):
            ids = [pieces[pre_processing.shown(word)] for word in words]
            flat = [piece for of_word in ids for piece in of_word]
            readings.append(_Reading(words, flat, [len(of_word) for of_word in ids], len(words) < len(all_words)))
        return readings

    def _pieces_of(self, words: set[str]) -> dict[str, list[int]]:
        """Pieces of each word, tokenised alone, and so the same in any text; those of short words are remembered."""
        found = {word: self._pieces[word] for word in words if word in self._pieces}
        new = sorted(words - found.keys())
        if new:
            tokenizer, _ = self.encoder.load()
            encoded = tokenizer(new, add_special_tokens=False, return_attention_mask=False, verbose=False)
            fresh = dict(zip(new, encoded["input_ids"], strict=True))
            found |= fresh
            if len(self._pieces) > _REMEMBERED_WORDS:
                self._pieces.clear()
            self._pieces.update((word, ids) for word, ids in fresh.items() if len(word) <= _REMEMBERED_LENGTH)
        return found

    def _annotate(self, readings: list[_Reading]) -> list[Annotation]:
        tokenizer, _ = self.encoder.load()
        room = (self.settings["max_length"] or self.encoder.limit) - 2
        segments: list[list[int]] = []
        counts = []
        for reading in readings:
            pieces = [reading.ids[low : low + room] for low in range(0, len(reading.ids), room)]
            segments += ([tokenizer.cls_token_id, *ids, tokenizer.sep_token_id] for ids in pieces)
            counts.append(len(pieces))
        states = iter(self.encoder.read(segments, _without_special_tokens))
        work = [
            (reading, [next(states) for _ in range(count)]) for reading, count in zip(readings, counts, strict=True)
        ]
        filled = [item for item in work if item[0].words]
        groups = [filled[a:b] for a, b in _runs([len(reading.words) for reading, _ in filled], _GROUP[self._kind])]
        graphs = iter([g for group in self.encoder.side_by_side(self._graphs, groups) for g in group])
        return [self._annotation(r, next(graphs) if r.words else Graph([], [])) for r in readings]

    def _graphs(self, group: list[tuple[_Reading, list[torch.Tensor]]]) -> list[Graph]:
        return halving(self._graphs_at_once, group)

    def _graphs_at_once(self, group: list[tuple[_Reading, list[torch.Tensor]]]) -> list[Graph]:
        import torch

        heads, (_, model) = self.load(), self.encoder.load()
        with torch.inference_mode():
            states = [state for _, of_text in group for state in of_text]
            none = torch.zeros(0, model.config.hidden_size, device=self.encoder.device)
            counts = torch.tensor([n for reading, _ in group for n in reading.counts], device=none.device)
            sums = torch.segment_reduce(torch.cat([none, *states]), "sum", lengths=counts, unsafe=True)
            words = sums / counts.clamp(min=1).unsqueeze(-1)
            return heads(words, [len(reading.words) for reading, _ in group])

    def _annotation(self, reading: _Reading, graph: Graph) -> Annotation:
        labels, kinds = self.settings["entity_labels"], self.settings["relation_labels"]
        relations: dict[int, list[tuple[str, int]]] = {}
        for source, target, kind in graph.relations:
            relations.setdefault(source, []).append((kinds[kind], target))
        entities = (
            Entity(" ".join(reading.words[first : last + 1]), labels[label], first, last, tuple(relations.get(i, ())))
            for i, (first, last, label) in enumerate(graph.entities)
        )
        return Annotation(" ".join(reading.words), tuple(entities), reading.truncated)


def _without_special_tokens(states: torch.Tensor, lengths: list[int]) -> list[torch.Tensor]:
    return [row[1 : length - 1].clone() for row, length in zip(states.unbind(), lengths, strict=True)]


def _runs(sizes: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    """Bounds of consecutive runs whose sizes add up to at most `most`; a larger item has a run of its own."""
    starts, total = [0], 0
    for i, size in enumerate(sizes):
        if total and total + size > most:
            starts.append(i)
            total = 0
        total += size
    return pairwise([*starts, len(sizes)]) if sizes else iter(())
