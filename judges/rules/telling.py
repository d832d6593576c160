"""What words tell of an examination: the lists of `knowledge/examination.yaml`, compiled for `examination`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from judges.rules.knowledge import LexiconError
from judges.rules.words import ARTICLES, phrase_words

CHEST, RADIOGRAPH, CHEST_TITLE, OTHER, MODALITY, ASIDE, SENTENCE = range(7)
"""Kinds of phrases: of the chest; that say that it is a radiograph of the chest, anywhere and in a title; of another
examination, of a means of examination; that another study is spoken of; that a first statement is no title."""
SURE, HINT = 2.0, 0.5
"""What a phrase counts for another examination, and one that a chest radiograph may have too. A chest word counts 1."""
TOMOGRAPHY: Final = "computed tomography"
REFUSAL: Final = "refusal"
""" "As an AI I cannot give a diagnosis": no report, but where it goes on with one."""
_PUNCTUATION: Final = frozenset(".,:;\n_")


class Entry(NamedTuple):
    kind: int
    name: str = ""
    weight: float = 0.0


_Phrase = tuple[tuple[str, ...], Entry]


@dataclass(frozen=True, slots=True)
class Table:
    """The lists of `examination.yaml`, compiled."""

    phrases: Mapping[str, tuple[_Phrase, ...]]
    """By its first word each phrase that tells something, the longest first."""
    plain: frozenset[str]
    """Words of which a text may consist that need not be looked at any further."""
    telling: Mapping[str, tuple[tuple[int, tuple[str, ...]], ...]]
    """Each other word that is known -> the phrases of another examination that it stands for, and its place in them."""
    english: frozenset[str]
    """Words that are English and no other language."""
    foreign: Mapping[str, tuple[str, ...]]
    """Words of other languages -> these."""
    passing: frozenset[tuple[str, ...]]
    """Phrases that a report says of a computed tomogram that was made before, too."""
    tomograms: frozenset[tuple[str, ...]]
    """Words of a computed tomogram that a radiograph may have, too."""
    titles: frozenset[str]
    """First words of the headings under which a title stands."""
    views: frozenset[str]
    """Words of which a title has one that is no heading."""
    titled: frozenset[str]
    """Words of the chest that name another examination in a title."""
    goes_on: frozenset[str]
    """Words between a refusal and the report that follows it all the same."""
    beside: frozenset[str]
    """Words that a title may have besides what it names."""


def compiled(data: Mapping[str, Any], phrases_of: Counter[str], plain: Collection[str]) -> Table:
    """The lists as a table.

    `phrases_of`: per word the number of the lexicon's phrases that it is in; `plain`: words that name no finding.

    Raises `LexiconError` for a phrase that says two things.
    """
    known = {*phrases_of, *plain}
    phrases: dict[tuple[str, ...], Entry] = {}
    for given, entry in _entries(data):
        words = phrase_words(given)
        if phrases.setdefault(words, entry) != entry:
            raise LexiconError(f"examination: {given!r} says two things")
    neither = _all(data["international"])
    ours = {words[0] for words, entry in phrases.items() if entry.kind not in (OTHER, MODALITY)}
    expected = {*known, *neither, *ours, *ARTICLES}
    foreign: dict[str, list[str]] = {}
    for language, given_words in data["languages"].items():
        for word in _all(given_words) - expected:  # a word that is English, too, tells nothing
            foreign.setdefault(word, []).append(language)
    telling: dict[str, list[tuple[int, tuple[str, ...]]]] = {}  # of each phrase the word that is said of a chest least
    for words in sorted((w for w, entry in phrases.items() if entry.kind in (OTHER, MODALITY)), key=len):
        told = [word for word in words if word in telling]
        word = told[0] if told else min(words, key=lambda word: (word in expected, phrases_of[word], word in known))
        telling.setdefault(word, []).append((words.index(word), words))
    by_first: dict[str, list[_Phrase]] = {}
    for phrase in sorted(phrases.items(), key=lambda one: -len(one[0])):
        by_first.setdefault(phrase[0][0], []).append(phrase)
    return Table(
        phrases={first: tuple(known) for first, known in by_first.items()},
        plain=frozenset(expected - telling.keys()) | _PUNCTUATION,
        telling={word: tuple(phrases) for word, phrases in telling.items()},
        english=frozenset(word for word in {*expected, *by_first} - neither if word.isalpha()),
        foreign={word: tuple(languages) for word, languages in foreign.items()},
        passing=frozenset(phrase_words(str(phrase)) for phrase in data["passing"]),
        tomograms=frozenset(phrase_words(str(phrase)) for phrase in data["tomograms"]),
        titles=_all(data["titles"]),
        views=_all(data["views"]),
        titled=frozenset(words[-1] for words, entry in phrases.items() if entry.kind == CHEST and entry.name),
        goes_on=_all(data["goes_on"]),
        beside=_all(data["beside"]),
    )


def _entries(data: Mapping[str, Any]) -> Iterator[tuple[str, Entry]]:
    lists = [
        (data["chest"], Entry(CHEST)),
        *((phrases, Entry(CHEST, name)) for name, phrases in data["titled"].items()),
        (data["radiographs"]["anywhere"], Entry(RADIOGRAPH)),
        (data["radiographs"]["title"], Entry(CHEST_TITLE)),
        (data["asides"], Entry(ASIDE)),
        (data["sentences"], Entry(SENTENCE)),
        *((phrases, Entry(MODALITY, name, SURE)) for name, phrases in data["modalities"].items()),
        *((both["sure"], Entry(OTHER, name, SURE)) for name, both in data["other_examinations"].items()),
        *((both["hint"], Entry(OTHER, name, HINT)) for name, both in data["other_examinations"].items()),
    ]
    return ((str(phrase), entry) for phrases, entry in lists for phrase in phrases)


def _all(phrases: Iterable[object]) -> frozenset[str]:
    return frozenset(word for phrase in phrases for word in phrase_words(str(phrase)))
