"""The scorer in Python: the numbers of HTTP, without a server, also where a loop is running."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import reward_service
from reward_service.api.app import create_app
from reward_service.errors import InvalidRequest, UnknownProfile
from reward_service.evaluation.scorer import Scorer
from reward_service.evaluation.scores import read
from reward_service.settings import Settings
from tests.waiting import wait_until

CANDIDATES = ["Small right effusion.", "No pneumothorax. <b>Clear</b>."]
REFERENCES = ["Small left effusion.", "No pneumothorax."]


@pytest.fixture(scope="module")
def scorer() -> Iterator[Scorer]:
    with Scorer(profile="text") as made:
        yield made


def test_numbers_and_fingerprint_are_those_of_http(scorer: Scorer) -> None:
    items = [{"candidate": c, "reference": r} for c, r in zip(CANDIDATES, REFERENCES, strict=True)]
    with TestClient(create_app(Settings(profiles=("text",), pool_workers=0, log_level="error"))) as client:
        http = client.post("/score", json={"items": items, "detail": "full"}).json()
    scores = scorer.score(CANDIDATES, REFERENCES)
    assert scores.fingerprint == http["fingerprint"]
    assert scores.rewards == [result["reward"] for result in http["results"]]
    for ours, theirs in zip(scores, http["results"], strict=True):
        assert {k: ours[k] for k in theirs if k not in ("id", "cache")} == {
            k: v for k, v in theirs.items() if k not in ("id", "cache")
        }


def test_the_step_chooses_the_stage_of_a_schedule(tmp_path: Path) -> None:
    for name, component in (("early", "rouge1"), ("late", "rouge2")):
        profile: dict[str, Any] = {"name": name, "description": "for tests", "bounds": [0, 1], "guards": "off"}
        profile["components"] = {component: {"weight": 1}}
        (tmp_path / f"{name}.yaml").write_text(json.dumps(profile))
    stages = [{"until_step": 10, "profile": "early.yaml"}, {"profile": "late.yaml"}]
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "two.yaml"
    path.write_text(json.dumps({"name": "two", "description": "for tests", "stages": stages}))
    with Scorer(profile=str(path)) as scorer:
        pair = ("Left small effusion.", "Small left effusion.")
        rewards = [scorer.score(*pair, step=step).rewards[0] for step in (0, 10)]
        frame = pandas.DataFrame({"candidate": [pair[0]], "reference": [pair[1]]})
        assert [scorer.score(frame, step=step)["reward"][0] for step in (0, 10)] == rewards == [1.0, 0.0]
        with pytest.raises(InvalidRequest, match="step"):
            scorer.score(*pair)


async def test_it_runs_where_a_loop_is_running(scorer: Scorer) -> None:
    assert scorer.score(CANDIDATES[0], REFERENCES[0]).rewards == scorer.score(CANDIDATES, REFERENCES).rewards[:1]


def test_the_best_of_several_references_is_paid(scorer: Scorer) -> None:
    (result,) = scorer.score(REFERENCES[:1], [REFERENCES[::-1]])
    assert (result["reward"], result["reference_index"]) == (1.0, 1)


def test_a_frame_comes_back_with_columns(scorer: Scorer) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"prediction": CANDIDATES, "target": REFERENCES, "sex": ["F", "M"]}, index=[7, 3])
    scored = scorer.score(frame)
    assert list(scored.index) == [7, 3]
    assert list(scored["reward"]) == scorer.score(CANDIDATES, REFERENCES).rewards
    assert {"sex", "status", "components.bleu2"} <= set(scored.columns)
    assert "reward" not in frame.columns
    assert list(scorer.score(CANDIDATES, REFERENCES).to_dataframe()["id"]) == ["0", "1"]


def test_a_frame_loses_no_column_of_its_own(scorer: Scorer) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"pred": CANDIDATES, "ref": REFERENCES, "reward": [7, 8], "input_reward": [5, 6]})
    scored = scorer.score(frame)
    assert list(scored["reward"]) == scorer.score(CANDIDATES, REFERENCES).rewards
    assert [list(scored[name]) for name in ("input_input_reward", "input_reward")] == [[7, 8], [5, 6]]


def test_two_columns_of_a_frame_may_be_one_reference(scorer: Scorer) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"pred": CANDIDATES, "findings": REFERENCES, "impression": ["", "Normal."]})
    joined = [REFERENCES[0], f"{REFERENCES[1]}\nNormal."]
    scored = scorer.score(frame, reference_field="findings+impression")
    assert list(scored["reward"]) == scorer.score(CANDIDATES, joined).rewards


def test_a_frame_without_rows_has_the_columns_as_well(scorer: Scorer) -> None:
    pandas = pytest.importorskip("pandas")
    assert list(scorer.score(pandas.DataFrame({"pred": [], "ref": []}))["reward"]) == []


def test_a_frame_whose_columns_repeat_is_refused(scorer: Scorer) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([["a", "b", "c"]], columns=["pred", "ref", "pred"])
    with pytest.raises(InvalidRequest, match="column 'pred' of the DataFrame stands twice"):
        scorer.score(frame)


def test_a_frame_comes_back_with_what_happened(scorer: Scorer) -> None:
    """An invented effusion is one significant error; an empty reference has no reward, and says why."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"pred": ["Small effusion.", "Clear lungs."], "ref": ["No effusion.", ""]})
    first, second = scorer.score(frame).to_dict("records")
    assert (first["errors.significant"], first["errors.insignificant"], first["missing"]) == (1, 0, {})
    assert "effusion" in first["reason"]
    assert pandas.isna(second["reward"])
    assert set(second["missing"].values()) == {"empty_reference"}
    assert pandas.isna(second["errors.significant"])
    assert isinstance(second["flags"], list)


