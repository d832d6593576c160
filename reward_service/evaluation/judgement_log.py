"""Judgements of labelled pairs in a file, so that a slow evaluation can be stopped, gone on with, and compared with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from judges.base import Evidence, Judgement
from judges.vllm.cases import Labelled
from reward_service.errors import InvalidRequest
from reward_service.profiles.fingerprint import digest
from reward_service.wire.rendering import judgement as judgement_json


class Outcome(NamedTuple):
    """A judgement, or the code of the failure that lasts."""

    judgement: Judgement | None
    code: str | None = None


class JudgementLog:
    """Outcomes by pair; one line of JSON each. Lines of another judge are left out."""

    def __init__(self, path: Path | None, judge: str, known: dict[str, Outcome]) -> None:
        self._path, self._judge, self._known = path, judge, known

    @classmethod
    def open(cls, path: str | None, manifest: Mapping[str, object]) -> JudgementLog:
        """The log of the judge with this manifest; without a path it is kept in memory. Raises `InvalidRequest`."""
        judge = digest(dict(manifest))[:16]
        if path is None or not Path(path).exists():
            return cls(None if path is None else Path(path), judge, {})
        lines = _lines(path)
        return cls(Path(path), judge, {line["pair"]: _outcome(line) for line in lines if line["judge"] == judge})

    @classmethod
    def read(cls, path: str) -> JudgementLog:
        """What a file holds, whichever judge wrote it. Raises `InvalidRequest`."""
        return cls(None, "", {line["pair"]: _outcome(line) for line in _lines(path)})

    def of(self, pair: Labelled) -> Outcome | None:
        return self._known.get(_key(pair))

    def add(self, pair: Labelled, outcome: Outcome) -> None:
        self._known[_key(pair)] = outcome
        if self._path is not None:
            shown = None if outcome.judgement is None else judgement_json(outcome.judgement)
            line = {"id": pair.id, "pair": _key(pair), "judge": self._judge, "code": outcome.code, "judgement": shown}
            try:
                with self._path.open("ab") as file:
                    file.write(orjson.dumps(line) + b"\n")
            except OSError as error:
                raise InvalidRequest(f"{self._path}: {error.strerror}.", param="--save") from None


def _key(pair: Labelled) -> str:
    return digest([pair.candidate, pair.reference, pair.prior])[:24]


def _lines(path: str) -> list[dict[str, Any]]:
    try:
        lines = [orjson.loads(line) for line in Path(path).read_bytes().splitlines() if line]
        if not all({"pair", "judge", "judgement"} <= line.keys() for line in lines):
            raise ValueError
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror}, and no judge has this name.") from None
    except (ValueError, AttributeError):
        raise InvalidRequest(f"{path}: is no file that judge-eval --save has written.") from None
    return lines


def _outcome(line: Mapping[str, Any]) -> Outcome:
    kept = line["judgement"]
    if kept is None:
        return Outcome(None, line.get("code"))
    evidence = tuple(
        Evidence(**{**e, **{side: e[side] and tuple(e[side]) for side in ("candidate", "reference")}})
        for e in kept["evidence"]
    )
    scores, matched = kept["scores"], kept["matched_findings"]
    judgement = Judgement(
        kept["significant"], kept["insignificant"], matched, evidence, scores, details=kept["details"]
    )
    return Outcome(judgement)
