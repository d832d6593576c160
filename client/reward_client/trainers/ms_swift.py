"""ms-swift: ``orms["radiology"] = RadiologyReward`` in the plug-in file, then ``--reward_funcs radiology``.

Synchronous on purpose: ms-swift runs coroutines in a new event loop every step, which no connection outlives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reward_client.trainers._shared import client, item, options, step_of


class RadiologyReward:
    """Scores the whole batch in one call; the dataset's columns `reference` (else `solution`) and `prior` are used."""

    def __init__(self, args: Any = None, **_: Any) -> None:
        self.args = args

    def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """One reward per completion; None where there is none, which ms-swift skips."""
        references = columns.get("reference", columns.get("solution"))
        if references is None:
            raise ValueError("the dataset has no column 'reference' (nor 'solution')")
        priors = columns.get("prior") or [None] * len(completions)
        items = list(map(item, completions, references, priors))
        scores = client(options()).score(items, step=step_of(columns.get("trainer_state")))
        return [score.reward for score in scores]
