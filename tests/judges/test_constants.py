"""What determines a verdict is in the manifest, whether or not anyone thinks of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from judges import constants
from judges.rules import compare, scope
from judges.rules.judge import RulesJudge
from reward_service.text import guards, sections
from reward_service.text import normaliser as normalise
from reward_service.text.guards import GuardSettings


def test_prices_are_there_by_name() -> None:
    prices = RulesJudge().manifest()["prices"]
    assert isinstance(prices, dict)
    assert (prices["DENIED"], prices["NORMAL_REPORT"], prices["KIN"]) == (0.5, 0.4, [1.0, 0.75, 0.5])


def test_a_changed_constant_changes_what_it_belongs_to(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = RulesJudge()

    def manifests() -> tuple[object, ...]:
        return (judge.manifest(), guards.manifest(GuardSettings()), sections.manifest(), normalise.manifest("none"),
                normalise.manifest("standard"))  # fmt: skip

    before = manifests()
    for module, name, changed in (
        (compare, "NO_SIDE", {0}), (scope, "_NEW", {0}), (guards, "REPEATED_SHARE", {1}), (sections, "_IMPRESSION", {2}),
        (normalise, "_MAX_GROWTH", {4}),
    ):  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setattr(module, name, "other")
            assert {i for i, (a, b) in enumerate(zip(before, manifests(), strict=True)) if a != b} == changed, name
    assert manifests() == before


def test_the_digest_is_the_same_in_every_process() -> None:
    code = "from judges import constants; from reward_service.text import guards; print(constants.digest(guards))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True
        ).stdout
        for seed in "123"
    }
    assert seen == {constants.digest(guards) + "\n"}
