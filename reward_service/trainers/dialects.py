"""What RL trainers post, as pairs to score, and scores as the answers they expect.

Pure functions without HTTP. Trainers send prompt and completion in one string, with chat markup, and labels in several
shapes; whatever cannot be told apart with certainty is refused, because a prompt scored as part of a report, or a
report scored against the wrong reference, would train silently on nonsense.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

from reward_service.contracts import ComponentError
from reward_service.errors import ComponentsUnavailable, ConfigurationError, InvalidRequest

ASSISTANT_MARKERS = (
    "<|im_start|>assistant\n",  # ChatML
    "<|start_header_id|>assistant<|end_header_id|>",  # Llama 3
    "[/INST]",  # Mistral
    "<start_of_turn>model\n",  # Gemma
    "ASSISTANT:",  # Vicuna
)
_USER_TURNS = ("<|im_start|>user", "<|start_header_id|>user", "[INST]", "<start_of_turn>user", "USER:")

_TOKEN = r"(?:<\|[^|<>]{1,40}\|>|</?(?:s|pad|bos|eos|unk|start_of_turn|end_of_turn)>|\[(?:PAD|SEP|CLS)\])"
_TOKENS = re.compile(_TOKEN)
_TOKEN_AT_END = re.compile(_TOKEN + r"\Z")
_LONGEST_TOKEN = 48
_BLANK = re.compile(r"\s*")
_THINKING = re.compile(r".*?</think>", re.DOTALL)  # some templates put the opening tag into the prompt
_STUDY_ID = re.compile(r"\bstudy[_ -]?id\"?\s*[:=]\s*\"?([\w.\-]*\w)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DialectItem:
    """One pair to score, and where in the request it came from."""

    candidate: str
    reference: str
    prior: str | None
    param: str


class Scored(Protocol):
    """What the answers need of a scored item (`composite.Composite` has it)."""

    @property
    def reward(self) -> float | None: ...
    @property
    def components(self) -> Mapping[str, float | None]: ...
    @property
    def contributions(self) -> Mapping[str, float]: ...
    @property
    def missing(self) -> Mapping[str, ComponentError]: ...
    @property
    def blocking(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Label:
    """What a trainer's label says: the reference itself, or the study it belongs to."""

    reference: str | None = None
    study_id: str | None = None
    prior: str | None = None


class ReferenceStore:
    """References for trainers that send no label, by study id and by prompt.

    File: JSON lines with ``reference`` and at least one of ``study_id``, ``prompt`` and ``prompt_sha256`` (hex, of
    `prompt_key`'s text), and optionally ``prior``.
    """

    def __init__(self, by_study: Mapping[str, Label], by_prompt: Mapping[str, Label]) -> None:
        self._by_study = by_study
        self._by_prompt = by_prompt

    def __len__(self) -> int:
        return len(set(self._by_study.values()) | set(self._by_prompt.values()))

    @classmethod
    def load(cls, path: str | Path) -> ReferenceStore:
        """Raises `ConfigurationError` naming the line that is malformed or contradicts an earlier one."""
        by_study: dict[str, Label] = {}
        by_prompt: dict[str, Label] = {}
        try:
            lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"References {path} cannot be read: {error}", param="references") from error
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            entry = _object(line) or {}
            study, prompt, digest = (_optional_text(entry, key) for key in ("study_id", "prompt", "prompt_sha256"))
            label = Label(_optional_text(entry, "reference"), study, _optional_text(entry, "prior"))
            if not label.reference or not (study or prompt or digest):
                _bad_line(path, number, "needs a 'reference' and a 'study_id', 'prompt' or 'prompt_sha256'")
            keys = [(by_study, study), (by_prompt, prompt_key(prompt) if prompt else None), (by_prompt, digest)]
            for table, key in keys:
                if key and table.setdefault(key, label) != label:
                    _bad_line(path, number, "contradicts an earlier line with the same key")
        return cls(by_study, by_prompt)

    def by_study(self, study_id: str) -> Label | None:
        return self._by_study.get(study_id)

    def by_prompt(self, prompt: str) -> Label | None:
        """By a ``study_id: X`` in the prompt, else by the prompt's hash."""
        ids = set(_STUDY_ID.findall(prompt))
        if len(ids) == 1:
            return self._by_study.get(ids.pop())
        return self._by_prompt.get(prompt_key(prompt))


