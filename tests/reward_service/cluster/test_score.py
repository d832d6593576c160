"""`score --ray` on a local cluster: the bytes that `score` writes, also after kill -9."""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import orjson
import pyarrow.parquet
import pytest

from benchmarks.data import synthetic_report
from tests.reward_service.cluster import environment
from tests.waiting import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.xdist_group("ray")]
_SMALL_SHARDS = "from reward_service.cluster import shards; shards._SHARD_PAIRS = 64; "
_SCORE = ("-c", f"{_SMALL_SHARDS}from reward_service.__main__ import main; main()", "score", "--profile", "text")


def write_jsonl(path: Path, count: int) -> Path:
    """Single candidates, groups, several references, carried columns, and a text that is not valid Unicode."""
    rng = random.Random(5)
    lines = []
    for number in range(count):
        row = {"id": f"s{number}", "candidate": synthetic_report(rng, 20), "reference": synthetic_report(rng, 20)}
        if number % 7 == 0:
            row |= {"candidates": [synthetic_report(rng, 20) for _ in range(3)], "sex": "F", "age": number}
            del row["candidate"]
        if number % 5 == 0:
            row["references"] = [row.pop("reference"), synthetic_report(rng, 20)]
        lines.append(orjson.dumps(row))
    lines[3] = b'{"id": "broken", "candidate": "Clear \\ud800.", "reference": "Clear."}'
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def scored(address: str, *arguments: object, expect: int = 1) -> subprocess.CompletedProcess[str]:
    done = environment.run(address, *_SCORE, *arguments)
    assert done.returncode == expect, done.stderr[-3000:]
    return done


def test_the_output_is_that_of_score_byte_for_byte(ray_address: str, tmp_path: Path) -> None:
    """For each format; exit status 1, because one item is null."""
    source = write_jsonl(tmp_path / "in.jsonl", 300)
    plain, ours = tmp_path / "plain.jsonl", tmp_path / "ray.jsonl"
    arguments: Sequence[object] = ("--with-texts", source)
    told = scored(ray_address, *arguments, "-o", plain).stderr
    assert scored(ray_address, *arguments, "-o", ours, "--ray").stderr.endswith(told)
    assert ours.read_bytes() == plain.read_bytes()
    fingerprint = orjson.loads(plain.read_bytes().splitlines()[0])["fingerprint"]
    assert {json.loads(line)["fingerprint"] for line in ours.read_bytes().splitlines()} == {fingerprint}

    rows = [row for row in map(orjson.loads, source.read_bytes().splitlines()[4:]) if "candidate" in row]
    rows = [{k: row[k] for k in ("id", "candidate", "reference")} for row in rows if "reference" in row]
    table = pyarrow.Table.from_pylist(rows)
    pyarrow.parquet.write_table(table, tmp_path / "in.parquet")
    csv = "id,prediction,ground_truth\n" + "".join(f'{r["id"]},"{r["candidate"]}","{r["reference"]}"\n' for r in rows)
    (tmp_path / "in.csv").write_text(csv)
    for kind in ("csv", "parquet"):
        outputs = [tmp_path / f"{name}.{kind}" for name in ("a", "b")]
        scored(ray_address, tmp_path / f"in.{kind}", "-o", outputs[0], expect=0)
        scored(ray_address, tmp_path / f"in.{kind}", "-o", outputs[1], "--ray", "--fingerprint", fingerprint, expect=0)
        assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert not list(tmp_path.glob("*.ray")), "the folders of runs are removed"

    wrong = "sha256:" + "0" * 64
    refused = scored(ray_address, source, "-o", tmp_path / "no.jsonl", "--ray", "--fingerprint", wrong, expect=3)
    assert "another fingerprint" in refused.stderr
    assert not (tmp_path / "no.jsonl.ray").exists()


def test_a_killed_run_is_continued_with_every_row_once(ray_address: str, tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", 1500)
    plain, ours = tmp_path / "plain.jsonl", tmp_path / "ray.jsonl"
    scored(ray_address, source, "-o", plain)
    folder = Path(f"{ours}.ray")
    driver = environment.start(ray_address, *_SCORE, source, "-o", ours, "--ray")
    try:
        wait_until(lambda: len(list(folder.glob("records-*.jsonl"))) >= 2)
    finally:
        driver.kill()
        driver.wait()
    done = len(list(folder.glob("records-*.jsonl")))
    assert done < len(list(folder.glob("entries-*.jsonl"))), "it was killed before its end"
    assert not ours.exists()
    again = scored(ray_address, source, "-o", ours, "--ray")
    continued = re.search(r"continuing after ([\d,]+) rows", again.stderr)
    assert continued
    assert int(continued[1].replace(",", "")) > 0
    assert ours.read_bytes() == plain.read_bytes()
