"""Text that addresses whoever grades it, found by patterns: what guards flag and an LLM judge never gets to see."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

_FILE: Final = Path(__file__).parent / "injection.txt"


class Kind(NamedTuple):
    """One line of the file."""

    words: tuple[str, ...]
    """The pattern cannot match a text that holds none of them; empty for a pattern that is always tried."""
    pattern: re.Pattern[str]


def _kinds() -> Iterator[Kind]:
    for line in _FILE.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            words, pattern = line.split(" :: ", 1)
            # A blank is any white space, so that an order may be spread over two lines.
            compiled = re.compile(pattern.replace(" ", r"\s"), re.I | re.S | re.M)
            yield Kind(() if words == "*" else tuple(words.split()), compiled)


KINDS: Final = tuple(_kinds())
SHA256: Final = sha256(_FILE.read_bytes()).hexdigest()
"""Part of the fingerprint of whatever depends on the patterns."""


def addresses_grader(text: str, reference: str = "") -> bool:
    """Whether `text` speaks to a grader, in words that `reference` does not use as well.

    A radiologist's own "may not be error-free" in both is no attack: whoever attacks does not see the reference.
    """
    text = unicodedata.normalize("NFKC", text)
    lower = text.lower()
    known: str | None = None
    for words, pattern in KINDS:
        if words and not any(word in lower for word in words):
            continue
        for found in pattern.finditer(text):
            if not reference:
                return True
            known = known or _plain(unicodedata.normalize("NFKC", reference))
            if _plain(found.group()) not in known:
                return True
    return False


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
