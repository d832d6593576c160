"""Synonyms from the files of WordNet 3.0 (Fellbaum 1998), read where they lie, as nltk's reader finds them.

nltk's own reader holds all of WordNet in memory, is not for several threads, and reads only below nltk's folders. Here
only the places of the lines are in memory, some 20 MB; the files' format is that of `wndb(5WN)`.
"""

from __future__ import annotations

import hashlib
import mmap
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

_RULES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "noun": (
        ("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"),
        ("men", "man"), ("ies", "y"),
    ),
    "verb": (("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}  # fmt: skip
"""Endings and what stands for them in a base form: the rules of detachment of `morphy(7WN)`, and nltk's "ves"."""
FILES: Final = tuple(f"{name}{part}" for part in _RULES for name in ("index.", "data.")) + tuple(
    f"{part}.exc" for part in _RULES
)
_LINE: Final = re.compile(rb"^([^\s]+) ", re.M)
"""A line that begins with a word: those of the licence begin with blanks."""
_LONGEST: Final = 64
"""Letters of a word that is looked up; texts are not trusted."""


class NoWordNet(Exception):
    """The files cannot be read; `message` names the first."""

    code = "model_unavailable"
    retryable = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class WordNet:
    """Synonyms by word; safe to use from several threads."""

    def __init__(self, folder: str) -> None:
        """`folder`: where the files are, e.g. ``/usr/share/wordnet`` of Debian's package wordnet-base.

        Raises `NoWordNet`.
        """
        self._files: dict[str, mmap.mmap] = {}
        self._lines: dict[str, dict[bytes, int]] = {}
        """Where the line of each word begins; of several lines of one word the last, as nltk has it."""
        digest = hashlib.sha256()
        for name in FILES:
            path = Path(folder) / name
            try:
                with path.open("rb") as file:
                    content = self._files[name] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise NoWordNet(f"{path} is no file of WordNet ({reason})") from None
            digest.update(f"{name}\0".encode())
            digest.update(content)
            if not name.startswith("data."):
                self._lines[name] = {found[1]: found.start() for found in _LINE.finditer(content)}
        self.sha256 = digest.hexdigest()
        self.synonyms = lru_cache(maxsize=20_000)(self._synonyms)
        """Word -> the lemmas of all its synsets, without those of several words."""

    def _synonyms(self, word: str) -> frozenset[str]:
        if len(word) > _LONGEST or not word.isascii():
            return frozenset()
        found = {
            lemma
            for part in _RULES
            for form in self._forms(word.lower(), part)
            for lemma in self._lemmas(form, part)
            if "_" not in lemma
        }
        return frozenset(found)

    def _forms(self, word: str, part: str) -> list[str]:
        """The word and its base forms."""
        known = self._line(f"{part}.exc", word)
        if known is not None:
            return list(dict.fromkeys((word, *known[1:])))
        forms = [word[: -len(old)] + new for old, new in _RULES[part] if word.endswith(old)]
        return list(dict.fromkeys((word, *forms)))

    def _lemmas(self, form: str, part: str) -> Iterator[str]:
        entry = self._line(f"index.{part}", form)
        if entry is None:
            return
        data = self._files[f"data.{part}"]
        for offset in entry[-int(entry[2]) :]:
            at = int(offset)
            fields = data[at : data.find(b"|", at)].decode("latin-1").split(" ")
            for i in range(int(fields[3], 16)):
                yield fields[4 + 2 * i].partition("(")[0]  # "galore(ip)": how an adjective stands

    def _line(self, name: str, word: str) -> list[str] | None:
        """The fields of the line of `word`; None where there is none."""
        start = self._lines[name].get(word.encode("ascii"))
        if start is None:
            return None
        content = self._files[name]
        end = content.find(b"\n", start)
        return content[start : len(content) if end < 0 else end].decode("latin-1").split()
