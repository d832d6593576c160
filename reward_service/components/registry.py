"""The components that profiles can name: one row each. A new metric or judge is one file and one row.

Modules are imported when a component is built, so a profile without BERTScore never imports torch.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast, get_type_hints

from pydantic import TypeAdapter, ValidationError

from reward_service.contracts import AsyncJudge, ComponentError, PairMetric
from reward_service.errors import ConfigurationError, did_you_mean


@dataclass(frozen=True, slots=True)
class Row:
    """Where a component lives. `preset` fixes some of its settings."""

    target: str
    settings: str | None = None
    preset: Mapping[str, object] = field(default_factory=dict)
    asynchronous: bool = False
    judges: bool = False
    """It gives a judgement beside its values, so its errors can be counted."""
    extra: str | None = None
    hint: str = ""
    """Which deployment settings the component cannot do without."""


COMPONENTS: dict[str, Row] = {
    "bleu1": Row("metrics.bleu:Bleu1"),
    "bleu2": Row("metrics.bleu:Bleu2"),
    "bleu3": Row("metrics.bleu:Bleu3"),
    "bleu4": Row("metrics.bleu:Bleu4"),
    "rouge1": Row("metrics.rouge:Rouge", None, {"variant": "rouge1"}),
    "rouge2": Row("metrics.rouge:Rouge", None, {"variant": "rouge2"}),
    "rougeL": Row("metrics.rouge:Rouge", None, {"variant": "rougeL"}),
    "meteor": Row(
        "metrics.meteor:Meteor",
        hint=" The files come with Debian's package wordnet-base; where they lie elsewhere, set REWARD_WORDNET.",
    ),
    "bertscore": Row("metrics.bertscore:BertScore", extra="bertscore,offline"),
    "semb_score": Row("metrics.chexbert:CheXbert", extra="bertscore", hint=" Set REWARD_CHEXBERT_MODEL."),
    "radgraph_f1": Row("metrics.radgraph:RadGraphF1", extra="bertscore", hint=" Set REWARD_RADGRAPH_MODEL."),
    "rules": Row("judges.rules.judge:RulesJudge", "judges.rules.judge:Settings", judges=True),
    "vllm": Row(
        "judges.vllm.judge:VllmJudge",
        "judges.vllm.judge:VllmJudgeSettings",
        asynchronous=True,
        judges=True,
        hint=" Set REWARD_JUDGE_URLS, REWARD_JUDGE_MODEL and REWARD_JUDGE_REVISION.",
    ),
}


def row(name: str) -> Row:
    """The row of `name`. Raises `ConfigurationError` with a suggestion."""
    try:
        return COMPONENTS[name]
    except KeyError:
        raise ConfigurationError(
            f"There is no component '{name}'.{did_you_mean(name, COMPONENTS)}", code="unknown_component"
        ) from None


def component_class(name: str) -> Any:
    """The class of a component, which need not be built for what all its instances share."""
    entry = row(name)
    return _load(entry.target, name, entry)


def build(name: str, settings: Mapping[str, object], **wiring: object) -> PairMetric | AsyncJudge:
    """Construct a component; `wiring` goes to its constructor as it is.

    Raises `ConfigurationError` that names the wrong setting or the missing extra.
    """
    entry = row(name)
    wanted = {**settings, **entry.preset}
    cls = _load(entry.target, name, entry)
    parameters = list(inspect.signature(cls).parameters.values())
    # Either one frozen settings dataclass, or plain keyword arguments.
    settings_class = _load(entry.settings, name, entry) if entry.settings else None
    known = [f.name for f in dataclasses.fields(settings_class)] if settings_class else [p.name for p in parameters]
    for key in wanted:
        if key not in known:
            raise ConfigurationError(f"Component '{name}' has no setting '{key}'.{did_you_mean(key, known)}", param=key)
    try:
        if settings_class:
            make = partial(cls, TypeAdapter(settings_class).validate_python(wanted))
        else:
            hints = get_type_hints(cls.__init__)
            make = partial(cls, **{k: TypeAdapter(hints[k]).validate_python(v) for k, v in wanted.items()})
    except (ValidationError, ValueError) as error:
        raise ConfigurationError(f"Settings of component '{name}': {_reason(error)}.{entry.hint}") from None
    try:
        return cast("PairMetric | AsyncJudge", make(**wiring))
    except (ConfigurationError, ComponentError):
        raise
    except Exception as error:
        message = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
        code = getattr(error, "code", None)
        hint = f".{entry.hint}" if code == "model_unavailable" and entry.hint else ""
        raise ConfigurationError(
            f"Component '{name}' cannot be built: {message}{hint}", code=code if isinstance(code, str) else None
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(": ".join([*map(str, e["loc"]), e["msg"]]) for e in error.errors())
    return str(error)


def _load(target: str, name: str, entry: Row) -> Any:
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        extra = f" Install it with: pip install 'reward-service[{entry.extra}]'." if entry.extra else ""
        raise ConfigurationError(f"Component '{name}' needs '{error.name}'.{extra}", code="missing_extra") from error
