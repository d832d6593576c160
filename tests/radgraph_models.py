"""Tiny converted RadGraph models with random weights, made once a session; `conftest.py` makes the fixtures known.

Tests that use them belong to the xdist group `radgraph`, so that one process makes them.
"""

from __future__ import annotations

from pathlib import Path

import pytest


class Folders:
    """What an operator has, and what `convert` makes of it."""

    def __init__(self, root: Path, model_type: str) -> None:
        from metrics.radgraph import convert
        from testbed.radgraph.random_model import write_archive, write_encoder
        from testbed.radgraph.reports import ODD, reports

        self.encoder = write_encoder(root / "encoder")
        self.texts = [*reports(16, seed=1, longest=60), *ODD]
        self.archive = write_archive(root / "archive", self.encoder, model_type, texts=self.texts)
        self.converted = convert(self.archive, root / "converted", self.encoder)


@pytest.fixture(scope="session")
def v1(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Like RadGraph."""
    return Folders(tmp_path_factory.mktemp("v1"), "radgraph")


@pytest.fixture(scope="session")
def xl(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Like RadGraph-XL."""
    return Folders(tmp_path_factory.mktemp("xl"), "radgraph-xl")
