"""Which rows are of which system: a file each, or the values of a column."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from reward_service.errors import InvalidRequest
from reward_service.evaluation import commands
from reward_service.evaluation.scores import systems


def row(id: str, system: str, reward: float) -> dict[str, Any]:
    return {"id": id, "reward": reward, "components": {"x": reward}, "fingerprint": "f", "system": system}


ROWS = [row(str(i), name, i / 10 + bonus) for i in range(8) for name, bonus in (("base", 0.0), ("ours.v2", 0.1))]


@pytest.fixture
def long(tmp_path: Path) -> str:
    path = tmp_path / "long.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in ROWS))
    return str(path)


def test_a_column_takes_systems_apart(long: str) -> None:
    found = {name: [one["reward"] for one in rows] for name, rows in systems([long], column="system")}
    assert found == {name: [one["reward"] for one in ROWS if one["system"] == name] for name in ("base", "ours.v2")}
    assert [name for name, _ in systems([long], column="system", base="ours.v2")] == ["ours.v2", "base"]
    assert [name for name, _ in systems([long], ["A", "B"], column="system")] == ["A", "B"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"column": "sistem"}, r"no column 'sistem'\. Did you mean 'system'"),
        ({"column": "system", "base": "our"}, "There is no system 'our'"),
        ({"column": "system", "names": ["A"]}, "2 systems and 1 names"),
    ],
)
def test_what_is_not_there_is_named(long: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        systems([long], **options)


def test_no_command_pools_systems_silently(long: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InvalidRequest, match=r"an id stands on several rows \(first: 0\).*--system COLUMN"):
        commands.summarize([long])
    commands.summarize([long], pool=True)
    assert "reward  16 " in capsys.readouterr().out
    commands.summarize([long], system="system", format="json")
    made = json.loads(capsys.readouterr().out)
    assert [(one["scores"], one["values"][0]["n"]) for one in made] == [("base", 8), ("ours.v2", 8)]
    with pytest.raises(typer.BadParameter):
        commands.summarize([long], system="system", pool=True)


def test_files_are_systems_of_their_own_unless_pooled(long: str, tmp_path: Path, capsys: Any) -> None:
    files = []
    for name in ("base", "ours.v2"):
        files.append(str(tmp_path / f"{name[:4]}.jsonl"))
        Path(files[-1]).write_text("".join(json.dumps(one) + "\n" for one in ROWS if one["system"] == name))
    commands.summarize(files, format="csv")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "scores,table,row,column,value,low,high"
    assert [line.split(",")[0] for line in lines if ",reward,n,8" in line] == ["base", "ours"]
    commands.summarize(files, format="latex")
    latex = capsys.readouterr().out
    assert latex.count(r"\label{tab:1-values}") == latex.count(r"\label{tab:2-values}") == 1
    commands.summarize(files, pool=True, format="json")
    assert json.loads(capsys.readouterr().out)["values"][0]["n"] == 16
    with pytest.raises(InvalidRequest, match="2 systems and 1 names"):
        commands.summarize(files, name=["one"])
    commands.compare(files, table=True, metric=["reward"], base="ours")
    assert [line[:4] for line in capsys.readouterr().out.splitlines()[4:6]] == ["ours", "base"]


def test_systems_of_a_column_are_compared(long: str, capsys: pytest.CaptureFixture[str]) -> None:
    commands.compare([long], system="system", format="json")
    reward = json.loads(capsys.readouterr().out)["comparison_2"][0]
    assert (reward["n"], reward["difference"]["value"]) == (8, pytest.approx(0.1))
    commands.compare([long], system="system", base="ours.v2", format="json")
    assert json.loads(capsys.readouterr().out)["comparison_2"][0]["difference"]["value"] == pytest.approx(-0.1)
