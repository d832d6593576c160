"""Profiles: which components make a reward, with what weights, transforms, guards, sections and policy."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from reward_service.errors import did_you_mean
from reward_service.text.guards import GuardSettings

RESERVED = ("adjustment", "candidate", "reference", "prior", "reward", "item")
ERROR_COUNTS = ("significant_errors", "errors")
"""Values that only a judge has: counts over its six categories."""
JUDGEMENT_VALUES = (*ERROR_COUNTS, "crimson")
"""All that is computed from a judgement when a profile names it; `crimson` is `judges.crimson.of_judgement`."""


class Strict(BaseModel):
    """What a file says: frozen, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Transform(Strict):
    """t(x), applied to a component's raw value before its weight.

    identity; affine: scale*x + shift; clip: to [low, high]; inverse_errors: 1/(x+1) and exp_errors:
    exp(-k*x), both of an error count; green and signed: the judge's value of that name as it is.
    """

    kind: Literal["identity", "affine", "clip", "inverse_errors", "exp_errors", "green", "signed"] = "identity"
    scale: float = 1.0
    shift: float = 0.0
    low: float = 0.0
    high: float = 1.0
    k: float = Field(1.0, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        """`signed`, or `{affine: {scale: 2}}`."""
        if isinstance(data, str):
            return {"kind": data}
        if isinstance(data, dict) and "kind" not in data and len(data) == 1:
            ((kind, parameters),) = data.items()
            return {"kind": kind, **parameters} if isinstance(parameters, dict) else data
        return data

    @model_validator(mode="after")
    def _only_its_own_parameters(self) -> Transform:
        allowed = {"affine": {"scale", "shift"}, "clip": {"low", "high"}, "exp_errors": {"k"}}.get(self.kind, set())
        stray = self.model_fields_set - allowed - {"kind"}
        if stray:
            raise ValueError(f"transform '{self.kind}' takes no {', '.join(sorted(stray))}")
        if self.low > self.high:
            raise ValueError("clip needs low <= high")
        return self

    def __call__(self, x: float) -> float:
        match self.kind:
            case "affine":
                return self.scale * x + self.shift
            case "clip":
                return min(self.high, max(self.low, x))
            case "inverse_errors":
                return 1.0 / (x + 1.0)
            case "exp_errors":
                return math.exp(-self.k * x)
            case _:
                return x

    @property
    def implied_value(self) -> str | None:
        """The judge value this transform is about."""
        if self.kind in ("green", "signed"):
            return self.kind
        return "significant_errors" if self.kind in ("inverse_errors", "exp_errors") else None


class Cap(Strict):
    """Limits a value to another component's raw value plus a margin: min(LLM, rules + margin)."""

    component: str
    margin: float = Field(0.0, ge=0)


def _yaml_null(value: Any) -> Any:
    """YAML reads a bare `null` as nothing; here it is the name of a policy."""
    return "null" if value is None else value


def _policy(value: str) -> str:
    if value in ("null", "fail") or value.startswith("substitute:"):
        return value
    raise ValueError("when_missing is null, fail or substitute:<component key>")


class ComponentSpec(Strict):
    """One component key of a profile."""

    component: str = ""
    """Registry name; the key itself when left out."""
    settings: dict[str, Any] = {}
    value: str | None = None
    """Which of the component's raw values is reported; its first by default."""
    weight: float
    transform: Transform = Transform()
    when_missing: Annotated[str, BeforeValidator(_yaml_null), AfterValidator(_policy)] = "null"
    cap: Cap | None = None

    @model_validator(mode="after")
    def _counts_for_transforms_of_counts(self) -> ComponentSpec:
        if self.transform.kind in ("inverse_errors", "exp_errors") and self.value not in (None, *ERROR_COUNTS):
            raise ValueError(f"transform '{self.transform.kind}' takes an error count: {' or '.join(ERROR_COUNTS)}")
        return self

    @property
    def substitute(self) -> str | None:
        """The component key that stands in, if the policy names one."""
        return self.when_missing.removeprefix("substitute:") if self.when_missing.startswith("substitute:") else None


class Sections(Strict):
    """Which part of a report is scored, and what happens when the reference lacks it."""

    scope: Literal["all", "findings", "impression"] = "all"
    when_reference_lacks: Annotated[Literal["null", "all"], BeforeValidator(_yaml_null)] = "null"


Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]


class Profile(Strict):
    """A validated profile file."""

    name: Name
    description: str
    components: dict[str, ComponentSpec] = Field(min_length=1)
    bias: float = 0.0
    bounds: tuple[Annotated[float, Field(ge=-4096, le=4096)], Annotated[float, Field(ge=-4096, le=4096)]]
    normaliser: Literal["standard", "none"] = "standard"
    sections: Sections = Sections()
    guards: GuardSettings = GuardSettings()

    @model_validator(mode="before")
    @classmethod
    def _defaults_from_the_key(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("components"), dict):
            filled = {}
            for key, spec in data["components"].items():
                spec = {"component": key, **spec} if isinstance(spec, dict) else spec
                if isinstance(spec, dict) and "value" not in spec and "transform" in spec:
                    spec["value"] = Transform.model_validate(spec["transform"]).implied_value
                filled[key] = spec
            data = {**data, "components": filled}
        return data

    @model_validator(mode="after")
    def _references_resolve(self) -> Profile:
        low, high = self.bounds
        if not low < high:
            raise ValueError("bounds need low < high")
        for key, spec in self.components.items():
            if key in RESERVED:
                raise ValueError(f"'{key}' is a reserved name and cannot be a component key")
            for other in (spec.substitute, spec.cap.component if spec.cap else None):
                if other is not None and (other == key or other not in self.components):
                    raise ValueError(
                        f"component '{key}' refers to '{other}'.{did_you_mean(other, set(self.components) - {key})}"
                    )
        if all(spec.weight == 0.0 for spec in self.components.values()):
            raise ValueError("at least one component needs a weight other than 0")
        return self
