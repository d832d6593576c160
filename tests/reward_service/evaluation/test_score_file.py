"""Scoring in a stream: order, requests in flight, several references, and resuming to the same bytes."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from reward_service.errors import InvalidRequest, PinMismatch, ServiceError
from reward_service.evaluation import progress, score_file, scores
from reward_service.evaluation.output import Output
from reward_service.evaluation.progress import Progress, Waiting, text
from reward_service.evaluation.reading.columns import Columns
from reward_service.evaluation.reading.entries import Input
from reward_service.evaluation.reading.formats import opened, rows
from reward_service.evaluation.score_file import Interrupted, Wanted
from reward_service.evaluation.senders import Scoring
from reward_service.scoring.references import best
from tests.waiting import turns

ROOT = Path(__file__).parents[3]


def test_a_second_signal_does_not_break_off_the_ending() -> None:
    seen: list[list[int]] = []

    async def work() -> None:
        with score_file.cancelled_by_signals() as got:
            try:
                signal.raise_signal(signal.SIGINT)
                await asyncio.Event().wait()
            finally:
                signal.raise_signal(signal.SIGINT)
                await turns(5)
                seen.append(list(got))

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(work())
    assert seen == [[signal.SIGINT, signal.SIGINT]]


class Scorer:
    """Answers each request with rewards made of the texts' lengths; `before` is awaited before each answer."""

    fingerprint = "sha256:one"

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.before: Any = None

    async def send(self, raw: bytes) -> dict[str, Any]:
        body = orjson.loads(raw)
        self.asked.append(body)
        if self.before:
            await self.before(len(self.asked))
        if body.get("fingerprint") not in (None, self.fingerprint):
            raise PinMismatch("Another fingerprint.")
        results = [self.result(item) for item in body["items"]]
        return {"fingerprint": self.fingerprint, "signature": "signed", "results": results, "groups": []}

    async def document(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"components": {}}

    def result(self, item: dict[str, Any]) -> dict[str, Any]:
        reward = None if not item["reference"] else len(item["candidate"]) / len(item["reference"])
        lacking = {} if item["reference"] else {"item": {"code": "empty", "message": "Empty.", "retryable": False}}
        values = {"bleu2": reward}
        return {"id": item["id"], "reward": reward, "status": "ok", "missing": lacking, "flags": [], "cache": "miss",
                "components": values, "contributions": {}}  # fmt: skip


@pytest.fixture
def scorer(monkeypatch: pytest.MonkeyPatch) -> Scorer:
    made = Scorer()

    @contextlib.asynccontextmanager
    async def here(_: str | None) -> AsyncIterator[Any]:
        yield Scoring(made.send, made.document)

    monkeypatch.setattr(score_file, "here", here)
    return made


def written(folder: Path, count: int) -> Path:
    path = folder / "in.jsonl"
    lines = (
        {"id": str(i), "candidate": "x" * (i % 7 + 1), "reference": "y" * 10, "sex": "FM"[i % 2]} for i in range(count)
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


async def run(source: Path, output: Path, **options: Any) -> int:
    with opened([str(source)]) as sources:
        return await score_file.score(Input(sources, Columns()), str(output), Wanted(**options))


async def test_four_requests_are_in_flight_and_the_rows_in_order(scorer: Scorer, tmp_path: Path) -> None:
    together = asyncio.Event()

    async def wait(number: int) -> None:
        if number >= 5:  # the first is alone, then 2 to 5 wait for one another
            together.set()
        if number > 1:
            await together.wait()

    scorer.before = wait
    source = written(tmp_path, 256 * 6)
    assert await run(source, tmp_path / "out.jsonl") == 0
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["id"] for row in found] == [str(i) for i in range(256 * 6)]
    assert found[3]["reward"] == 0.4
    assert (found[3]["sex"], "cache" in found[3]) == ("M", False)
    assert [body.get("fingerprint") for body in scorer.asked] == [None] + ["sha256:one"] * 5
    assert sorted(os.listdir(tmp_path)) == ["in.jsonl", "out.jsonl"]


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
async def test_an_interrupted_run_is_continued_to_the_same_bytes(scorer: Scorer, tmp_path: Path, ending: str) -> None:
    source, whole, out = written(tmp_path, 1500), tmp_path / f"whole.{ending}", tmp_path / f"out.{ending}"
    await run(source, whole)
    scorer.asked.clear()

    async def fail(number: int) -> None:
        if number == 3:
            raise ServiceError("Gone.")

    scorer.before = fail
    with pytest.raises(ServiceError, match="Gone"):
        await run(source, out)
    scorer.before = None
    partial = tmp_path / f"out.{ending}.partial"
    partial.write_bytes(partial.read_bytes() + b'{"id": "512", "rew')  # killed in the middle of a line
    scorer.asked.clear()
    assert await run(source, out) == 0
    assert sum(len(body["items"]) for body in scorer.asked) == 1500 - 512
    assert out.read_bytes() == whole.read_bytes()
    assert not [name for name in os.listdir(tmp_path) if "partial" in name]


