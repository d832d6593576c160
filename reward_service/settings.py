"""Every setting of the service, documented once: `--help`, the README's table and `/info` come from here.

Each field is the environment variable ``REWARD_<NAME>`` and the flag ``--<name>`` of ``serve``. Nothing
here changes a reward unless its description says so; those that do are part of the fingerprint.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Names = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """Deployment settings. Lists are comma-separated in the environment."""

    model_config = SettingsConfigDict(env_prefix="REWARD_", extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on; anything but loopback needs API keys")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 picks a free one and prints it")
    workers: int = Field(1, ge=1, description="HTTP processes; they share one model worker per device")
    profiles: Names = Field(("embedded",), description="enabled profiles: shipped names or paths; the first is default")
    shadow: Names = Field(
        (), description="profiles scored beside one that pays, never paid: NAME (beside the default) or PAYING=NAME"
    )
    accepted_fingerprints: Names = Field(
        (), description="older fingerprints that may still be pinned: profile=fingerprint or profile=document file"
    )
    api_keys: Names = Field((), description="accepted keys as name:sha256-hex (make one with `reward-service new-key`)")
    api_keys_file: str = Field("", description="file of more keys, one name:sha256-hex a line; SIGHUP reads it again")
    ssl_certfile: str = Field("", description="certificate chain (PEM) for HTTPS; SIGHUP reads it again")
    ssl_keyfile: str = Field("", description="its private key (PEM), if that is another file")
    ssl_keyfile_password: SecretStr = Field(SecretStr(""), description="password of the private key")
    root_path: str = Field("", description="path under which a proxy publishes the service, e.g. /reward")
    insecure: bool = Field(False, description="allow a non-loopback address without API keys")

    max_items: int = Field(4096, ge=1, description="candidate/reference pairs in one request")
    max_text_chars: int = Field(
        20_000, ge=1, le=25_000, description="characters in one text; a longer one makes its item null"
    )
    max_body_bytes: int = Field(64 * 2**20, ge=1024, description="bytes in one request body")
    queue_items: int = Field(8192, ge=1, description="pairs admitted at once; beyond it /score answers 429")
    timeout_s: float = Field(60.0, gt=0, description="deadline of a native request that names none")
    hold_timeout_s: float = Field(100.0, gt=0, description="how long trainer routes hold a request before a 503")
    orphan_grace_s: float = Field(5.0, ge=0, description="how long work that nobody awaits any more is kept")
    shutdown_grace_s: float = Field(30.0, ge=0, description="how long in-flight requests may finish after SIGTERM")
    drain_delay_s: float = Field(
        1.0, ge=0, description="after SIGTERM /ready is red but requests are still accepted for this long"
    )
    backlog: int = Field(8192, ge=1, description="pending connections of the listening socket")

    cache_url: SecretStr = Field(SecretStr("memory://"), description="memory://, redis://… or rediss://…")
    cache_memory_bytes: int = Field(
        256 * 2**20,
        ge=0,
        description="score cache in memory, per process; as much again for LLM verdicts with memory://",
    )
    cache_ttl_s: float = Field(
        30 * 86400.0, gt=0, le=1e10, description="lifetime of a score in Redis; LLM verdicts stay"
    )
    cache_namespace: str = Field("reward", min_length=1, description="prefix of every Redis key")
    artefact_bytes: int = Field(256 * 2**20, ge=0, description="tokens and findings kept in memory, per process")
    embedding_bytes: int = Field(2 * 2**30, ge=0, description="token embeddings kept by a model worker")

    pool_workers: int = Field(1, ge=0, description="processes for the rules judge when there is much work; 0: threads")
    model_process: bool = Field(False, description="run models in a process of their own even with one HTTP process")
    torch_threads: int = Field(0, ge=0, description="CPU threads of a model worker; 0: all cores")
    device: Names = Field(
        ("auto",),
        validate_default=True,
        description="auto, cpu, cuda or cuda:N; several, e.g. cuda:0,cuda:1, get a model worker each",
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="BERTScore arithmetic; changes rewards within the declared tolerance, in the fingerprint"
    )
    bertscore_model: str = Field(
        "", description="replaces the profiles' BERTScore model (hub id or path); NAME=PATH replaces that one only"
    )
    chexbert_model: str = Field("", description="folder of the profiles' CheXbert, made by `reward-service convert`")
    radgraph_model: str = Field("", description="folder of the profiles' RadGraph, made by `reward-service convert`")
    wordnet: str = Field(
        "/usr/share/wordnet",
        description="folder of WordNet's files, for `meteor`; Debian's package wordnet-base has them",
    )
    batch_items: int = Field(64, ge=1, le=65_536, description="pairs in one batch of a model worker")

    judge_urls: Names = Field((), description="base URLs of OpenAI-compatible servers for the LLM judge")
    judge_model: str = Field("", description="model name the judge's servers serve (changes rewards)")
    judge_revision: str = Field("", description="revision of that model, for the fingerprint (changes rewards)")
    judge_calibration: str = Field(
        "", description="calibration of that model, for judges by single statements (changes rewards)"
    )
    judge_api_key: SecretStr = Field(SecretStr(""), description="bearer key for the judge's servers")
    judge_votes: int = Field(1, ge=1, le=15, description="verdicts averaged per pair (changes rewards)")
    judge_tokens_a_day: int = Field(0, ge=0, description="tokens that a process asks the judge for in a day; 0: any")
    judge_concurrency: int = Field(64, ge=1, description="requests in flight per judge server")
    judge_timeout_s: float = Field(30.0, gt=0, description="one attempt at the judge")
    judge_canary_s: float = Field(300.0, ge=0, description="seconds between canary verdicts; 0: no canaries")

    asleep: Literal["wait", "refuse"] = Field(
        "wait", description="what requests do while the models are asleep: wait until their deadline, or get a 503"
    )
    runs_file: str = Field(
        "", description="SQLite file of the runs; without it they last as long as the service; Redis has them, if set"
    )
    runs_bytes: int = Field(256 * 2**20, ge=2**16, description="size of that file; the oldest run goes first")
    runs_ttl_s: float = Field(30 * 86400.0, gt=0, le=1e10, description="how long a run is kept after its last request")
    keep_samples: int = Field(
        0, ge=0, le=1000, description="items of each step of a run that are kept with their texts; 0: no report text"
    )
    jobs_bytes: int = Field(256 * 2**20, ge=2**16, description="compressed bytes of all jobs that are kept")
    jobs_ttl_s: float = Field(3600.0, ge=1, le=1e7, description="how long a job is kept, anew once it is answered")
    jobs_timeout_s: float = Field(600.0, gt=0, description="deadline of a job that names none")
    references: str = Field("", description="JSONL of references by study id, for trainers that send no label")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level that is logged")
    log_format: Literal["json", "console"] = Field("json", description="how a log line is written (to stderr)")
    otel: bool = Field(False, description="OpenTelemetry traces over OTLP/HTTP (extra `otel`)")

    @field_validator("profiles", "accepted_fingerprints", "shadow", "api_keys", "judge_urls", "device", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("profiles")
    @classmethod
    def _some_profile(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("enable at least one profile, e.g. REWARD_PROFILES=embedded")
        return value

    @field_validator("api_keys")
    @classmethod
    def _keys_are_hashes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(map(is_key, value)):
            raise ValueError("each key is name:sha256-hex; make one with `reward-service new-key NAME`")
        return value

    @field_validator("root_path")
    @classmethod
    def _a_path(cls, value: str) -> str:
        path = value.rstrip("/")
        if not re.fullmatch(r"(/[\w.~-]+)*", path, re.ASCII):
            raise ValueError("a path such as /reward or /team/reward")
        return path

    @field_validator("device")
    @classmethod
    def _known_devices(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not all(re.fullmatch(r"auto|cpu|mps|(cuda|xpu)(:\d+)?", device) for device in value):
            raise ValueError("each device is auto, cpu, cuda or cuda:N")
        return tuple(auto_device() if device == "auto" else device for device in value)

    @property
    def shadows(self) -> list[tuple[str | None, str]]:
        """(profile that pays, None for the default; profile that is scored beside it)."""
        found = (re.fullmatch(r"(?:([a-z0-9][a-z0-9._-]*)=)?(.*)", entry) for entry in self.shadow)
        return [(match[1], match[2]) for match in found if match]

    @property
    def replaced_bertscore(self) -> tuple[str, str]:
        """(the profiles' model that is replaced, empty for every one; what replaces it). A path may hold a ``=``."""
        named = re.fullmatch(r"(?![/.~])([^=]+)=(.+)", self.bertscore_model)
        return (named[1], named[2]) if named else ("", self.bertscore_model)

    @property
    def loaded_profiles(self) -> tuple[str, ...]:
        """Names or paths of all profiles whose components are built: the enabled ones and the shadows."""
        return tuple(dict.fromkeys((*self.profiles, *(name for _, name in self.shadows))))

    def for_component(self, name: str, own: Mapping[str, object]) -> dict[str, object]:
        """A component's settings in a profile, `own`, under those of this deployment. `name`: in the registry.

        A default of the deployment never replaces what the profile says.
        """
        found = dict(own)
        replaced, path = self.replaced_bertscore
        if name == "bertscore" and replaced and replaced == own.get("model"):
            found["model"] = path
        for key, field, value in self._of_components().get(name, ()):
            if key not in own or field in self.model_fields_set:
                found[key] = value
        return found

    def _of_components(self) -> dict[str, list[tuple[str, str, object]]]:
        """Per component: its setting, the field of this class that it comes from, the value."""
        encoder: list[tuple[str, str, object]] = [
            ("device", "device", self.device[0]),
            ("threads", "torch_threads", self.torch_threads or None),
        ]
        models = {"bertscore": "bertscore_model", "semb_score": "chexbert_model", "radgraph_f1": "radgraph_model"}
        folders = {field: getattr(self, field) for field in models.values()}
        if self.replaced_bertscore[0]:  # one model alone, see `for_component`
            folders["bertscore_model"] = ""
        encoders = {
            name: [*encoder, ("model", field, folders[field])] if folders[field] else encoder
            for name, field in models.items()
        }
        encoders["bertscore"] = [*encoders["bertscore"], ("precision", "precision", self.precision)]
        return {
            **encoders,
            "meteor": [("wordnet", "wordnet", self.wordnet)],
            "vllm": [
                ("base_urls", "judge_urls", self.judge_urls),
                ("model", "judge_model", self.judge_model),
                ("revision", "judge_revision", self.judge_revision),
                ("calibration", "judge_calibration", self.judge_calibration),
                ("api_key", "judge_api_key", self.judge_api_key.get_secret_value() or None),
                ("votes", "judge_votes", self.judge_votes),
                ("tokens_a_day", "judge_tokens_a_day", self.judge_tokens_a_day),
                ("concurrency", "judge_concurrency", self.judge_concurrency),
                ("attempt_timeout_s", "judge_timeout_s", self.judge_timeout_s),
                ("canary_interval_s", "judge_canary_s", self.judge_canary_s),
            ],
        }


def is_key(entry: str) -> bool:
    """Whether it is ``name:sha256-hex``."""
    name, _, digest = entry.partition(":")
    return bool(name) and len(digest) == 64 and set(digest) <= set("0123456789abcdef")


_OTHERS = ("REWARD_CLIENT_", "REWARD_VLLM_", "REWARD_BENCH_", "REWARD_IMAGE_")


def unknown_variables() -> list[tuple[str, str]]:
    """Environment variables that look like settings and are none, each with what may have been meant."""
    known = [f"REWARD_{name.upper()}" for name in Settings.model_fields]
    found = []
    for name in sorted(os.environ):
        if name.startswith("REWARD_") and not name.startswith(_OTHERS) and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            found.append((name, f"did you mean {near[0]}?" if near else "see the README's table"))
    return found


def auto_device() -> str:
    """``cuda`` where a driver's device file is, else ``cpu``; asking torch would import it into every process."""
    return "cuda" if any(Path(file).exists() for file in ("/dev/nvidiactl", "/dev/kfd")) else "cpu"


def rows() -> list[tuple[str, str, str]]:
    """(environment variable, default, description) of every setting, for docs and `/info`."""
    table = []
    for name, field in Settings.model_fields.items():
        default = field.default
        if isinstance(default, SecretStr):
            default = default.get_secret_value()
        if isinstance(default, tuple):
            default = ",".join(default)
        table.append((f"REWARD_{name.upper()}", "" if default is None else str(default), field.description or ""))
    return table
