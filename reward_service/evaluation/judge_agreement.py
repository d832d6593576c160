"""`reward-service judge-eval`: a judge's counts against labelled ones, what they cost, and two judges side by side."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import yaml

from judges.base import CATEGORIES, Judgement
from judges.vllm import cases
from judges.vllm.cases import Labelled, Part, read_labelled
from judges.vllm.evaluate import agreement, difference, table, totals
from reward_service.components.registry import COMPONENTS, build, row
from reward_service.errors import InvalidRequest, ServiceError
from reward_service.evaluation.judgement_log import JudgementLog, Outcome
from reward_service.settings import Settings
from reward_service.viewer import pair as viewer
from reward_service.wire.rendering import judgement as judgement_json

_PATIENCE_S = 3600.0
_READY_S = 300.0
_WORST = 40


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be evaluated, and how."""

    source: str | None = None
    """A file of labelled pairs; None: the shipped ones."""
    part: Part = "open"
    """Which of the shipped ones."""
    limit: int | None = None
    judge: str = "vllm"
    given: Mapping[str, object] = field(default_factory=dict)
    """Settings of the judge."""
    compare: str | None = None
    """Another judge, or a file that `save` has written."""
    seed: int = 0
    save: str | None = None
    """A file that keeps each judgement, and is gone on with when it is there."""
    html: str | None = None
    price: tuple[float, float, float] | None = None
    """Of a million tokens: prompt, cached prompt, completion."""
    in_flight: int = 16


def evaluate(wanted: Wanted) -> str:
    """All that is printed. Raises `InvalidRequest` for wrong arguments, `ServiceError` when servers fail."""
    labelled = _labelled(wanted)
    other = _other(wanted, labelled)
    outcomes, seconds = asyncio.run(_judge(wanted.judge, wanted.given, labelled, wanted.save, wanted.in_flight))
    both = [(p, o) for p, o in zip(labelled, outcomes, strict=True) if o.judgement]
    if len(both) < 2:
        raise ServiceError(f"no two pairs have a judgement ({_codes(outcomes)}).", code="judge")
    pairs, judgements = [p for p, _ in both], [o.judgement for _, o in both if o.judgement]
    parts = [
        f"{wanted.judge}: {len(pairs)} of {len(labelled)} pairs judged{_codes(outcomes)}",
        table(agreement(pairs, judgements, seed=wanted.seed)),
        costs(outcomes, seconds, wanted.price),
    ]
    if wanted.compare is not None:
        common = [
            (p, a.judgement, b.judgement)
            for p, a, b in zip(labelled, other, outcomes, strict=True)
            if a is not None and a.judgement and b.judgement
        ]
        if len(common) < 2:
            raise InvalidRequest(f"{wanted.compare}: no two pairs in common.", param="--compare")
        first, second = [a for _, a, _ in common], [b for _, _, b in common]
        named = [p for p, _, _ in common]
        parts += [
            f"{wanted.compare}: the same {len(common)} pairs", table(agreement(named, first, seed=wanted.seed)),
            f"{wanted.judge} less {wanted.compare}", table(difference(named, first, second, seed=wanted.seed)),
        ]  # fmt: skip
    text = "\n\n".join(part for part in parts if part)
    if wanted.html is not None:
        _write(wanted.html, page(text, pairs, judgements))
    return text


# --- the pairs and their judgements ---------------------------------------------------------------------------------


def _labelled(wanted: Wanted) -> list[Labelled]:
    if not row(wanted.judge).judges:
        judges = ", ".join(known for known, entry in COMPONENTS.items() if entry.judges)
        raise InvalidRequest(f"'{wanted.judge}' is no judge. Judges: {judges}.", param="--judge")
    try:
        source = wanted.source
        labelled = (
            cases.shipped(wanted.part) if source is None else read_labelled(Path(source).read_bytes().split(b"\n"))
        )
        labelled = labelled[: wanted.limit]
        if len(labelled) < 2:
            raise ValueError("agreement needs at least two labelled pairs")
        return labelled
    except OSError as error:
        raise InvalidRequest(f"{wanted.source}: {error.strerror}.", param="FILE") from None
    except ValueError as error:
        raise InvalidRequest(f"{wanted.source}: {error}.", param="FILE") from None


