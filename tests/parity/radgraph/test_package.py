"""Annotations and rewards are those of the package `radgraph` 0.1.18, exactly: float32, one thread, random weights.

`make_environment.sh` beside this file builds `.venvs/radgraph`; without it the tests are skipped with that advice.
The package takes seconds for a long text, and does not come back from one of thousands of words.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="extra bertscore")

from hypothesis import HealthCheck, Phase, given, settings

from metrics.radgraph import Annotation, RadGraph, convert
from metrics.radgraph.annotation import Case, scores, sets
from metrics.radgraph.words import split
from testbed.radgraph.random_model import write_archive, write_encoder
from testbed.radgraph.reports import ODD, reports
from tests.metrics.radgraph.graphs import annotations
from tests.needs import is_missing

HERE = Path(__file__).parent
PYTHON = HERE.parents[2] / ".venvs" / "radgraph" / "bin" / "python"

pytestmark = pytest.mark.parity


def in_package(script: str, *arguments: object, given: object) -> Any:
    """What a script prints in the package's environment, given JSON."""
    if not PYTHON.exists():
        is_missing("environment of radgraph", "tests/parity/radgraph/make_environment.sh")
    command = [str(PYTHON), str(HERE / "scripts" / script), *map(str, arguments)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(root: Path, size: str, model_type: str, seed: int, texts: list[str]) -> None:
    encoder = write_encoder(root / "encoder", size)
    archive = write_archive(root / "cache" / model_type, encoder, model_type, seed, texts=texts)
    ours = RadGraph(str(convert(archive, root / "converted", encoder))).annotate(texts)
    theirs = in_package("annotate.py", archive.parent, model_type, given=texts)
    assert len(theirs) == len(texts)
    different = [i for i, annotation in enumerate(ours) if annotation.as_json() != theirs[i]]
    assert different == [], [texts[i][:60] for i in different]
    # Sparse, as real annotations are, and not empty.
    words = sum(len(annotation.text.split()) for annotation in ours)
    found = [entity for annotation in ours for entity in annotation.entities]
    assert 0.2 < len(found) / words < 0.5
    assert 0.05 < sum(len(entity.relations) for entity in found) / words < 0.3
    assert len({entity.label for entity in found}) >= (3 if model_type == "radgraph" else 11)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("model_type", ["radgraph", "radgraph-xl"])
def test_annotations_of_a_tiny_model(model_type: str, seed: int, tmp_path: Path) -> None:
    texts = [*ODD, *reports(200 - len(ODD), seed, longest=480)]  # 600 with their signs
    assert max(len(split(text, model_type)) for text in texts) > 550
    compare(tmp_path, "tiny", model_type, seed, texts)


def test_annotations_of_a_base_model(tmp_path: Path) -> None:
    compare(tmp_path, "base", "radgraph", 4, reports(24, seed=4, longest=160))


def pairs_of_annotations(count: int) -> list[tuple[Annotation, Annotation]]:
    found: list[tuple[Annotation, Annotation]] = []

    @settings(
        max_examples=count,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(annotations, annotations)
    def collect(candidate: Annotation, reference: Annotation) -> None:
        found.append((candidate, reference))

    collect()
    return found


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Annotation, Annotation]]:
    pairs = pairs_of_annotations(2000)
    assert len(pairs) == 2000
    assert sum(candidate != reference for candidate, reference in pairs) > 1500
    return pairs


def rewards_of(pairs: list[tuple[Annotation, Annotation]], case: Case) -> list[list[float]]:
    found = [scores(sets(candidate, case), sets(reference, case)) for candidate, reference in pairs]
    return [[values["simple"], values["partial"], values["complete"]] for values in found]


def test_rewards(pairs: list[tuple[Annotation, Annotation]]) -> None:
    theirs = in_package("rewards.py", given=[[a.as_json(), b.as_json()] for a, b in pairs])
    assert rewards_of(pairs, "pypi-0.1.18") == theirs
    assert len({value for row in theirs for value in row}) > 20


def test_folded_rewards_are_those_of_lower_cased_entities(pairs: list[tuple[Annotation, Annotation]]) -> None:
    def lower(annotation: Annotation) -> Annotation:
        return annotation._replace(entities=tuple(e._replace(tokens=e.tokens.lower()) for e in annotation.entities))

    theirs = in_package("rewards.py", given=[[lower(a).as_json(), lower(b).as_json()] for a, b in pairs])
    assert rewards_of(pairs, "folded") == theirs
