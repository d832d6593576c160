"""The canary rewards of a profile: 50 committed pairs through normaliser, sections, guards and composite.

The raw values of the components are committed, by component version and pair, so nothing is loaded for them. They
hold for the code that they were made with, whose hash stands beside them. Where a component has other code now, or
its values are stand-ins because it needs weights or a server, the profile's document says so: equal rewards then
prove nothing about that component.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, NamedTuple, cast

import orjson

from judges.base import CATEGORIES, Judgement
from reward_service.caching.base import CacheKey
from reward_service.contracts import ComponentError, ComponentScore, Pair
from reward_service.profiles import fingerprint
from reward_service.profiles.profile import Profile
from reward_service.scoring.profile_scorer import ProfileScorer
from reward_service.scoring.request import Item
from reward_service.scoring.served_profile import BoundComponent, ServedProfile
from reward_service.text import guards

FOLDER = resources.files("reward_service.components") / "canaries"
_MOST_CHARACTERS = 25_000


class Canaries(NamedTuple):
    """What a profile makes of the canary pairs."""

    rewards: list[float | None]
    """In the order of `pairs`; null where a component has no committed value."""
    work: dict[CacheKey, tuple[str, Pair]]
    """The pairs as components receive them, with a component key, by the component's fingerprint and pair digest."""
    unverified: dict[str, str]
    """By component key, the hash of code for which the raw values are not vouched for."""

    def pairs_of(self, component: BoundComponent) -> dict[str, Pair]:
        """The pairs that the component receives, by digest."""
        start = f"{component.fingerprint}:"
        return {at.removeprefix(start): pair for at, (_, pair) in self.work.items() if at.startswith(start)}

    @property
    def document(self) -> dict[str, object]:
        """Its part of a profile's document."""
        return {"rewards": fingerprint.digest(self.rewards), "unverified": self.unverified}


@cache
def pairs() -> tuple[Pair, ...]:
    """The canary pairs: written for this purpose, every kind of error and style."""
    return tuple(Pair(**orjson.loads(line)) for line in (FOLDER / "pairs.jsonl").read_bytes().splitlines())


@cache
def committed(file: str) -> Mapping[str, Any]:
    """``values.json``: by `key_of`, ``code`` and ``values`` by pair digest. ``rewards.json``: by `reward_key`."""
    found: dict[str, Any] = orjson.loads((FOLDER / file).read_bytes())
    return found


def key_of(name: str, version: object, settings: object) -> str:
    """Under which key a component's raw values are committed; `settings` are the profile's."""
    return f"{name}.v{version}:{fingerprint.digest(settings)[:8]}"


def reward_key(profile: Profile, document: Mapping[str, Any], bound: Mapping[str, BoundComponent]) -> str:
    """Under which key a profile's canary rewards are committed: its name, and all versions and fields that it has.

    Not the digests of data that guards use: if such data move a reward, a version has to be raised.
    """
    fields = {part: document[part] for part in ("weights", "transforms", "policy", "sections", "bounds")}
    fields["guards"] = {name: value for name, value in document["guards"].items() if name not in guards.DATA}
    norm = {name: value for name, value in document["normaliser"].items() if name != "unicodedata"}
    components = {key: [one.canary_key, profile.components[key].value] for key, one in bound.items()}
    return f"{profile.name}:{fingerprint.digest([fields, norm, components])[:8]}"


def of(profile: Profile, bound: Mapping[str, BoundComponent], values: Mapping[str, Any] | None = None) -> Canaries:
    """The canaries of `profile` with these components; `values`: instead of the committed ones."""
    values = committed("values.json") if values is None else values
    nothing = cast(Any, None)  # it prepares and composes, and neither looks up nor computes
    scorer = ProfileScorer(ServedProfile(profile, bound, {}, "", ""), nothing, nothing, nothing, _MOST_CHARACTERS)
    prepared, work = scorer.prepare([Item(None, *pair) for pair in pairs()])
    known = {}
    for at, (key, _) in work.items():
        entry = values.get(bound[key].canary_key, {}).get("values", {}).get(at.rpartition(":")[2])
        if entry is not None:
            known[at] = load(entry)
    none = ComponentError("no_canary_value", "There is no committed value.")
    fresh: Mapping[CacheKey, ComponentError] = defaultdict(lambda: none)
    rewards = [scorer.compose_one(ready, known, fresh).composite.reward for ready in prepared]
    codes = {key: code_of(one) for key, one in bound.items()}
    unverified = {key: code for key, code in codes.items() if values.get(bound[key].canary_key, {}).get("code") != code}
    return Canaries(rewards, work, unverified)


def code_of(component: BoundComponent) -> str:
    """One hash over all sources that decide the component's values."""
    return fingerprint.digest(component.code)[:16]


def load(entry: Mapping[str, Any]) -> ComponentScore:
    """A committed score; `dump` is the other way."""
    counts = entry.get("counts")
    judgement = None
    if counts is not None:
        significant, insignificant = (dict(zip(CATEGORIES, row, strict=True)) for row in counts[:2])
        details = {"answers": entry["answers"]} if "answers" in entry else {}
        judgement = Judgement(significant, insignificant, counts[2], (), entry["values"], (), details)
    return ComponentScore(entry["values"], tuple(entry.get("notes", ())), judgement)


def dump(score: ComponentScore, answers: Sequence[str] | None = None) -> dict[str, Any]:
    """What is committed of a score; `answers`: of an LLM judge's verdict, from which the rest is computed."""
    entry: dict[str, Any] = {"values": dict(score.values)}
    if score.notes:
        entry["notes"] = list(score.notes)
    if (judged := score.judgement) is not None:
        entry["counts"] = [
            [judged.significant[name] for name in CATEGORIES],
            [judged.insignificant[name] for name in CATEGORIES],
            judged.matched_findings,
        ]
    if answers is not None:
        entry["answers"] = list(answers)
    return entry
