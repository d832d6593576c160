"""What the adapters have in common: one client per process, texts out of whatever a trainer passes, flat numbers back.

Trainers differ in what they accept for a missing reward; `numbers` is for those that take numbers only.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from reward_client.client import AsyncRewardClient, RewardClient
from reward_client.errors import MissingScore
from reward_client.types import Item, Options, Score

# Rewards come one sample at a time from most trainers, so more connections than for large requests.
_CONCURRENCY = 64


def options(**given: Any) -> Options:
    """Options for an adapter; what is not given comes from ``REWARD_CLIENT_*``."""
    return Options.from_env(**{"concurrency": _CONCURRENCY, **given})


def client(chosen: Options) -> RewardClient:
    """This process's client for these options."""
    return _client(os.getpid(), chosen)


def async_client(chosen: Options) -> AsyncRewardClient:
    """Like `client`, asynchronous; it keeps a pool for each running event loop."""
    return _async_client(os.getpid(), chosen)


# The process id is part of the key: connections must not be used on both sides of a fork.
@functools.lru_cache(maxsize=32)
def _client(pid: int, chosen: Options) -> RewardClient:
    return RewardClient(chosen)


@functools.lru_cache(maxsize=32)
def _async_client(pid: int, chosen: Options) -> AsyncRewardClient:
    return AsyncRewardClient(chosen)


def text(value: Any) -> str:
    """A str from a str, a numpy string or a chat (the content of its last message; text parts are joined).

    Raises `TypeError` for anything else, without repeating the value.
    """
    if isinstance(value, str):
        return str(value)
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return text(value.tolist())
    if isinstance(value, list | tuple) and value and isinstance(value[-1], Mapping):
        content = value[-1].get("content")
        if isinstance(content, list | tuple):
            content = "".join(part.get("text", "") for part in content if isinstance(part, Mapping))
        return text(content)
    raise TypeError(f"expected report text or chat messages, got {type(value).__name__}")


# The service's trainer routes have the same rule (`reward_service.trainers.labels`); a test holds both to one table.
_STRUCTURE = re.compile(
    r"""(?:```\w*\s*)?["']?\s*(?:\{|[\[(]\s*["'{\[(\])])"""
)  # object or list, also quoted or fenced
_VISIBLE = re.compile(r"[!-~]|[^\W_]")
_WORD = re.compile(r"[\W_]*([^\W\d_]+(?:['’/,;:-]+[^\W\d_]+)*)[\W_]*")
_NO_VALUE = frozenset(
    ("n/a", "na", "nan", "nat", "nil", "none", "null", "undefined", "true", "false", "inf", "infinity")
)


def _without_margin(label: str) -> str:
    """The text from its first visible character on; JSON needs no more."""
    first = _VISIBLE.search(label)
    return label[first.start() :].rstrip() if first else ""


def _is_report(text: str) -> bool:
    """Whether a text can be a report, and not the name of a study or the printed form of other data.

    That takes two words of letters alone, or one where no digit is ("Normal."). What stands for a missing value is no
    word. A text with no letter and no digit, as "___", may be a report with nothing left in it.
    """
    if _STRUCTURE.match(text):
        return False
    found = filter(None, map(_WORD.fullmatch, text.split()))
    words = (word for word in found if word[1].lower() not in _NO_VALUE)
    number = len(tuple(itertools.islice(words, 2)))
    if number == 2:
        return True
    return not any(map(str.isdigit if number else str.isalnum, text))


def _json_string(text: str) -> str:
    """The text that a JSON string holds, as `json.dumps` makes it of a text; any other text as it is."""
    stripped = text.strip()
    if not (stripped.startswith('"') and stripped.endswith('"')):
        return text
    try:
        value = json.loads(stripped)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str) else text


def _label_object(label: str) -> Any:
    """The JSON object that a label's text holds, or the text. Raises `ValueError` if it is neither words nor one."""
    held = _without_margin(label)
    if _is_report(held):
        return _json_string(label)
    try:
        parsed = json.loads(held)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise ValueError(
            "the label is neither a report in words nor a JSON object; send a report of this kind as 'reference' of an "
            "object"
        )
    return parsed


def item(candidate: Any, label: Any, prior: Any = None) -> Item:
    """An item from a completion and a label: the reference text, or JSON (text or mapping) with `reference`, `prior`.

    The candidate is the completion's `report`. Raises `ValueError` for a label that names no reference, or is
    neither words nor an object.
    """
    if hasattr(label, "tolist"):
        label = label.tolist()
    if isinstance(label, str):
        label = _label_object(label)
    if isinstance(label, Mapping):
        prior = label.get("prior") if prior is None else prior
        label = label.get("reference")
    if label is None:
        raise ValueError("no reference report: the label must be its text, or an object with the field 'reference'")
    return Item(report(text(candidate)), text(label), None if prior is None else text(prior))


ENDS = ("<s>", "</s>", "<eos>", "<pad>", "<end_of_turn>", "[PAD]")
_TOKEN_AT_END = re.compile(rf"(?:<\|[^|<>]{{1,40}}\|>|{'|'.join(map(re.escape, ENDS))})\Z")
_THINKING = re.compile(r".*?</think>\s*", re.DOTALL)  # some templates put the opening tag into the prompt


def report(completion: str) -> str:
    """A decoded completion without end-of-sequence markup, padding and a closed think block."""
    end = len(completion.rstrip())
    while token := _TOKEN_AT_END.search(completion, max(0, end - 48), end):
        end = len(completion[: token.start()].rstrip())
    text = completion[:end]
    thinking = _THINKING.match(text)
    return text[thinking.end() :] if thinking else text


def step_of(trainer_state: Any) -> int | None:
    """The training step of a `transformers.TrainerState`; None where a trainer gives none."""
    step = getattr(trainer_state, "global_step", None)
    return None if step is None else int(step)


def missing_value(given: float | str | None) -> float | None:
    """The declared substitute for a missing reward: the argument, else ``REWARD_CLIENT_MISSING``; None for none."""
    value = os.environ.get("REWARD_CLIENT_MISSING") if given is None else given
    return None if value in (None, "", "error") else float(value)


def numbers(score: Score, missing: float | None) -> tuple[float, dict[str, float]]:
    """The reward and flat floats for a trainer that takes numbers only; the keys are the same for every sample.

    ``rr_valid`` is 0 when the reward is the declared substitute. A component without a value is 0 with
    ``rr_<key>_valid`` 0. Raises `MissingScore` when the reward is missing and no substitute was declared.
    """
    reward = score.reward
    if reward is None:
        if missing is None:
            raise MissingScore(score.id, ", ".join(f"{k}: {m.code}" for k, m in score.missing.items()) or "no reason")
        reward = missing
    logs = {"rr_valid": float(score.reward is not None)}
    for key, value in score.components.items():
        logs[f"rr_{key}"] = 0.0 if value is None else value
        logs[f"rr_{key}_valid"] = float(value is not None)
    return reward, logs
