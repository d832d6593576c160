"""Text that addresses whoever grades it, found by patterns: what guards flag and an LLM judge never gets to see."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from importlib import resources
from typing import Final, NamedTuple

_FILE: Final = resources.files("judges") / "injection.txt"


class Kind(NamedTuple):
    """One line of the file."""

    words: tuple[str, ...]
    """The pattern cannot match a text that holds none of them,"""
    run: int
    """nor, if this is not 0, one without so many characters in a row that are no blanks."""
    pattern: re.Pattern[str]


def _kinds() -> Iterator[Kind]:
    for line in _FILE.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            words, pattern = line.split(" :: ", 1)
            # A blank is any white space, so that an order may be spread over two lines.
            compiled = re.compile(pattern.replace(" ", r"\s"), re.I | re.S | re.M)
            if words.endswith("*"):
                yield Kind((), int(words[:-1]), compiled)
            else:
                yield Kind(tuple(words.split()), 0, compiled)


KINDS: Final = tuple(_kinds())
SHA256: Final = sha256(repr([(kind.words, kind.run, kind.pattern.pattern) for kind in KINDS]).encode()).hexdigest()
"""Part of the fingerprint of whatever depends on the patterns; comments and line ends of the file are not in it."""
_LONGEST: Final = 64  # characters of a word worth remembering: texts are not trusted


def addresses_grader(text: str, reference: str = "") -> bool:
    """Whether `text` speaks to a grader, in words that `reference` does not use as well.

    A radiologist's own "may not be error-free" in both is no attack: whoever attacks does not see the reference.
    """
    text = unicodedata.normalize("NFKC", text)
    suspects = 0
    for piece in set(text.lower().split()):
        suspects |= _suspects(piece) if len(piece) <= _LONGEST else _kinds_of(piece)
    known: str | None = None
    for number, kind in enumerate(KINDS):
        if not suspects >> number & 1:
            continue
        for found in kind.pattern.finditer(text):
            if not reference:
                return True
            known = known or _plain(unicodedata.normalize("NFKC", reference))
            if _plain(found.group()) not in known:
                return True
    return False


def _kinds_of(piece: str) -> int:
    """The kinds that a text may hold because of these characters, among which no blank is, as bits."""
    return sum(
        1 << number
        for number, kind in enumerate(KINDS)
        if (kind.run and len(piece) >= kind.run) or any(word in piece for word in kind.words)
    )


_suspects = lru_cache(maxsize=2**16)(_kinds_of)  # reports share their words


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
