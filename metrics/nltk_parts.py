"""What the metrics take from nltk, imported without the optional packages that nltk imports for other parts of it.

With scipy and scikit-learn (which come with the embedded encoder) `import nltk` takes some 2 s, without them 0.5 s, in
every process of the service.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from types import ModuleType


class _Absent(MetaPathFinder):
    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._thread = threading.get_ident()

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name.partition(".")[0] in self._names and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{name} is left out here", name=name)


@contextmanager
def _without(*packages: str) -> Iterator[None]:
    """While this lasts, the first import of any of `packages` on this thread fails as if it were not installed.

    Other threads import what they like, and so does this one afterwards.
    """
    finder = _Absent(frozenset(packages))
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


with _without("scipy", "sklearn"):
    from nltk.stem.porter import PorterStemmer
    from nltk.translate.bleu_score import Fraction, SmoothingFunction, brevity_penalty

__all__ = ["Fraction", "PorterStemmer", "SmoothingFunction", "brevity_penalty"]
