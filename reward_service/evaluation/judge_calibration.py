"""`reward-service judge-calibrate`: what a served model's letters mean, written to a file that belongs to it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pydantic import TypeAdapter

from judges.vllm.calibration import Calibration, dump
from judges.vllm.errors import JudgeError
from judges.vllm.fitting import ask_known, fit
from judges.vllm.questions import digest
from judges.vllm.settings import VllmJudgeSettings
from judges.vllm.transport import Completion, Transport
from reward_service.errors import ConfigurationError, ServiceError
from reward_service.settings import Settings


def calibrate(target: str) -> str:
    """Asks the first of the judge's servers, writes the file and returns what to tell.

    Raises `ConfigurationError` for settings that are missing and for a model that cannot be calibrated
    (`judge_uncalibratable`), `ServiceError` when the server fails.
    """
    own = {k: v for k, v in Settings().for_component("vllm", {}).items() if k not in ("votes", "calibration")}
    try:
        settings = TypeAdapter(VllmJudgeSettings).validate_python(own)
    except ValueError:
        raise ConfigurationError("Set REWARD_JUDGE_URLS, REWARD_JUDGE_MODEL and REWARD_JUDGE_REVISION.") from None
    try:
        made = asyncio.run(_ask(settings))
    except JudgeError as error:
        kind = ServiceError if error.retryable else ConfigurationError
        raise kind(f"{settings.model}: {error.message}.", code=error.code) from None
    try:
        Path(target).write_bytes(dump(made))
    except OSError as error:
        raise ConfigurationError(f"{target}: {error.strerror}.") from None
    return _told(made, target)


async def _ask(settings: VllmJudgeSettings) -> Calibration:
    transport = Transport(settings, lambda name, value, labels: None)
    server = transport.servers[0]
    permits = asyncio.Semaphore(settings.concurrency)

    async def send(body: bytes) -> Completion:
        async with permits:
            return await transport.send(server, body)

    try:
        answers = await ask_known(settings, send)
    finally:
        await transport.aclose()
    return fit(settings.model, settings.revision, digest(), answers)


def _told(made: Calibration, target: str) -> str:
    kind = "asked of the model" if made.kind_bias else "told by the words of both statements"
    grave = "asked of the model" if made.grave_threshold is not None else "not told: every error counts as significant"
    return (
        f"{target}: AUC {made.auc:.2f}, threshold {made.threshold:.3g}, temperature {made.temperature:.2f}\n"
        f"kind of a difference: {kind}\nsignificance: {grave}\nUse it with REWARD_JUDGE_CALIBRATION={target}"
    )
