"""Whether the LLM judge's prompts earn their length: variants of them with a real model, on labelled pairs.

    make judge-server MODEL=qwen-coder
    python -m benchmarks.judge_prompts run --protocol statements
    python -m benchmarks.judge_prompts run --protocol json --pairs 24 --variants shipped no-examples
    python -m benchmarks.judge_prompts run --protocol statements --part kept --variants shipped hint
    python -m benchmarks.judge_prompts table --protocol statements

What the variants are is in `benchmarks.prompt_variants`. Each verdict is a line of `benchmarks/results/judge_prompts.jsonl`
as soon as it is there (ids and counts, no text), and a second start goes on where the first ended; lines that were made
with another prompt or another model are left as they are and not counted. Of `statements` each variant has a
calibration of its own, fitted to the shipped statements and kept in the same file.

The pairs are the shipped ones about chest radiographs, whole studies in the order of their digests: of the open ones every
fourth study, of the kept ones each, as many as fit in `--pairs`. A figure stands with its 95 % bootstrap interval over
pairs; what a variant changes is the difference to the shipped prompt on the same pairs and resamples.

How a prompt is chosen, written down before the first run: a variant replaces the shipped one if, on the open pairs, the
interval of its difference lies above 0 in tau-b of significant or of all errors, and in no other figure on the worse
side. The kept pairs are judged once, with the shipped prompt and with the one chosen, or, where none is, with the one of
the highest tau-b of significant errors.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks.common import machine, table
from benchmarks.prompt_variants import SHIPPED, VARIANTS, Protocol, Variant, applied, digest, find
from judges.base import CATEGORIES, Judgement
from judges.vllm import questions
from judges.vllm.calibration import Calibration, dump
from judges.vllm.cases import CHEST_RADIOGRAPH, Labelled, Part, shipped
from judges.vllm.errors import JudgeError, JudgeUncalibratable
from judges.vllm.evaluate import Agreement, agreement, difference
from judges.vllm.fitting import ask_known, fit
from judges.vllm.judge import VllmJudge
from judges.vllm.settings import VllmJudgeSettings
from judges.vllm.transport import Completion, Transport
from reward_service.evaluation.judge_agreement import ready

RESULTS: Final = Path(__file__).parent / "results" / "judge_prompts.jsonl"
STEP: Final[Mapping[Part, int]] = {"open": 4, "kept": 1}
"""Of how many studies one is taken."""
PATIENCE_S: Final = 1200.0
FIGURES: Final = (
    ("significant errors", "Kendall tau-b"), ("all errors", "Kendall tau-b"), ("all errors", "equal counts"),
    ("pairs with error", "lenience"), ("pairs without error", "false alarms"),
    ("within a reference", "order"), ("within a reference", "clean above corrupted"),
)  # fmt: skip
Row = dict[str, Any]


def pairs_of(part: Part, most: int) -> list[Labelled]:
    """At most `most` shipped pairs, whole studies, always the same."""
    cases = [case for case in shipped(part) if case.examination == CHEST_RADIOGRAPH]
    studies = [list(group) for _, group in itertools.groupby(cases, key=lambda case: (case.reference, case.prior))]
    taken: list[Labelled] = []
    for study in studies[:: STEP[part]]:
        if len(taken) + len(study) > most:
            break
        taken += study
    return taken


class Results:
    """The lines of the file. A line is added at once, so that nothing is lost where a run ends."""

    def __init__(self, file: Path) -> None:
        self._file = file
        lines = file.read_bytes().splitlines() if file.exists() else []
        self._rows: list[Row] = [orjson.loads(line) for line in lines]

    def of(self, variant: Variant) -> list[Row]:
        """Those of this variant as it is now."""
        now = digest(variant)
        names = (variant.protocol, variant.name, now)
        return [row for row in self._rows if (row["protocol"], row["variant"], row["prompt"]) == names]

    def add(self, variant: Variant, row: Row) -> None:
        row = {"protocol": variant.protocol, "variant": variant.name, "prompt": digest(variant), **row}
        self._rows.append(row)
        self._file.parent.mkdir(exist_ok=True)
        with self._file.open("ab") as file:
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


# --- asking ---------------------------------------------------------------------------------------------------------


class Asker:
    """A server, and how much it is asked for at once."""

    def __init__(self, url: str, model: str, revision: str, in_flight: int) -> None:
        self._url, self._model, self.revision, self._in_flight = url, model, revision, in_flight

    def settings(self, variant: Variant, calibration: Path | None) -> VllmJudgeSettings:
        return VllmJudgeSettings(
            model=self._model, revision=self.revision, protocol=variant.protocol, prefill=variant.prefill,
            calibration=str(calibration or ""), base_urls=(self._url,), concurrency=16, canary_interval_s=0,
            attempt_timeout_s=PATIENCE_S,
        )  # fmt: skip

    async def calibrate(self, variant: Variant) -> Calibration:
        """What the letters mean under the variant; `applied` is open. Raises a `JudgeError`."""
        settings = self.settings(variant._replace(protocol="json"), None)
        transport = Transport(settings, lambda name, value, labels: None)
        permits = asyncio.Semaphore(settings.concurrency)

        async def send(body: bytes) -> Completion:
            async with permits:
                return await transport.send(transport.servers[0], body)

        try:
            answers = await ask_known(settings, send)
        finally:
            await transport.aclose()
        return fit(settings.model, settings.revision, questions.digest(), answers)

    async def judge(
        self, variant: Variant, settings: VllmJudgeSettings, pairs: Sequence[Labelled], to: Results
    ) -> None:
        """Judges the pairs, each of which becomes a line; `applied` is open."""
        judge = VllmJudge(settings)
        await ready(judge)
        permits = asyncio.Semaphore(self._in_flight)

        async def one(case: Labelled) -> None:
            async with permits:
                began = time.monotonic()
                found = await _outcome(judge, case)
            to.add(
                variant,
                {"revision": self.revision, "pair": case.id, **found, "seconds": round(time.monotonic() - began, 2)},
            )
            print(f"{variant.protocol} {variant.name} {case.id} {time.monotonic() - began:.1f} s", flush=True)

        try:
            await asyncio.gather(*map(one, pairs))
        finally:
            await judge.aclose()


async def _outcome(judge: VllmJudge, case: Labelled) -> Row:
    """What is kept of one verdict. Raises a `JudgeError` that another try may help."""
    row: Row = {"expected": {"significant": case.significant, "insignificant": case.insignificant}}
    try:
        deadline = time.monotonic() + PATIENCE_S
        made = await judge.judge(case.candidate, case.reference, case.prior, deadline=deadline)
    except JudgeError as error:
        if error.retryable:
            raise
        return {**row, "valid": False, "code": error.code}
    found = {"significant": _counted(made.significant), "insignificant": _counted(made.insignificant)}
    values = {name: round(value, 6) for name, value in made.values.items()}
    asked = {name: made.details[name] for name in ("requests", "tokens")}
    return {**row, "valid": True, "found": found, "values": values, **asked}


def _counted(counts: Mapping[Any, float]) -> dict[str, float]:
    return {category: n for category, n in counts.items() if n}


async def run(asker: Asker, variants: Iterable[Variant], pairs: Sequence[Labelled], to: Results) -> None:
    """Judges what is not known yet."""
    for variant in variants:
        known = {row.get("pair") for row in to.of(variant) if row["revision"] == asker.revision}
        if missing := [case for case in pairs if case.id not in known]:
            with applied(variant), tempfile.TemporaryDirectory() as folder:
                file = None
                if variant.protocol == "statements" and not (
                    file := await _calibration(asker, variant, to, Path(folder))
                ):
                    continue
                await asker.judge(variant, asker.settings(variant, file), missing, to)


async def _calibration(asker: Asker, variant: Variant, to: Results, folder: Path) -> Path | None:
    """The variant's calibration as a file; the kept one, or fitted now. None for a prompt that cannot be calibrated."""
    # What is asked about alike has nothing to do with what the letters mean.
    owner = find("statements", SHIPPED) if variant.prefill == "rules" else variant
    made = [row["calibration"] for row in to.of(owner) if "calibration" in row and row["revision"] == asker.revision]
    if not made:
        try:
            content: Row | None = orjson.loads(dump(await asker.calibrate(variant)))
        except JudgeUncalibratable as error:
            content = None
            print(f"{variant.name}: {error.message}", flush=True)
        to.add(owner, {"revision": asker.revision, "calibration": content})
        made = [content]
    if made[-1] is None:
        return None
    file = folder / "calibration.json"
    file.write_bytes(orjson.dumps(made[-1]))
    return file


