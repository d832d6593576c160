"""The protocol `green`: GREEN's own prompt to GREEN's own model, so that the published metric runs on vLLM.

The prompt is not ours and not shipped: the setting `prompt` names a file with the text that `make_prompt` of the
package `green-score` makes, with `{reference}` and `{candidate}` where the reports stand. Not verified with the
model's weights.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import orjson

from judges import injection
from judges.vllm import canaries
from judges.vllm.errors import JudgeInvalidOutput, JudgeMisconfigured, JudgeRefused
from judges.vllm.green_answer import dump, parse
from judges.vllm.prompt import NumberedPair, read_pair
from judges.vllm.protocol import Ask
from judges.vllm.settings import VllmJudgeSettings
from judges.vllm.transport import Completion, Observe

VERSION: Final = 1
"""Raised by hand when something else is asked, or other answers are valid."""
_MOST_TOKENS: Final = 2048
"""As in `green-score`."""


class GreenProtocol:
    """Raises `ValueError` for a prompt that cannot be read, or lacks one of the reports."""

    def __init__(self, settings: VllmJudgeSettings, observe: Observe) -> None:
        self._settings, self._observe = settings, observe
        self._before, self._between, self._after = _template(settings.prompt)

    def manifest(self) -> Mapping[str, object]:
        template = "\0".join((self._before, self._between, self._after))
        return {
            "protocol": "green",
            "green_version": VERSION,
            "prompts": {"prompt": hashlib.sha256(template.encode()).hexdigest(), "injection": injection.SHA256},
        }

    async def vote(self, pair: NumberedPair, vote: int, ask: Ask) -> tuple[str, list[Completion]]:
        """Greedy. No second try: the model knows one conversation, and would say the same again."""
        completion = await ask(self._body(pair), pair.reference.key)
        try:
            return dump(parse(completion.whole())), [completion]
        except JudgeInvalidOutput as error:
            self._observe("judge_invalid_answers", 1, {"code": error.code, "repaired": "false"})
            raise

    async def examine(self, ask: Ask) -> None:
        """Does the model answer in GREEN's form?"""
        gold = canaries.pairs()[0]
        pair = read_pair(gold.candidate, gold.reference, None, self._settings.max_statements)
        try:
            parse((await ask(self._body(pair), "")).whole())
        except (JudgeInvalidOutput, JudgeRefused) as error:
            raise JudgeMisconfigured(f"the model does not answer in GREEN's form: {error.message}") from None

    def _body(self, pair: NumberedPair) -> bytes:
        reports = " ".join(pair.reference.shown), " ".join(pair.shown)
        text = f"{self._before}{reports[0]}{self._between}{reports[1]}{self._after}"
        return orjson.dumps(
            {
                "model": self._settings.model,
                "messages": [{"role": "user", "content": text}],
                "temperature": 0.0,
                "max_tokens": _MOST_TOKENS,
                **self._settings.extra_body,
            }
        )


@functools.lru_cache(maxsize=16)
def _template(path: str) -> tuple[str, str, str]:
    try:
        text = Path(path).read_text("utf-8")
        before, rest = text.split("{reference}")
        between, after = rest.split("{candidate}")
    except OSError as error:
        raise ValueError(f"prompt {path}: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"prompt {path}: needs {{reference}} and then {{candidate}}, each once") from None
    return before, between, after
