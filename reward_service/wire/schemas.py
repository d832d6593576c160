"""The wire contract of `POST /score`: what is accepted and what is answered.

Requests are validated strictly (no coercion, unknown fields refused). Answers are built as plain
dictionaries for speed; the response models below document them in the OpenAPI schema and are checked
against real answers in the tests.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, JsonValue, model_validator

Id = Annotated[str, Field(max_length=256)]
Step = Annotated[
    int,
    Field(ge=0, le=2**53),
    BeforeValidator(lambda n: int(n) if isinstance(n, float) and n.is_integer() else n),  # JSON's 12.0 is an integer
]
Detail = Literal["reward", "components", "full"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


def _one_or_several(schema: dict[str, JsonValue]) -> None:
    """The schema of what `_Referenced` accepts: `reference` or `references`."""
    required = schema["required"]
    assert isinstance(required, list)
    required.remove("reference")
    schema["oneOf"] = [{"required": ["reference"]}, {"required": ["references"]}]


class _Referenced(_Strict):
    """Has a reference, or several of which the best one is paid."""

    model_config = ConfigDict(json_schema_extra=_one_or_several)

    reference: str = Field(description="reference report; an empty one makes this item null")
    references: Annotated[list[str], Field(min_length=1), FailFast()] = Field(
        default=[], description="several: a pair is scored for each, and the one with the highest reward is paid"
    )

    @model_validator(mode="before")
    @classmethod
    def _first_of_several(cls, data: object) -> object:
        if not isinstance(data, dict) or "references" not in data:
            return data
        if "reference" in data:
            raise ValueError("give 'reference' or 'references', not both")
        return {**data, "reference": ""}


class ScoreItem(_Referenced):
    """One candidate report with the reference it is scored against."""

    id: Id | None = Field(None, description="echoed; must be unique in the request")
    candidate: str = Field(description="generated report; empty is valid and scores the profile's floor")
    prior: str | None = Field(None, description="earlier report of the same patient, for comparison findings")


class ScoreGroup(_Referenced):
    """Rollouts of one study: many candidates, one reference."""

    id: Id | None = Field(None, description="echoed; must be unique in the request")
    candidates: Annotated[list[str], FailFast()]
    prior: str | None = None


class ScoreRequest(_Strict):
    """Give `items`, `groups` or both."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["items"]}, {"required": ["groups"]}]})

    profile: Id | None = Field(None, description="an enabled profile; the service's default when left out")
    fingerprint: str | dict[str, JsonValue] | None = Field(
        None,
        description="pin: the fingerprint, or its whole document from /v1/fingerprint; another one served is a 409",
    )
    # Else a million wrong entries would be a million errors, each an object.
    items: Annotated[list[ScoreItem], FailFast()] = []
    groups: Annotated[list[ScoreGroup], FailFast()] = []
    detail: Detail = Field("components", description="reward: numbers only; full: also judgement and evidence")
    timeout_s: float | None = Field(None, gt=0, le=3600, allow_inf_nan=False)
    run_id: Annotated[str, Field(max_length=256)] | None = Field(None, description="echoed and logged")
    step: Step | None = Field(
        None, description="training step, echoed and logged; chooses the stage where the profile is a schedule"
    )

    @model_validator(mode="after")
    def _something_to_score(self) -> ScoreRequest:
        if not self.model_fields_set & {"items", "groups"}:
            raise ValueError("give 'items' or 'groups' (an empty list is fine)")
        return self


class Missing(BaseModel):
    code: str
    message: str
    retryable: bool


class EvidenceOut(BaseModel):
    kind: str
    finding: str
    significant: bool
    candidate: tuple[int, int] | None = Field(description="character offsets into the candidate as sent")
    reference: tuple[int, int] | None = Field(description="character offsets into the reference as sent")
    detail: str


class JudgementOut(BaseModel):
    significant: dict[str, float]
    insignificant: dict[str, float]
    matched_findings: float
    scores: dict[str, float]
    evidence: list[EvidenceOut]
    details: dict[str, JsonValue]


class ItemResult(BaseModel):
    """One item. `reward` is null exactly when `status` is null, and then `missing` says why."""

    id: str | None
    reward: float | None
    status: Literal["ok", "degraded", "null"]
    components: dict[str, float | None] | None = Field(None, description="raw values; absent with detail=reward")
    contributions: dict[str, float] | None = Field(None, description="sum to the reward exactly")
    values: dict[str, dict[str, float]] | None = Field(
        None, description="detail=full: every raw value of every component, by component key"
    )
    judgement: JudgementOut | None = Field(None, description="detail=full: of the first component that judges")
    missing: dict[str, Missing]
    flags: list[str]
    cache: Literal["hit", "partial", "miss", "none"]
    reference_index: int | None = Field(None, description="which of `references` it is paid for, where they were given")


class GroupResult(BaseModel):
    id: str | None
    results: list[ItemResult]
    mean: float | None = Field(description="over rewards that are not null")
    std: float | None = Field(description="population standard deviation over rewards that are not null")
    zero_advantage: bool = Field(description="fewer than two distinct rewards: the group teaches nothing")


class Timing(BaseModel):
    total: float
    queue: float
    components: dict[str, float]


class StageOut(BaseModel):
    """The profile of the schedule's stage that pays at the request's step."""

    profile: str
    fingerprint: str
    signature: str


class Accepted(BaseModel):
    served: str = Field(description="the fingerprint of what is served, whichever was pinned")
    fingerprints: list[str] = Field(description="older ones that the operator lets stand for it")


class ScoreResponse(BaseModel):
    profile: str
    fingerprint: str = Field(description="of what is served; or the older one that was pinned, if that is accepted")
    signature: str
    accepted: Accepted | None = Field(None, description="where the operator accepts older fingerprints")
    results: list[ItemResult]
    groups: list[GroupResult]
    stage: StageOut | None = Field(None, description="where the profile is a schedule")
    run_id: str | None = None
    step: int | None = None
    timing_ms: Timing


class ScheduledStage(BaseModel):
    until_step: int | None = Field(description="it pays for the steps below this one; null in the last stage")
    profile: str
    fingerprint: str


class FingerprintResponse(BaseModel):
    profile: str
    fingerprint: str
    signature: str
    accepted: list[str] = Field([], description="older fingerprints that may be pinned as well")
    stages: list[ScheduledStage] | None = Field(None, description="where the profile is a schedule")
    document: dict[str, JsonValue] = Field(description="what `fingerprint` is the hash of; it can be pinned whole")


class Health(BaseModel):
    status: Literal["alive"]


class Readiness(BaseModel):
    ready: bool
    degraded: dict[str, str] = Field(description="components that are down, and why")
    problem: str | None = Field(None, description="why starting failed")


class Info(BaseModel):
    model_config = ConfigDict(extra="allow")

    service: str
    version: str
    default_profile: str
    profiles: dict[str, JsonValue]
    shadows: list[dict[str, JsonValue]] = Field(
        description="scored beside a profile that pays, and what keeps them from it"
    )
    shipped_profiles: dict[str, str] = Field(description="enabled, not enabled, or why it is unavailable")
    limits: dict[str, float]
    readiness: Readiness


class ErrorBody(BaseModel):
    code: str
    message: str
    param: str | None
    request_id: str
    retryable: bool
    details: dict[str, JsonValue] = {}


class ErrorEnvelope(BaseModel):
    error: ErrorBody