# --- the table ------------------------------------------------------------------------------------------------------


def judged(rows: Iterable[Row], pairs: Sequence[Labelled], revision: str) -> dict[str, Row]:
    """The lines about these pairs, by their ids."""
    wanted = {case.id for case in pairs}
    return {row["pair"]: row for row in rows if row.get("pair") in wanted and row["revision"] == revision}


def judgement(row: Row) -> Judgement:
    """What the statistics need of a line."""
    found = [
        {category: row["found"][kind].get(category, 0.0) for category in CATEGORIES}
        for kind in ("significant", "insignificant")
    ]
    return Judgement(found[0], found[1], 0.0, (), row["values"])


def report(protocol: Protocol, part: Part, most: int, names: Sequence[str], revision: str, results: Results) -> str:
    """The table of a protocol: a column for each variant, then what each changes on the same pairs."""
    pairs = pairs_of(part, most)
    rows = {
        variant.name: judged(results.of(variant), pairs, revision)
        for variant in VARIANTS
        if variant.protocol == protocol and (not names or variant.name in names)
    }
    rows = {name: found for name, found in rows.items() if sum(row["valid"] for row in found.values()) >= 2}
    if not rows:
        return f"{protocol}, {part}: no verdicts\n"
    columns = {name: _column(pairs, found) for name, found in rows.items()}
    lines = [("", *columns), *(tuple(cells) for cells in zip(_titles(), *columns.values(), strict=True))]
    text = [f"{protocol}, {part} pairs, revision {revision}", table(lines)]
    first = rows.pop(SHIPPED, None)
    if first and rows:
        changes = {name: _changed(pairs, first, found) for name, found in rows.items()}
        lines = [
            ("less shipped", *changes),
            *(tuple(cells) for cells in zip(_titles()[2:-3], *changes.values(), strict=True)),
        ]
        text += ["", table(lines)]
    return "\n".join(text) + "\n"