def _other(wanted: Wanted, labelled: Sequence[Labelled]) -> Sequence[Outcome | None]:
    """What the judge, or the file, that is compared with makes of each pair."""
    if wanted.compare is None:
        return [None] * len(labelled)
    if wanted.compare in COMPONENTS:
        return asyncio.run(_judge(wanted.compare, {}, labelled, None, wanted.in_flight))[0]
    log = JudgementLog.read(wanted.compare)
    return [log.of(pair) for pair in labelled]


async def _judge(
    name: str, given: Mapping[str, object], labelled: Sequence[Labelled], save: str | None, in_flight: int
) -> tuple[list[Outcome], float | None]:
    """An outcome for each pair, and how long those took that were not saved before; None if all were."""
    judge: Any = build(name, Settings().for_component(name, given))
    if hasattr(judge, "encode"):
        began = time.monotonic()
        return _compare(judge, labelled), time.monotonic() - began
    log = JudgementLog.open(save, judge.manifest())
    permits = asyncio.Semaphore(in_flight)

    async def one(pair: Labelled) -> Outcome:
        if (known := log.of(pair)) is not None:
            stored = known.judgement  # what is computed from a verdict is computed by the code of now
            return known if stored is None else Outcome(judge.read(pair.candidate, pair.reference, pair.prior, stored))
        async with permits:
            try:
                deadline = time.monotonic() + _PATIENCE_S
                outcome = Outcome(await judge.judge(pair.candidate, pair.reference, pair.prior, deadline=deadline))
            except Exception as error:
                code = getattr(error, "code", None)
                if code is None or getattr(error, "retryable", False):
                    # Agreement over the pairs that happened to work would be agreement on the easy ones.
                    raise ServiceError(
                        f"The judge's server fails ({code or type(error).__name__}).", code="judge"
                    ) from None
                outcome = Outcome(None, code)
        log.add(pair, outcome)
        return outcome

    await ready(judge)
    began = time.monotonic()
    fresh = sum(log.of(pair) is None for pair in labelled)
    try:
        outcomes = await asyncio.gather(*map(one, labelled))
    finally:
        await judge.aclose()
    seconds = (time.monotonic() - began) * len(labelled) / fresh if fresh else None
    return list(outcomes), seconds


async def ready(judge: Any) -> None:
    """Start a judge and wait until it can be used: a slow server passes its tests after the start.

    Raises `ServiceError` when none has within five minutes; the judge is closed then.
    """
    await judge.start()
    limit = time.monotonic() + _READY_S
    while not judge.health()["ready"]:
        if time.monotonic() > limit:
            await judge.aclose()
            raise ServiceError(f"No judge server is ready: {judge.health()['detail']}.", code="judge")
        await asyncio.sleep(0.2)


def _compare(judge: Any, labelled: Sequence[Labelled]) -> list[Outcome]:
    """Of a judge that needs no server. A reference that it refuses to judge against has no judgement."""
    candidates = judge.encode([pair.candidate for pair in labelled])
    references = judge.encode([pair.reference for pair in labelled])
    priors = [None if pair.prior is None else judge.encode([pair.prior])[0] for pair in labelled]
    refused = [judge.refuses(reference) for reference in references]
    kept = [i for i, refusal in enumerate(refused) if refusal is None]
    made = judge.compare(*([side[i] for i in kept] for side in (candidates, references, priors)))
    judged = dict(zip(kept, made, strict=True))
    return [Outcome(judged.get(i), refusal and refusal.code) for i, refusal in enumerate(refused)]


# --- what is printed ------------------------------------------------------------------------------------------------


def _codes(outcomes: Sequence[Outcome]) -> str:
    codes = Counter(outcome.code for outcome in outcomes if outcome.judgement is None)
    return "".join(f", {n} without ({code})" for code, n in codes.items())


