"""The protocol `json`: one answer about the whole pair, an object that names statements by their ids."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from judges.vllm import abilities
from judges.vllm.answer import PARSER_VERSION, parse
from judges.vllm.errors import JudgeInvalidOutput, JudgeRefused
from judges.vllm.prompt import REPAIR, SCHEMA_VERSION, NumberedPair, fingerprints, request, sampling
from judges.vllm.protocol import Ask
from judges.vllm.settings import VllmJudgeSettings
from judges.vllm.transport import Completion, Observe
from judges.vllm.ways import Way


class JsonProtocol:
    """Asks once, under a schema that enumerates the ids, and once more with the complaint if the answer is invalid."""

    def __init__(self, settings: VllmJudgeSettings, observe: Observe) -> None:
        self._settings, self._observe = settings, observe

    def manifest(self) -> Mapping[str, object]:
        s = self._settings
        return {
            "variant": s.variant,
            "prompts": fingerprints(s),
            "schema_version": SCHEMA_VERSION,
            "parser_version": PARSER_VERSION,
            "votes": s.votes,
            "sampling": [sampling(s, vote) for vote in range(s.votes)],
        }

    async def vote(self, pair: NumberedPair, vote: int, ask: Ask) -> tuple[str, list[Completion]]:
        completions: list[Completion] = []
        complaint = ""
        for last in (False, True):
            try:
                completions.append(await ask(request(self._settings, pair, vote, complaint), pair.reference.key))
                text = completions[-1].whole()
                parse(text, len(pair.reference.statements), len(pair.candidate))
                return orjson.dumps(orjson.loads(text)).decode(), completions
            except (JudgeInvalidOutput, JudgeRefused) as error:
                self._observe("judge_invalid_answers", 1, {"code": error.code, "repaired": str(not last).lower()})
                if last:
                    raise
                complaint = REPAIR.format(reason=error.message)
        raise AssertionError("unreachable")

    async def examine(self, ask: Ask) -> Way:
        """Does the server really constrain its output, and by which of its fields?"""
        return await abilities.find_way(ask, self._settings.model)
