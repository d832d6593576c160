"""Reads profiles and schedules from YAML files: the shipped ones by name, own ones by path.

A file is validated whole at start-up. Shipped ones lie in `reward_service/profiles/shipped/`.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from reward_service.errors import ConfigurationError, ServiceError, UnknownProfile, did_you_mean
from reward_service.profiles.profile import Profile
from reward_service.profiles.schedule import Schedule, ScheduleFile

M = TypeVar("M", bound=BaseModel)
_ENDINGS = (".yaml", ".yml")


class _UniqueKeys(yaml.SafeLoader):
    """YAML keeps the last of two equal keys without a word; a weight would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for i, key in enumerate(keys):
            if key in keys[:i]:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def shipped() -> dict[str, Path]:
    """Name -> file of the profiles that come with the package."""
    folder = Path(str(resources.files("reward_service.profiles") / "shipped"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def source(name_or_path: str) -> str:
    """The file as it is written, comments and all. Raises what `load` raises where it cannot be read."""
    path, _ = _read(name_or_path)
    return path.read_text(encoding="utf-8")


def load(name_or_path: str) -> Profile | Schedule:
    """Read and validate one file. Raises `UnknownProfile` or `ConfigurationError` with the field at fault."""
    path, data = _read(name_or_path)
    if not _is_schedule(data):
        return _validated(Profile, path, data)
    file = _validated(ScheduleFile, path, data)
    stages = [_stage(path, entry.profile) for entry in file.stages]
    try:
        return Schedule.of(file, stages)
    except ValueError as error:
        raise ConfigurationError(f"Schedule {path}: {error}", param="profiles") from None


def load_profile(name_or_path: str) -> Profile:
    """Like `load`, and `ConfigurationError` for a schedule."""
    path, data = _read(name_or_path)
    if _is_schedule(data):
        raise ConfigurationError(f"'{name_or_path}' is a schedule; a profile is asked for here.", param="profiles")
    return _validated(Profile, path, data)


def profiles_of(name_or_path: str) -> tuple[Profile, ...]:
    """The profile of that name, or those of the schedule's stages. Raises what `load` raises."""
    found = load(name_or_path)
    return found.profiles if isinstance(found, Schedule) else (found,)


def _stage(schedule: Path, name_or_path: str) -> Profile:
    own_file = name_or_path.endswith(_ENDINGS)
    try:
        return load_profile(str(schedule.parent / name_or_path) if own_file else name_or_path)
    except ServiceError as error:
        raise ConfigurationError(f"Schedule {schedule}: {error.message}", code=error.code, param="profiles") from None


def _is_schedule(data: Any) -> bool:
    return isinstance(data, dict) and "stages" in data


def _read(name_or_path: str) -> tuple[Path, Any]:
    files = shipped()
    path = Path(name_or_path) if name_or_path.endswith(_ENDINGS) else files.get(name_or_path)
    if path is None:
        raise UnknownProfile(f"There is no profile '{name_or_path}'.{did_you_mean(name_or_path, files)}")
    try:
        return path, yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"Profile {path} cannot be read: {error}", param="profiles") from error


def _validated(model: type[M], path: Path, data: Any) -> M:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'profile'}: {e['msg']}" for e in error.errors())
        raise ConfigurationError(f"Profile {path}: {reasons}", param="profiles") from None