async def interrupted_at_the_second(scorer: Scorer, source: Path, out: Path) -> None:
    async def fail(number: int) -> None:
        if number == 2:
            raise ServiceError("Gone.")

    scorer.before = fail
    with pytest.raises(ServiceError, match="Gone"):
        await run(source, out)
    scorer.before = None


async def test_a_run_is_only_continued_with_its_own_input_and_fingerprint(scorer: Scorer, tmp_path: Path) -> None:
    source, out = written(tmp_path, 600), tmp_path / "out.jsonl"
    await interrupted_at_the_second(scorer, source, out)
    with pytest.raises(InvalidRequest, match=r"differs: detail"):
        await run(source, out, detail="reward")
    scorer.fingerprint = "sha256:two"
    with pytest.raises(PinMismatch, match="--restart"):
        await run(source, out)
    assert await run(source, out, restart=True) == 0
    assert {json.loads(line)["fingerprint"] for line in out.read_text().splitlines()} == {"sha256:two"}


async def test_sigterm_keeps_what_is_done(scorer: Scorer, tmp_path: Path) -> None:
    async def end(number: int) -> None:
        if number == 2:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(60)

    scorer.before = end
    source, out = written(tmp_path, 600), tmp_path / "out.jsonl"
    with pytest.raises(Interrupted, match="same command continues") as caught:
        await run(source, out)
    assert caught.value.status == 143
    scorer.before = None
    scorer.asked.clear()
    await run(source, out)
    assert sum(len(body["items"]) for body in scorer.asked) == 600 - 256


