"""Words with their offsets: the only place that looks at characters.

Texts and lexicon phrases go through the same folding (case, plural, British spelling, compatibility characters),
so a phrase is written once. Everything here is one linear pass: no pattern can backtrack.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from judges.rules.knowledge import words

TOKEN: Final = re.compile(r"[A-Za-z]+|\d+(?:\.\d+)?|\n\s*|[^\sA-Za-z\d]")
PIECE: Final = re.compile(rf"[^\S\n]*(?:{TOKEN.pattern})")
"""A token with the blanks before it: the pieces of a text are the text, but for blanks at its end."""
KNOWN: Final = words()
ARTICLES: Final = frozenset(KNOWN["articles"])
_IRREGULAR: Final = {form: word for word, forms in KNOWN["forms"].items() for form in forms}
_ENDINGS: Final = tuple(KNOWN["endings"].items())
_INSIDE: Final = tuple(KNOWN["parts"].items())
PAIRED: Final[dict[str, str]] = KNOWN["paired"]
"""Plurals that mean one on either side; they keep their form, so that the lexicon may say so."""
CONTRACTED: Final[dict[str, str]] = KNOWN["contracted"]
SHORTENED: Final[dict[str, str]] = KNOWN["shortened"]
"""What is left of a verb behind one of `PRONOUNS`: "I'd", "we've"."""
PRONOUNS: Final = frozenset(KNOWN["pronouns"])
"""What stands before the "t" of a contraction -> the verb: "isn't" is read as "is not"."""
_AUXILIARIES: Final = frozenset(("is", "are", "was", "were", "has", "have", "had"))
"""Verbs that a phrase leaves out before its "not", as the verb is a phrase of its own."""
_KEEP: Final = frozenset(KNOWN["keep"])
_memo: dict[str, str] = {}
MEMO_LIMIT: Final = 50_000
MEMO_LENGTH: Final = 64
"""How many words are remembered, and of how many characters: texts are not trusted. No result depends on it."""
_IGNORABLE: Final = frozenset(("Cf", "Cc", "Cs", "Co", "Cn", "Mn", "Me"))


def fold(token: str) -> str:
    """The word under which a token is looked up: lower case, singular, American spelling."""
    known = _memo.get(token)
    if known is not None:
        return known
    word = token.lower()
    if word in _IRREGULAR:
        word = _IRREGULAR[word]
    elif word not in PAIRED:
        for british, american in _INSIDE:
            word = word.replace(british, american)
        if word not in _KEEP:
            for british, american in _ENDINGS:
                if word.endswith(british):
                    word = word[: -len(british)] + american
                    break
        if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
            if word.endswith("ies"):
                word = word[:-3] + "y"
            elif word.endswith(("xes", "sses", "ches", "shes")):
                word = word[:-2]
            else:
                word = word[:-1]
        word = _IRREGULAR.get(word, word)
    if len(_memo) < MEMO_LIMIT and len(token) <= MEMO_LENGTH:
        _memo[token] = word
    return word


def plain(text: str) -> tuple[str, list[int] | None]:
    """Text without compatibility and invisible characters, and the original index of each of its characters.

    The index list is None when nothing changed.
    """
    if text.isascii():
        return text, None
    out: list[str] = []
    where: list[int] = []
    for i, char in enumerate(text):
        folded = char if char.isascii() else unicodedata.normalize("NFKD", char)
        for c in folded:
            if c.isascii() or unicodedata.category(c) not in _IGNORABLE:
                out.append(c)
                where.append(i)
    where.append(len(text))
    return "".join(out), where


@lru_cache(maxsize=32_768)
def phrase_words(phrase: str) -> tuple[str, ...]:
    """A lexicon phrase as the words that a text would have."""
    folded = [fold(m.group()) for m in TOKEN.finditer(phrase)]
    for i in range(1, len(folded)):
        if folded[i] == "t" and folded[i - 1] in CONTRACTED:
            verb = CONTRACTED[folded[i - 1]]
            folded[i - 1 : i + 1] = ["not"] if verb in _AUXILIARIES and i == 1 else [verb, "not"]
            break
    return tuple(PAIRED.get(w, w) for w in folded if w not in ARTICLES)


class Speller:
    """Corrects a long word that is one slip of the finger away from exactly one known word.

    A slip is a letter left out, doubled or changed, or two swapped. Each word is compared by its variants with one
    letter left out: no search.
    """

    SHORTEST: Final = 8
    LONGEST: Final = 24

    def __init__(self, wanted: Iterable[str], never: Iterable[str], known: Iterable[str]) -> None:
        """Corrections are to `wanted` words only; `known` and `never` are left alone.

        `never` are English words that look like a slip of a wanted one.
        """
        self.fixed = frozenset((*known, *map(fold, never)))
        self._near: dict[str, list[str]] = {}
        for word in sorted(w for w in wanted if len(w) >= self.SHORTEST):
            for variant in _shortened(word):
                self._near.setdefault(variant, []).append(word)

    def misread(self, token: str) -> str:
        """The word for which a scanner has read `token`, letters of one shape for others: "Iungs", "norrnal"."""
        if not token.isalpha() or fold(token) in self.fixed:
            return token
        shapes = [token.replace("rn", "m"), token.replace("I", "l"), token.replace("l", "I")]
        return next((word for word in shapes if word != token and fold(word) in self.fixed), token)

    def correct(self, word: str) -> str:
        """`word` itself, unless it is a slip."""
        if not self.SHORTEST - 1 <= len(word) <= self.LONGEST or word in self.fixed:
            return word
        near = {w for variant in _shortened(word) for w in self._near.get(variant, ()) if _one_slip(word, w)}
        return near.pop() if len(near) == 1 else word


def _shortened(word: str) -> set[str]:
    return {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))}


def _one_slip(a: str, b: str) -> bool:
    """Whether two words that share a shortened form are one letter, or two neighbours that changed places, apart."""
    if len(a) != len(b):
        return True
    differ = [i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y]
    i, j = differ[0], differ[-1]
    return i == j or (j - i == 1 and a[i] == b[j] and a[j] == b[i])