def prompt_key(prompt: str) -> str:
    """sha256 (hex) of a prompt without special tokens and with single spaces, so that templates' padding is moot."""
    return hashlib.sha256(" ".join(_TOKENS.sub(" ", prompt).split()).encode("utf-8", "surrogatepass")).hexdigest()


def split_query(query: str, prompt: str | None, param: str) -> tuple[str, str]:
    """Prompt and completion of a decoded rollout: by the exact prompt, else after the assistant marker.

    That is the first one after the first user turn: whatever follows may be the policy's own, and a marker that it
    writes must not move the border. With a later user turn nobody can tell whose it is. Raises `InvalidRequest`
    (``response_not_isolated``) rather than guess.
    """
    if prompt:
        begin = query.find(prompt)
        if begin >= 0 and not _TOKENS.sub("", query[:begin]).strip():  # only BOS and padding may precede it
            return prompt, query[begin + len(prompt) :]
    asked = min((at for turn in _USER_TURNS if (at := query.find(turn)) >= 0), default=0)
    begins = ((at, marker) for marker in ASSISTANT_MARKERS if (at := query.find(marker, asked)) >= 0)
    if first := min(begins, default=None):
        end = first[0] + len(first[1])
        if not any(turn in query[end:] for turn in _USER_TURNS):
            return query[:end], query[end:]
    raise InvalidRequest(
        "The report cannot be told from the prompt: the text does not begin with the given prompt, and it has no "
        "assistant turn, or a user turn after it. Send 'prompts' as they were tokenized.",
        code="response_not_isolated",
        param=param,
    )


def clean(completion: str) -> str:
    """A completion without special tokens at its ends, padding and a closed think block."""
    end = len(completion)
    while True:
        while end and completion[end - 1].isspace():
            end -= 1
        token = _TOKEN_AT_END.search(completion, max(0, end - _LONGEST_TOKEN), end)
        if token is None:
            break
        end = token.start()
    thinking = _THINKING.match(completion, 0, end)
    start = _BLANK.match(completion, thinking.end() if thinking else 0, end).end()  # type: ignore[union-attr]  # matches
    while token := _TOKENS.match(completion, start, end):
        start = _BLANK.match(completion, token.end(), end).end()  # type: ignore[union-attr]
    return completion[start:end]


def parse_label(label: Any, param: str) -> Label:
    """A label that is a reference text, or JSON (text or object) with `reference`, `study_id`, `prior`.

    None is an empty label. Raises `InvalidRequest` for any other shape.
    """
    if isinstance(label, str):
        found = _object(label) if label.lstrip().startswith("{") else None
        if found is None:
            return Label(reference=label)
        label = found
    if label is None:
        return Label()
    if not isinstance(label, Mapping):
        _refuse(param, "a label is the reference text, or an object with 'reference', 'study_id', 'prior'", "bad_label")
    for key in ("reference", "prior"):
        if not isinstance(label.get(key), str | None):
            _refuse(f"{param}.{key}", "must be text", "bad_label")
    return Label(label.get("reference"), _optional_text(label, "study_id"), _optional_text(label, "prior"))


def resolve(label: Label, prompt: str, references: ReferenceStore | None, param: str) -> Label:
    """A label with its reference, looked up by study id or prompt where it has none or a blank one.

    Raises `InvalidRequest` (``reference_not_found``) when there is none to be found. One that is blank there as here
    stays blank: its item has no reward, which `missing` may replace.
    """
    if label.reference and label.reference.strip():
        return label
    found = None
    if references is not None:
        found = references.by_study(label.study_id) if label.study_id else references.by_prompt(prompt)
    if found is None and label.reference is not None:
        return label
    if found is None:
        raise InvalidRequest(
            "No reference report: the label names none, and the reference store "
            + ("is not loaded (REWARD_REFERENCES)." if references is None else "has no entry for it."),
            code="reference_not_found",
            param=param,
        )
    return Label(found.reference, found.study_id, label.prior if label.prior is not None else found.prior)


