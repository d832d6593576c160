"""The wire contract of `POST /score`: what is accepted and what is answered.

Requests are validated strictly (no coercion, unknown fields refused). Answers are built as plain
dictionaries for speed; the response models below document them in the OpenAPI schema and are checked
against real answers in the tests.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, FailFast, Field, JsonValue, model_validator

Id = Annotated[str, Field(max_length=256)]
Step = Annotated[
    int,
    Field(ge=0, le=2**53),
    BeforeValidator(lambda n: int(n) if isinstance(n, float) and n.is_integer() else n),  # JSON's 12.0 is an integer
]
Detail = Literal["reward", "components", "full"]


def _nameable(run_id: str) -> str:
    """A run is asked for by its name in a path, where browsers take dots for folders and line breaks are none."""
    if not run_id.strip(".") or any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in run_id):
        raise ValueError(
            "a run's id needs a character that is no dot, and must have no control characters such as line breaks"
        )
    return run_id


RunId = Annotated[
    str,
    Field(
        max_length=256,
        json_schema_extra={"pattern": "[^.]", "not": {"pattern": r"[\u0000-\u001F\u007F-\u009F\u2028\u2029]"}},
    ),
    AfterValidator(_nameable),
]


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
    candidates: Annotated[list[str], FailFast()] = Field(
        description="generated reports, in an order that the answer keeps"
    )
    prior: str | None = Field(None, description="earlier report of the same patient, for all candidates")


EXAMPLE: dict[str, JsonValue] = {
    "items": [
        {
            "id": "a",
            "candidate": "Small right pleural effusion. No pneumothorax.",
            "reference": "There is a small left pleural effusion. No pneumothorax is seen.",
        }
    ],
    "groups": [
        {
            "id": "study-1",
            "reference": "The heart is mildly enlarged. No effusion.",
            "candidates": ["Mild cardiomegaly. No effusion.", "Normal heart size. No effusion."],
        }
    ],
    "detail": "components",
}
"""A request as `/docs` offers it to be sent."""


class ScoreRequest(_Strict):
    """Give `items`, `groups` or both."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [{"required": ["items"]}, {"required": ["groups"]}],
            "examples": [EXAMPLE],
        }
    )

    profile: Id | None = Field(None, description="an enabled profile; the service's default when left out")
    fingerprint: str | dict[str, JsonValue] | None = Field(
        None,
        description="pin: the fingerprint, or its whole document from /v1/fingerprint; another one served is a 409",
    )
    # Else a million wrong entries would be a million errors, each an object.
    items: Annotated[list[ScoreItem], FailFast()] = Field(default=[], description="pairs, each by itself")
    groups: Annotated[list[ScoreGroup], FailFast()] = Field(default=[], description="rollouts by study")
    detail: Detail = Field("components", description="reward: numbers only; full: also judgement and evidence")
    timeout_s: float | None = Field(
        None, gt=0, le=3600, allow_inf_nan=False, description="seconds until what is not scored yet becomes null"
    )
    run_id: RunId | None = Field(None, description="of the training run; echoed, logged, and counted in /v1/runs")
    step: Step | None = Field(
        None, description="training step, echoed and logged; chooses the stage where the profile is a schedule"
    )

    @model_validator(mode="after")
    def _something_to_score(self) -> ScoreRequest:
        if not self.model_fields_set & {"items", "groups"}:
            raise ValueError("give 'items' or 'groups' (an empty list is fine)")
        return self


class Missing(BaseModel):
    code: str = Field(description="machine word for the reason")
    message: str = Field(description="the reason in a sentence, without report text")
    retryable: bool = Field(description="whether another try may bring the score")


class EvidenceOut(BaseModel):
    kind: str = Field(description="`matched`, `deduction` (costs something, is no error) or the category of an error")
    finding: str = Field(description="concept or statement id, e.g. pleural_effusion; never report text")
    significant: bool = Field(description="whether the error is clinically significant")
    candidate: tuple[int, int] | None = Field(description="character offsets into the candidate as sent")
    reference: tuple[int, int] | None = Field(description="character offsets into the reference as sent")
    detail: str = Field(description="what differs, e.g. right/left; may be empty")
    cost: float = Field(description="share of what the reference is worth that it costs; all add up to 1 - `signed`")
    side: str = Field(description="left, right or bilateral if the finding has one; else empty")


class JudgementOut(BaseModel):
    significant: dict[str, float] = Field(description="clinically significant errors by category, all six")
    insignificant: dict[str, float] = Field(description="the other errors by category, all six")
    matched_findings: float = Field(description="findings of the reference that the candidate has")
    scores: dict[str, float] = Field(description="what the judge makes of its counts, by name")
    evidence: list[EvidenceOut] = Field(
        description="every error, deduction and matched finding with its place in both texts and its cost"
    )
    details: dict[str, JsonValue] = Field(description="what the judge adds for the record; depends on the judge")