@pytest.mark.slow
def test_a_full_disk_costs_no_row(tmp_path: Path) -> None:
    """The limit on the size of a file stands for the disk: the write fails in the middle of a line."""
    source, out, whole = (tmp_path / f"{name}.jsonl" for name in ("in", "out", "whole"))
    pair = {"candidate": "Small right effusion. No pneumothorax.", "reference": "Small left effusion."}
    source.write_text("".join(json.dumps({"id": str(i), **pair}) + "\n" for i in range(400)))
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY));"
        "from reward_service.cli import main; sys.argv[1:] = ['score', *sys.argv[1:]]; main()"
    )
    environment = {**os.environ, "REWARD_PROFILES": "text", "REWARD_POOL_WORKERS": "0"}
    command = ["score", str(source), "--detail", "components", "-o"]
    full = subprocess.run([sys.executable, "-c", code, *command[1:], str(out)], env=environment, cwd=ROOT,
                          capture_output=True, text=True)  # fmt: skip
    assert (full.returncode, "File too large" in full.stderr, out.exists()) == (3, True, False), full.stderr
    assert "same command continues" in full.stderr
    for path in (out, whole):
        done = subprocess.run([sys.executable, "-m", "reward_service.cli", *command, str(path)], env=environment, cwd=ROOT,
                              capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert ("continuing after" in done.stderr) == (path == out)
    assert out.read_bytes() == whole.read_bytes()


async def test_the_best_of_several_references_is_paid_and_named(scorer: Scorer, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    entries = [
        {"id": "a", "candidate": "xx", "references": ["yyyy", "yy", "yyy"]},
        {"id": "g", "candidates": ["x", "xx"], "references": ["", "yy"], "age": 60},
    ]
    source.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert await run(source, tmp_path / "out.jsonl", with_texts=True) == 0
    single, group = (json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines())
    assert (single["reward"], single["reference_index"], single["references"]) == (1.0, 1, ["yyyy", "yy", "yyy"])
    assert [one["reference_index"] for one in group["results"]] == [1, 1]
    assert (group["mean"], group["std"], group["age"], group["candidates"]) == (0.75, 0.25, 60, ["x", "xx"])


def test_the_best_reference() -> None:
    assert best([0.1, 0.3, 0.3], [False] * 3) == 1
    assert best([None, -0.5], [False, False]) == 1
    assert best([0.4, None], [False, True]) == 1  # may still be better
    assert best([None, None], [False, False]) == 0


@pytest.mark.parametrize("ending", ["csv", "parquet"])
async def test_tables_have_a_row_for_each_candidate(scorer: Scorer, tmp_path: Path, ending: str) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / f"out.{ending}"
    entries: list[dict[str, Any]] = [
        {"id": "a", "candidate": "xx", "reference": "yy", "status": "old"},
        {"id": "g", "candidates": ["x", "xx"], "reference": "yy"},
        {"id": "n", "candidate": "x", "reference": ""},
    ]
    source.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert await run(source, out, with_texts=True) == 1
    with opened([str(out)]) as sources:
        table = [row.fields for row in rows(sources[0])]
    assert [(row["id"], row["group"] or None, row["candidate"]) for row in table] == [
        ("a", None, "xx"), ("g/0", "g", "x"), ("g/1", "g", "xx"), ("n", None, "x"),
    ]  # fmt: skip
    assert [float(row["components.bleu2"]) for row in table[:3]] == [1.0, 0.5, 1.0]
    assert (table[0]["status"], table[0]["input_status"]) == ("ok", "old")
    assert json.loads(table[3]["missing"])["item"]["code"] == "empty"


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
async def test_columns_of_an_earlier_scoring_do_not_replace_the_score(
    scorer: Scorer, tmp_path: Path, ending: str
) -> None:
    (tmp_path / "in.jsonl").write_text(
        json.dumps(
            {
                "id": "1", "candidate": "xx", "reference": "yy", "reward": 9, "input_reward": 8,
                "reason": "mine", "components.clinical": -7, "contributions": {"clinical": -7}, "large": 2**63,
            }
        )
    )  # fmt: skip
    out = tmp_path / f"out.{ending}"
    assert await run(tmp_path / "in.jsonl", out) == 0
    (record,) = scores.read([str(out)])
    assert record["components"] == {"bleu2": record["reward"]}
    carried = {name: str(value) for name, value in record.items() if name.startswith("input_") or name == "large"}
    assert carried == {
        "input_reward": "8", "input_input_reward": "9", "input_reason": "mine", "input_components.clinical": "-7",
        "input_contributions": carried["input_contributions"], "large": str(2**63),
    }  # fmt: skip
    assert "-7" in carried["input_contributions"]


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
async def test_half_a_letter_stops_no_run(tmp_path: Path, ending: str) -> None:
    """A lone surrogate is valid in JSON alone: its item is null, and other columns lose the letter."""
    lines = [
        '{"id": "1", "candidate": "No effusion.", "reference": "No effusion.", "note": "x\\udc00"}',
        '{"id": "2", "candidate": "No \\udc00.", "reference": "No effusion.", "notes": ["\\udc00"]}',
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    out = tmp_path / f"out.{ending}"
    assert await run(tmp_path / "in.jsonl", out, with_texts=True, profile="text") == 1
    first, second = scores.read([str(out)])
    assert (first["reward"] > 0.9, second["reward"]) == (True, None)
    assert first["note"] == "x" + chr(0xDC00 if ending == "jsonl" else 0xFFFD)


def test_output_in_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="JSONL, CSV or Parquet"):
        Output(str(tmp_path / "out.jsonl.gz"), {})


class Terminal(io.StringIO):
    """A stream that says it is a terminal, and tells when something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.written.set()
        return super().write(text)


def test_a_sign_of_life_until_the_first_rows_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal alone, and gone when the line of progress begins."""
    monkeypatch.setattr(progress, "_SIGN_S", 0.001)
    out = Terminal()
    with Progress(2, out=out) as line:
        assert out.written.wait(60)
        line.update(2, 0)
        shown = out.getvalue()
    assert "\x1b[Kloading models, 0 s" in shown
    assert shown.rpartition("\r\x1b[K")[2].startswith("2/2 rows")
    assert out.getvalue() == shown + "\n"
    quiet = io.StringIO()
    with Waiting("loading models", quiet) as waiting:
        waiting.end()
    assert quiet.getvalue() == ""


def test_the_line_of_progress() -> None:
    assert text(500, 2000, 3, 250, 10.0) == "500/2,000 rows, 25 rows/s, 1:00 left, 3 null"
    assert text(0, 10, 0, 0, 0.0) == "0/10 rows, 0 rows/s, time left unknown, 0 null"
