"""Writes the committed canary values and rewards, and refuses to under a version that has others.

Components that run without weights or a server are run. For the others, values are made up once, so that at least
what follows from raw values is watched: numbers from the pair's digest, and for an LLM judge plausible answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from judges.base import CATEGORIES, Judgement
from judges.vllm import calibration
from judges.vllm.prompt import NumberedPair, read_pair
from reward_service.components.registry import build, component_class, row
from reward_service.contracts import ComponentScore, Pair
from reward_service.errors import ConfigurationError
from reward_service.profiles import fingerprint, source_code
from reward_service.profiles.loading import profiles_of, shipped
from reward_service.profiles.profile import ComponentSpec, Profile
from reward_service.scoring import canaries
from reward_service.scoring.engine import Engine
from reward_service.scoring.served_profile import BoundComponent, profile_document
from reward_service.settings import Settings

_MODEL_TOLERANCE = 1e-5
"""Float32 encoders differ by about 1e-6 between processors; other components by nothing."""
_RUN = ("text", "embedded")
"""Profiles whose components run anywhere."""
_MOST_STATEMENTS = 60


def unbuilt(profile: Profile) -> dict[str, BoundComponent]:
    """Components as far as composing needs them, without weights or servers; their key is their fingerprint."""
    bound = {}
    for key, spec in profile.components.items():
        cls = component_class(spec.component)
        at = canaries.key_of(spec.component, cls.version, spec.settings)
        judges = row(spec.component).asynchronous
        bound[key] = BoundComponent(
            name=spec.component,
            fingerprint=at,
            document={"version": cls.version},
            runner=None,  # type: ignore[arg-type]
            uses_prior=cls.uses_prior,
            determinism="first_verdict" if judges else "exact",
            code=source_code.of_class(cls),
            read=_reader(spec) if judges else None,
            canary_key=at,
        )
    return bound


def _reader(spec: ComponentSpec) -> Callable[[Pair, Judgement], Judgement]:
    """How an LLM judge reads a verdict; for that it needs no model, which a deployment or a calibration names."""
    named = {"model": "any", "revision": "any"}
    if path := spec.settings.get("calibration"):
        made = calibration.load(str(path))
        named = {"model": made.model, "revision": made.revision}
    judge: Any = build(spec.component, {**named, **spec.settings})
    return lambda pair, stored: judge.read(*pair, stored)


def shipped_profiles() -> list[Profile]:
    """Every profile that is shipped, alone or as a stage of a schedule, once."""
    found = {profile.name: profile for name in shipped() for profile in profiles_of(name)}
    return list(found.values())


def moved(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two committed scores of a component differ."""
    cls = component_class(name)
    tolerance = _MODEL_TOLERANCE if getattr(cls, "cost", "") == "model" else 0.0
    a, b = old["values"], new["values"]
    same = a.keys() == b.keys() and all(abs(a[key] - b[key]) <= tolerance for key in a)
    return not same or any(old.get(field) != new.get(field) for field in ("notes", "counts"))


async def scores(component: BoundComponent, wanted: Mapping[str, Pair]) -> dict[str, dict[str, Any]]:
    """What a component makes of pairs, by digest. Raises `ComponentError` for the first that has no score."""
    futures = component.runner.submit(list(wanted.values()), time.monotonic() + 300)
    return {at: canaries.dump(await future) for at, future in zip(wanted, futures, strict=True)}


