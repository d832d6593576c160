"""A report's graph, the format in which the package `radgraph` writes it, and the F1 of two graphs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Set
from typing import Any, Literal, NamedTuple

Case = Literal["pypi-0.1.18", "folded"]


class Entity(NamedTuple):
    tokens: str
    """The words of the span, joined by spaces, in the report's case."""
    label: str
    start: int
    """Number of the first word."""
    end: int
    """Number of the last word (inclusive)."""
    relations: tuple[tuple[str, int], ...] = ()
    """Type, and the target's position in `Annotation.entities`."""


class Annotation(NamedTuple):
    text: str
    """The words, joined by spaces."""
    entities: tuple[Entity, ...] = ()
    truncated: bool = False
    """The report had more words than are read."""

    def as_json(self) -> dict[str, Any]:
        """As `radgraph` 0.1.18 gives it for one report: entities under "1", "2", …, targets by those keys."""
        entities = {
            str(number): {
                "tokens": entity.tokens,
                "label": entity.label,
                "start_ix": entity.start,
                "end_ix": entity.end,
                "relations": [[kind, str(target + 1)] for kind, target in entity.relations],
            }
            for number, entity in enumerate(self.entities, 1)
        }
        return {"text": self.text, "entities": entities, "data_source": None, "data_split": "inference"}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Annotation:
        """The reverse of `as_json`; the keys of the entities may be any. Raises `KeyError` for an unknown target."""
        position = {key: i for i, key in enumerate(document["entities"])}
        return cls(
            document["text"],
            tuple(
                Entity(
                    entity["tokens"],
                    entity["label"],
                    entity["start_ix"],
                    entity["end_ix"],
                    tuple((kind, position[target]) for kind, target in entity["relations"]),
                )
                for entity in document["entities"].values()
            ),
        )

    @property
    def nbytes(self) -> int:
        """Memory held, about; labels and types are shared and not counted."""
        return 200 + sys.getsizeof(self.text) + sum(300 + len(e.tokens) + 80 * len(e.relations) for e in self.entities)


class Sets(NamedTuple):
    """What the scores of one annotation are counted from."""

    simple: frozenset[tuple[object, ...]]
    partial: frozenset[tuple[object, ...]]
    complete: frozenset[tuple[object, ...]]
    entities: frozenset[tuple[object, ...]]
    relations: frozenset[tuple[object, ...]]


def sets(annotation: Annotation, case: Case) -> Sets:
    """The sets of `radgraph.rewards` and of RadCliQ.

    `pypi-0.1.18` folds case in the four-tuples of `complete` alone, as the published package does; `folded` everywhere
    but in RadCliQ's sets, as its repository does since May 2026.
    """
    entities = annotation.entities
    lowered = [entity.tokens.lower() for entity in entities]
    names = lowered if case == "folded" else [entity.tokens for entity in entities]
    complete: set[tuple[object, ...]] = set()
    relations: set[tuple[object, ...]] = set()
    for name, low, entity in zip(names, lowered, entities, strict=True):
        if not entity.relations:
            complete.add((name, entity.label))
        for kind, target in entity.relations:
            complete.add((low, entity.label, kind, lowered[target]))
            relations.add((entity.tokens, entity.label, entities[target].tokens, entities[target].label, kind))
    return Sets(
        simple=frozenset((name, entity.label) for name, entity in zip(names, entities, strict=True)),
        partial=frozenset(
            (name, entity.label, True) if entity.relations else (name, entity.label)
            for name, entity in zip(names, entities, strict=True)
        ),
        complete=frozenset(complete),
        entities=frozenset((entity.tokens, entity.label) for entity in entities),
        relations=frozenset(relations),
    )


def f1(candidate: Set[object], reference: Set[object]) -> float:
    """2PR / (P + R) over the intersection of two sets; 0 where that is undefined."""
    both = len(candidate & reference)
    if not both:
        return 0.0
    precision, recall = both / len(candidate), both / len(reference)
    return 2 * precision * recall / (precision + recall)


def scores(candidate: Sets, reference: Sets) -> dict[str, float]:
    """`partial`, `simple` and `complete` of `radgraph.rewards`, and RadCliQ's `combined`; each in [0, 1].

    `combined` is the mean of entity F1 and relation F1, so two equal reports without relations have .5.
    """
    return {
        "partial": f1(candidate.partial, reference.partial),
        "simple": f1(candidate.simple, reference.simple),
        "complete": f1(candidate.complete, reference.complete),
        "combined": (f1(candidate.entities, reference.entities) + f1(candidate.relations, reference.relations)) / 2,
    }
