"""Why a text is read as it is: for every state, side, grade, zone, place and change the row or construction behind it.

The reader calls a `Trace` only where one was given; without one, nothing of this runs.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from judges.rules import lexicon as lx
from judges.rules.findings import PRESENT, Event, Mention


class Cue(Protocol):
    """A cue that acts on a finding: `scope.Opened`."""

    @property
    def event(self) -> int: ...
    @property
    def row(self) -> lx.Row | None: ...


class Note(NamedTuple):
    """One thing that was decided of a mention."""

    field: str
    """`state`, `partial`, `side`, `grade`, `zone`, `place`, `size`, `details` or `change`."""
    value: float
    first: int
    last: int
    """The words that decided it."""
    by: str
    """The row, by file and line, or the construction, by its name."""


class Clause:
    """One clause: its phrases, and what they name."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self.mentions: list[Mention] = []


class Sentence:
    """One sentence, from its first phrase to the word before which it ends."""

    def __init__(self, events: list[Event], stop: int) -> None:
        self.events, self.stop = events, stop
        self.clauses: list[Clause] = []


class Section(NamedTuple):
    first: int
    last: int
    """The words of its heading."""
    read: bool
    """Its sentences are findings of this study."""


class Trace:
    """What one reading of one text decided, in words of the text; `reading.explain` turns it into characters."""

    def __init__(self) -> None:
        self.sections: list[Section] = []
        self.sentences: list[Sentence] = []
        self.notes: dict[int, list[Note]] = {}
        """By `id` of the mention; `Clause.mentions` keeps the mentions alive."""

    def section(self, first: int, last: int, leaf: lx.Leaf) -> None:
        self.sections.append(Section(first, last, not leaf.cue & lx.SKIP))

    def sentence(self, events: list[Event], stop: int) -> None:
        self.sentences.append(Sentence(events, stop))

    def clause(self, events: list[Event]) -> None:
        self.sentences[-1].clauses.append(Clause(events))

    def named(self, mention: Mention, k: int, by: Cue | None, partial: Cue | None) -> None:
        """Event `k` of the clause names a finding, of which these cues say something."""
        clause = self.sentences[-1].clauses[-1]
        clause.mentions.append(mention)
        own = clause.events[k]
        if by is None:
            self.note(mention, "state", PRESENT, own, "nothing denies or doubts it")
        else:
            self.note(mention, "state", mention.state, clause.events[by.event], by.row)
        if partial is not None:
            self.note(mention, "partial", 1, clause.events[partial.event], partial.row)
        if mention.side and not own.leaf.side:
            self.note(mention, "side", mention.side, own, "side_of_subject")
        self.attributes(mention, own, mention.severity)
        if mention.details:
            self.note(mention, "details", mention.details, own, "a word of it")

    def attributes(self, mention: Mention, event: Event, grade: int) -> None:
        """A phrase gives a mention its side, zone, grade or size."""
        leaf = event.leaf
        for field, value in (("side", leaf.side), ("zone", leaf.zone), ("grade", grade)):
            if value:
                self.note(mention, field, value, event, row_of(leaf, field) or f"a word of it says its {field}")
        if leaf.size:
            self.note(mention, "size", leaf.size, event, "a measurement")
        if leaf.rare & lx.PAIRED:
            self.note(mention, "side", lx.BOTH, event, "paired plural")

    def note(self, mention: Mention, field: str, value: float, event: Event, by: lx.Row | str | None) -> None:
        """`by`: the row, or the name of the construction."""
        shown = name_of(by) if isinstance(by, lx.Row) else by or "punctuation"
        self.notes.setdefault(id(mention), []).append(Note(field, value, event.first, event.last, shown))

    def shared(self, one: Mention, other: Mention, construction: str) -> None:
        """A mention has the side and zone of another."""
        for field, value in (("side", one.side), ("zone", one.zone)):
            if value:
                note = Note(field, value, other.first, other.last, construction)
                self.notes.setdefault(id(one), []).append(note)


def row_of(leaf: lx.Leaf, role: str) -> lx.Row | None:
    """The last row of this role in which a phrase stands, whatever its direction."""
    return next((row for row in reversed(leaf.rows) if row.role == role), None)


def name_of(row: lx.Row) -> str:
    """ "cues/assertion.yaml:4 absent forward"."""
    return " ".join(part for part in (row.source, row.role, row.direction or row.value) if part)
