"""The compiled lexicon, kept beside Python's own bytecode, so that not every process compiles and checks it anew.

It is read back only for the same files, code and Python, and only as it was written. Where that fails, or the folder
cannot be written, a process compiles for itself, which takes two thirds of a second.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib.util
import os
import pickle
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from judges.rules import knowledge
from judges.rules import lexicon as lx

_CODE: Final = Path(__file__).parent
_DIGEST: Final = hashlib.sha256().digest_size


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Without garbage collections, while a million objects come, and none of them goes."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def load(files: Mapping[str, str]) -> lx.Lexicon | None:
    """The lexicon that was compiled of these files by this code, and found right; None where there is none."""
    try:
        content = _path(files).read_bytes()
    except OSError:
        return None
    payload = content[_DIGEST:]
    if hashlib.sha256(payload).digest() != content[:_DIGEST]:
        return None
    try:
        with uncollected():
            lexicon = pickle.loads(payload)
    except Exception:  # whatever a foreign file may bring about
        return None
    return lexicon if isinstance(lexicon, lx.Lexicon) else None


def save(files: Mapping[str, str], lexicon: lx.Lexicon) -> None:
    """Keep a lexicon that was found right, in place of others; only where Python may keep its bytecode, too."""
    if sys.dont_write_bytecode or not any(_CODE.glob("*.py")):  # without sources nobody could tell other code
        return
    path = _path(files)
    payload = pickle.dumps(lexicon, pickle.HIGHEST_PROTOCOL)
    written = path.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        written.write_bytes(hashlib.sha256(payload).digest() + payload)
        written.replace(path)
        for old in path.parent.glob(f"lexicon.{sys.implementation.cache_tag}-*.pickle"):
            if old != path:
                old.unlink(missing_ok=True)


def _path(files: Mapping[str, str]) -> Path:
    folder = Path(importlib.util.cache_from_source(__file__)).parent
    made = hashlib.sha256(f"{sys.version}\0{knowledge.digest(files)}\0{_code()}".encode()).hexdigest()
    return folder / f"lexicon.{sys.implementation.cache_tag}-{made[:16]}.pickle"


@lru_cache(maxsize=1)
def _code() -> str:
    """Digest of the judges' modules: those that compile, and those whose classes and prices are in what they make."""
    made = hashlib.sha256()
    for folder in (_CODE.parent, _CODE):
        for path in sorted(folder.glob("*.py")):
            made.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return made.hexdigest()
