"""Tiny converted models, made once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="extra bertscore")

from metrics.radgraph import convert
from testbed.radgraph.random_model import write_archive, write_encoder
from testbed.radgraph.reports import ODD, reports


class Folders:
    """What an operator has, and what `convert` makes of it."""

    def __init__(self, root: Path, model_type: str) -> None:
        self.encoder = write_encoder(root / "encoder")
        self.texts = [*reports(16, seed=1, longest=60), *ODD]
        self.archive = write_archive(root / "archive", self.encoder, model_type, texts=self.texts)
        self.converted = convert(self.archive, root / "converted", self.encoder)


@pytest.fixture(scope="session")
def v1(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return Folders(tmp_path_factory.mktemp("v1"), "radgraph")


@pytest.fixture(scope="session")
def xl(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return Folders(tmp_path_factory.mktemp("xl"), "radgraph-xl")
