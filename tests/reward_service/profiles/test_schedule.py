"""Schedules: files that are refused with the reason, and which stage pays at a step."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_service.errors import ConfigurationError
from reward_service.profiles.loading import load, load_profile, profiles_of
from reward_service.profiles.schedule import Schedule, ScheduleFile

PROFILE = "name: {name}\ndescription: d\nbounds: {bounds}\ncomponents:\n  bleu2: {{weight: 1}}\n"
TWO = "stages:\n  - {until_step: 10, profile: first.yaml}\n  - {profile: second.yaml}\n"


def write(folder: Path, stages: str = TWO, bounds: str = "[0, 1]") -> str:
    (folder / "first.yaml").write_text(PROFILE.format(name="first", bounds="[0, 1]"))
    (folder / "second.yaml").write_text(PROFILE.format(name="second", bounds=bounds))
    (folder / "schedule.yaml").write_text(f"name: schedule\ndescription: d\n{stages}")
    return str(folder / "schedule.yaml")


def test_paths_of_stages_begin_at_the_schedule_s_folder(tmp_path: Path) -> None:
    found = load(write(tmp_path))
    assert isinstance(found, Schedule)
    assert [profile.name for profile in found.profiles] == ["first", "second"]
    assert [found.stage_at(step) for step in (0, 9, 10, 10**9)] == [0, 0, 1, 1]
    assert profiles_of(write(tmp_path)) == found.profiles


def test_stages_may_be_shipped_profiles(tmp_path: Path) -> None:
    stages = "stages:\n  - {until_step: 5, profile: unirg-step1}\n  - {profile: unirg-step2}\n"
    assert [profile.name for profile in profiles_of(write(tmp_path, stages))] == ["unirg-step1", "unirg-step2"]


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ("stages:\n  - {profile: first.yaml}\n", "at least 2"),
        ("stages:\n  - {profile: first.yaml}\n  - {profile: second.yaml}\n", "but the last needs until_step"),
        (TWO.replace("{profile: second", "{until_step: 20, profile: second"), "the last one has none"),
        (TWO.replace("until_step: 10", "until_step: 0"), "greater than or equal to 1"),
        (
            "stages:\n  - {until_step: 9, profile: first.yaml}\n  - {until_step: 9, profile: second.yaml}\n"
            "  - {profile: first.yaml}\n",
            "must rise",
        ),
        (TWO.replace("second.yaml", "schedule.yaml"), "is a schedule"),
        (TWO.replace("second.yaml", "absent"), "no profile 'absent'"),
        (TWO + "components:\n  bleu2: {weight: 1}\n", "components"),
    ],
)
def test_a_wrong_schedule_says_what_is_wrong(tmp_path: Path, stages: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load(write(tmp_path, stages))


def test_stages_need_the_same_bounds(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="same bounds"):
        load(write(tmp_path, bounds="[0, 2]"))


def test_where_a_profile_is_asked_for_a_schedule_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is a schedule"):
        load_profile(write(tmp_path))


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=5, unique=True), st.integers(0, 1200))
def test_every_step_has_the_first_stage_that_has_not_ended(ends: list[int], step: int) -> None:
    ends.sort()
    file = ScheduleFile.model_validate(
        {
            "name": "s",
            "description": "",
            "stages": [*({"until_step": end, "profile": "p"} for end in ends), {"profile": "p"}],
        }
    )
    schedule = Schedule(file.name, file.description, tuple(stage.until_step for stage in file.stages), ())
    assert schedule.stage_at(step) == sum(end <= step for end in ends)