def parse_get_reward(body: Mapping[str, Any], references: ReferenceStore | None = None) -> list[DialectItem]:
    """OpenRLHF, its forks and LightRFT: ``query|queries``, ``prompts``, ``labels|references`` in equal numbers."""
    key = "queries" if "queries" in body else "query"
    queries = _texts(body, key)
    prompts = _texts(body, "prompts") if body.get("prompts") is not None else [None] * len(queries)
    label_key = "references" if body.get("labels") is None and body.get("references") is not None else "labels"
    labels = body.get(label_key)
    if labels is None:
        labels = [None] * len(queries)
    if not isinstance(labels, list) or not len(queries) == len(prompts) == len(labels):
        _refuse(label_key, f"'{key}', 'prompts' and 'labels' must be lists of one length", "unequal_lengths")
    items = []
    for index, (query, prompt, label) in enumerate(zip(queries, prompts, labels, strict=True)):
        before, completion = split_query(query, prompt, f"{key}[{index}]")
        items.append(_item(completion, label, before, references, f"{label_key}[{index}]"))
    return items


def parse_slime(body: Mapping[str, Any], references: ReferenceStore | None = None) -> list[DialectItem]:
    """slime: one sample, whose ``response`` comes without the prompt."""
    response = body.get("response")
    if not isinstance(response, str):
        _refuse("response", "must be the completion as text")
    return [_item(response, body.get("label"), _prompt_text(body.get("prompt")), references, "label")]


def parse_score_evaluation(body: Mapping[str, Any], references: ReferenceStore | None) -> list[DialectItem]:
    """LLaMA-Factory's PPO: ``messages`` are prompt + completion; there is no label, so the store must know them."""
    items = []
    for index, message in enumerate(_texts(body, "messages")):
        before, completion = split_query(message, None, f"messages[{index}]")
        items.append(_item(completion, None, before, references, f"messages[{index}]"))
    return items


def parse_verify(body: Mapping[str, Any], references: ReferenceStore | None = None) -> list[DialectItem]:
    """NeMo Gym: the last assistant message of ``response``; the row's ``label``, or ``reference``, ``study_id``, ..."""
    response = body.get("response")
    output = response.get("output") if isinstance(response, Mapping) else None
    if not isinstance(output, list):
        _refuse("response.output", "must be the list of output items of a response object")
    messages = [o for o in output if isinstance(o, Mapping) and o.get("type", "message") == "message"]
    completion = _prompt_text(messages[-1:])
    asked = body.get("responses_create_params")
    prompt = _prompt_text(asked.get("input") if isinstance(asked, Mapping) else None)
    extra = body.get("verifier_metadata")
    row = {**(extra if isinstance(extra, Mapping) else {}), **body}
    label = row.get("label") or {key: row.get(key) for key in ("reference", "study_id", "prior")}
    return [_item(completion, label, prompt, references, "reference")]


def rewards(items: Sequence[DialectItem], results: Sequence[Scored], missing: float | None) -> list[float]:
    """Numbers only. A missing reward is the declared substitute `missing`; without one the request fails.

    Raises `ComponentsUnavailable` when a later attempt may succeed, else `InvalidRequest`; code ``reward_missing``.
    """
    values = []
    for item, result in zip(items, results, strict=True):
        value = missing if result.reward is None else result.reward
        if value is None:
            why = ", ".join(f"{key}: {error.code}" for key, error in result.missing.items()) or "no reason given"
            later = bool(result.blocking) and all(result.missing[key].retryable for key in result.blocking)
            raise (ComponentsUnavailable if later else InvalidRequest)(
                f"{item.param}: no reward ({why}). Fix the cause, or declare a substitute with the query parameter "
                "'missing' (e.g. ?missing=0), which is reported as rr_valid 0.",
                code="reward_missing",
                param=item.param,
            )
        values.append(value)
    return values


