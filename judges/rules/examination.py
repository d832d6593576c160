"""Whether a text is an English report of a chest radiograph; if not, what it is.

Decided from its words alone, by `knowledge/examination.yaml`: the script, the language, the part of the body, the means
of examination, and how many statements the reader makes nothing of. Most reports have only words that tell nothing,
which one look-up a word shows; the others are gone through statement by statement. All is linear in the text's length.
"""

from __future__ import annotations

import itertools
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from judges.rules.telling import (
    ASIDE,
    CHEST,
    CHEST_TITLE,
    MODALITY,
    OTHER,
    RADIOGRAPH,
    REFUSAL,
    SENTENCE,
    SURE,
    TOMOGRAPHY,
    Entry,
    Table,
)
from judges.rules.words import PAIRED

Span = tuple[int, int]
Kind = Literal["language", "examination", "unread"]

ENOUGH, HINTS = 2.5, 1.0
"""What another examination's words have to count together where there are words of the chest, and where there are none
and something that is not read is said of it. Where nothing is read at all, one hint is enough."""
TITLE: Final = 4.0
"""What either counts in a title, which says what examination it is."""
UNKNOWN: Final = 3
"""How many unknown words weigh as much as one of the chest where a text is not read."""
FOREIGN_LETTERS: Final = 0.25
"""Share of letters of another script above which a text is of another language."""
UNREAD: Final = 0.5
"""Share of statements that are not read above which a text is not read."""
UNREAD_TOMOGRAM: Final = 0.1
"""The same for a computed tomogram, of whose statements those do not hold either that name what no radiograph shows."""
DENSE: Final = 1 / 3
"""Share of the words in what is not read that have to be unknown, where a text is not read."""
_NAMED: Final = 8  # words in which a text may say what it is about, before a colon
_DEPARTMENTS: Final = 3  # means of examination in one title that make it a list of departments
_SHORTEST: Final = 3  # letters of a word that counts as unknown

_STOPS: Final = frozenset(".;?!\n")


class Outside(NamedTuple):
    """What a text is that is no English report of a chest radiograph."""

    kind: Kind
    what: str
    """Name of the language, script or examination, or how many statements are not read; never text of the report."""

    def __str__(self) -> str:
        return {"language": "language: ", "examination": "examination: ", "unread": ""}[self.kind] + self.what


CANDIDATE_OUTSIDE: Final[Mapping[Kind, str]] = {
    "language": "candidate_in_another_language",
    "examination": "candidate_of_another_examination",
    "unread": "candidate_not_read",
}
"""Note of a judgement about a candidate that is one of these."""


class Heading(NamedTuple):
    """The heading of a section, by its first and last word."""

    first: int
    last: int
    skipped: bool
    """What follows is no finding of this study."""
    line: bool
    """The section ends with its line."""
    until: int = -1
    """The word with which the findings begin that follow it without a heading of their own."""


_Found = tuple[int, tuple[str, ...], Entry]
"""A phrase of a text, and the word with which it begins."""

# ----- statements -----------------------------------------------------------------------------------------------------

_SKIPPED, _AFTER, _BODY, _LEAD, _FIRST, _HEADING, _TITLE = range(7)
"""What a statement is: of a section about something else, the first and those after it; about the patient; the first of
a text without a heading, or behind it, a title where nothing is read in it; a heading; under one like "Examination"."""


class _Statement(NamedTuple):
    first: int
    last: int
    role: int


def _statements(words: Sequence[str], headings: Sequence[Heading], titles: Collection[str]) -> Iterator[_Statement]:
    """The statements of a text that are findings of this study, or say which study it is."""
    heads = {heading.first: heading for heading in headings}
    final = max(heads, default=-1)
    current: Heading | None = None
    first, role, said = 0, _LEAD, False
    for i in range(len(words) + 1):
        heading = heads.get(i)
        end = i == len(words)
        if current is not None and i == current.until and not heading:
            current, role = None, _BODY
        if not (end or heading or words[i] in _STOPS or (role == _LEAD and words[i] == ":" and i < _NAMED)):
            continue
        if i > first:
            yield _Statement(first, i - 1, role if end or words[i] != ":" else _HEADING)
            said = said or role in (_LEAD, _BODY, _FIRST)
            if role in (_LEAD, _FIRST) or (
                role == _SKIPPED and current is not None and not current.line and i >= final
            ):
                role = _BODY  # no heading will tell where the history ends
            elif role == _SKIPPED and current is not None and not current.line:
                role = _AFTER
        first = i + 1
        if heading is not None:
            current, first = heading, heading.last + 1
            role = _BODY if said else _FIRST  # "REPORT: CT of the abdomen."
            if heading.skipped:
                role = _TITLE if words[heading.first] in titles else _SKIPPED
            else:
                yield _Statement(heading.first, heading.last, _HEADING)
        elif not end and words[i] == "\n" and current is not None and current.line:
            current, role = None, _BODY


