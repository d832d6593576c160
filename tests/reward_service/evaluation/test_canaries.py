"""The committed canaries are what the code makes, for every shipped profile, and cannot be renewed unnoticed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from metrics.rouge import Rouge
from reward_service.errors import ConfigurationError
from reward_service.evaluation import canaries as writing
from reward_service.profiles.fingerprint import digest
from reward_service.profiles.profile import Profile
from reward_service.scoring import canaries, composite, profile_scorer
from reward_service.scoring.served_profile import profile_document

RENEW = "run `reward-service check --write-canaries` and commit what it writes"
SHIPPED = {profile.name: profile for profile in writing.shipped_profiles()}
each_profile = pytest.mark.parametrize("profile", SHIPPED.values(), ids=SHIPPED)


def made(profile: Profile) -> tuple[str, canaries.Canaries]:
    bound = writing.unbuilt(profile)
    key = canaries.reward_key(profile, profile_document(profile, bound), bound)
    return key, canaries.of(profile, bound)


@each_profile
def test_rewards_are_the_committed_ones(profile: Profile) -> None:
    key, found = made(profile)
    committed = canaries.committed("rewards.json")
    assert key in committed, RENEW
    assert found.rewards == committed[key]
    assert len(found.rewards) == 50
    assert None not in found.rewards
    assert len(set(found.rewards)) > 30


@each_profile
def test_values_are_vouched_for_with_the_code_of_now_or_are_stand_ins(profile: Profile) -> None:
    values = canaries.committed("values.json")
    for key, one in writing.unbuilt(profile).items():
        entry = values[one.canary_key]
        stands_in = one.name in ("vllm", "semb_score", "radgraph_f1") or (
            one.name == "bertscore" and key != "bertscore"
        )
        # `judge-demo` has BERTScore as `embedded` has it, which runs anywhere.
        stands_in = stands_in or (one.name == "bertscore" and profile.name not in ("embedded", "judge-demo"))
        assert entry["code"] == (None if stands_in else canaries.code_of(one)), f"{one.canary_key}: {RENEW}"


def test_a_moved_composite_or_normaliser_moves_rewards(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, other in (
        (composite, "raw_value", lambda score, value: RAW(score, value) * (1 - 1e-9)),
        (profile_scorer, "normalise", lambda text, policy: NORMALISE(text[:-1], policy)),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, other)
            for profile in SHIPPED.values():
                key, found = made(profile)
                assert found.rewards != canaries.committed("rewards.json")[key], (name, profile.name)


RAW, NORMALISE = composite.raw_value, profile_scorer.normalise


def test_counts_of_a_verdict_are_read_by_the_code_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    from judges.vllm import accounting

    monkeypatch.setattr(accounting, "MAJOR", 0.9)
    key, found = made(SHIPPED["standard"])
    assert found.rewards != canaries.committed("rewards.json")[key]


def test_a_component_with_other_code_is_not_vouched_for() -> None:
    profile = SHIPPED["text"]
    bound = writing.unbuilt(profile)
    assert canaries.of(profile, bound).unverified == {}
    bound["clinical"] = bound["clinical"]._replace(code={"judges.rules.judge": "0"})
    found = canaries.of(profile, bound)
    assert found.unverified == {"clinical": digest({"judges.rules.judge": "0"})[:16]}
    assert found.document != canaries.of(profile, writing.unbuilt(profile)).document


def test_a_component_without_committed_values_leaves_rewards_open() -> None:
    profile = SHIPPED["text"]
    bound = writing.unbuilt(profile)
    bound["rougeL"] = bound["rougeL"]._replace(canary_key="")
    assert set(canaries.of(profile, bound).rewards) == {None}


def slightly_off(self: Rouge, *arguments: Any) -> Any:
    return [
        c._replace(values={key: value * 0.999 for key, value in c.values.items()}) for c in COMPARE(self, *arguments)
    ]


COMPARE = Rouge.compare


@pytest.mark.slow
@pytest.mark.xdist_group("embedded")
async def test_writing_is_refused_under_an_unchanged_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await writing.write(tmp_path)
    for file in ("values.json", "rewards.json"):  # unchanged code writes what is there
        assert (tmp_path / file).read_bytes() == (Path(str(canaries.FOLDER)) / file).read_bytes()
        (tmp_path / file).unlink()
    monkeypatch.setattr(writing, "_RUN", ("text",))
    monkeypatch.setattr(Rouge, "compare", slightly_off)
    with pytest.raises(ConfigurationError, match=r"numbers moved under an unchanged version: rouge\w\.v1:\w{8} pair"):
        await writing.write(tmp_path)
    assert not os.listdir(tmp_path)
    monkeypatch.setattr(Rouge, "version", 2)
    await writing.write(tmp_path)
    assert b'"rougeL.v2:' in (tmp_path / "values.json").read_bytes()
