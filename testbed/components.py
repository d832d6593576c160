"""Small components with a known answer, at every cost, so that every kind of runner can be made to fail.

The values can be worked out by hand: ``overlap`` is the number of distinct words that both texts have, ``length`` the
number of characters of the candidate. Special words in a text make a component misbehave.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from metrics.base import MetricScore


class WordOverlap:
    """Counts its calls; obeys the words poison, fatal, kill, hang, clash, lost, nan and missing_key in a text."""

    version = 1
    cost: Literal["inline", "pool", "model"] = "model"
    uses_prior = False
    determinism = "exact"
    keys = ("overlap", "length")

    def __init__(
        self, seconds: float = 0.0, encoding: str = "words@1", load_error: str = "", device: str = "cpu"
    ) -> None:
        del device  # all are alike
        if load_error:
            raise FileNotFoundError(load_error)
        self.seconds = seconds
        self.encoding = encoding
        self.encoded: list[str] = []
        self.batches: list[int] = []

    def manifest(self) -> Mapping[str, object]:
        return {"seconds": self.seconds}

    def nbytes(self, artefact: Any) -> int:
        return 64 + 50 * len(artefact)

    def encode(self, texts: Sequence[str]) -> list[Any]:
        words = {word for text in texts for word in text.split()}
        if "poison" in words:
            raise ValueError(f"cannot read: {' '.join(texts)}")
        if "fatal" in words:
            raise SystemExit("fatal")
        if "kill" in words:
            os.kill(os.getpid(), signal.SIGKILL)
        if "hang" in words:
            time.sleep(60.0)
        self.encoded.extend(texts)
        return [text.split() for text in texts]

    def compare(self, candidates: Sequence[Any], references: Sequence[Any], *priors: Any) -> list[Any]:
        self.batches.append(len(candidates))
        time.sleep(self.seconds)
        results = []
        for i, (candidate, reference) in enumerate(zip(candidates, references, strict=True)):
            if "clash" in candidate and "clash" in reference:
                raise ZeroDivisionError("clash of " + " ".join(candidate))
            if "lost" in candidate:
                continue  # one result too few
            values = {"overlap": float(len(set(candidate) & set(reference))), "length": float(len(" ".join(candidate)))}
            if "nan" in candidate:
                values["overlap"] = float("nan")
            if "missing_key" in candidate:
                del values["length"]
            if self.uses_prior:
                values["overlap"] += 100.0 * len(priors[0][i] or ())
            results.append(MetricScore(values, ("empty",) if not candidate else ()))
        return results


class Held(WordOverlap):
    """Compares once the file `gate` exists; the file `gate`.held says that it has something to compare.

    Warms up once the file `load` exists, if that is given.
    """

    def __init__(self, gate: str, load: str = "") -> None:
        super().__init__()
        self.gate = gate
        self.load = load

    def warm_up(self) -> None:
        while self.load and not os.path.exists(self.load):
            time.sleep(0.005)

    def compare(self, candidates: Sequence[Any], references: Sequence[Any], *priors: Any) -> list[Any]:
        with open(f"{self.gate}.held", "w"):
            pass
        while not os.path.exists(self.gate):
            time.sleep(0.005)
        return super().compare(candidates, references)


class Overlap(WordOverlap):
    """In a model worker. The word `hang` costs three seconds."""

    def encode(self, texts: Sequence[str]) -> list[Any]:
        if any("hang" in text.split() for text in texts):
            time.sleep(3.0)
        return super().encode(texts)


class InlineOverlap(WordOverlap):
    """On the event loop or a thread."""

    cost = "inline"


class PoolOverlap(WordOverlap):
    """In a pool of processes, when there is much to do."""

    cost = "pool"


class CannotBeLeft(PoolOverlap):
    """Built a second time, for its runner, it keeps a thread for a minute that nothing can end."""

    built = False

    def __init__(self) -> None:
        super().__init__()
        if CannotBeLeft.built:
            time.sleep(60)
        CannotBeLeft.built = True


class CannotWarmUp(WordOverlap):
    """Is built, and then cannot be loaded: weights that are named but not there."""

    def warm_up(self) -> None:
        raise OSError("disk gone")


class SlowToLoad(WordOverlap):
    """Needs a minute."""

    def warm_up(self) -> None:
        time.sleep(60)