def logs(result: Scored) -> dict[str, float]:
    """Flat floats under the same keys for every sample of a profile.

    ``rr_valid``: 0 when the reward is a substitute. A component without a value is 0 with ``rr_<key>_valid`` 0.
    """
    flat = {"rr_valid": float(result.reward is not None)}
    for key, value in result.components.items():
        flat[f"rr_{key}"] = 0.0 if value is None else value
        flat[f"rr_{key}_valid"] = float(value is not None)
    return flat


def render_get_reward(
    items: Sequence[DialectItem],
    results: Sequence[Scored],
    bounds: tuple[float, float],
    missing: float | None = None,
) -> dict[str, Any]:
    """OpenRLHF: ``scores`` are the rewards rescaled from the profile's `bounds` to 0..1; every value is a list."""
    values, (low, high) = rewards(items, results, missing), bounds
    flat = [logs(result) for result in results]
    return {
        "rewards": values,
        "scores": [min(1.0, max(0.0, (value - low) / (high - low))) for value in values],
        "extra_logs": {key: [entry[key] for entry in flat] for key in (flat[0] if flat else ())},
    }


def render_slime(items: Sequence[DialectItem], results: Sequence[Scored], missing: float | None = None) -> float:
    """slime without ``--reward-key``: a bare number."""
    return rewards(items, results, missing)[0]


def render_slime_object(
    items: Sequence[DialectItem], results: Sequence[Scored], missing: float | None = None
) -> dict[str, float]:
    """slime with ``--reward-key reward``."""
    return {"reward": rewards(items, results, missing)[0], **logs(results[0])}


def render_score_evaluation(
    items: Sequence[DialectItem], results: Sequence[Scored], model: str, missing: float | None = None
) -> dict[str, Any]:
    """LLaMA-Factory: ``scores`` in the order of ``messages``."""
    return {"object": "score.evaluation", "model": model, "scores": rewards(items, results, missing)}


def render_verify(
    items: Sequence[DialectItem], results: Sequence[Scored], body: Mapping[str, Any], missing: float | None = None
) -> dict[str, Any]:
    """NeMo Gym: the request echoed, ``reward``, and ``reward_components`` that sum to it exactly.

    The components are weighted contributions under constant keys; a substitute stands in ``adjustment``.
    """
    value, result = rewards(items, results, missing)[0], results[0]
    terms = {**dict.fromkeys(result.components, 0.0), "adjustment": 0.0, **result.contributions}
    if result.reward is None:
        terms = {**dict.fromkeys(terms, 0.0), "adjustment": value}
    return {**body, "reward": value, "reward_components": terms, **logs(result)}


def _item(completion: str, label: Any, prompt: str, references: ReferenceStore | None, param: str) -> DialectItem:
    found = resolve(parse_label(label, param), prompt, references, param)
    return DialectItem(clean(completion), found.reference or "", found.prior, param)


def _texts(body: Mapping[str, Any], key: str) -> list[Any]:
    value = body.get(key)
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        _refuse(key, "must be a list of texts")
    return value


def _prompt_text(prompt: Any) -> str:
    """A prompt given as text or as chat messages; their text contents, one a line."""
    if isinstance(prompt, str):
        return prompt
    parts: list[str] = []
    for message in prompt if isinstance(prompt, list) else ():
        content = message.get("content") if isinstance(message, Mapping) else None
        if isinstance(content, str):
            parts.append(content)
        elif isinstance(content, list):
            parts += [
                part["text"] for part in content if isinstance(part, Mapping) and isinstance(part.get("text"), str)
            ]
    return "\n".join(parts)


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _optional_text(entry: Mapping[str, Any], key: str) -> str | None:
    value = entry.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and key == "study_id":
        return str(value)
    return value if isinstance(value, str) and value.strip() else None


def _refuse(param: str, message: str, code: str = "invalid_request") -> NoReturn:
    raise InvalidRequest(f"{param}: {message}.", code=code, param=param)


def _bad_line(path: str | Path, number: int, message: str) -> NoReturn:
    raise ConfigurationError(f"References {path}, line {number}: {message}.", param="references")
