"""The lexicon that comes with the package: one for each process."""

from __future__ import annotations

from functools import lru_cache

from judges.rules import knowledge, stored
from judges.rules import lexicon as lx
from judges.rules.compiler import build


def default() -> lx.Lexicon:
    """The shipped lexicon."""
    return shipped()[0]


@lru_cache(maxsize=1)
def shipped() -> tuple[lx.Lexicon, bool]:
    """The shipped lexicon, compiled or as an earlier process has kept it, and whether it was found right by one."""
    files = knowledge.texts()
    kept = stored.load(files)
    return (build(files), False) if kept is None else (kept, True)
