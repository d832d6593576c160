"""To which finding of a clause each side, zone, grade, size, tip position and change belongs."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from judges.base import STUDY
from judges.rules import around, constructions, details
from judges.rules import lexicon as lx
from judges.rules.ellipsis import split
from judges.rules.findings import ABSENT, HYPOTHETICAL, UNCERTAIN, Change, Event, Mention
from judges.rules.trace import Trace, row_of

_BOUNDARY: Final = (
    lx.COMMA | lx.AND | lx.OR | lx.VERB | lx.PREP | lx.EXIST | lx.TERM | lx.COLON | lx.UNC | lx.UNC_AFTER
    | lx.READING | lx.NEG
)  # fmt: skip
"""Cues across which an attribute does not reach forward: "effusion on the left with atelectasis"."""
_SEPARATE: Final = (
    lx.VERB | lx.TERM | lx.EXIST | lx.NEG | lx.NEG_AFTER | lx.UNC | lx.UNC_AFTER | lx.HYP | lx.WITH
    | lx.COLON
)  # fmt: skip
"""Cues between two findings that make them no list."""
_APART: Final = _SEPARATE & ~(lx.WITH | lx.UNC) | lx.PREP
"""Cues between two findings that lie in different places."""
_DEGREES: Final = lx.WORSE | lx.BETTER
_STEPS: Final = 8  # how far a list or a noun phrase is followed


@dataclass(slots=True)
class _Changed:
    """One word of change and the mention (by index; -1 = none) that it was bound to."""

    event: int
    mention: int
    anatomy: int
    ahead: bool
    change: int


class Binder:
    """Binds the attributes of one clause."""

    def __init__(
        self, lexicon: lx.Lexicon, events: list[Event], mentions: list[Mention], stop: int, trace: Trace | None = None
    ) -> None:
        """The clause ends before word `stop`."""
        self.stop = stop
        self.lexicon = lexicon
        self.trace = trace
        self.events = events
        self.mentions = mentions
        self._firsts = [m.first for m in mentions]
        self._boundaries = [e.first for e in events if e.leaf.cue & _BOUNDARY]
        self._changed: list[_Changed] = []
        self._directed: set[int] = set()  # mentions of which it is said to which side they go
        self._parts: dict[int, list[int]] = {}  # mention -> events that gave it a side or grade
        self._headed = False  # a place stands before all of them: "left base: effusion and atelectasis"
        self._located: list[int] = []  # mentions whose place follows them: "effusion and atelectasis at the left base"
        self._gaps: list[int] | None = None
        self._tails: list[int] = []  # the same from the place of the mention before on: "in the left lung | with ..."

    def bind(self, attributes: list[tuple[int, bool]], anatomies: list[tuple[int, int, int]]) -> list[Change]:
        """`attributes`: event index, and whether the word is itself denied ("no new ..."). Adds to `mentions`."""
        for k, denied in attributes:
            leaf = self.events[k].leaf
            if self._speaks_of_none(k, leaf):
                continue
            if leaf.place:
                self._place(k, leaf, denied)
                if not (leaf.side or leaf.zone or leaf.change):
                    continue
            at, ahead = self._target(k)
            if leaf.details:
                details.bind(self.lexicon, self.events, self.mentions, k, at, self.trace)
            if leaf.change and not ahead and k and self.events[k - 1].leaf.cue & lx.COMMA:
                at = self._head(at)
            if leaf.change and not (denied and not leaf.change & lx.RESOLVED) and not self._of_device(leaf, at, ahead):
                changed = self._able(at) if leaf.change & _DEGREES else at
                if ahead and leaf.change & lx.STABLE and self._denied_apart(k, changed):
                    changed = -1
                forward = ahead if changed == at else changed > at
                anatomy = self._anatomy(k, changed, anatomies, forward)
                if (
                    leaf.change & lx.RESOLVED
                    and leaf.cue & lx.NEG
                    and anatomy >= 0
                    and anatomies[0][0] > self.events[k].last
                ):
                    continue  # "removal of cardiac ___": what was taken out is not named
                self._changed.append(_Changed(k, -1 if anatomy >= 0 else changed, anatomy, forward, leaf.change))
            if at >= 0:
                self._give(at, k, leaf)
                if (leaf.side or leaf.zone) and not ahead and around.governed(self.events, k):
                    self._located.append(at)
                self._headed = self._headed or (at == 0 and ahead and bool(leaf.side) and self._heads(k))
        changes = self._changes() if self._changed else []
        self._share_places()
        divided = split(self.events, self.mentions, self._parts)
        # what is said of "moderate right and small left effusions" is said of both
        return [c if c.side or id(c.mention) not in divided else c._replace(mention=None) for c in changes]

    def _speaks_of_none(self, k: int, leaf: lx.Leaf) -> bool:
        """Whether a construction takes this word away from the findings around it."""
        if leaf.severity and constructions.amount_of_change(self.events, k, self._after(k)):
            return True
        if (leaf.side or leaf.zone) and (
            constructions.of_next_subject(self.events, k, self.stop) or self._before_with(k)
        ):
            return True
        if leaf.rare & lx.EXCHANGED:
            self._exchange(k)
            return True
        if leaf.rare & lx.MORE and not constructions.more_of_finding(self.events, k):
            return True
        # "no longer in the right main bronchus", "has gone down | the right main bronchus"
        near = k + 1 < len(self.events) and self.events[k].last + 1 == self.events[k + 1].first
        if leaf.change & lx.BETTER and near and (self.events[k + 1].leaf.place or self._leads_to_place(k + 1)):
            return True
        return bool(leaf.change & lx.RESOLVED) and around.place_follows(self.events, k)

    def _before_with(self, k: int) -> bool:
        """Whether the first finding has its own side and stands with this place: "clearing of | right | base with"."""
        if not self.mentions or self._firsts[0] < self.events[k].first:
            return False
        led, own = False, False
        for event in self.events[k + 1 : k + 1 + _STEPS]:
            if event.first > self._firsts[0]:
                break
            own = own or (led and bool(event.leaf.side))
            led = led or bool(event.leaf.cue & lx.WITH)
        return own

    def _leads_to_place(self, k: int) -> bool:
        """Whether phrase `k` is the side of the place behind it: "right | mainstem bronchus"."""
        return bool(self.events[k].leaf.side) and k + 1 < len(self.events) and bool(self.events[k + 1].leaf.place)

    def _place(self, k: int, leaf: lx.Leaf, denied: bool) -> None:
        """A place is that of the tip of the nearest device, unless the device only passes it or is not there."""
        device = self._device(self.events[k].first)
        if device is None or denied or (leaf.rare & lx.CARINA and not self.lexicon.in_airway[device.concept]):
            return
        passed = constructions.passes(self.events, k, self.lexicon.device)
        if not (passed or constructions.elsewhere(self.events, k)):
            device.size = around.height(self.events, k) or device.size
            row = leaf.acts.get("place") or leaf.acts.get("advice")
            for one in (device, *self._listed_before(device, leaf.place)):
                one.place |= leaf.place
                if self.trace is not None:
                    self.trace.note(one, "place", leaf.place, self.events[k], row)

    def _listed_before(self, device: Mention, place: int) -> list[Mention]:
        """The devices listed before this one that lie as well as it does: "ETT and NG tube in good position"."""
        found: list[Mention] = []
        at = next(i for i, m in enumerate(self.mentions) if m is device) if place == self.lexicon.well else 0
        while at and self._between()[at] & (lx.AND | lx.COMMA) and not self._between()[at] & _SEPARATE:
            at -= 1
            if self.lexicon.sized[self.mentions[at].concept] or self.mentions[at].place:
                break
            found.append(self.mentions[at])
        return found

    def _give(self, at: int, k: int, leaf: lx.Leaf) -> None:
        """The finding `at` gets the side, zone, grade or size that phrase `k` says."""
        target = self.mentions[at]
        target.zone |= leaf.zone
        target.paired = target.paired or bool(leaf.rare & lx.PAIRED)
        if leaf.size and self.lexicon.sized[target.concept] and self._measures(k):
            target.size = max(target.size, leaf.size)
        severity = leaf.severity if self.lexicon.sized[target.concept] else 0  # a tube that is "advanced"
        if leaf.rare & lx.NOTABLE and target.state == ABSENT:
            severity = 0
        if leaf.side or severity:
            if leaf.side and not self.lexicon.thoracic[target.concept] and constructions.to_side(self.events, k):
                target.side = leaf.side  # "opaque left lung with mediastinal shift | to the right"
                self._directed.add(at)
            elif at not in self._directed:
                target.side |= leaf.side
            target.severity |= severity
            self._parts.setdefault(at, []).append(k)
        if self.trace is not None:
            self.trace.attributes(target, self.events[k], severity)

    # ----- the mention that an attribute speaks of ------------------------------------------------------------------

    def _target(self, k: int) -> tuple[int, bool]:
        """The mention around it, else the next one that no boundary separates from it, else the previous one.

        With whether it lies ahead.
        """
        first, last, leaf = self.events[k]
        mentions = self.mentions
        at = bisect_left(self._firsts, first)
        if at and mentions[at - 1].last >= first:
            return at - 1, False
        if at == len(mentions):
            return at - 1, False
        if at == 0:
            return 0, True
        predicate = self.events[k - 1].leaf.cue & lx.VERB and self.events[k - 1].last == first - 1
        if leaf.cue & lx.VERB or (leaf.change and predicate):  # "edema is unchanged, effusion ..."
            return at - 1, False
        if self._speaks_of_before(k, at):
            return at - 1, False
        start = last + 1
        if leaf.change:
            for event in self.events[k + 1 : k + 1 + _STEPS]:  # "decrease in the size of the effusion"
                if not event.leaf.cue & lx.OBJECT:
                    break
                start = event.last + 1
        stop = bisect_left(self._boundaries, start)
        free = stop == len(self._boundaries) or self._boundaries[stop] > mentions[at].first
        if leaf.change:
            pass
        elif not free:
            free = around.in_run(self.events, k, mentions[at].first)
        elif around.governed(self.events, k) and not around.touches(self.events, k, mentions[at].first):
            free = False  # "volume loss in the right hemithorax following lobectomy"
        return (at, True) if free else (at - 1, False)

    def _speaks_of_before(self, k: int, at: int) -> bool:
        """ "Trachea deviated | to the right | by collapse", "pneumothorax | resolved | post drain"."""
        first, last, leaf = self.events[k]
        before, after = self.mentions[at - 1], self.mentions[at]
        if leaf.side and not self.lexicon.thoracic[before.concept] and constructions.to_side(self.events, k):
            return True
        return bool(leaf.change & lx.RESOLVED) and before.last + 1 == first and after.first > last + 1

    def _measures(self, k: int) -> bool:
        """Whether this is the size of a finding, not a distance: "3 cm above the carina", "should be advanced 2 cm"."""
        after = self.events[k + 1 : k + 2]
        return not (after and after[0].leaf.place and self._device(self.events[k].first) is not None)

    def _exchange(self, k: int) -> None:
        """ "The tube has been replaced by a tracheostomy": one device goes, another comes."""
        sized, mentions = self.lexicon.sized, self.mentions
        after = bisect_left(self._firsts, self.events[k].first)
        if after == len(mentions) or (after and mentions[after].concept == mentions[after - 1].concept):
            changes = [(min(after, len(mentions) - 1), lx.NEW)]  # one catheter for another: there is one
        else:
            changes = [(after - 1, lx.RESOLVED), (after, lx.NEW)]
        for at, change in changes:
            if at >= 0 and not sized[mentions[at].concept]:
                self._changed.append(_Changed(k, at, -1, ahead=change == lx.NEW, change=change))

    def _after(self, k: int) -> int:
        """The first word of the mention after phrase `k`; -1 if there is none."""
        at = bisect_left(self._firsts, self.events[k].first)
        return self._firsts[at] if at < len(self._firsts) else -1

    def _device(self, at: int) -> Mention | None:
        """The device whose tip this is: the nearest one before, else after."""
        sized, mentions = self.lexicon.sized, self.mentions
        middle = bisect_left(self._firsts, at)
        near = (*range(middle - 1, max(-1, middle - _STEPS), -1), *range(middle, min(len(mentions), middle + _STEPS)))
        return next((mentions[i] for i in near if not sized[mentions[i].concept]), None)

    def _able(self, at: int) -> int:
        """The nearest finding that can grow and shrink: "effusion with a drain in place has decreased"."""
        sized, mentions = self.lexicon.sized, self.mentions
        if at < 0 or sized[mentions[at].concept]:
            return at
        near = (*range(at - 1, max(-1, at - _STEPS), -1), *range(at + 1, min(len(mentions), at + _STEPS)))
        return next((i for i in near if sized[mentions[i].concept] and mentions[i].state >= UNCERTAIN), at)

    def _of_device(self, leaf: lx.Leaf, at: int, ahead: bool) -> bool:
        """Whether a device was taken out, and no finding: "removed without pneumothorax", "line removed, effusion"."""
        row = leaf.acts.get("absent backward") if leaf.change & lx.RESOLVED and at >= 0 else None
        if row is None or row.applies_to != "device" or not self.lexicon.sized[self.mentions[at].concept]:
            return False
        named = any(e.leaf.things and e.leaf.things[0] == self.lexicon.device for e in self.events)
        return ahead or named or self.mentions[at].state == ABSENT

    def _head(self, at: int) -> int:
        """What a change after a comma speaks of: "large pneumothorax with mild shift, new"; a device has its own.

        Of a heart and what stands with it in the lung it is the lung: "cardiomegaly with edema, worse".
        """
        sized, mentions, thoracic = self.lexicon.sized, self.mentions, self.lexicon.thoracic
        if at > 0 and thoracic[mentions[at].concept] and not thoracic[mentions[at - 1].concept]:
            return at
        while at > 0 and sized[mentions[at].concept] and self._between()[at] & (lx.WITH | lx.COMMA | lx.AND) == lx.WITH:
            at -= 1
        return at

    def _anatomy(self, k: int, at: int, anatomies: list[tuple[int, int, int]], ahead: bool) -> int:
        """The anatomy that a change speaks of instead of a finding; -1 if it is the finding's."""
        first = self.events[k].first
        if not anatomies:
            return -1
        if at < 0 and self.events[k].leaf.change & lx.RESOLVED and self._takes_out(k):
            return -1  # "following removal of the tube, the lung stays up"
        if at < 0:
            return min(anatomies, key=lambda a: abs(a[0] - first))[1]
        middle = bisect_left(anatomies, (first, -1, -1))
        if ahead and middle < len(anatomies) and self._stands_with(anatomies[middle], self.mentions[at]):
            return anatomies[middle][1]
        if not middle or anatomies[middle - 1][2] >= 0:
            return -1
        word, anatomy, _ = anatomies[middle - 1]
        mention = self.mentions[at]
        if ahead:  # "heart size is stable with a small effusion"
            stop = bisect_left(self._boundaries, first + 1)
            if stop < len(self._boundaries) and self.events[k + 1].leaf.cue & lx.SLASH:
                stop += 1  # "improvement/resolution of"
            apart = stop < len(self._boundaries) and self._boundaries[stop] < mention.first
            return anatomy if apart and not self._objects(k) else -1
        if mention.last < word:  # "small effusion, heart size stable"
            j = bisect_left(self.events, (word,))
            return -1 if around.governed(self.events, j) or self.events[j].leaf.anatomy < 0 else anatomy
        return -1

    def _denied_apart(self, k: int, at: int) -> bool:
        """Whether a comma parts it from the denial that follows: "no change since yesterday, no effusion"."""
        first, mention = self.events[k].first, self.mentions[at]
        between = (e for e in self.events[k + 1 : k + 1 + _STEPS] if e.first < mention.first)
        return mention.state == ABSENT and mention.first > first and any(e.leaf.cue & lx.COMMA for e in between)

    def _takes_out(self, k: int) -> bool:
        """Whether it is a device that phrase `k` says to be out."""
        return any(event.leaf.things for event in self.events[k + 1 : k + 3])

    def _stands_with(self, anatomy: tuple[int, int, int], mention: Mention) -> bool:
        """Whether the finding only stands with what has changed: "clearing of the | left base | with atelectasis"."""
        word, _, owner = anatomy
        first = bisect_left(self.events, (word,))
        last = bisect_left(self.events, (mention.first,))
        between = self.events[first:last]
        if owner >= 0 or word > mention.first or not self.lexicon.sized[mention.concept]:
            return False
        return any(e.leaf.cue & lx.WITH for e in between)

    # ----- lists ------------------------------------------------------------------------------------------------------

    def _between(self) -> list[int]:
        """Per mention: all cues between the mention before and it."""
        if self._gaps is None:
            self._gaps = [0] * (len(self.mentions) + 1)
            self._tails = list(self._gaps)
            i = 0
            for k, event in enumerate(self.events):
                while i < len(self.mentions) and self.mentions[i].first <= event.first:
                    i += 1
                if i == 0 or event.first > self.mentions[i - 1].last:
                    cue = event.leaf.cue
                    if cue & lx.OBJECT and around.spans(self.events, k):
                        continue
                    if cue & lx.WITH or event.leaf.rare & lx.BESIDE:
                        cue = cue & ~(lx.PREP | lx.TERM) | lx.WITH
                        self._tails[i] &= ~lx.VERB  # "effusion is present with atelectasis"
                    self._gaps[i] |= cue
                    placed = event.leaf.side | event.leaf.zone and not self._tails[i] & lx.WITH
                    self._tails[i] = 0 if placed else self._tails[i] | cue
        return self._gaps

    def _objects(self, k: int) -> bool:
        return k + 1 < len(self.events) and bool(self.events[k + 1].leaf.cue & lx.OBJECT)

    def _links(self, k: int, after: int) -> int:
        """What joins the findings that this word of change speaks of: "cardiomegaly and effusions are unchanged".

        A singular verb speaks of the last one only.
        """
        for event in reversed(self.events[max(0, k - _STEPS) : k + 1]):
            if event.first <= after:
                break
            if event.leaf.cue & lx.PLURAL:
                return lx.COMMA | lx.AND
            if event.leaf.cue & (lx.VERB | lx.COMMA):
                return 0
        return lx.AND

    def _changes(self) -> list[Change]:
        own = {c.mention for c in self._changed}
        concepts, sized, mentions = self.lexicon.concepts, self.lexicon.sized, self.mentions
        found: list[Change] = []
        for item in self._changed:
            first, last, leaf = self.events[item.event]
            change, at = item.change, item.mention
            if change & lx.COMPARED or leaf.cue & lx.STUDYWIDE:
                found.append(Change(STUDY, change, first, last))
                continue
            if at < 0:
                whole = item.anatomy == self.lexicon.chest and not any(e.leaf.side for e in self.events)
                if not leaf.cue & lx.PERSISTING:
                    name = STUDY if whole or item.anatomy < 0 else "@" + self.lexicon.anatomies[item.anatomy]
                    found.append(Change(name, change, first, last))
                continue
            listed = [] if leaf.rare & lx.EXCHANGED else self._listed(item, own)
            for i in (at, *listed, *(i for i in self._alternatives(item, own) if i not in listed)):
                mention = mentions[i]
                if mention.state == HYPOTHETICAL:
                    continue
                if change & lx.RESOLVED and sized[mention.concept] != sized[mentions[at].concept]:
                    continue  # "tube in place and the effusion has been drained"
                if change & lx.RESOLVED and not mention.several:
                    mention.state, mention.severity = min(mention.state, ABSENT), 0  # its grade is that of before
                    if self.trace is not None:
                        self.trace.note(mention, "state", mention.state, self.events[item.event], "a change: resolved")
                elif mention.state <= ABSENT or change & lx.RESOLVED:
                    continue
                name = concepts[mention.concept].name
                found.append(Change(name, change, first, last, mention, around.side_after(self.events, item.event)))
                if self.trace is not None:
                    self.trace.note(mention, "change", change, self.events[item.event], row_of(leaf, "change"))
        return found

    def _alternatives(self, item: _Changed, own: set[int]) -> list[int]:
        """The others of its group: what is said before the first or after the last of them is said of each."""
        at, mentions = item.mention, self.mentions
        group = mentions[at].group
        near = range(max(0, at - _STEPS), min(len(mentions), at + _STEPS))
        others = [i for i in near if group and i != at and mentions[i].group == group]
        if others and (others[0] < at if item.ahead else others[-1] > at):
            return []  # "atelectasis or resolving pneumonia"
        return [i for i in others if i not in own]

    def _listed(self, item: _Changed, own: set[int]) -> list[int]:
        """The other members of the list whose member a change was bound to, without those that have their own."""
        at, leaf = item.mention, self.events[item.event].leaf
        found: list[int] = []
        if len(self.mentions) == 1:
            return found
        gaps = self._between()
        if not item.ahead:
            links = self._links(item.event, self.mentions[at].last)
            for i in range(at, max(0, at - _STEPS), -1):
                if links & gaps[i] & lx.AND:
                    links |= lx.COMMA  # "tube, line, and drain in stable position"
                if not gaps[i] & links or gaps[i] & (_SEPARATE | (lx.COMMA & ~links)) or i - 1 in own:
                    break
                found.append(i - 1)
        elif item.ahead:
            objects = self._objects(item.event) or bool(leaf.cue & lx.NEG)  # "removal of"
            links = lx.AND | lx.COMMA | lx.OR if objects else lx.AND
            whole = lx.STABLE | (lx.NEW | lx.RESOLVED if objects else 0)  # said of all, whatever side each has
            for i in range(at + 1, min(len(self.mentions), at + _STEPS)):
                mention = self.mentions[i]
                graded = mention.severity or mention.side or mention.size
                if not gaps[i] & links or gaps[i] & (_SEPARATE | (0 if objects else lx.COMMA)) or i in own:
                    break
                if graded and not leaf.change & whole:
                    break
                if leaf.change & lx.RESOLVED and mention.state > ABSENT:
                    break
                found.append(i)
        return found

    def _share_places(self) -> None:
        """ "Effusion and atelectasis at the left base": the place is that of both."""
        mentions = self.mentions
        for at in self._located:
            for i in range(at, max(0, at - _STEPS), -1):
                one, other = mentions[i - 1], mentions[i]
                gap = self._between()[i]
                if not gap & (lx.AND | lx.COMMA | lx.SLASH | lx.WITH) or gap & _APART or one.side or one.zone:
                    break
                if gap & lx.WITH and other.side == lx.BOTH:
                    break  # "consolidation with blunting of both costophrenic angles"
                if not self._neighbors(one, other):
                    break
                one.side, one.zone, one.paired = other.side, other.zone, other.paired
                if self.trace is not None:
                    self.trace.shared(one, other, "shared_place")
        for i in range(1, min(len(mentions), _STEPS) if self._headed else 0):
            one, other = mentions[0], mentions[i]
            gap = self._between()[i]
            together = self._neighbors(one, other) if one.zone else self.lexicon.concepts[other.concept].sided
            if not gap & (lx.AND | lx.COMMA | lx.WITH) or gap & _APART or other.side or not together:
                break
            other.side, other.zone = one.side, other.zone or one.zone
            if self.trace is not None:
                self.trace.shared(other, one, "shared_place")
        if any(m.side for m in mentions[:-1]):
            self._share_sides()

    def _heads(self, k: int) -> bool:
        """Whether a colon parts this place from the first finding: "left base: small effusion"."""
        ahead = (e for e in self.events[k + 1 : k + 1 + _STEPS] if e.first < self.mentions[0].first)
        return any(event.leaf.cue & lx.COLON for event in ahead)

    def _share_sides(self) -> None:
        """ "Left effusion with atelectasis": what stands with a finding lies on its side."""
        self._between()
        for one, other, tail in zip(self.mentions, self.mentions[1:], self._tails[1:], strict=False):
            if other.side or other.source or not one.side or (one.side == lx.BOTH and not self._beside(other)):
                continue
            if tail & lx.WITH and not tail & _APART and self._neighbors(one, other):
                other.side = one.side
                if self.trace is not None:
                    self.trace.shared(other, one, "stands_with")

    def _beside(self, mention: Mention) -> bool:
        """Whether a word says that it lies beside the one before: "bilateral effusions with adjacent atelectasis"."""
        at = bisect_left(self.events, (mention.first,))
        return any(event.leaf.rare & lx.BESIDE for event in self.events[max(0, at - 2) : at])

    def _neighbors(self, one: Mention, other: Mention) -> bool:
        """Whether both lie in the lung or pleura, so that what stands beside one shares its place."""
        return self.lexicon.thoracic[one.concept] and self.lexicon.thoracic[other.concept]
