"""References for trainers that send no label: looked up by study, or by the prompt.

A report scored against the wrong reference would train silently on nonsense, so what is not found is an error.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from reward_service.errors import ConfigurationError, InvalidRequest
from reward_service.trainers.chat_markup import without_tokens
from reward_service.trainers.labels import Label, json_object, text_or_none

_STUDY_ID = re.compile(r"\bstudy[_ -]?id\"?\s*[:=]\s*\"?([\w.\-]*\w)", re.IGNORECASE)


class ReferenceStore:
    """References by study id and by prompt.

    File: JSON lines with ``reference`` and at least one of ``study_id``, ``prompt`` and ``prompt_sha256`` (hex, of
    `prompt_key`'s text), and optionally ``prior``.
    """

    def __init__(self, by_study: Mapping[str, Label], by_prompt: Mapping[str, Label]) -> None:
        self._by_study = by_study
        self._by_prompt = by_prompt

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
            entry = json_object(line) or {}
            prompt, digest = text_or_none(entry.get("prompt")), text_or_none(entry.get("prompt_sha256"))
            label = Label.of(entry)
            if not text_or_none(label.reference) or not (label.study_id or prompt or digest):
                raise _bad_line(path, number, "needs a 'reference' and a 'study_id', 'prompt' or 'prompt_sha256'")
            by_hash = prompt_key(prompt) if prompt else None
            for table, key in ((by_study, label.study_id), (by_prompt, by_hash), (by_prompt, digest)):
                if key and table.setdefault(key, label) != label:
                    raise _bad_line(path, number, "contradicts an earlier line with the same key")
        return cls(by_study, by_prompt)

    def find(self, label: Label, prompt: str) -> Label | None:
        """By the label's study, else by a ``study_id: X`` in the prompt, else by the prompt's hash."""
        studies = [label.study_id] if label.study_id else list(set(_STUDY_ID.findall(prompt)))
        return self._by_study.get(studies[0]) if len(studies) == 1 else self._by_prompt.get(prompt_key(prompt))


def prompt_key(prompt: str) -> str:
    """sha256 (hex) of a prompt without special tokens and with single spaces, so that templates' padding is moot."""
    return hashlib.sha256(without_tokens(prompt).encode("utf-8", "surrogatepass")).hexdigest()


def resolve(label: Label, prompt: str, references: ReferenceStore | None, param: str) -> Label:
    """A label with its reference, looked up by study id or prompt where it has none or a blank one.

    Raises `InvalidRequest` (``reference_not_found``) when there is none to be found. One that is blank there as here
    stays blank: its item has no reward, which `missing` may replace.
    """
    if label.reference and label.reference.strip():
        return label
    if references and (found := references.find(label, prompt)):
        return Label(found.reference, found.study_id, label.prior if label.prior is not None else found.prior)
    if label.reference is not None:
        return label
    raise InvalidRequest(
        "No reference report: the label names none, and the reference store "
        + ("has no entry for it." if references else "is not loaded (REWARD_REFERENCES)."),
        code="reference_not_found",
        param=param,
    )


def _bad_line(path: str | Path, number: int, message: str) -> ConfigurationError:
    return ConfigurationError(f"References {path}, line {number}: {message}.", param="references")
