"""Schedules: profiles that follow one another in the course of a training run, chosen by the request's `step`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field, model_validator

from reward_service.profiles.profile import Name, Profile, Strict


class StageEntry(Strict):
    """One line of `stages`: the profile that pays for every step below `until_step` that no earlier stage pays for."""

    profile: str
    """A shipped profile, or a path (a relative one begins at the schedule's folder)."""
    until_step: int | None = Field(None, ge=1, strict=True)
    """None in the last stage, which never ends."""


class ScheduleFile(Strict):
    """A validated file with `stages` in place of `components`."""

    name: Name
    description: str
    stages: tuple[StageEntry, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _stages_follow_one_another(self) -> ScheduleFile:
        *steps, last = (stage.until_step for stage in self.stages)
        if last is not None or None in steps:
            raise ValueError("every stage but the last needs until_step, and the last one has none")
        if steps != sorted(set(steps), key=lambda step: step or 0):
            raise ValueError("until_step must rise from stage to stage")
        return self


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule with the profiles of its stages."""

    name: str
    description: str
    until_steps: tuple[int | None, ...]
    """By stage; see `StageEntry.until_step`."""
    profiles: tuple[Profile, ...]
    """By stage. All have the same bounds, so that a rescaled reward means the same in every stage."""

    @classmethod
    def of(cls, file: ScheduleFile, profiles: Sequence[Profile]) -> Schedule:
        """`file` with its profiles, one for each stage. Raises `ValueError` where their bounds differ."""
        if len({profile.bounds for profile in profiles}) > 1:
            found = ", ".join(f"{profile.name} {list(profile.bounds)}" for profile in profiles)
            raise ValueError(f"all stages need the same bounds, or rescaled rewards would jump; they have: {found}")
        return cls(file.name, file.description, tuple(stage.until_step for stage in file.stages), tuple(profiles))

    def stage_at(self, step: int) -> int:
        """Which stage pays for `step`, counted from 0."""
        return next(i for i, until in enumerate(self.until_steps) if until is None or step < until)
