"""Settings of the LLM judge, each with the reason for it.

They fall in two parts: what determines a judgement, which goes into the manifest and so into the fingerprint, and
how the servers are reached, which must not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Variant = Literal["findings", "chexprompt"]
Form = Literal["json", "statements", "green"]
Prefill = Literal["none", "equal", "rules"]
Examination = Literal["chest X-ray", "any"]

_OURS: Final = {
    "model",
    "messages",
    "response_format",
    "temperature",
    "top_p",
    "seed",
    "max_tokens",
    "n",
    "stream",
    "logprobs",
    "top_logprobs",
}


@dataclass(frozen=True, slots=True)
class VllmJudgeSettings:
    """How to reach the judge's servers, and which judgement to ask of them."""

    # What determines a judgement.
    model: str
    """Served model name. Mandatory: a default would judge with whatever a server happens to hold."""
    revision: str
    """Commit or digest of the weights. Mandatory: a server cannot be asked, and another revision is another judge."""
    variant: Variant = "findings"
    """`findings`: matched findings and errors, as GREEN does; `chexprompt`: the twelve error counts of CheXprompt."""
    protocol: Form = "json"
    """`json`: one answer that names the statements of a pair; `statements`: one letter for each statement, read by its
    probability. It needs a `calibration`, and takes no votes: its values are graded already. `green`: the prompt and
    the answers of GREEN's own model; it needs a `prompt`, and takes no votes."""
    calibration: str = ""
    """File that `reward-service judge-calibrate` has written for this model, or the name of a shipped one."""
    prompt: str = ""
    """Of protocol `green`: a file with GREEN's prompt, `{reference}` and `{candidate}` standing for the reports."""
    examination: Examination = "chest X-ray"
    """Of protocol `json`: what the instructions say that the reports are about; `any`: radiology reports."""
    prefill: Prefill = "equal"
    """Of protocol `statements`: which statements are matched without being asked about: those that are `equal` in both
    reports but for capitals and punctuation, or also those that the rules judge reads alike."""
    votes: int = 1
    """Verdicts averaged per pair. 1 is greedy, for training; 3 for evaluation, where the spread is worth its price."""
    vote_temperature: float = 0.7
    """Sampling temperature when `votes` > 1; identical greedy votes would say nothing."""
    significant_only: bool = False
    """Whether `inverse_errors` counts significant errors only; the paper that uses it does not say."""
    extra_body: Mapping[str, object] = field(default_factory=dict)
    """Fields added to every request, e.g. `{"chat_template_kwargs": {"enable_thinking": False}}`."""

    # How the servers are reached.
    base_urls: tuple[str, ...] = ("http://127.0.0.1:8000/v1",)
    """OpenAI-compatible servers that hold the same model; a reference sticks to one of them for its prefix cache."""
    api_key: str | None = field(default=None, repr=False)
    concurrency: int = 64
    """Most requests in flight per server; lowered when it answers 429 or 503, raised again afterwards."""
    attempt_timeout_s: float = 60.0
    """Longest wait for one answer, the time in our own queue not included."""
    connect_timeout_s: float = 5.0
    tokens_a_day: int = 0
    """Most tokens, prompt and completion, that this process asks for in a day (UTC); 0: as many as it takes."""
    attempts: int = 5
    """Tries per request over all servers, as far as the deadline allows."""
    breaker_failures: int = 5
    """Consecutive failures after which a server is left alone until it passes its self-test again."""
    probe_wait_s: tuple[float, float] = (0.5, 30.0)
    """First and longest pause between self-tests of a server that is down."""
    max_statements: int = 60
    """Most statements per report: the schema enumerates them, and its grammar is compiled for each request."""
    canary_interval_s: float = 600.0
    """Pause between canary runs; 0 turns canaries off, at start-up too."""
    require_canaries: bool = False
    """Whether a server that gets the canaries wrong keeps the judge from being ready."""

    def __post_init__(self) -> None:
        for name in ("model", "revision"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} must be set: it is part of the judge's identity")
        if not self.base_urls or not all(url.startswith(("http://", "https://")) for url in self.base_urls):
            raise ValueError("base_urls must name at least one server, by http:// or https://")
        if self.protocol == "statements" and not self.calibration:
            raise ValueError("protocol 'statements' needs a calibration: reward-service judge-calibrate writes it")
        if self.protocol == "green" and not self.prompt:
            raise ValueError("protocol 'green' needs a prompt: a file with the text of green-score's make_prompt")
        if self.protocol != "json" and self.votes != 1:
            raise ValueError(f"protocol '{self.protocol}' takes no votes: leave votes at 1")
        if taken := _OURS & self.extra_body.keys():
            raise ValueError(f"extra_body must not set {', '.join(sorted(taken))}: the judge does")
        if self.tokens_a_day < 0:
            raise ValueError("tokens_a_day must be at least 0")
        if min(self.votes, self.concurrency, self.attempts, self.breaker_failures, self.max_statements) < 1:
            raise ValueError("votes, concurrency, attempts, breaker_failures and max_statements must be at least 1")
