"""The phrases of all files: their templates, the trie, and what one phrase has from another."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from judges.rules import lexicon as lx
from judges.rules.words import KNOWN, phrase_words
from judges.rules.words import PAIRED as PLURALS

SIDES: Final = {"left": lx.LEFT, "right": lx.RIGHT, "both": lx.BOTH, "none": 0}
ZONES: Final = {"upper": lx.UPPER, "middle": lx.MIDDLE, "lower": lx.LOWER, "central": lx.CENTRAL}
_ZONE_WORDS: Final = {"upper": lx.UPPER, "lower": lx.LOWER, "middle": lx.MIDDLE, "mid": lx.MIDDLE}


def alternatives(template: str) -> Iterator[tuple[str, ...]]:
    """The words of all phrases of a template: ``{a|b} c`` -> ``(a, c)``, ``(b, c)``.

    Braces do not nest and do not split words. ``{<seen>}`` stands for the words of that class in `words.yaml`.
    """
    template = re.sub(r"<(\w+)>", lambda name: _of_class(name[1]), template)
    parts = re.split(r"\{([^{}]*)\}", template)
    if any("{" in p or "}" in p for p in parts):
        raise lx.LexiconError(f"unbalanced braces in {template!r}")
    choices = [[phrase_words(c) for c in p.split("|")] if i % 2 else [phrase_words(p)] for i, p in enumerate(parts)]
    return (tuple(itertools.chain.from_iterable(c)) for c in itertools.product(*choices))


def _of_class(name: str) -> str:
    if name not in KNOWN["classes"]:
        raise lx.LexiconError(f"no class of words is called {name!r}")
    return "|".join(KNOWN["classes"][name])


class Phrases:
    """The trie, and the leaf of every phrase."""

    def __init__(self, inside: Mapping[str, Mapping[str, list[str]]]) -> None:
        """`inside`: words that carry a side or a zone inside a longer phrase, too."""
        self.trie: lx.Trie = {}
        self.leaves: dict[tuple[str, ...], lx.Leaf] = {}
        self._confined = 0  # details that are said only within the name of a finding
        self._sides = {word: SIDES[side] for side, words in inside["side"].items() for word in words}
        self._zones = {word: ZONES[zone] for zone, words in inside["zone"].items() for word in words}
        self._placed = {*self._sides, *self._zones, *_ZONE_WORDS}

    def of(self, entry: Mapping[str, Any]) -> Iterator[tuple[str, lx.Leaf]]:
        """Every template of an entry with each of its leaves, made where they are new."""
        if not entry.get("phrases"):
            raise lx.LexiconError(f"an entry has no phrases: {dict(entry)}")
        for template in entry["phrases"]:
            if not isinstance(template, str):
                raise lx.LexiconError(f"{entry.get('source')}: not a phrase: {template!r}")
            for words in self.words(template):
                yield template, self.leaf(words)

    def words(self, template: str) -> list[tuple[str, ...]]:
        """The words of each of its phrases."""
        return sorted(set(alternatives(template)) - {()})

    def leaf(self, words: tuple[str, ...]) -> lx.Leaf:
        """The leaf of a phrase, made where it is new."""
        return self.leaves.get(words) or self._made(words)

    def confine(self, details: int) -> None:
        """Outside the name of a finding their words do not say these."""
        self._confined |= details

    def put(self, words: tuple[str, ...], leaf: lx.Leaf) -> None:
        node = self.trie
        for word in words:
            node = node.setdefault(word, {})
        node[None] = self.leaves[words] = leaf

    def _made(self, words: tuple[str, ...]) -> lx.Leaf:
        leaf = lx.Leaf(empty=True)
        for i, word in enumerate(words if not self._placed.isdisjoint(words) else ()):
            leaf.side |= self._sides.get(word, 0)
            leaf.zone |= self._zones.get(word, 0)
            if words[i + 1 : i + 2] in (("lobe",), ("lung",)) and words[i + 1 : i + 3] != ("lung", "volume"):
                leaf.zone |= _ZONE_WORDS.get(word, 0)
        self.put(words, leaf)
        return leaf

    # ----- what phrases have from one another -------------------------------------------------------------------------

    def inherit_anatomy(self) -> None:
        """A finding that begins or ends with an anatomy also names it: "tortuous and calcified aorta"."""
        anatomies = {words: leaf.anatomy for words, leaf in self.leaves.items() if leaf.anatomy >= 0}
        for words, leaf in self.leaves.items():
            if (leaf.concept >= 0 or leaf.details) and leaf.anatomy < 0:  # "rib 4"
                parts = [words[i:] for i in range(1, len(words)) if leaf.concept >= 0]
                parts += [words[:-i] for i in range(1, len(words))]
                leaf.anatomy = next((anatomies[part] for part in parts if part in anatomies), -1)

    def inherit_cues(self) -> None:
        """What a word of a finding's phrase does to a denial: "no displaced fracture", "no effusion, old fracture"."""
        single = {
            words[0]: leaf.cue & (lx.PARTIAL | lx.NEVER) for words, leaf in self.leaves.items() if len(words) == 1
        }
        for words, leaf in self.leaves.items():
            if leaf.concept >= 0:
                for word in words:
                    leaf.cue |= single.get(word, 0)

    def inherit_details(self) -> None:
        """A detail may stand within the name of a finding or place: "healing rib fracture", "distal clavicle"."""
        known = {words: leaf.details for words, leaf in self.leaves.items() if leaf.details}
        longest = max(map(len, known), default=0)
        for words, leaf in self.leaves.items():
            leaf.details &= ~self._confined
            if leaf.concept >= 0 or leaf.anatomy >= 0:
                start = 0
                while start < len(words):
                    ends = range(min(len(words), start + longest), start, -1)
                    end = next((end for end in ends if words[start:end] in known), start + 1)
                    leaf.details |= known.get(words[start:end], 0)
                    start = end

    def inherit_heads(self) -> None:
        """ "Have increased" is a verb as "have" is, "below the diaphragm" is led by a preposition as "below" is one."""
        for words, leaf in self.leaves.items():
            if len(words) > 1 and words[:1] in self.leaves:
                verb = lx.VERB | lx.PLURAL if leaf.change else 0
                plural = lx.PLURAL if leaf.cue & (lx.NEG_AFTER | lx.UNC_AFTER) else 0
                preposition = lx.PREP if leaf.place else 0
                leaf.cue |= self.leaves[words[:1]].cue & ((verb or plural) | preposition)

    def pair(self) -> None:
        """A phrase with the plural of what there is on either side means both, unless one is named: "at the bases"."""
        plurals = {one: many for many, one in PLURALS.items()}
        for words, leaf in [
            (words, leaf) for words, leaf in self.leaves.items() if not plurals.keys().isdisjoint(words)
        ]:
            forms = [(word, plurals[word]) if word in plurals else (word,) for word in words]
            for twin in itertools.islice(itertools.product(*forms), 1, None):
                paired = copy.copy(leaf)
                self.put(twin, paired)
                if not (leaf.side or leaf.place) and (leaf.zone or leaf.anatomy >= 0 or leaf.concept >= 0):
                    paired.rare |= lx.PAIRED
                    paired.kind |= lx.ATTRIBUTE
