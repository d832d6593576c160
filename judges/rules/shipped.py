"""The lexicon that comes with the package: one for each process."""

from __future__ import annotations

import gc
from functools import lru_cache

from judges.rules import knowledge, stored
from judges.rules import lexicon as lx
from judges.rules.compiler import build


def default() -> lx.Lexicon:
    """The shipped lexicon."""
    return shipped()[0]


@lru_cache(maxsize=1)
def shipped() -> tuple[lx.Lexicon, bool]:
    """The shipped lexicon, compiled or as an earlier process has kept it, and whether it was found right by one.

    What exists then is left out of later garbage collections (`gc.freeze`).
    """
    gc.collect()  # so that no garbage is frozen
    files = knowledge.texts()
    kept = stored.load(files)
    lexicon = build(files) if kept is None else kept
    # It is a million objects that live as long as the process. A full collection that goes through them stops
    # everything for half a second.
    gc.freeze()
    return lexicon, kept is not None
