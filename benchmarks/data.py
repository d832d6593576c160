"""The texts that the benchmarks score: development data where it is present, else synthetic texts shipped here.

Development data is read from the folder that `REWARD_BENCH_DATA` names and never stored here. Whatever is read instead
is said in one line.
"""

from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from testbed.abuse.studies import STUDIES

PairList = list[tuple[str, str]]
"""(candidate, reference) pairs."""

_FOLDER = Path(os.environ.get("REWARD_BENCH_DATA", Path(__file__).resolve().parents[1] / "../shared/data"))
_REPORTS, _PAIRS = "iu_reports_dev.jsonl", "iu_pairs_dev.jsonl"


@dataclass(frozen=True, slots=True)
class Report:
    """One report: findings and impression, and the impression alone."""

    id: str
    text: str
    impression: str
    mesh: tuple[str, ...]
    """Its human MeSH coding, which synthetic reports do not have."""

    @property
    def headings(self) -> frozenset[str]:
        """The first parts of the codes."""
        return frozenset(code.split("/")[0] for code in self.mesh)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a report generator wrote for one study."""

    system: str
    kind: str
    candidate: str
    reference: str
    study: str
    source: str


@cache
def reports() -> list[Report]:
    """The coded reports, or the references of the synthetic studies."""
    if (rows := _rows(_REPORTS)) is None:
        return [Report(study.name, study.reference, study.terse, ()) for study in STUDIES]
    return [
        Report(row["id"], f"{row['findings']} {row['impression']}".strip(), row["impression"], tuple(row["mesh"]))
        for row in rows
    ]


@cache
def answers() -> list[Answer]:
    """What published systems wrote, or the two honest reports of each synthetic study."""
    if (rows := _rows(_PAIRS)) is None:
        return [
            Answer(system, kind, text, study.reference, study.name, "synthetic")
            for study in STUDIES
            for system, kind, text in (
                ("paraphrase", "written", study.paraphrase),
                ("impression", "written", study.terse),
            )
        ]
    return [
        Answer(
            row["system"],
            row["kind"],
            row["candidate"],
            row["reference"],
            row["study"],
            row["source"].partition("@")[0].rpartition("/")[2],
        )
        for row in rows
    ]


def coded(section: str) -> bool:
    """Whether the reports have human coding; else one line says that `section` is left out."""
    found = any(report.mesh for report in reports())
    if not found:
        print(f"{section} left out: needs the human MeSH coding of {_REPORTS} in REWARD_BENCH_DATA")
    return found


@cache
def _rows(name: str) -> list[dict[str, Any]] | None:
    path = _FOLDER / name
    if not path.is_file():
        print(f"no {name} in REWARD_BENCH_DATA ({_FOLDER}): synthetic texts instead")
        return None
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# -- pairs in any number, for speed ---------------------------------------------------------------------------------

_PARTS = (
    ("The heart is", "Heart size is", "The cardiac silhouette is", "The cardiomediastinal contour is"),
    ("normal in size", "mildly enlarged", "within normal limits", "at the upper limit of normal", "stable"),
    ("There is no", "No evidence of", "There is a small", "There is a large", "Persistent", "New"),
    ("pleural effusion", "pneumothorax", "focal consolidation", "pulmonary edema", "basilar atelectasis", "opacity"),
    ("on the right", "on the left", "bilaterally", "at the lung bases", "in the left lower lobe", "in the upper lung"),
    ("unchanged from the prior study", "since the previous examination", "compatible with infection", "as before"),
)


def synthetic_report(rng: random.Random, words: int = 60) -> str:
    """A report-like text of about `words` words."""
    sentences: list[str] = []
    while sum(len(s.split()) for s in sentences) < words - 4:
        start = rng.choice((0, 2))
        parts = [rng.choice(options) for options in _PARTS[start : start + rng.choice((2, 3, 4))]]
        sentences.append(" ".join(parts) + ".")
    return " ".join(sentences)


def distinct_pairs(count: int | None = 512, *, synthetic: bool = False) -> tuple[PairList, str]:
    """Pairs that share no text on purpose, and a word that says where they come from. None: all development pairs."""
    if not synthetic and (rows := _rows(_PAIRS)) is not None:
        pairs = [(row["candidate"], row["reference"]) for row in rows if row["kind"] in ("generated", "retrieved")]
        random.Random(0).shuffle(pairs)
        return pairs[:count], "Indiana dev pairs"
    rng = random.Random(0)
    return [(synthetic_report(rng), synthetic_report(rng)) for _ in range(count or 0)], "synthetic 60-word reports"


def grpo_pairs(references: int = 32, rollouts: int = 16, *, synthetic: bool = False) -> tuple[PairList, str]:
    """`references` groups of `rollouts` distinct candidates that share a reference: the shape of a GRPO step."""
    count = references * (rollouts + 1) if synthetic else None
    pairs, source = distinct_pairs(count, synthetic=synthetic)
    known = list(dict.fromkeys(reference for _, reference in pairs))
    targets = known[:references]
    # Other studies' reports make up for generated ones that are missing; every candidate is a text of its own.
    candidates = list(dict.fromkeys([*(candidate for candidate, _ in pairs), *known[references:]]))
    if len(candidates) < references * rollouts:
        return grpo_pairs(references, rollouts, synthetic=True)
    return [(candidates[i * rollouts + j], target) for i, target in enumerate(targets) for j in range(rollouts)], source