def test_columns_that_may_be_meant_are_named(scorer: Scorer) -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(InvalidRequest, match=r"candidate_field='NAME'\. Likely: 'prediction_a', 'prediction_b'\."):
        scorer.score(pandas.DataFrame({"prediction_a": ["x"], "prediction_b": ["y"], "ref": ["z"]}))


def test_empty_cells_are_empty_reports_on_request() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"pred": [None, float("nan")], "ref": ["Small effusion.", "Clear."]})
    with Scorer(profile="text", allow_empty=True) as lenient:
        found = [*lenient.score(frame)["reward"], *lenient.score([None], ["Small effusion."]).rewards]
        assert found[0] == found[2] == lenient.score("", "Small effusion.").rewards[0]


def test_results_are_summarized_compared_and_kept(scorer: Scorer, tmp_path: Path) -> None:
    """A DataFrame's ids and further columns are in the results, and the tables are those of the commands."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"study_id": ["a", "b"], "pred": CANDIDATES, "ref": REFERENCES, "sex": ["F", "M"]})
    ours = scorer.score(frame, as_frame=False)
    base = scorer.score(frame.assign(pred="Clear."), as_frame=False)
    tables = ours.summarize(by=["sex"])
    assert [row[0] for row in next(t for t in tables if t.name == "by_sex").rows] == ["F", "M", "gap"]
    assert tables[0].to_dataframe()["mean.value"][0] == pytest.approx(sum(ours.rewards) / 2)
    assert "| Reward |" in tables._repr_markdown_()
    (reward, *_) = ours.compare(base)[0].as_json()
    assert reward["difference"]["value"] == pytest.approx((sum(ours.rewards) - sum(base.rewards)) / 2)
    ours.write(str(tmp_path / "ours.jsonl"))
    ours.report(str(tmp_path / "ours.html"), "ours")
    assert "<title>ours</title>" in (tmp_path / "ours.html").read_text("utf-8")
    assert [one["reward"] for one in read([str(tmp_path / "ours.jsonl")])] == ours.rewards


def test_columns_of_a_frame_can_be_named(scorer: Scorer) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": CANDIDATES, "b": REFERENCES, "pred": ["", ""], "c": [None, "Small effusion."]})
    scored = scorer.score(frame, candidate_field="a", reference_field="b", prior_field="c")
    assert list(scored["reward"]) == scorer.score(CANDIDATES, REFERENCES).rewards
    with pytest.raises(InvalidRequest, match="reference_field='NAME'"):
        scorer.score(frame)
    with pytest.raises(InvalidRequest, match="there is no field 'd'"):
        scorer.score(frame, candidate_field="d", reference_field="b")


@pytest.mark.parametrize("several", [["Nothing.", "Small left effusion."], '["Nothing.", "Small left effusion."]'])
def test_a_cell_of_a_frame_may_hold_several_references(scorer: Scorer, several: object) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"pred": ["Small left effusion."], "ref": [several]})
    assert list(scorer.score(frame)["reward"]) == [1.0]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"pred": ["x", float("nan")], "ref": ["y", "z"]}, "Row 9: pred: is NaN.*put '' there"),
        ({"pred": ["x", "y"], "ref": ["z", None]}, "Row 9: ref: is (empty|NaN)"),
        ({"pred": ["x", "y"], "ref": ["z", ["z", None]]}, r"Row 9: ref\[1\]: is empty"),
        ({"pred": ["x", ["y", "z"]], "ref": ["z", "z"]}, "Row 9: pred: must be text, not a list"),
        ({"pred": ["x", "y"], "hyp": ["x", "y"], "ref": ["z", "z"]}, "candidate_field='pred'"),
    ],
)
def test_a_wrong_cell_of_a_frame_is_named_by_row_and_column(scorer: Scorer, cells: dict[str, Any], words: str) -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(InvalidRequest, match=words):
        scorer.score(pandas.DataFrame(cells, index=[7, 9]))


LEFT_OPEN = """
import atexit
from reward_service import Scorer
atexit.register(lambda: print(scorer._loop.is_closed()))  # runs last
scorer = Scorer(profile="text")
print(len(scorer.score("Clear.", "Clear.")))
"""


@pytest.mark.slow
def test_a_scorer_that_is_left_open_is_closed_when_python_ends() -> None:
    done = subprocess.run([sys.executable, "-c", LEFT_OPEN], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\nTrue\n", "")


def test_a_notebook_shows_the_errors_and_no_foreign_html(scorer: Scorer) -> None:
    shown = scorer.score(CANDIDATES, REFERENCES)._repr_html_()
    assert "wrong location</b> pleural effusion, left · significant" in shown
    assert "&lt;b&gt;Clear&lt;/b&gt;" in shown
    assert "<b>Clear" not in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("a", None), "references are missing"),
        ((["a", "b"], ["c"]), "2 candidates and 1 references"),
        (([None], ["c"]), r"candidates\[0\]: must be text, not NoneType"),
    ],
)
def test_wrong_input_is_named(scorer: Scorer, arguments: tuple[object, ...], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        scorer.score(*arguments)  # type: ignore[arg-type]


def test_a_failed_start_and_an_end_leave_no_thread() -> None:
    before = set(threading.enumerate())
    with pytest.raises(UnknownProfile):
        Scorer(profile="txet")
    made = reward_service.Scorer(profile="text")
    made.close()
    made.close()
    wait_until(lambda: set(threading.enumerate()) <= before)  # a component's thread ends after its work
    with pytest.raises(InvalidRequest, match="closed"):
        made.score("a", "b")
