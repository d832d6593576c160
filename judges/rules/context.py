"""What passes from clause to clause and from sentence to sentence of one text. Nothing else does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from judges.rules import lexicon as lx
from judges.rules.around import Subject
from judges.rules.findings import Mention

_DEVICES: Final = 4  # how many named devices "the tube" may still mean
_SUBJECTS: Final = 12  # how many anatomies a "normal" that names none may speak of


@dataclass(slots=True)
class Context:
    """What the text has said so far that a clause may still speak of."""

    topic: list[Subject] = field(default_factory=list)
    """The anatomy of a heading: "HEART: Enlarged. Stable." """
    anatomies: list[Subject] = field(default_factory=list)
    """Those that the sentence has named so far: the subject of "and mildly enlarged"."""
    last: Mention | None = None
    """The finding that the sentence named last: the subject of ", but has increased"."""
    before: Mention | None = None
    """The same of the sentence before, until this one has named something: "It has increased."."""
    named: bool = False
    """The sentence has named something, so that `before` is over."""
    devices: list[Mention] = field(default_factory=list)
    """Devices named last, for "the tube"."""
    outside: bool = False
    """What the text said before the sentence has been looked at; see `repeats`."""
    sided: bool = True
    """The sentence names a side somewhere, so that one has to be looked for."""
    limited: bool = False
    """What the sentence calls normal is so with a reservation: "otherwise clear"."""
    groups: int = 0
    """How many groups of alternatives there are."""

    def begin_sentence(self, *, sided: bool = True) -> None:
        self.before = self.last or self.before
        self.anatomies, self.last, self.named, self.sided = [], None, False, sided

    def begin_subject(self, last: Mention | None) -> None:
        """A clause with a subject of its own has been read; `last` is what it named last."""
        self.last, self.before, self.named = last, None, True

    def said_before(self) -> Mention | None:
        """What "it" means at the beginning of a sentence."""
        self.outside = True
        return self.before

    def device(self) -> Mention | None:
        """The device named last."""
        self.outside = True
        return self.devices[-1] if self.devices else None

    def new_group(self) -> int:
        """The number of another group of alternatives."""
        self.outside = True
        self.groups += 1
        return self.groups

    def forget(self) -> None:
        """What was read does not count: it belonged to no finding of this study."""
        self.devices, self.last, self.before = [], None, None

    def subjects(self) -> list[Subject]:
        """What a clause speaks of that names no anatomy."""
        return self.anatomies or self.topic

    def add_anatomies(self, subjects: list[Subject], *, heading: bool) -> None:
        self.anatomies = subjects[-_SUBJECTS:]
        if heading:
            self.topic = self.anatomies[:1]

    def add_device(self, mention: Mention) -> None:
        self.devices = [*self.devices[1 - _DEVICES :], mention]

    def meant(self, lexicon: lx.Lexicon, leaf: lx.Leaf, own: list[int], side: int) -> int:
        """What "the tube" is: the device named last that may be called so, else the leaf's own concept.

        -1 where the clause itself has named the device: it is no second one. `own`: what the clause named.
        """
        if not side and own and _called(lexicon, leaf, own[-1]):
            return -1
        self.outside = True
        for known in reversed(self.devices):
            if _called(lexicon, leaf, known.concept) and not (side and known.side and side != known.side):
                return known.concept
        return leaf.concept


def _called(lexicon: lx.Lexicon, leaf: lx.Leaf, concept: int) -> bool:
    return concept in leaf.things or not lexicon.concepts[concept].ancestors.keys().isdisjoint(leaf.things)
