"""The cases for scope are as many and as different as they should be, and each is in its half."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.scope import CHEST, EXAMINATIONS, LANGUAGES, SETS, Case, half, load, shares

HALVES = ("open", "kept")


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [case for folder in SETS.values() for which in HALVES for case in load(which, folder)]


def test_there_are_enough_of_each(cases: list[Case]) -> None:
    count = Counter(case.file for case in cases)
    assert count[CHEST] >= 150
    assert count[EXAMINATIONS] >= 165
    assert count[LANGUAGES] >= 66


def test_they_are_of_many_kinds(cases: list[Case]) -> None:
    kinds = {name: {case.kind for case in cases if case.file == name} for name in (CHEST, EXAMINATIONS, LANGUAGES)}
    assert len(kinds[EXAMINATIONS]) >= 15
    assert len(kinds[LANGUAGES]) >= 8
    assert len(kinds[CHEST]) >= 10


def test_a_third_of_each_is_kept(cases: list[Case]) -> None:
    for name in (CHEST, EXAMINATIONS, LANGUAGES):
        ids = [case.id for case in cases if case.file == name]
        assert 0.28 < sum(half(each) == "kept" for each in ids) / len(ids) < 0.40, name


def test_no_id_and_no_text_is_there_twice(cases: list[Case]) -> None:
    def words(text: str) -> str:
        return " ".join(re.findall(r"\w+", text.casefold()))

    twice = [each for each, n in Counter(case.id for case in cases).items() if n > 1]
    twice += [each for each, n in Counter(words(case.text) for case in cases).items() if n > 1]
    assert not twice


def test_a_case_in_the_wrong_half_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    for name in (CHEST, EXAMINATIONS, LANGUAGES):
        (tmp_path / "open" / f"{name}.yaml").write_text("- {id: head-ct-01, kind: head CT, text: Normal brain.}")
    with pytest.raises(ValueError, match="'head-ct-01' belongs into the folder kept"):
        load("open", tmp_path)


def test_only_chest_radiographs_are_right_in_scope() -> None:
    one, other = Case("a", "normal", "Clear.", CHEST), Case("b", "head CT", "No bleed.", EXAMINATIONS)
    assert shares([one, other], lambda text: True) == {(CHEST, "normal"): (1, 1), (EXAMINATIONS, "head CT"): (0, 1)}
