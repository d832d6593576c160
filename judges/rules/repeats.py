"""Sentences that were read before. A model's reports repeat themselves, and those of one group do so most of all.

A sentence is remembered only if its reading looked at nothing outside it. `Context.outside` tells: whatever reads what
the text said before, or how it is spelt, sets it. `Sections` sees to the rest. Such a sentence reads the same anywhere,
so that remembering it moves no result.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from judges.rules.around import Subject
from judges.rules.clause import Clauses
from judges.rules.findings import Change, Event, Implied, Mention
from judges.rules.normality import END
from judges.rules.retractions import Known

LONGEST: Final = 60
"""Words of a sentence that is remembered."""
MOST: Final = 4096
"""Sentences in one generation. There are two, so that the memory is bounded; texts are not trusted."""

Key = tuple[str, ...]
"""The words of a sentence, with the full stop or line break that ends it."""


class Repeat(NamedTuple):
    """What one sentence says; its words are counted from its first."""

    mentions: tuple[Mention, ...]
    sources: tuple[tuple[int, int], ...]
    """Which mention is taken for which."""
    implied: tuple[Implied, ...]
    changes: tuple[tuple[Change, int], ...]
    """Each with the mention that has changed, -1 if none has."""
    silent: list[Event] | None
    """Its phrases, if it says nothing of a finding."""
    begun: bool
    """It has phrases."""
    stop: int
    topic: list[Subject]
    anatomies: list[Subject]
    last: int
    """The mention that the next clause may speak of, -1 if it is none."""
    named: bool
    """It names something, so that "it" no longer means what was named before."""
    devices: tuple[int, ...]

    def say(self, clauses: Clauses, first: int) -> None:
        """Add it to `clauses`, as if it had been read at word `first`."""
        context = clauses.context
        context.begin_sentence()
        if self.begun:
            clauses.retractions.begin_again()
        mentions = [mention.moved(first) for mention in self.mentions]
        for one, source in self.sources:
            mentions[one].source = mentions[source]
        clauses.mentions += mentions
        for each in self.implied:
            clauses.implied.append(_moved(each, first))
        for (what, change, begin, end, _, side), at in self.changes:
            mention = mentions[at] if at >= 0 else None
            clauses.changes.append(Change(what, change, begin + first, end + first, mention, side))
        if self.implied and self.begun:
            clauses.first = first
            clauses.retractions.settle()
        if self.silent is not None:
            events = [Event(begin + first, end + first, leaf) for begin, end, leaf in self.silent]
            clauses.silent.append((first, self.stop + first, events))
        context.topic, context.anatomies = self.topic, self.anatomies
        context.last = mentions[self.last] if self.last >= 0 else None
        if self.named:
            context.before, context.named = None, True
        for device in self.devices:
            context.add_device(mentions[device])


class Repeats:
    """Remembers sentences: at most `MOST` lately met ones, and as many before them."""

    def __init__(self) -> None:
        self._young: dict[Key, Repeat] = {}
        self._old: dict[Key, Repeat] = {}

    def find(self, key: Key) -> Repeat | None:
        """What this sentence says, if it is remembered."""
        found = self._young.get(key)
        if found is None and (found := self._old.get(key)) is not None:
            self._keep(key, found)
        return found

    def learn(self, key: Key, clauses: Clauses, known: Known, first: int, events: list[Event]) -> None:
        """Remember what has been read of the sentence that began at word `first`, when there was `known`."""
        mentions = clauses.mentions[known[0] :]
        places = {id(mention): i for i, mention in enumerate(mentions)}
        context = clauses.context
        devices = [mention for mention in context.devices if id(mention) in places]
        related = [m.source for m in mentions if m.source is not None]
        related += [c.mention for c in clauses.changes[known[2] :] if c.mention is not None]
        related += [context.last] if context.last is not None else []
        if any(id(mention) not in places for mention in related):
            return
        silent = clauses.silent[known[3] :]
        self._keep(key, Repeat(
            mentions=tuple(mention.moved(-first) for mention in mentions),
            sources=tuple((i, places[id(m.source)]) for i, m in enumerate(mentions) if m.source is not None),
            implied=tuple(_moved(each, -first) for each in clauses.implied[known[1] :]),
            changes=tuple(
                (
                    change._replace(first=change.first - first, last=change.last - first, mention=None),
                    -1 if change.mention is None else places[id(change.mention)],
                )
                for change in clauses.changes[known[2] :]
            ),
            silent=[Event(e.first - first, e.last - first, e.leaf) for e in silent[0][2]] if silent else None,
            begun=bool(events),
            stop=len(key) - 1,
            topic=context.topic,
            anatomies=context.anatomies,
            last=-1 if context.last is None else places[id(context.last)],
            named=context.named,
            devices=tuple(places[id(device)] for device in devices),
        ))  # fmt: skip

    def _keep(self, key: Key, repeat: Repeat) -> None:
        if len(self._young) >= MOST:
            self._old, self._young = self._young, {}
        self._young[key] = repeat


def _moved(implied: Implied, by: int) -> Implied:
    """The same `by` words further on."""
    concepts, first, last, partial, side, until = implied
    return Implied(concepts, first + by, last + by, partial, side, until + by if 0 < until < END else until)