class ItemResult(BaseModel):
    """One item. `reward` is null exactly when `status` is null, and then `missing` says why."""

    id: str | None = Field(description="as in the request; members of a group have `group id/position`")
    reward: float | None = Field(description="the number to train on, or null")
    status: Literal["ok", "degraded", "null"] = Field(
        description="degraded: a declared substitute was used; null: there is no reward"
    )
    components: dict[str, float | None] | None = Field(None, description="raw values; absent with detail=reward")
    contributions: dict[str, float] | None = Field(None, description="sum to the reward exactly")
    values: dict[str, dict[str, float]] | None = Field(
        None, description="detail=full: every raw value of every component, by component key"
    )
    judgement: JudgementOut | None = Field(None, description="detail=full: of the first component that judges")
    reason: str | None = Field(
        None,
        description="detail=full: one sentence on what the judge takes points for, and on what else cuts the reward",
    )
    missing: dict[str, Missing] = Field(description="by component: why it has no score; `item`: why the item has none")
    flags: list[str] = Field(description="what guards, metrics and judges noticed; see docs/guards.md")
    cache: Literal["hit", "partial", "miss", "none"] = Field(
        description="how many of the scores were stored: all, some, none; `none` where nothing was scored"
    )
    reference_index: int | None = Field(None, description="which of `references` it is paid for, where they were given")


class GroupResult(BaseModel):
    id: str | None = Field(description="as in the request")
    results: list[ItemResult] = Field(description="one entry per candidate, in order")
    mean: float | None = Field(description="over rewards that are not null")
    std: float | None = Field(description="population standard deviation over rewards that are not null")
    zero_advantage: bool = Field(description="fewer than two distinct rewards: the group teaches nothing")


class Timing(BaseModel):
    total: float = Field(description="milliseconds from arrival to answer")
    queue: float = Field(description="milliseconds until the pairs were admitted")
    components: dict[str, float] = Field(description="milliseconds by component that was computed")


class StageOut(BaseModel):
    """The profile of the schedule's stage that pays at the request's step."""

    profile: str = Field(description="name of the stage's profile")
    fingerprint: str = Field(description="of the stage's profile")
    signature: str = Field(description="the stage's profile in one readable line")


class Accepted(BaseModel):
    served: str = Field(description="the fingerprint of what is served, whichever was pinned")
    fingerprints: list[str] = Field(description="older ones that the operator lets stand for it")


class ScoreResponse(BaseModel):
    profile: str = Field(description="what scored: the one that was asked for, or the default")
    fingerprint: str = Field(description="of what is served; or the older one that was pinned, if that is accepted")
    signature: str = Field(description="the profile in one readable line")
    accepted: Accepted | None = Field(None, description="where the operator accepts older fingerprints")
    results: list[ItemResult] = Field(description="one entry per item, in order")
    groups: list[GroupResult] = Field(description="one entry per group, in order")
    stage: StageOut | None = Field(None, description="where the profile is a schedule")
    run_id: str | None = Field(None, description="as in the request")
    step: int | None = Field(None, description="as in the request")
    timing_ms: Timing = Field(description="where the time went")


class ScheduledStage(BaseModel):
    until_step: int | None = Field(description="it pays for the steps below this one; null in the last stage")
    profile: str = Field(description="name of the stage's profile")
    fingerprint: str = Field(description="of the stage's profile")


class FingerprintResponse(BaseModel):
    profile: str = Field(description="name of the profile or schedule")
    fingerprint: str = Field(description="what a trainer pins")
    signature: str = Field(description="the profile in one readable line")
    accepted: list[str] = Field([], description="older fingerprints that may be pinned as well")
    stages: list[ScheduledStage] | None = Field(None, description="where the profile is a schedule")
    document: dict[str, JsonValue] = Field(description="what `fingerprint` is the hash of; it can be pinned whole")


class Health(BaseModel):
    status: Literal["alive"] = Field(description="always the same while the event loop turns")


class Readiness(BaseModel):
    ready: bool = Field(description="whether requests can be scored here")
    degraded: dict[str, str] = Field(description="components that are down, and why")
    asleep: bool = Field(False, description="whether the models have released their memory")
    problem: str | None = Field(None, description="why starting failed")


class Info(BaseModel):
    model_config = ConfigDict(extra="allow")

    service: str = Field(description="name of this software")
    version: str = Field(description="of this software")
    default_profile: str = Field(description="what scores a request that names no profile")
    profiles: dict[str, JsonValue] = Field(description="enabled profiles: fingerprint, bounds, components with weight")
    shadows: list[dict[str, JsonValue]] = Field(
        description="scored beside a profile that pays, and what keeps them from it"
    )
    shipped_profiles: dict[str, str] = Field(description="enabled, not enabled, or why it is unavailable")
    limits: dict[str, float] = Field(description="what one request and all requests together may ask for")
    readiness: Readiness = Field(description="as `/ready` answers")


