"""Synonyms from the files of WordNet 3.0 (Fellbaum 1998), read where they lie, as nltk's reader finds them.

nltk's own reader holds all of WordNet in memory, is not for several threads, and reads only below nltk's folders. Here
a word costs a few binary searches in sorted files (`wndb(5WN)`), and nothing is kept but what was asked for.
"""

from __future__ import annotations

import hashlib
import mmap
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
        digest = hashlib.sha256()
        for name in FILES:
            path = Path(folder) / name
            try:
                with path.open("rb") as file:
                    self._files[name] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise NoWordNet(f"{path} is no file of WordNet ({reason})") from None
            digest.update(f"{name}\0".encode())
            digest.update(self._files[name])
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
        known = _line(self._files[f"{part}.exc"], word)
        if known is not None:
            return list(dict.fromkeys((word, *known[1:])))
        forms = [word[: -len(old)] + new for old, new in _RULES[part] if word.endswith(old)]
        return list(dict.fromkeys((word, *forms)))

    def _lemmas(self, form: str, part: str) -> Iterator[str]:
        entry = _line(self._files[f"index.{part}"], form) if form else None
        if entry is None:
            return
        data = self._files[f"data.{part}"]
        for offset in entry[-int(entry[2]) :]:
            at = int(offset)
            fields = data[at : data.find(b"|", at)].decode("latin-1").split(" ")
            for i in range(int(fields[3], 16)):
                yield fields[4 + 2 * i].partition("(")[0]  # "galore(ip)": how an adjective stands


def _line(file: mmap.mmap, word: str) -> list[str] | None:
    """The fields of the line of `word` in a sorted file whose first field is a word; None where there is none."""
    wanted = word.encode("latin-1") + b" "
    low, high = 0, len(file)
    while low < high:
        middle = (low + high) // 2
        start = file.rfind(b"\n", 0, middle) + 1
        end = file.find(b"\n", middle)
        end = len(file) if end < 0 else end
        line = file[start:end]
        if line.startswith(wanted):
            while file[end + 1 : end + 1 + len(wanted)] == wanted:  # of several lines nltk takes the last
                start, end = end + 1, file.find(b"\n", end + 1)
            return file[start:end].decode("latin-1").split()
        if line.partition(b" ")[0] + b" " < wanted:
            low = end + 1
        else:
            high = start
    return None
