"""What a model's letters mean: threshold and temperature, fitted once per model and kept in a small file.

A weak model knows more than it says: its probability of "the report says this" separates right from wrong statements
long before its likeliest letter does. So the probability is read against a threshold that is fitted on statements of
which the answer is known (`calibration.jsonl`). The file is a part of the judge's identity; a start only verifies it.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypedDict

import orjson

from judges.vllm.letters import LETTERS, Question

FOLDER: Final = Path(__file__).parent
EPSILON: Final = 1e-6


class Known(NamedTuple):
    """A statement about a report, with the letters that are right."""

    report: str
    text: str
    said: str
    kind: str | None
    significant: bool | None


class Canary(TypedDict):
    """A statement that is asked again at start: its number among `statements()`, and P(wrong) when calibrated."""

    number: int
    wrong: float


class Calibration(NamedTuple):
    """What `judge-calibrate` writes, as it is read."""

    model: str
    revision: str
    prompts: str
    """Digest of the instructions: other words need another calibration."""
    threshold: float
    """Of the model's own P(not A) to question 1; in (0, 1)."""
    temperature: float
    """Divides the log-odds beyond the threshold; above 0."""
    kind_bias: tuple[float, ...] | None
    """Mean log-probability of each letter of question 2, which is subtracted; None: the model cannot tell kinds."""
    grave_threshold: float | None
    """Of P(A) to question 3; None: the model cannot tell, and every error counts as significant."""
    auc: float
    canaries: tuple[Canary, ...]

    @property
    def digest(self) -> str:
        """sha256 of all that decides a verdict; figures for people are left out."""
        content = [*self[:3], self.threshold, self.temperature, self.kind_bias, self.grave_threshold]
        return hashlib.sha256(orjson.dumps(content)).hexdigest()

    def wrong(self, said: Sequence[float], evidence: float = 0.0) -> float:
        """Calibrated probability that a statement is not said, from the probabilities of A, B and C.

        sigmoid((logit(p) - logit(threshold)) / temperature): one half at the threshold (Platt, 1999, in other letters).
        `evidence` from elsewhere is added to these log-odds.
        """
        x = (logit(1.0 - said[0]) - logit(self.threshold)) / self.temperature + evidence
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, x))))

    def kind(self, kinds: Sequence[float]) -> str | None:
        """The letter of question 2 after its prior is taken out (batch calibration, Zhou et al., arXiv 2309.17249)."""
        if self.kind_bias is None:
            return None
        scores = [math.log(max(p, EPSILON)) - bias for p, bias in zip(kinds, self.kind_bias, strict=True)]
        return LETTERS[Question.KIND][scores.index(max(scores))]

    def grave(self, graves: Sequence[float] | None) -> bool:
        """Whether an error is significant; in doubt it is."""
        return self.grave_threshold is None or graves is None or graves[0] > self.grave_threshold


@functools.cache
def statements() -> tuple[Known, ...]:
    """The shipped statements, in the order of the file."""
    rows = [orjson.loads(line) for line in (FOLDER / "calibration.jsonl").read_bytes().splitlines()]
    return tuple(
        Known(row["report"], s["text"], s["said"], s.get("kind"), s.get("significant"))
        for row in rows
        for s in row["statements"]
    )


@functools.lru_cache(maxsize=64)
def load(path: str) -> Calibration:
    """The calibration in a file, or a shipped one by its name. Raises `ValueError` that says what to do."""
    file = FOLDER / "calibrations" / f"{path}.json"
    file = file if file.exists() else Path(path)
    try:
        raw = orjson.loads(file.read_bytes())
        bias, canaries = (
            raw["kind_bias"],
            tuple(Canary(number=one["number"], wrong=one["wrong"]) for one in raw["canaries"]),
        )
        return Calibration(**{**raw, "kind_bias": bias and tuple(bias), "canaries": canaries})
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except (ValueError, TypeError, LookupError):
        reason = "is no calibration"
    raise ValueError(f"calibration {path}: {reason}; make one with: reward-service judge-calibrate")


def dump(calibration: Calibration) -> bytes:
    """The content of the file."""
    return orjson.dumps(calibration._asdict(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def logit(p: float) -> float:
    """log(p / (1 - p)), with p held away from 0 and 1 by `EPSILON`."""
    p = min(max(p, EPSILON), 1.0 - EPSILON)
    return math.log(p / (1.0 - p))
