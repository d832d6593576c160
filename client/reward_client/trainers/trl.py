"""TRL (GRPO, RLOO): ``reward_funcs=[make_reward_fn("http://...")]``, whole batches, None where there is no reward.

Several functions with the same settings (the reward and some components) share one request per step.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from reward_client.trainers._shared import client, item, options, step_of
from reward_client.types import Item, Options, Score

_last: dict[Options, tuple[tuple[Any, ...], Future[list[Score]]]] = {}
"""The last batch that each client was asked for, and its scores."""
_lock = threading.Lock()  # of `_last`, never held while the service is asked


@dataclass(frozen=True)
class RewardFunction:
    """A reward function in TRL's calling convention; picklable, named in TRL's logs by `__name__`."""

    options: Options
    component: str | None
    reference_column: str
    prior_column: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "__name__", self.component or "reward")

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        log_metric: Callable[[str, float], None] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        trainer_state: Any = None,
        **columns: Any,
    ) -> list[float | None]:
        """One value per completion, in order; None is skipped by TRL.

        Logs per component ``rr_<key>`` (mean over the values there are) and ``rr_valid`` (share with a reward).
        """
        if self.reference_column not in columns:
            raise ValueError(
                f"the dataset has no column '{self.reference_column}' (it has: {', '.join(sorted(columns))}); "
                "name the one with the reference reports: make_reward_fn(..., reference_column=...)"
            )
        priors = columns.get(self.prior_column) or [None] * len(completions)
        items = list(map(item, completions, columns[self.reference_column], priors))
        scores, fresh = _scores(self.options, step_of(trainer_state), items)
        if fresh:
            _log(scores, log_metric, log_extra)
        if self.component is None:
            return [score.reward for score in scores]
        if scores and self.component not in scores[0].components:
            raise ValueError(f"no component '{self.component}'; there are {', '.join(scores[0].components)}")
        return [score.components[self.component] for score in scores]


def _scores(chosen: Options, step: int | None, items: list[Item]) -> tuple[list[Score], bool]:
    """The scores, and whether they are the first of this batch. What failed or was null is asked for again."""
    key = (os.getpid(), step, items)  # the process, because nobody answers what was asked before a fork
    with _lock:
        known = _last.get(chosen)
        earlier = known[1] if known and known[0] == key else None
        if earlier and not _is_spent(earlier):
            asked: Future[list[Score]] | None = None
        else:
            asked = Future()
            _last[chosen] = (key, asked)
    if asked is None:
        assert earlier is not None
        return earlier.result(), False
    try:
        asked.set_result(client(chosen).score(items, step=step))
    except BaseException as error:
        asked.set_exception(error)
    return asked.result(), earlier is None or earlier.exception() is not None


def _is_spent(asked: Future[list[Score]]) -> bool:
    """Whether another answer may be a better one: it failed, or a score is missing."""
    if not asked.done():
        return False
    return asked.exception() is not None or any(
        score.reward is None or None in score.components.values() for score in asked.result()
    )


def make_reward_fn(
    url: str | None = None,
    *,
    component: str | None = None,
    reference_column: str = "reference",
    prior_column: str = "prior",
    **given: Any,
) -> RewardFunction:
    """The composite reward, or one raw component of it, as a TRL reward function.

    `given` are fields of `Options`; what is not given comes from ``REWARD_CLIENT_*``, now rather than at the call.
    """
    return RewardFunction(options(url=url, **given), component, reference_column, prior_column)


def _log(scores: list[Score], log_metric: Any, log_extra: Any) -> None:
    columns: dict[str, list[float | None]] = {"rr_valid": [float(score.reward is not None) for score in scores]}
    for key in scores[0].components if scores else ():
        columns[f"rr_{key}"] = [score.components.get(key) for score in scores]
    for name, values in columns.items():
        present = [value for value in values if value is not None]
        if log_metric and present:
            log_metric(name, sum(present) / len(present))
        if log_extra:
            log_extra(name, values)
