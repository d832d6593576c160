"""`judge-calibrate`: a file that a judge takes, or a typed refusal and no file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from judges.vllm import calibration, questions
from judges.vllm.judge import VllmJudge
from judges.vllm.settings import VllmJudgeSettings
from reward_service.errors import ConfigurationError, ServiceError
from reward_service.evaluation.judge_calibration import calibrate
from testbed.scripted_judge import ScriptedServer, letters

KNOWN = {(questions.show_report([k.report]), k.text): k for k in calibration.statements()}


def knows(request: dict[str, Any]) -> dict[str, Any]:
    """Leans to A, and knows; of kinds and significance it knows nothing."""
    report, _, statement = request["messages"][-1]["content"].rpartition("Statement: ")
    known = KNOWN[report, json.loads(statement)]
    right = 0.9 if known.said == "A" else 0.6
    return letters(A=right, B=0.08 + (0.9 - right), C=0.02)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """In a loop of its own: the command runs one itself."""
    scripted, loop = ScriptedServer(), asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def there(work: Callable[[], Any]) -> None:
        asyncio.run_coroutine_threadsafe(work(), loop).result(30)

    there(scripted.start)
    for name, value in {"URLS": scripted.url, "MODEL": "judge", "REVISION": "r1"}.items():
        monkeypatch.setenv(f"REWARD_JUDGE_{name}", value)
    yield scripted
    there(scripted.stop)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()


def test_the_file_makes_a_judge(server: ScriptedServer, tmp_path: Path) -> None:
    server.reply = knows
    told = calibrate(str(tmp_path / "made.json"))
    assert "AUC 1.00" in told
    assert "told by the words" in told
    settings = VllmJudgeSettings("judge", "r1", protocol="statements", calibration=str(tmp_path / "made.json"))
    assert VllmJudge(settings).manifest()["protocol"] == "statements"
    assert 0.1 < calibration.load(settings.calibration).threshold < 0.4


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (lambda request: letters(A=0.5, B=0.3, C=0.2), "judge_uncalibratable"),
        (lambda request: letters(The=0.9, A=0.1), "judge_uncalibratable"),
        (lambda request: "A", "judge_misconfigured"),  # no log-probabilities
    ],
)
def test_a_model_that_cannot_be_calibrated_is_refused(
    server: ScriptedServer, tmp_path: Path, reply: Any, code: str
) -> None:
    server.reply = reply
    with pytest.raises(ConfigurationError) as caught:
        calibrate(str(tmp_path / "made.json"))
    assert caught.value.code == code
    assert not (tmp_path / "made.json").exists()


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="REWARD_JUDGE_MODEL"):
        calibrate(str(tmp_path / "made.json"))
    for name, value in {"URLS": "http://127.0.0.1:9", "MODEL": "judge", "REVISION": "r1"}.items():
        monkeypatch.setenv(f"REWARD_JUDGE_{name}", value)
    with pytest.raises(ServiceError, match="could not be reached"):
        calibrate(str(tmp_path / "made.json"))
