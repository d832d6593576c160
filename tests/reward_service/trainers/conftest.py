"""A file of references, as all tests of the trainers' formats find it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reward_service.trainers.references import ReferenceStore, prompt_key


@pytest.fixture
def store(tmp_path: Path) -> ReferenceStore:
    path = tmp_path / "references.jsonl"
    entries = [
        {"study_id": "s50", "reference": "Small left effusion, no pneumothorax.", "prior": "Older."},
        {"study_id": 51, "reference": "Normal."},
        {"prompt": "<s>[INST] Report for room 4? [/INST]", "reference": "By prompt."},
        {"prompt_sha256": prompt_key("hashed prompt"), "reference": "By hash."},
    ]
    path.write_text("\n".join(map(json.dumps, entries)) + "\n\n", encoding="utf-8")
    return ReferenceStore.load(path)
