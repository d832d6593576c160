"""TRL (GRPO, RLOO): ``reward_funcs=[make_reward_fn("http://...")]``, whole batches, None where there is no reward.

Several functions with the same settings (the reward and some components) share one request per step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from reward_client.trainers._shared import client, item, options, step_of
from reward_client.types import Item, Options, Score

_last: dict[Options, tuple[tuple[Any, list[Item]], list[Score]]] = {}
_lock = threading.Lock()


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
        step = step_of(trainer_state)
        key = (step, items)
        with _lock:
            known = _last.get(self.options)
            if known is None or known[0] != key:
                known = (key, client(self.options).score(items, step=step))
                _last[self.options] = known
                _log(known[1], log_metric, log_extra)
        scores = known[1]
        if self.component is None:
            return [score.reward for score in scores]
        if scores and self.component not in scores[0].components:
            raise ValueError(f"no component '{self.component}'; there are {', '.join(scores[0].components)}")
        return [score.components[self.component] for score in scores]


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