# ----- the whole ------------------------------------------------------------------------------------------------------


class Examiner:
    """Looks at the words of one text after another; keeps nothing between them."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def look(
        self,
        text: str,
        words: Sequence[str],
        headings: Sequence[Heading],
        heard: Callable[[], Iterable[int]],
        unknown: frozenset[str],
        locate: Callable[[int, int], Span],
    ) -> Outside | None:
        """What a text is, if it is no English report of a chest radiograph.

        `heard` gives the words at which something was read, `unknown` are the words that the reader does not know,
        `locate` turns words into characters of `text`.
        """
        odd = {word for word in set(words) - self.table.plain if word.isalpha()}
        telling = bool(odd) and (not text.isascii() or self._tells(words, odd, unknown))
        if not telling and self.table.titled.isdisjoint(words[: 2 * _NAMED]):
            return None
        accented: set[int] = set()
        if not text.isascii():
            if script := _script(text):
                return Outside("language", script)
            accented = {i for i, word in enumerate(words) if word.isalpha() and _accented(text, locate(i, i))}
        mixed = bool(accented) or not self.table.foreign.keys().isdisjoint(odd)
        single = [PAIRED.get(word, word) for word in words]
        told = _Told(self.table, single, sorted(heard()), unknown, accented, mixed)
        for statement in _statements(words, headings, self.table.titles):
            told.hear(statement)
        return told.outside()

    def _tells(self, words: Sequence[str], odd: Set[str], unknown: frozenset[str]) -> bool:
        """Whether an odd word is unknown or of another language, or stands in a phrase of another examination."""
        telling = self.table.telling
        if not (unknown.isdisjoint(odd) and self.table.foreign.keys().isdisjoint(odd)):
            return True
        single = [PAIRED.get(word, word) for word in words]
        for i, word in enumerate(single):
            if word in telling:
                for place, phrase in telling[word]:
                    if i >= place and tuple(single[i - place : i - place + len(phrase)]) == phrase:
                        return True
        return False


@dataclass(slots=True)
class _Told:
    """What the statements of one text tell."""

    table: Table
    words: Sequence[str]
    heard: Sequence[int]
    """The words at which something was read, in order."""
    unknown: frozenset[str]
    """Words that the reader does not know."""
    accented: Collection[int]
    """The words with letters that English lacks."""
    mixed: bool
    """There are words of other languages."""
    chest: set[tuple[str, ...]] = field(default_factory=set)
    other: dict[tuple[str, ...], tuple[str, float]] = field(default_factory=dict)
    """Per phrase the examination for which it speaks, and its weight."""
    radiograph: bool = False
    """The text calls itself a radiograph of the chest."""
    tomograms: set[tuple[str, ...]] = field(default_factory=set)
    """Phrases that speak for a computed tomogram."""
    imaged: bool = False
    """Another means of examination is named."""
    reports: bool = False
    """A statement that is no refusal says something of the patient."""
    silent: bool = False
    """Of another examination something is said that is not read."""
    languages: Counter[str] = field(default_factory=Counter)
    foreign: list[int] = field(default_factory=list)
    """Per statement in another language its words of that; `english`: per other statement its English words."""
    english: list[int] = field(default_factory=list)
    statements: int = 0
    strange: int = 0
    """Statements that are not read, or name what no radiograph shows."""
    unread: list[tuple[int, int, frozenset[str]]] = field(default_factory=list)
    """First and last word of each statement that is not read, and its unknown words."""

    @property
    def tomography(self) -> bool:
        """Whether it is a computed tomogram, by one word that is sure or by two."""
        return len(self.tomograms) > 1 or not self.tomograms <= self.table.tomograms

    def hear(self, statement: _Statement) -> None:
        """Count one statement."""
        first, last, role = statement
        if role == _SKIPPED:
            return
        at = bisect_left(self.heard, first)
        begins = self.heard[at] if at < len(self.heard) and self.heard[at] <= last else None
        found = [
            each for each in self._found(first, last)
            if each[2].name != REFUSAL or begins is None or not self._goes_on(each[0], begins)
        ]  # fmt: skip
        kinds = {entry.kind for _, _, entry in found}
        self.reports |= begins is not None and all(entry.name != REFUSAL for _, _, entry in found)
        reported = ASIDE not in kinds or MODALITY not in kinds  # not: "CT of the abdomen is recommended"
        if kinds.isdisjoint((MODALITY, ASIDE)):
            self.radiograph |= self._calls_itself(statement, found, begins)
        title = role in (_HEADING, _TITLE) or (role in (_LEAD, _FIRST) and self._is_title(statement, found, begins))
        if title and OTHER not in kinds and len({e.name for _, _, e in found if e.kind == MODALITY}) >= _DEPARTMENTS:
            return  # "MRI | CT | X-RAY | ULTRASOUND": what a house does
        if title and ASIDE not in kinds and RADIOGRAPH in kinds and MODALITY in kinds:
            named = next(entry.kind for _, _, entry in found if entry.kind in (RADIOGRAPH, MODALITY))
            if named == RADIOGRAPH:  # "Chest radiograph after CT-guided biopsy"
                self.radiograph = True
                return
        if role == _AFTER or not (self._language(first, last, role) or reported):
            return
        self._count(found, title, passing=role == _BODY)
        self.silent |= begins is None and not kinds.isdisjoint((OTHER, MODALITY))
        if role in (_LEAD, _BODY, _FIRST):
            self._read(first, last, begins is not None, any(entry.weight == SURE for _, _, entry in found))

    def _goes_on(self, refused: int, begins: int) -> bool:
        """Whether a report follows a refusal in its sentence: "I cannot diagnose, but there is an effusion"."""
        return not self.table.goes_on.isdisjoint(self.words[refused:begins])

    def _calls_itself(self, statement: _Statement, found: Sequence[_Found], begins: int | None) -> bool:
        """Whether a statement says that this is a radiograph of the chest, before a finding begins at word `begins`."""
        first, last, role = statement
        if any(entry.kind == RADIOGRAPH and (begins is None or i < begins) for i, _, entry in found):
            return True
        if self.tomography or self.imaged or all(entry.kind != CHEST_TITLE for _, _, entry in found):
            return False  # "CT", and then "Chest: ..."
        if role == _HEADING:
            return not (self.statements and self.other)
        alone = sum(len(word) >= _SHORTEST for word in self.words[first : last + 1]) == 1
        return alone or (begins is None and role in (_LEAD, _TITLE)) or (found[0][0] == 0 and role == _LEAD)

    def _is_title(self, statement: _Statement, found: Sequence[_Found], begins: int | None) -> bool:
        """Whether a first statement is a title: it tells how something was imaged, or names no more than what was."""
        first, last, _ = statement
        if any(entry.kind in (SENTENCE, ASIDE) for _, _, entry in found):
            return False
        if begins is not None and not any(entry.kind == CHEST and entry.name for _, _, entry in found):
            return False
        words = self.words[first : last + 1]
        if begins is None and not self.table.views.isdisjoint(words):
            return True
        named = {word for _, phrase, _ in found for word in phrase}
        return bool(named) and all(word in named or word in self.table.beside or not word.isalpha() for word in words)

    def _found(self, first: int, last: int) -> list[_Found]:
        """The phrases between these words that tell something, the longest at each word, and where each begins."""
        words, phrases = self.words, self.table.phrases
        found = []
        free = first
        for i in [i for i in range(first, last + 1) if words[i] in phrases]:
            if i < free:
                continue
            for phrase, entry in phrases[words[i]]:
                if len(phrase) == 1 or tuple(words[i : i + len(phrase)]) == phrase:
                    found.append((i, phrase, entry))
                    free = i + len(phrase)
                    break
        return found

    def _language(self, first: int, last: int, role: int) -> bool:
        """Counts a statement by the language of its words; whether half of them or more are of another one."""
        english = foreign = 0
        if not self.mixed:
            return False
        for i in range(first, last + 1):
            languages = self.table.foreign.get(self.words[i], ())
            if languages or i in self.accented:
                foreign += 1
                self.languages.update(languages)
            elif self.words[i] in self.table.english:
                english += 1
        other = 0 < foreign >= english
        if other:
            self.foreign.append(foreign)
        elif english and role != _HEADING:
            self.english.append(english)
        return other

    def _count(self, found: Sequence[_Found], title: bool, *, passing: bool) -> None:
        """Counts what phrases tell of the examination. `passing`: in a sentence a bare "CT" may be of another study."""
        chest = title and any(
            entry.kind in (CHEST, CHEST_TITLE, RADIOGRAPH) and not entry.name for _, _, entry in found
        )
        for _, phrase, entry in found:
            if entry.kind == CHEST and entry.name and title and not chest:
                self.other[phrase] = entry.name, TITLE
            elif entry.kind in (CHEST, RADIOGRAPH, CHEST_TITLE):
                self.chest.add(phrase)
            elif entry.name == TOMOGRAPHY:
                if not (passing and phrase in self.table.passing):
                    self.tomograms.add(phrase)
            elif entry.kind in (OTHER, MODALITY):
                self.imaged |= entry.kind == MODALITY
                strong = title and (not chest or entry.kind == MODALITY)  # "MR of the chest", but not "chest, abdomen"
                weight = TITLE if strong else entry.weight
                self.other[phrase] = entry.name, max(weight, self.other.get(phrase, ("", 0.0))[1])

    def _read(self, first: int, last: int, read: bool, strange: bool) -> None:
        """Counts a statement about the patient, and what in it is unknown."""
        words = self.words[first : last + 1]
        unknown = self.unknown.intersection(words)
        unread = bool(unknown) and not read
        self.statements += any(len(word) >= _SHORTEST for word in words)
        self.strange += unread or strange
        if unread:
            self.unread.append((first, last, unknown))

    # ----- the verdict ------------------------------------------------------------------------------------------------

    def outside(self) -> Outside | None:
        """What the text is, if it is no English report of a chest radiograph."""
        foreign, english = self.foreign, self.english
        if foreign and (len(foreign), sum(foreign)) > (len(english), sum(english)):
            named = max(self.languages, key=lambda name: (self.languages[name], name), default="not English")
            return Outside("language", named)
        if not self.radiograph and (name := self._examination()):
            return Outside("examination", name)
        unread = len(self.unread)
        if unread > UNREAD * self.statements and self._strange():
            return Outside("unread", f"{unread} of {self.statements} statements not read")
        return None

    def _strange(self) -> bool:
        """Whether a good part of the words in what is not read is unknown, and many more than are of the chest."""
        unknown = frozenset(itertools.chain.from_iterable(words for _, _, words in self.unread))
        said = {word for first, last, _ in self.unread for word in self.words[first : last + 1]}
        words = sum(len(word) >= _SHORTEST for word in said)
        many = len(unknown) >= max(DENSE * words, min(2, words))
        return many and len(unknown) > UNKNOWN * (len(self.chest) + self.radiograph)

    def _examination(self) -> str:
        """The other examination for which more is said than for the chest; "" for none."""
        weights: dict[str, float] = {}
        for name, weight in self.other.values():
            weights[name] = weights.get(name, 0.0) + weight
        total, chest = sum(weights.values()), len(self.chest)
        enough = ENOUGH if chest else HINTS if self.silent else SURE
        if REFUSAL in weights and not self.reports:
            return REFUSAL  # "I cannot help with pneumothorax or effusion"
        if total > chest and (total >= enough or not self.heard):
            return max(weights, key=lambda name: (weights[name], name))
        return TOMOGRAPHY if self.tomography and self.strange > UNREAD_TOMOGRAM * self.statements else ""


def _accented(text: str, span: Span) -> bool:
    """Whether these characters are a word, or a part of one, with a letter that English lacks."""
    first, last = span
    if last - first == 1 and not (text[first - 1 : first].isalpha() or text[last : last + 1].isalpha()):
        return False  # a sign: "ø effusion"
    return any(c.isalpha() and not c.isascii() for c in text[first:last])


def _script(text: str) -> str:
    """The script of a text, if a good part of its letters is not Latin; else nothing."""
    letters = [c for c in text if c.isalpha()]
    scripts = Counter(unicodedata.name(c, "LATIN").split()[0] for c in letters if not c.isascii())
    for ours in ("LATIN", "MICRO", "FEMININE", "MASCULINE"):
        del scripts[ours]
    if scripts.total() <= FOREIGN_LETTERS * len(letters):
        return ""
    name = max(scripts, key=lambda name: (scripts[name], name))
    return f"{name if name == 'CJK' else name.capitalize()} script"
