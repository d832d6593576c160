"""The compiled lexicon is read back as it was, and only for the same files and code."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from judges.rules import knowledge, stored
from judges.rules.compiler import build
from judges.rules.judge import RulesJudge
from judges.rules.lexicon import Lexicon
from tests.judges.rules.conftest import few_rows

TEXTS = [
    "Small left pleural effusion with adjacent atelectasis. No pneumothorax.",
    "ETT 2 cm above the carina. Stable cardiomegaly; PICC tip in the SVC.",
    "Kein Pneumothorax.",
    "Zorbitis of the lung. Evaluate for pneumonia.",
]


@pytest.fixture(scope="module")
def made() -> Lexicon:
    return build(few_rows())


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Files of a lexicon, with a folder of its own for what is kept."""
    monkeypatch.setattr(importlib.util, "cache_from_source", lambda _: str(tmp_path / "__pycache__" / "x.pyc"))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return few_rows()


@pytest.mark.slow
def test_what_is_kept_reads_as_what_was_compiled(made: Lexicon, files: dict[str, str]) -> None:
    assert stored.load(files) is None
    stored.save(files, made)
    kept = stored.load(files)
    assert kept is not None
    assert kept is not made
    assert kept.concepts == made.concepts
    fresh, again = (RulesJudge(lexicon=lexicon) for lexicon in (made, kept))
    assert again.manifest() == fresh.manifest()
    assert again.encode(TEXTS) == fresh.encode(TEXTS)


def test_other_files_are_compiled(made: Lexicon, files: dict[str, str]) -> None:
    stored.save(files, made)
    assert stored.load({**files, knowledge.WORDS: files[knowledge.WORDS] + "# another word\n"}) is None
    assert stored.load(files) is not None


def test_other_code_compiles(made: Lexicon, files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    stored.save(files, made)
    monkeypatch.setattr(stored, "_code", lambda: "another digest")
    assert stored.load(files) is None


@pytest.mark.slow
@pytest.mark.parametrize("damage", [b"", b"short", b"\0" * 100])
def test_a_damaged_file_is_none(made: Lexicon, files: dict[str, str], damage: bytes) -> None:
    stored.save(files, made)
    path = stored._path(files)
    path.write_bytes(path.read_bytes()[: len(damage)] + damage)
    assert stored.load(files) is None


@pytest.mark.slow
def test_what_cannot_be_written_is_left(
    made: Lexicon, files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "__pycache__").write_text("no folder")
    stored.save(files, made)
    assert stored.load(files) is None
    (tmp_path / "__pycache__").unlink()
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    stored.save(files, made)
    assert not (tmp_path / "__pycache__").exists()


@pytest.mark.slow
def test_one_is_kept_for_each_python(made: Lexicon, files: dict[str, str]) -> None:
    stored.save(files, made)
    changed = {**files, knowledge.WORDS: files[knowledge.WORDS] + "\n"}
    stored.save(changed, made)
    assert [path.name for path in stored._path(files).parent.iterdir()] == [stored._path(changed).name]