def _titles() -> list[str]:
    figures = [f"{statistic}, {what}" for what, statistic in FIGURES]
    return [
        "pairs (studies)",
        "valid",
        *figures,
        "tokens a pair: prompt",
        "of them not cached",
        "completion",
    ]


def _column(pairs: Sequence[Labelled], found: Mapping[str, Row]) -> list[str]:
    both = [(case, found[case.id]) for case in pairs if case.id in found]
    good = [(case, row) for case, row in both if row["valid"]]
    figures = agreement([case for case, _ in good], [judgement(row) for _, row in good])
    studies = len({case.reference for case, _ in both})
    tokens = {
        kind: sum(row["tokens"][kind] for _, row in good) / len(good) for kind in ("prompt", "cached", "completion")
    }
    return [
        f"{len(both)} ({studies})", f"{len(good) / len(both):.2f}", *_cells(figures), f"{tokens['prompt']:.0f}",
        f"{tokens['prompt'] - tokens['cached']:.0f}", f"{tokens['completion']:.0f}",
    ]  # fmt: skip


def _changed(pairs: Sequence[Labelled], first: Mapping[str, Row], second: Mapping[str, Row]) -> list[str]:
    """The second less the first, on the pairs that both have judged."""
    common = [case for case in pairs if all(case.id in side and side[case.id]["valid"] for side in (first, second))]
    sides = [[judgement(side[case.id]) for case in common] for side in (first, second)]
    return _cells(difference(common, *sides), sign="+")


def _cells(figures: Sequence[Agreement], sign: str = "") -> list[str]:
    by_name = {(figure.what, figure.statistic): figure for figure in figures}
    return [
        f"{one.value:{sign}.2f} ({one.low:{sign}.2f} to {one.high:{sign}.2f})"
        for one in map(by_name.__getitem__, FIGURES)
    ]


# --- the command line -----------------------------------------------------------------------------------------------


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("--protocol", choices=("json", "statements"), default="statements")
    parser.add_argument("--part", choices=("open", "kept"), default="open")
    parser.add_argument("--variants", nargs="*", default=[], help="their names; without it all")
    parser.add_argument("--pairs", type=int, default=40, help="at most so many, whole studies")
    parser.add_argument("--url", default="http://127.0.0.1:8100/v1", help="a server that runs")
    parser.add_argument("--model", default="judge")
    parser.add_argument("--revision", default="cc324af070c2", help="of the model; that of qwen-coder")
    parser.add_argument("--in-flight", type=int, default=4, help="pairs at once")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args(given)
    results = Results(arguments.results)
    chosen = [v for v in VARIANTS if v.protocol == arguments.protocol and v.name in (arguments.variants or [v.name])]
    if unknown := {*arguments.variants} - {variant.name for variant in chosen}:
        parser.error(f"no variants of {arguments.protocol}: {', '.join(sorted(unknown))}")
    if arguments.what == "run":
        print(machine(), file=sys.stderr)
        asker = Asker(arguments.url, arguments.model, arguments.revision, arguments.in_flight)
        asyncio.run(run(asker, chosen, pairs_of(arguments.part, arguments.pairs), results))
    names = [variant.name for variant in chosen]
    print(report(arguments.protocol, arguments.part, arguments.pairs, names, arguments.revision, results))


if __name__ == "__main__":
    main()
