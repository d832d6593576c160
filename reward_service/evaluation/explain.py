"""`reward-service explain`: one pair's reward with all that made it, as data or for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from reward_service.errors import InvalidRequest
from reward_service.evaluation.reading.columns import Columns
from reward_service.evaluation.reading.entries import Entry, Input
from reward_service.evaluation.reading.formats import opened
from reward_service.scoring.engine import Engine
from reward_service.scoring.explanation import steps
from reward_service.settings import Settings
from reward_service.viewer import terminal
from reward_service.wire.parsing import parse
from reward_service.wire.rendering import render


class Texts(NamedTuple):
    """What is to be explained; of several references the one that is paid."""

    candidate: str
    references: tuple[str, ...]
    prior: str | None = None


def find(place: str, given: Mapping[str, str | None] | None = None) -> Texts:
    """The texts of ``FILE:ID``, as `score` reads the file; of rollouts ``FILE:ID/3`` is the fourth candidate.

    `given`: names of columns by role, as `Columns` takes them.

    Raises `InvalidRequest` for a file that `score` would refuse, and for an id that it does not have.
    """
    heads = [i for i, letter in enumerate(place) if letter == ":" and Path(place[:i]).is_file()]  # ids may have colons
    if not heads or not place[heads[0] + 1 :]:
        raise InvalidRequest("--item takes FILE:ID, e.g. reports.jsonl:study-7, of a file that exists.", param="--item")
    path, wanted = place[: heads[0]], place[heads[0] + 1 :]
    with opened([path], None) as sources:
        for entry in Input(sources, Columns(given or {}), allow_empty=True).entries():
            at = _position(entry, wanted)
            if at is not None:
                return Texts(entry.candidates[at], entry.references, entry.prior)
    raise InvalidRequest(f"{path} has no item '{wanted}'. Items of rollouts are called ID/0, ID/1, …", param="--item")


def _position(entry: Entry, wanted: str) -> int | None:
    """Which candidate of the entry is called so."""
    names = [f"{entry.id}/{i}" for i in range(len(entry.candidates))] if entry.grouped else [entry.id]
    return names.index(wanted) if wanted in names else None


async def explain(texts: Texts, profile: str | None, step: int | None = None) -> dict[str, Any]:
    """The explanation: profile, texts, the result at detail ``full``, and the steps from its components to the reward.

    Raises what scoring raises.
    """
    item: dict[str, Any] = {"candidate": texts.candidate}
    several = len(texts.references) > 1
    item |= {"references": texts.references} if several else {"reference": texts.references[0]}
    item |= {} if texts.prior is None else {"prior": texts.prior}
    body = {"items": [item], "detail": "full"} | ({} if step is None else {"step": step})
    flags: dict[str, Any] = {"profiles": (profile,)} if profile else {}
    async with Engine(Settings(**flags, pool_workers=0)) as engine:
        parsed = parse(orjson.dumps(body), sys.maxsize)
        async with engine.admit(parsed.scoring) as admitted:
            scored = await admitted.score()
        paying = admitted.stage.profile
    answer = render(parsed, admitted, scored)
    (result,) = answer["results"]
    known = result["reward"] is not None
    return {
        "profile": paying.name,
        "fingerprint": answer["fingerprint"],
        "candidate": texts.candidate,
        "reference": texts.references[result.get("reference_index", 0)],
        **({} if texts.prior is None else {"prior": texts.prior}),
        "steps": [one._asdict() for one in steps(paying, result["components"], result["flags"])] if known else [],
        "result": result,
    }


def shown(made: Mapping[str, Any], paint: terminal.Paint) -> str:
    """An explanation for a terminal."""
    result = made["result"]
    reward = "null" if result["reward"] is None else f"{result['reward']:.4f}"
    parts = [f"{paint(f'Reward {reward}', 'heading')}  ({result['status']}, profile {made['profile']})"]
    if result["missing"]:
        parts.append("\n".join(f"No {key}: {why['message']} ({why['code']})" for key, why in result["missing"].items()))
    parts.append("\n".join([paint("Components", "heading"), *_components(result)]))
    if made["steps"]:
        lines = [f"{one['amount']:+8.3f}  {_named(one)}: {one['text']}" for one in made["steps"]]
        parts.append("\n".join([paint("Steps to the reward", "heading"), *lines, f"{result['reward']:+8.3f}  reward"]))
    if result["flags"]:
        parts.append("\n".join([paint("Flags", "heading"), *(f"  {flag}" for flag in result["flags"])]))
    if result.get("reason"):
        parts.append(f"{paint('Reason', 'heading')}\n{result['reason']}")
    if result.get("judgement"):
        parts.append("\n".join([paint("Judgement", "heading"), _signed(result["judgement"])]))
    parts.append(terminal.pair(made["candidate"], made["reference"], result, paint))
    return "\n\n".join(parts)


def _components(result: Mapping[str, Any]) -> list[str]:
    """A line a component: its value, and what it contributes."""
    lines = []
    for key, value in result["components"].items():
        x = "    null" if value is None else f"{value:+8.3f}"
        added = f"  contributes {result['contributions'][key]:+.3f}" if key in result["contributions"] else ""
        lines.append(f"{x}  {key}{added}")
    return lines


def _named(step: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (step["name"], "" if step["kind"] == "component" else step["kind"])))


def _signed(judgement: Mapping[str, Any]) -> str:
    """How the costs come to the signed score."""
    cost = sum(one["cost"] for one in judgement["evidence"])
    signed = judgement["scores"]["signed"]
    s = 1.0 - cost
    squashed = f", squashed to {signed:.3f}" if abs(s - signed) > 1e-9 else ""
    return f"signed: 1 - costs of {cost:.3f} = {s:.3f}{squashed}"
