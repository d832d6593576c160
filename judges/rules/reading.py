"""How a text is read, and why, for people: sections, sentences, phrases, mentions, and what decided each of them.

`reward-service read` prints it, `POST /v1/read` answers with it, and a failing case of the tests shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from judges.rules import lexicon as lx
from judges.rules.clause import Clauses
from judges.rules.findings import (
    ABSENT,
    HYPOTHETICAL,
    PRESENT,
    UNCERTAIN,
    Denial,
    Event,
    Finding,
    Findings,
    Mention,
    Span,
)
from judges.rules.judge import validate
from judges.rules.reader import Reader
from judges.rules.shipped import default
from judges.rules.trace import Clause, Note, Trace, name_of

_STATES: Final = {HYPOTHETICAL: "hypothetical", ABSENT: "absent", UNCERTAIN: "possible", PRESENT: "present"}
_SIDES: Final = ("", "left", "right", "both")
_GRADES: Final = ("trace", "small", "moderate", "large")
_ZONES: Final = ("upper", "middle", "lower", "central")
_CHANGES: Final = ("stable", "worse", "better", "new", "resolved", "compared")

Paint = Callable[[str, str], str]
"""A text and the name of a style -> the text in that style."""


@lru_cache(maxsize=1)
def shipped() -> Reader:
    """A reader of the shipped lexicon; it is made once, which takes half a second.

    Raises `LexiconError` for a concept whose example sentences are not read as they should be, as the judge does.
    """
    reader = Reader(default())
    validate(reader.lexicon, reader)
    return reader


def notation(lexicon: lx.Lexicon, findings: Findings) -> list[str]:
    """Everything a text says of findings, in short.

    ``?finding:side.grade^zone@place#millimetres%details`` (``?`` = possible; what is not said is left out),
    ``-finding`` denied by name, ``~finding`` denied in part, ``0finding`` ruled out by what is called normal,
    ``finding=change`` compared with an earlier study.
    """
    names = [c.name for c in lexicon.concepts]
    said = [_denied(names[c], d) for c, d in findings.negative.items()]
    said += [_short(lexicon, x) for by_side in findings.positive.values() for x in by_side.values()]
    for (name, _), (mask, _) in findings.changes.items():
        said += [f"{name}={change}" for change in _bits(mask, _CHANGES)]
    return sorted(set(said))


def _denied(name: str, denial: Denial) -> str:
    if denial.explicit:
        return ("~" if denial.partial else "-") + name
    return f"0{name}" + (f":{_SIDES[denial.side]}" if denial.side else "")


def _short(lexicon: lx.Lexicon, x: Finding) -> str:
    size = f"{x.size:g}" if x.size else ""
    place = x.place & ~lexicon.well or x.place  # a place tells by itself that it is a good one
    parts = (
        _SIDES[x.side], "-".join(_bits(x.severity, _GRADES)), "-".join(_bits(x.zone, _ZONES)),
        "-".join(_bits(place, lexicon.places)), size, "-".join(_bits(x.details, lexicon.detail_names)),
    )  # fmt: skip
    marked = "".join(mark + part for mark, part in zip(":.^@#%", parts, strict=True) if part)
    return ("" if x.certain else "?") + lexicon.concepts[x.concept].name + marked


def _bits(mask: int, words: Sequence[str]) -> list[str]:
    return [word for i, word in enumerate(words) if mask >> i & 1]


def explain(text: str, reader: Reader | None = None) -> dict[str, Any]:
    """The reading of `text` as plain data: `sections`, `sentences`, `normal`, `comparisons`, `outside`, `unread`
    and `findings`.

    All offsets are characters of `text`. `findings` is in the notation of `notation`. Any string is valid.
    """
    reader = reader or shipped()
    trace = Trace()
    findings, locate, clauses = reader.traced(text, trace)
    return _Explanation(text, trace, locate, clauses).data(findings)


class _Explanation:
    def __init__(self, text: str, trace: Trace, locate: Callable[[int, int], Span], clauses: Clauses) -> None:
        self.lexicon, self.text, self.trace, self.locate, self.clauses = clauses.lexicon, text, trace, locate, clauses
        self.counted = {id(mention) for mention in clauses.mentions}

    def data(self, findings: Findings) -> dict[str, Any]:
        return {
            "text": self.text,
            "sections": [{**self._words(s.first, s.last), "read": s.read} for s in self.trace.sections],
            "sentences": [
                {
                    **self._words(sentence.events[0].first, sentence.events[-1].last),
                    "clauses": [self._clause(clause) for clause in sentence.clauses],
                }
                for sentence in self.trace.sentences
            ],
            "normal": [
                {
                    **self._words(first, last),
                    "rules_out": [self.lexicon.concepts[c].name for c in ruled_out],
                    "side": _SIDES[side],
                }
                for ruled_out, first, last, _, side, _ in self.clauses.implied
            ],
            "comparisons": [
                {**self._words(first, last), "of": name, "change": self._value("change", change)}
                for name, change, first, last, *_ in self.clauses.changes
            ],
            "outside": str(findings.outside) if findings.outside else None,
            "unread": [
                {**self._characters(*statement.span), "denied": statement.denied} for statement in findings.unread
            ],
            "findings": notation(self.lexicon, findings),
        }

    def _words(self, first: int, last: int) -> dict[str, Any]:
        return self._characters(*self.locate(first, last))

    def _characters(self, start: int, end: int) -> dict[str, Any]:
        return {"words": " ".join(self.text[start:end].split()), "start": start, "end": end}

    def _clause(self, clause: Clause) -> dict[str, Any]:
        return {
            **self._words(clause.events[0].first, clause.events[-1].last),
            "phrases": [self._phrase(event) for event in clause.events],
            "mentions": [self._mention(mention) for mention in clause.mentions],
        }

    def _phrase(self, event: Event) -> dict[str, Any]:
        """What a phrase is: the finding or anatomy that it names, and the rows in which it stands."""
        leaf, lexicon = event.leaf, self.lexicon
        found: dict[str, Any] = self._words(event.first, event.last)
        if leaf.concept >= 0:
            concept = lexicon.concepts[leaf.concept]
            found |= {"finding": concept.name, "source": concept.source}
        if leaf.anatomy >= 0:
            found["anatomy"] = lexicon.anatomies[leaf.anatomy]
        if leaf.absent:
            found["rules_out"] = [lexicon.concepts[c].name for c in leaf.absent]
        if leaf.descriptors:
            found["describes"] = [lexicon.descriptors[d] for d in leaf.descriptors]
        if leaf.size:
            found["millimetres"] = leaf.size
        found["rows"] = [name_of(row) for row in leaf.rows]
        return found

    def _mention(self, mention: Mention) -> dict[str, Any]:
        concept = self.lexicon.concepts[mention.concept]
        found = {
            "finding": concept.name,
            "source": concept.source,
            **self._words(mention.first, mention.last),
            "state": _STATES[mention.state] + (" in part" if mention.partial else ""),
        }
        for field, value in (
            ("side", mention.side), ("grade", mention.severity), ("zone", mention.zone), ("place", mention.place),
            ("size", mention.size), ("details", mention.details),
        ):  # fmt: skip
            if value:
                found[field] = self._value(field, value)
        if id(mention) not in self.counted:
            found["dropped"] = "a later heading opens the section of the findings"
        found["because"] = [self._note(note) for note in self.trace.notes.get(id(mention), ())]
        return found

    def _note(self, note: Note) -> dict[str, Any]:
        value = self._value(note.field, note.value)
        return {"field": note.field, "value": value, **self._words(note.first, note.last), "by": note.by}

    def _value(self, field: str, value: float) -> Any:
        if field == "state":
            return _STATES[int(value)]
        if field == "side":
            return _SIDES[int(value)]
        words = {
            "grade": _GRADES, "zone": _ZONES, "change": _CHANGES, "place": self.lexicon.places,
            "details": self.lexicon.detail_names,
        }.get(field)  # fmt: skip
        return value if words is None else "-".join(_bits(int(value), words))


def render(read: dict[str, Any], paint: Paint = lambda text, style: text) -> str:
    """An explanation as lines of text; `paint` colours them."""
    return "\n".join(_lines(read, paint))


def _lines(read: dict[str, Any], paint: Paint) -> Iterator[str]:
    for section in read["sections"]:
        yield paint(f"section {section['words']!r}" + ("" if section["read"] else ", not read"), "heading")
    for sentence in read["sentences"]:
        yield paint(sentence["words"], "sentence")
        for clause in sentence["clauses"]:
            if len(sentence["clauses"]) > 1:
                yield f"  clause: {clause['words']}"
            for phrase in clause["phrases"]:
                yield f"    {phrase['words']:24} {paint(_says(phrase), 'source')}"
            for mention in clause["mentions"]:
                yield from _mention_lines(mention, paint)
    for normal in read["normal"]:
        yield f"normal: {normal['words']!r} rules out {' '.join([normal['side'], *normal['rules_out']]).strip()}"
    for said in read["comparisons"]:
        yield f"comparison: {said['words']!r} {said['of']} {said['change']}"
    if read["outside"]:
        yield f"no English report of a chest radiograph: {read['outside']}"
    for statement in read["unread"]:
        yield f"unread: {statement['words']!r}{', denied' if statement['denied'] else ''}"
    yield paint("findings: ", "heading") + (" ".join(read["findings"]) or "none")


def _says(phrase: dict[str, Any]) -> str:
    parts = [f"{phrase['finding']} ({phrase['source']})"] if "finding" in phrase else []
    parts += [f"{key} {phrase[key]}" for key in ("anatomy", "millimetres") if key in phrase]
    parts += [f"{key} {', '.join(phrase[key])}" for key in ("describes", "rules_out") if key in phrase]
    return "; ".join(parts + phrase["rows"])


def _mention_lines(mention: dict[str, Any], paint: Paint) -> Iterator[str]:
    said = [f"{key} {mention[key]}" for key in ("side", "grade", "zone", "place", "size", "details") if key in mention]
    state = mention["state"]
    dropped = " (not counted: " + mention["dropped"] + ")" if "dropped" in mention else ""
    yield "  → " + paint(f"{mention['finding']}: {', '.join([state, *said])}", state.split()[0]) + dropped
    for note in mention["because"]:
        by = paint(note["by"], "source")
        yield f"      {note['field']} {note['value']}: {note['words']!r}, {by}"