def costs(outcomes: Sequence[Outcome], seconds: float | None, price: tuple[float, float, float] | None) -> str:
    """Tokens, corrections, spread and time, as far as the judge tells; money by the `price` of a million tokens."""
    details = [outcome.judgement.details for outcome in outcomes if outcome.judgement]
    asked: list[Any] = [one for one in details if isinstance(one.get("tokens"), dict)]
    lines = [f"pairs/s {len(outcomes) / seconds:.3g}"] if seconds else []
    if asked:
        count = len(details)
        tokens = {kind: sum(one["tokens"][kind] for one in asked) for kind in ("prompt", "cached", "completion")}
        lines += [
            f"valid {count / len(outcomes):.3f} of pairs",
            f"requests {sum(one['requests'] for one in asked) / count:.1f} a pair",
            f"tokens {tokens['prompt'] / count:.0f} prompt ({tokens['cached'] / max(1, tokens['prompt']):.3f} cached)"
            f" and {tokens['completion'] / count:.0f} completion a pair",
            f"corrections by the conservation law {sum(one.get('corrections', 0) for one in asked) / count:.2f} a pair",
        ]
        ranges = [one["spread"]["errors"] for one in asked if "spread" in one]
        if ranges:
            lines.append(f"spread of votes {sum(high - low for low, high in ranges) / len(ranges):.2f} errors")
        if price:
            fresh = tokens["prompt"] - tokens["cached"]
            paid = fresh * price[0] + tokens["cached"] * price[1] + tokens["completion"] * price[2]
            lines.append(f"cost {paid / 1e6 / count * 1000:.4g} for 1,000 pairs")
    return "\n".join(lines)


def page(text: str, labelled: Sequence[Labelled], judgements: Sequence[Judgement]) -> str:
    """The figures, and the pairs on which judge and labels are furthest apart."""
    gaps = totals(judgements) - totals(labelled)
    worst = sorted(range(len(labelled)), key=lambda i: (-abs(gaps[i]), i))[:_WORST]
    shown = []
    for i in worst:
        if abs(gaps[i]) >= 0.5:
            one = labelled[i]
            counts = [
                "labelled: " + _counts(one.significant, one.insignificant),
                "judged: " + _counts(judgements[i].significant, judgements[i].insignificant),
            ]
            result = {"judgement": judgement_json(judgements[i])}
            shown.append(
                f"<h2>{escape(one.id or f'pair {i + 1}')}</h2><p>{escape('; '.join(counts))}</p>"
                + viewer.pair(one.candidate, one.reference, result, f"p{i}")
            )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Agreement of a judge</title>'
        f"<style>body{{font:16px sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}}{viewer.style()}</style>"
        f"<h1>Agreement of a judge</h1><pre>{escape(text)}</pre><h1>Worst disagreements</h1>{''.join(shown)}</html>\n"
    )


def _counts(significant: Mapping[Any, float], insignificant: Mapping[Any, float]) -> str:
    said = [
        f"{n:g} {c.replace('_', ' ')}{mark}"
        for counts, mark in ((significant, ""), (insignificant, " (insignificant)"))
        for c in CATEGORIES
        if (n := counts.get(c, 0.0))
    ]
    return ", ".join(said) or "no error"


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, "utf-8")
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror}.", param="--html") from None


def settings_of(given: Sequence[str]) -> dict[str, object]:
    """``name=value`` each, the value as YAML. Raises `InvalidRequest`."""
    found: dict[str, object] = {}
    for entry in given:
        name, equals, value = entry.partition("=")
        if not equals:
            raise InvalidRequest(f"--set {entry}: write name=value.", param="--set")
        found[name] = yaml.safe_load(value)
    return found


def prices_of(given: str | None) -> tuple[float, float, float] | None:
    """Three numbers, separated by commas. Raises `InvalidRequest`."""
    if given is None:
        return None
    try:
        prompt, cached, completion = map(float, given.split(","))
    except ValueError:
        raise InvalidRequest("--price: three numbers: prompt, cached prompt, completion.", param="--price") from None
    return prompt, cached, completion
