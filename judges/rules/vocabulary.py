"""The words of the lexicon for those who look at single words only, as the guards do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from judges.rules import lexicon as lx
from judges.rules.shipped import default
from judges.rules.words import KNOWN, PAIRED, fold

_ENDINGS: Final = (("", ""), ("", "s"), ("", "es"), ("y", "ies"))
"""How a plural may be made; `fold` decides whether one is."""
_BRITISH: Final = {american: british for british, american in KNOWN["parts"].items()}


@lru_cache(maxsize=1)
def finding_words() -> Mapping[str, str]:
    """Every lower-case word that names a finding or device, in all its spellings -> its name.

    "effusion" and "effusions" name a concept by themselves, "catheter" any of several, "thickening" what it makes of an
    anatomy. The table is complete, so that a look-up is all that a word costs.
    """
    lexicon = default()
    makes = {-1 - key for _, key in lexicon.pairs} - {lexicon.abnormality}
    found: dict[str, str] = {}
    for word, node in lexicon.trie.items():
        leaf: lx.Leaf | None = node.get(None)
        if word is not None and leaf is not None and (name := _name(lexicon, leaf, makes)):
            found.update(dict.fromkeys(_spellings(word), name))
    for word, concept in lexicon.finding_words.items():
        found.update(dict.fromkeys(_spellings(word), lexicon.concepts[concept].name))
    return found


def _name(lexicon: lx.Lexicon, leaf: lx.Leaf, makes: set[int]) -> str:
    if leaf.concept >= 0:
        return lexicon.concepts[leaf.concept].name
    if leaf.things:
        return "" if leaf.things[0] == lexicon.device else lexicon.concepts[leaf.things[0]].name
    if leaf.severity or leaf.change or leaf.cue:
        return ""
    return next((lexicon.descriptors[d] for d in leaf.descriptors if d in makes), "")


def _spellings(word: str) -> Iterator[str]:
    """The words that are read as this one."""
    british = word
    for american, part in _BRITISH.items():
        british = british.replace(american, part)
    for stem in {word, british}:
        for end, plural in _ENDINGS:
            if stem.endswith(end) and fold(form := stem.removesuffix(end) + plural) == word:
                yield form
    yield from KNOWN["forms"].get(word, ())
    yield from (plural for plural, one in PAIRED.items() if one == word)
