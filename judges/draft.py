"""A text under revision: each of its characters remembers its span in the text as it came."""

from __future__ import annotations

from array import array
from collections.abc import Iterable


class Draft:
    """Starts as a text; every edit keeps the map back to it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = array("I", range(len(text)))
        """Per character of `text`: where it starts in the text as it came."""
        self.ends = array("I", range(1, len(text) + 1))

    def edit(self, edits: Iterable[tuple[int, int, str]]) -> None:
        """Apply (start, end, replacement) edits, in order and without overlap; linear in the text.

        What is put in stands for what it replaces; an insertion (start == end) for the character before it.
        """
        parts: list[str] = []
        starts, ends, done = array("I"), array("I"), 0
        for start, end, new in edits:
            parts += self.text[done:start], new
            starts += self.starts[done:start]
            ends += self.ends[done:start]
            at = start if end > start else max(0, start - 1)
            if new:
                starts.extend([self.starts[at]] * len(new))
                ends.extend([self.ends[max(at, end - 1)]] * len(new))
            done = end
        if parts:
            self.text = "".join(parts) + self.text[done:]
            self.starts, self.ends = starts + self.starts[done:], ends + self.ends[done:]
