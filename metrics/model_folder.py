"""Folders of converted models: whole, or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to write a model into, which gets its name `target` when the block has ended well.

    Everybody may read what is in it, as is usual for what was copied. `target` must not exist, or be empty.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as temporary:
        folder = Path(temporary) / target.name
        folder.mkdir()
        yield folder
        for file in folder.iterdir():
            file.chmod(0o644)
        os.replace(folder, target)
