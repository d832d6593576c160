"""Folders of the three models that the published profiles need, with random weights, made once a session."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tests.metrics import random_chexbert
from tests.radgraph_models import Folders


class Models(NamedTuple):
    """Values of the settings of these names."""

    chexbert_model: str
    bertscore_model: str
    radgraph_model: str


def make(folder: Path) -> Models:
    """Write the folders below `folder`."""
    parts = {name: folder / name for name in ("chexbert", "bertscore", "radgraph")}
    for part in parts.values():
        part.mkdir()
    return Models(
        str(random_chexbert.make(parts["chexbert"])),
        str(random_chexbert.write_encoder(parts["bertscore"])),
        str(Folders(parts["radgraph"], "radgraph").converted),
    )
