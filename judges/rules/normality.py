"""What is ruled out because an anatomy, or the whole examination, is called normal."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from judges.rules import around, constructions
from judges.rules import lexicon as lx
from judges.rules.around import Subject
from judges.rules.context import Context
from judges.rules.findings import Event, Implied
from judges.rules.merge import ELSEWHERE, OVERALL
from judges.rules.naming import Named

_LEADS: Final = lx.WITH | lx.COLON
"""What ends the subject of a sentence before a noun phrase of its own."""
_AHEAD: Final = 12  # how many phrases further on a reservation is looked for
END: Final = 1 << 30
"""Behind the last word."""
_SUBJECTS: Final = 12  # how many anatomies a denied "abnormality" may speak of


class Normality:
    """Reads what one clause calls normal."""

    __slots__ = ("acute", "anatomies", "context", "events", "findings", "former", "implied", "lexicon", "settled")

    def __init__(self, lexicon: lx.Lexicon, context: Context, events: list[Event], anatomies: list[Named]) -> None:
        self.lexicon, self.context, self.events, self.anatomies = lexicon, context, events, anatomies
        self.findings = frozenset(event.first for event in events if event.leaf.concept >= 0)
        # "No acute abnormality" is written beside an effusion, too.
        self.acute = any(anatomy == lexicon.acute for _, anatomy, _ in anatomies)
        self.former = any(e.leaf.rare & (lx.ELAPSED | lx.FORMER) for e in events)
        self.implied: list[Implied] = []
        self.settled: list[tuple[int, int]] = []
        """Words that only say what is normal."""

    def settle(self, k: int, since: int) -> int:
        """Phrase `k` says that something is normal; returns the word up to which anatomies have their verdict.

        They have it already before word `since`.
        """
        events, named = self.events, self.anatomies
        first, last, _ = events[k]
        begin = bisect_left(named, (since,))
        here, start, end = [a[1:] for a in named[begin : bisect_left(named, (first,))]], first, last + 1
        zone = -1 if here else constructions.zone_before(events, k)
        if zone >= 0:
            here = [(self.lexicon.lung, around.side_of(events, zone))]
        described = around.following(events, k) if here and k and events[k - 1].leaf.cue & _LEADS else ([], 0)
        beyond = bisect_left(events, (described[1],)) if described[0] else 0
        if described[0] and not (
            beyond < len(events) and events[beyond].leaf.cue & lx.COLON
        ):  # "heart enlarged with clear lungs"
            here, end = described
        elif here:
            start = around.start_of_subject(events, k if zone < 0 else zone + 1, since)
        else:
            here, end = around.following(events, k)
        behind = around.side_behind(events, k) if self.context.sided else 0
        speaks = here or ([] if named else self.context.subjects())
        until = 0 if self.context.limited else self._until(k)
        self._normal([(anatomy, side or behind) for anatomy, side in speaks], first, last, until=until)
        self.settled.append((start, end))
        return end

    def rule_out(self, k: int) -> None:
        """Phrase `k` rules out something by itself: "no acute disease"."""
        events, leaf = self.events, self.events[k].leaf
        first, last, _ = events[k]
        if narrow := self._elsewhere(k):  # "no acute abnormality of the bones"
            self._normal(narrow, first, last)
            return
        side = 0
        if self.context.sided:
            side = around.side_of(events, k) or around.side_of_subject(events, k) or around.side_behind(events, k)
        named = [a for word, a, _ in self.anatomies if word not in self.findings]
        named += [a for a, _ in self.context.anatomies] if not self.findings else []
        # "The right lung is clear, without abnormality" speaks of that lung.
        part = any(len(self.lexicon.normal[a]) < OVERALL for a in named)
        whole = len(leaf.absent) >= OVERALL or len(leaf.absent) == 1
        firm = whole and not (side or part or self.context.limited)
        self.implied.append(Implied(leaf.absent, first, last, side=side, until=self._until(k) if firm else 0))

    def deny_abnormality(self, k: int, begun: int, since: int, *, partial: bool) -> bool:
        """An "abnormality" is denied from word `begun` on; whether that speaks of anything."""
        found = self._abnormal(begun, since)
        until = 0 if partial or self.acute or self.context.limited else ELSEWHERE
        whole = [a for a in found if len(self.lexicon.normal[a[0]]) >= OVERALL and not a[1]]
        self._normal(whole, self.events[k].first, self.events[k].last, partial, until=until)
        self._normal([a for a in found if a not in whole], self.events[k].first, self.events[k].last, partial)
        return bool(found)

    def within(self, word: int) -> bool:
        """Whether this word only says what is normal."""
        at = bisect_left(self.settled, (word + 1,))
        return bool(at) and self.settled[at - 1][0] <= word < self.settled[at - 1][1]

    def _normal(
        self, anatomies: Iterable[Subject], first: int, last: int, partial: bool = False, *, until: int = 0
    ) -> None:
        for anatomy, side in anatomies:
            self.implied.append(Implied(self.lexicon.normal[anatomy], first, last, partial, side, until))

    def _until(self, k: int) -> int:
        """The word from which on the sentence says what is not normal: "the lungs are clear | with small effusions"."""
        if self.events[k].leaf.concept >= 0:  # "top normal"
            return 0
        if self.former and not self._now(k):  # "previously normal chest"
            return 0
        return next((e.first for e in self.events[k + 1 : k + 1 + _AHEAD] if e.leaf.cue & (lx.WITH | lx.TERM)), END)

    def _now(self, k: int) -> bool:
        """Whether what was before is told of a finding, up to a comma: "effusion last week, the film is now normal"."""
        told = found = False
        for event in self.events[:k]:
            if event.leaf.rare & (lx.ELAPSED | lx.FORMER):
                told = found
                if not found:
                    return False
            found = found or event.leaf.concept >= 0
            if event.leaf.cue & lx.COMMA and told:
                return True
        return False

    def _abnormal(self, begun: int, since: int) -> list[Subject]:
        """What a denied "abnormality" speaks of.

        Not of what "acute" stands for, where bones or the like are meant: "no acute osseous abnormality".
        """
        named, acute = self.anatomies, self.lexicon.acute
        begin, either = bisect_left(named, (begun,)), bisect_left(named, (since,))
        found = [a[1:] for a in named[begin : begin + _SUBJECTS] or named[either : either + _SUBJECTS]]
        others = [a for a in found if a[0] != acute]
        if others and not self._in_chest(others):
            found = others
        return found or self.context.subjects()

    def _elsewhere(self, k: int) -> list[Subject]:
        """Of what phrase `k` rules out an abnormality, where that is not the chest as a whole."""
        if len(self.events[k].leaf.absent) < OVERALL:
            return []
        if 0 < len(self.anatomies) <= _SUBJECTS and self.anatomies[-1][0] < self.events[k].first and self._shown(k):
            before = [a[1:] for a in self.anatomies]
            if not self._in_chest(before):
                return before  # "the bones show nothing acute"
        if not around.leads(self.events, k):
            return []
        found = around.following(self.events, around.place(self.events, k))[0]
        one_side = all(0 < side < lx.BOTH for _, side in found)  # "no abnormality in the left lung"
        return [] if self._in_chest(found) and not one_side else found

    def _shown(self, k: int) -> bool:
        """Whether a verb or a colon leads to phrase `k`: "bones | show | nothing acute", "bones: nothing acute"."""
        before, here = self.events[k - 1], self.events[k]
        return k > 0 and bool(before.leaf.cue & (lx.VERB | lx.COLON)) and before.last + 1 == here.first

    def _in_chest(self, subjects: list[Subject]) -> bool:
        """Whether the lung or pleura is among these."""
        return any(self.lexicon.thoracic[c] for a, _ in subjects for c in self.lexicon.normal[a])