class ErrorBody(BaseModel):
    code: str = Field(description="machine word for what is wrong")
    message: str = Field(description="what is wrong, and how to mend it; without report text")
    param: str | None = Field(description="path of the field, e.g. items[3].candidate")
    request_id: str = Field(description="as in the header X-Request-Id and in the log")
    retryable: bool = Field(description="whether the same request may succeed later")
    details: dict[str, JsonValue] = Field({}, description="what else is known, by code")


class ErrorEnvelope(BaseModel):
    error: ErrorBody = Field(description="the one shape of every error")


class AlarmOut(BaseModel):
    code: str = Field(description="machine word, e.g. spread_collapsing")
    message: str = Field(description="how bad it is, of how many candidates, and since which step")
    since: int | None = Field(description="the step; null where the last few steps alone do not show it")
    digest: str | None = Field(description="`candidate_digest` of the text that it is about")


class RunSummaryOut(BaseModel):
    run_id: str = Field(description="as in the requests")
    steps: int = Field(description="how many steps are kept")
    updated_at: float = Field(description="when it was last written to, in seconds since 1970")
    alarms: list[AlarmOut] | None = Field(description="the worst first; null: not looked at yet, ask again")


class Runs(BaseModel):
    runs: list[RunSummaryOut] = Field(description="the latest first")
    texts_kept: int = Field(description="items of each step that are kept with their texts")


class SampleOut(BaseModel):
    digest: str = Field(description="of the pair; which items are kept is decided by it")
    count: int = Field(description="how many items of the step are this pair")
    candidate_digest: str = Field(description="of the candidate alone, as an alarm has it")
    copies: int | None = Field(description="how many candidates of the step are this text; null if few")
    candidate: str = Field(description="as it was sent")
    reference: str = Field(description="as it was sent")
    prior: str | None = Field(description="as it was sent")
    result: dict[str, JsonValue] = Field(description="as in an answer at detail full")


class Samples(BaseModel):
    run_id: str = Field(description="as in the requests")
    step: int = Field(description="that was asked for, or the latest; -1: items that named none")
    steps: list[int] = Field(description="all that have such samples, ascending")
    items: int = Field(description="all items of the step")
    samples: list[SampleOut] = Field(description="by digest")


class Moments(BaseModel):
    mean: float | None = Field(description="null where there is no value")
    std: float | None = Field(description="population standard deviation")
    quantiles: list[float] = Field(description="5, 25, 50, 75 and 95 %, to a bin of 0.02; empty without values")


class RewardMoments(Moments):
    histogram: list[tuple[float, int]] = Field(description="lower end of a bin 0.02 wide, and its count")


class LatencyOut(BaseModel):
    median: float | None = Field(description="milliseconds of a request")
    q95: float | None = Field(description="95 % of the requests are quicker")


class ShadowPoint(BaseModel):
    mean_difference: float = Field(description="shadow reward less paid reward")
    correlation: float | None = Field(description="Pearson's, over pairs; null where a side is constant")


class RunPoint(BaseModel):
    """A step, or adjacent steps joined."""

    step: int = Field(description="the last step in it")
    steps: tuple[int, int] = Field(description="the first and the last step in it")
    items: int = Field(description="candidates scored")
    null: float = Field(description="share of the candidates without a reward")
    degraded: float = Field(description="share of the candidates with a substitute")
    profiles: dict[str, int] = Field(description="candidates by the profile that paid")
    missing: dict[str, int] = Field(description="candidates by `component: code` of what they lack")
    reward: RewardMoments = Field(description="rewards that are not null")
    components: dict[str, Moments] = Field(description="raw values by component")
    flags: dict[str, float] = Field(description="share of the candidates by flag")
    characters: float = Field(description="mean length of a candidate")
    group_std: float | None = Field(description="mean standard deviation within groups; null without groups")
    zero_advantage: float | None = Field(description="share of the groups whose rewards are all equal")
    latency_ms: LatencyOut = Field(description="of whole requests")
    shadows: dict[str, ShadowPoint] = Field(description="by shadow profile")


class Run(BaseModel):
    run_id: str = Field(description="as in the requests")
    alarms: list[AlarmOut] = Field(description="what the last steps, beside the first, give cause for; the worst first")
    points: list[RunPoint] = Field(description="by step, ascending")
    without_step: RunPoint | None = Field(description="all requests that named no step, as one point of step -1")


class DeletedRun(BaseModel):
    deleted: str = Field(description="the run of which nothing is kept any more")


class JobFailure(BaseModel):
    status: int = Field(description="what `/score` would have answered with")
    error: ErrorBody = Field(description="as in every error's envelope")


class JobOut(BaseModel):
    id: str = Field(description="to ask for it by")
    state: Literal["pending", "done", "failed"] = Field(description="a pending job has neither answer nor failure")
    answer: ScoreResponse | None = Field(None, description="as of `/score`; with state done only")
    failure: JobFailure | None = Field(None, description="why there is no answer; with state failed only")


class DeletedJob(BaseModel):
    deleted: str = Field(description="the job of which nothing is kept any more")