async def write(folder: Path | None = None) -> None:
    """Renew `values.json` and `rewards.json`.

    Raises `ConfigurationError`, and writes nothing, where a value or reward differs under an unchanged version.
    """
    folder = folder or Path(str(canaries.FOLDER))
    values = {name: dict(entry) for name, entry in canaries.committed("values.json").items()}
    refused: list[str] = []
    wanted: dict[str, tuple[BoundComponent, dict[str, Pair]]] = {}
    protocols: dict[str, object] = {}
    for profile in shipped_profiles():
        bound = unbuilt(profile)
        found = canaries.of(profile, bound)
        for key, one in bound.items():
            wanted.setdefault(one.canary_key, (one, {}))[1].update(found.pairs_of(one))
            protocols[one.canary_key] = profile.components[key].settings.get("protocol", "json")
    async with Engine(Settings(profiles=_RUN)) as engine:
        running = {one.canary_key: one for name in _RUN for one in engine.profiles[name].at(None).components.values()}
        for name, (component, asked) in wanted.items():
            old = values.get(name, {}).get("values", {})
            runs = name in running
            made = await scores(running[name], asked) if runs else {}
            refused += [
                f"{name} pair {at}" for at in made.keys() & old.keys() if moved(component.name, old[at], made[at])
            ]
            new = {
                at: old.get(at) or made.get(at) or _stand_in(component, at, pair, protocols[name])
                for at, pair in asked.items()
            }
            values[name] = {"code": canaries.code_of(running[name]) if runs else None, "values": {**old, **new}}
    rewards: dict[str, Any] = {}
    committed = canaries.committed("rewards.json")
    for profile in shipped_profiles():
        bound = unbuilt(profile)
        made_of = canaries.of(profile, bound, values)
        key = canaries.reward_key(profile, profile_document(profile, bound), bound)
        rewards[key] = made_of.rewards
        if committed.get(key, made_of.rewards) != made_of.rewards:
            refused.append(f"rewards of {key}")
    if refused:
        raise ConfigurationError(
            "Canaries are not written, because numbers moved under an unchanged version: "
            f"{', '.join(refused[:5])}{' and others' * (len(refused) > 5)}. Raise `version` of the component, or "
            "VERSION of normaliser, sections, guards or composite, and run this again; or undo the change."
        )
    for file, content in (("values.json", values), ("rewards.json", rewards)):
        (folder / file).write_bytes(_lines(content))


def _lines(content: Mapping[str, Any]) -> bytes:
    """JSON with one line for each pair or list, so that a difference can be read."""
    text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return text.replace(b'},"', b'},\n"').replace(b'],"', b'],\n"') + b"\n"


def _stand_in(component: BoundComponent, digest: str, pair: Pair, protocol: object) -> dict[str, Any]:
    """Made-up values in [0, 1) that only depend on the pair; of an LLM judge, answers to all statements."""
    if component.read is None:
        keys = component_class(component.name)._keys
        parts = {key: int(fingerprint.digest([digest, key])[:7], 16) / 16**7 for key in keys}
        return canaries.dump(ComponentScore(parts))
    read = read_pair(pair.candidate, pair.reference, pair.prior, _MOST_STATEMENTS)
    make = _letters if protocol == "statements" else _answer
    answers = [make(digest, read)] if read.candidate else []
    none = dict.fromkeys(CATEGORIES, 0.0)
    empty = Judgement(none, none, 0.0, (), {}, (), {"answers": answers})
    judged = component.read(pair, empty)
    return canaries.dump(ComponentScore({}, judged.notes, judged), answers)


def _letters(digest: str, read: NumberedPair) -> str:
    """Probabilities of all statements, as the protocol `statements` keeps them."""
    names = [f"R{n}" for n in range(1, len(read.reference.statements) + 1)]
    names += [f"P{n}" for n in range(1, len(read.candidate) + 1) if n - 1 not in read.withheld]
    made = {}
    for name in names:
        numbers = bytes.fromhex(fingerprint.digest([digest, name])[:16])
        said, kind, grave = numbers[0] / 255, [1 + n for n in numbers[1:6]], numbers[6] / 255
        made[name] = {
            "said": [said, (1 - said) / 2, (1 - said) / 2],
            "kind": [n / sum(kind) for n in kind],
            "grave": [grave, 1 - grave],
        }
    return orjson.dumps(made).decode()


def _answer(digest: str, read: NumberedPair) -> str:
    """An answer of the protocol `json` that names all statements."""
    grave = int(digest[0], 16) % 2 == 0
    theirs = {statement.text.lower(): n for n, statement in enumerate(read.candidate, 1)}
    both = [
        (n, theirs[statement.text.lower()])
        for n, statement in enumerate(read.reference.statements, 1)
        if statement.text.lower() in theirs
    ]
    refs, cands = {ref for ref, _ in both}, {cand for _, cand in both}
    answer: dict[str, list[Any]] = {
        "matched": [{"ref": f"R{ref}", "cand": f"P{cand}"} for ref, cand in both],
        "location": [],
        "severity": [],
        "missing": [
            {"ref": f"R{n}", "significant": grave}
            for n in range(1, len(read.reference.statements) + 1)
            if n not in refs
        ],
        "false": [
            {"cand": f"P{n}", "significant": not grave} for n in range(1, len(read.candidate) + 1) if n not in cands
        ],
        "comparison_added": [],
        "comparison_omitted": [],
        "normal": [],
    }
    return orjson.dumps(answer).decode()
