"""The first step of reading a clause: which phrases name a finding, and which one.

A phrase names a finding by itself ("effusion"), or a descriptor does together with an anatomy ("heart ... enlarged") or
with another finding ("calcified ... granuloma"). What is asserted of the findings is not asked here.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from judges.rules import around, constructions
from judges.rules import lexicon as lx
from judges.rules.context import Context
from judges.rules.findings import Event

_STOP: Final = lx.COMMA | lx.TERM | lx.WITH
_ENDS_DESCRIPTION: Final = lx.COMMA | lx.OR | lx.EXIST | lx.TERM
_HEADLESS: Final = lx.AND | lx.OR | lx.UNC | lx.READING
"""Cues that end the noun phrase of an adjective, besides those that end every search."""
_NOT_SAID: Final = lx.NEG | lx.UNC | lx.HYP
_NEAR: Final = 5  # how many anatomies on either side of a word are tried
_REACH: Final = 14  # and how many words away they may be

Place = tuple[int, int, int]
"""First word, anatomy, and the concept whose phrase names it (-1: it stands for itself)."""
Named = tuple[int, int, int]
"""First word, anatomy, and the side of it that is meant."""
NOTHING, PART, VEIN = -1, -2, -3
"""What a phrase names that names no finding: nothing, a part of the name of another finding, the place of a device."""


Name = tuple[int, int]
"""What a phrase names, where its own leaf does not say it: a concept, or one of `NOTHING`, `PART`, `VEIN`; and the
first word of the anatomy that makes the finding together with the phrase, -1 if none does."""


@dataclass(slots=True)
class Survey:
    """What a clause names, before any of it is a finding."""

    places: list[Place] = field(default_factory=list)
    """Anatomies, and zones, which stand for the lung."""
    anatomies: list[Named] = field(default_factory=list)
    subject: bool = False
    """The clause has a subject of its own."""
    heading: bool = False
    asks: bool = False
    """A phrase does not say by itself what it names."""


def survey(lexicon: lx.Lexicon, events: list[Event], context: Context) -> Survey:
    """One look over the clause."""
    found = Survey(subject=context.last is None)
    places, anatomies, sided = found.places, found.anatomies, context.sided
    subject, lung, kinds = found.subject, lexicon.lung, 0
    for i, (first, _, leaf) in enumerate(events):
        kind = leaf.kind
        if kind:
            kinds |= kind
            if kind & lx.NAMED:
                anatomies.append((first, leaf.anatomy, around.side_of(events, i) if sided else 0))
                places.append((first, leaf.anatomy, leaf.concept))
            elif leaf.zone:
                places.append((first, lung, leaf.concept))
        elif leaf.cue & lx.COLON and 0 < i < 3:
            found.heading = True
        if not subject:
            subject = around.has_substance(leaf)
    found.subject, found.asks = subject, kinds & lx.ASKS > 0
    return found


class Namer:
    """Names the findings of one clause, phrase by phrase."""

    def __init__(
        self, lexicon: lx.Lexicon, context: Context, events: list[Event], places: list[Place], words: Sequence[str]
    ) -> None:
        self.lexicon = lexicon
        self.context = context
        self.events = events
        self.places = places
        self.words = words
        self.names: dict[int, Name] = {}
        self._loose: list[int] = []  # descriptors that have found nothing to describe yet
        self._made: list[tuple[int, int]] = []  # findings named so far, by event and concept
        self._stops: list[int] | None = None

    def name(self) -> dict[int, Name]:
        """Per event what it names, where that is not simply the concept of its leaf."""
        for k, (_, _, leaf) in enumerate(self.events):
            if self._loose and leaf.cue & _ENDS_DESCRIPTION:
                self._loose = []  # "compared to the old study, rib fracture"
            if not leaf.kind:
                continue
            concept, place = leaf.concept, -1
            if leaf.kind & lx.ASKS:
                concept, place = self._of(k, leaf)
            if concept >= 0:
                if self._loose:
                    concept = self.lexicon.refine(concept, self._loose)
                    self._loose = []
                self._made.append((k, concept))
            if concept != leaf.concept or place >= 0:
                self.names[k] = concept, place
        return self.names

    def _of(self, k: int, leaf: lx.Leaf) -> Name:
        concept = leaf.concept
        if leaf.place and concept >= 0:  # "IJ": a line or a vein
            concept = self._vein(k, concept)
            if concept < 0:
                return concept, -1
        if leaf.kind & lx.THING and leaf.things[0] != self.lexicon.device:
            side = self.events[k - 1].leaf.side if k else 0
            concept = self.context.meant(self.lexicon, leaf, [c for _, c in self._made[-1:]], side)
            if concept == leaf.concept < 0 and self._taken_out(k):
                concept = leaf.things[0]  # a drain that no text has named is one of the chest
        if leaf.kind & lx.SAYS and concept == leaf.concept:
            return self._described(k, leaf)
        return concept, -1

    def _taken_out(self, k: int) -> bool:
        """Whether phrase `k` stands for one kind of device in the chest that has a tip, stays, or has been removed."""
        things, events = self.events[k].leaf.things, self.events
        if len(things) > 1 or not self.lexicon.thoracic[things[0]]:
            return False
        before = events[k - 1].leaf if k and events[k - 1].last + 1 == events[k].first else None
        if before is not None and before.change & lx.RESOLVED and before.cue & lx.NEG:
            return True  # "removal of the drain"
        for one, (first, _, leaf) in zip(events[k:], events[k + 1 :], strict=False):
            if first != one.last + 1:
                return False
            if leaf.kind & lx.THING or leaf.change & (lx.RESOLVED | lx.STABLE):
                return True
            if leaf.concept >= 0 or not (leaf.side or leaf.cue & (lx.PREP | lx.VERB)):
                return False
        return False

    def _vein(self, k: int, concept: int) -> int:
        if constructions.vein_before_device(self.events, k, self.lexicon.sized):
            return PART
        if self._made:
            at, device = self._made[-1]
            if not self.lexicon.sized[device] and constructions.vein_as_place(self.events, k, self.events[at].last):
                return VEIN
        return concept

    def _described(self, k: int, leaf: lx.Leaf) -> Name:
        """What a word makes that may describe an anatomy or another finding."""
        lexicon, events, descriptors = self.lexicon, self.events, leaf.descriptors
        if descriptors:
            following = around.next_finding(events, k, 0)
            if following >= 0 and lexicon.refines(following, descriptors):
                self._loose += descriptors
                return NOTHING, -1
            if following >= 0 and self._grades(leaf) and around.next_finding(events, k, lx.AND | lx.OR) >= 0:
                return leaf.concept, -1  # a grade of what follows: "large left effusion and enlarged heart"
        pair = self._pair(k, leaf) if leaf.keys else None
        if leaf.concept < 0 and pair is not None and self._refined(descriptors):
            return NOTHING, -1  # "a granuloma of the left lower lobe, which has calcified"
        if pair is None and not self._made and self._refined_before(k, descriptors):
            return NOTHING, -1
        if leaf.concept >= 0:
            return (pair[0], -1) if pair is not None else (leaf.concept, -1)
        if pair is not None and self._describes_kin(k, pair[0]):
            return NOTHING, -1  # "the consolidation is dense in the left lower lobe"
        if pair is not None:
            if self._names(k, pair[0]):
                self._loose += descriptors
                return PART, -1
            return pair
        self._loose += descriptors
        self._refined(descriptors)
        return NOTHING, -1

    def _describes_kin(self, k: int, concept: int) -> bool:
        """Whether it only says what the finding before it is like: it would name the family of that."""
        before = self.events[k - 1]
        if not (k and self._made) or not before.leaf.cue & lx.VERB or before.last + 1 != self.events[k].first:
            return False
        return concept in self.lexicon.concepts[self._made[-1][1]].ancestors

    def _refined(self, descriptors: Sequence[int]) -> bool:
        """Whether they say of which kind the finding named last is: "the granuloma is calcified"."""
        if not self._made:
            return False
        at, concept = self._made[-1]
        refined = self.lexicon.refine(concept, descriptors)
        if refined == concept:
            return False
        self._made[-1] = at, refined
        self.names[at] = refined, self.names[at][1] if at in self.names else -1
        return True

    def _refined_before(self, k: int, descriptors: Sequence[int]) -> bool:
        """The same of a finding of the sentence before: "There is a granuloma. It is calcified"."""
        last = self.context.last
        if last is None:
            return False
        refined = self.lexicon.refine(last.concept, descriptors)
        if refined == last.concept or any(e.leaf.cue & _NOT_SAID for e in self.events[:k]):
            return False
        last.concept = refined
        return True

    def _grades(self, leaf: lx.Leaf) -> bool:
        """Whether the word, which describes an anatomy elsewhere, may be a grade of a finding: "large", "prominent"."""
        return bool(leaf.severity or self.lexicon.prominent in leaf.descriptors)

    def _names(self, k: int, concept: int) -> bool:
        """Whether the noun phrase itself names what this descriptor makes: "dense right lower lobe | consolidation"."""
        head = around.next_finding(self.events, k, _HEADLESS)
        return head == concept or (head >= 0 and self.lexicon.special(head, concept))

    def _pair(self, k: int, leaf: lx.Leaf) -> tuple[int, int] | None:
        """The concept that this word makes together with the nearest fitting anatomy, and where that stands."""
        pairs, places, at = self.lexicon.pairs, self.places, self.events[k].first
        middle = bisect_left(places, (at, -1, -1))
        best: tuple[int, int, int] | None = None
        headed = self._headed(at, middle)
        for place, anatomy, owner in places[max(0, middle - _NEAR) : middle + _NEAR]:
            if place < headed:
                continue
            distance = abs(place - at)
            if place > at and self._stopped(at, place):
                break  # "enlarged, vascularity normal": what follows a comma or verb has its own description
            if distance <= _REACH and (best is None or distance < best[0]):
                concept = next((pairs[anatomy, key] for key in leaf.keys if (anatomy, key) in pairs), None)
                if concept is not None and not self._owns(owner, leaf.concept, concept):
                    best = (distance, concept, place)
        if best is not None and not (self._colon_between(best[2], at) and self._describes_next(k)):
            return best[1], best[2]
        apart = all(owner >= 0 for _, _, owner in places)  # "Heart: enlarged with pulmonary edema"
        if leaf.concept < 0 and apart and not self._describes_next(k):
            for (anatomy, _), key in itertools.product(self.context.subjects(), leaf.keys):
                if (anatomy, key) in pairs:
                    return pairs[anatomy, key], at
        return None

    def _colon_between(self, place: int, at: int) -> bool:
        """Whether the anatomy at word `place` heads what is said at word `at`."""
        begin, end = bisect_left(self.events, (place,)), bisect_left(self.events, (at,))
        return any(event.leaf.cue & lx.COLON for event in self.events[begin:end])

    def _describes_next(self, k: int) -> bool:
        """Whether phrase `k` describes what follows it at once: a finding, or a word that the reader does not know."""
        leaf = self.events[k].leaf
        if not (leaf.change or self._grades(leaf)):
            return False  # "Heart: enlarged silhouette"
        if around.next_finding(self.events, k, _HEADLESS) >= 0:
            return True
        after = self.events[k].last + 1
        near = self.events[k + 1 : k + 2]
        if (near and near[0].first == after) or after >= len(self.words) or not self.words[after].isalpha():
            return False
        return self.words[after] not in self.lexicon.plain and self.words[after] not in self.lexicon.trie

    def _headed(self, at: int, middle: int) -> int:
        """The word of the colon before `at`, if an anatomy follows: "Soft tissues: | abnormality | of the rib"."""
        k = bisect_left(self.events, (at,)) + 1
        if not (self.places[middle : middle + 1] and k < len(self.events) and self.events[k].leaf.cue & lx.OBJECT):
            return -1
        near = self.events[max(0, k - _REACH) : k]
        return next((e.first for e in reversed(near) if e.first < at and e.leaf.cue & lx.COLON), -1)

    def _stopped(self, at: int, place: int) -> bool:
        """Whether the description of what stands at word `at` ends before word `place`."""
        if self._stops is None:
            self._stops = _stops(self.events)
        return bisect_left(self._stops, place) != bisect_left(self._stops, at + 1)

    def _owns(self, owner: int, own: int, concept: int) -> bool:
        """Whether the anatomy belongs to a special finding: no "widening" in "bulky mediastinal adenopathy"."""
        return owner >= 0 and owner != own and self.lexicon.special(owner, concept)


def _stops(events: list[Event]) -> list[int]:
    """Words across which nothing that follows is described: "enlarged, vascularity normal"."""
    return [
        e.first
        for i, e in enumerate(events)
        if (e.leaf.cue & _STOP and not _lists(events, i)) or (e.leaf.cue & lx.VERB and not around.leads(events, i))
    ]


def _lists(events: list[Event], i: int) -> bool:
    """Whether the comma at `i` stands between two words that describe what follows: "tortuous, calcified aorta"."""
    if not 0 < i < len(events) - 2 or not events[i].leaf.cue & lx.COMMA:
        return False
    before, after = events[i - 1], events[i + 1]
    near = before.last + 1 == events[i].first and events[i].last + 1 == after.first
    described = (
        before.leaf.descriptors and after.leaf.descriptors and before.leaf.anatomy < 0 and after.leaf.anatomy < 0
    )
    return near and bool(described) and after.last + 1 == events[i + 2].first and events[i + 2].leaf.concept < 0
