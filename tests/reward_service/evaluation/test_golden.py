"""`check --golden`: goldens made by the model itself agree, every kind of difference is named."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from metrics.chexbert import BLANK, LABELS, NEGATIVE, POSITIVE, UNCERTAIN, Reading
from metrics.radgraph.annotation import Annotation, Entity
from reward_service.errors import InvalidRequest
from reward_service.evaluation.golden import compare_golden, read_golden

ANNOTATION = Annotation(
    "small left effusion",
    (
        Entity("small", "OBS-DP", 0, 0, (("modify", 2),)),
        Entity("left", "ANAT-DP", 1, 1),
        Entity("effusion", "OBS-DP", 2, 2, (("located_at", 1),)),
    ),
)
CHEXBERT = {**dict.fromkeys(LABELS), "Edema": 1, "Fracture": 0, "Pneumonia": -1}
CLASSES = {None: BLANK, 1: POSITIVE, 0: NEGATIVE, -1: UNCERTAIN}


class Fixed:
    """A metric that reads every text alike."""

    def __init__(self, reading: Any) -> None:
        self.reading = reading

    def encode(self, texts: list[str]) -> list[Any]:
        return [self.reading] * len(texts)


def write(path: Path, *lines: Any) -> str:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return str(path)


def differences(tmp_path: Path, component: str, reading: Any, *lines: Any) -> list[str]:
    return compare_golden(component, Fixed(reading), read_golden(write(tmp_path / "golden", *lines)))


def test_equal_annotations_agree_whatever_their_keys(tmp_path: Path) -> None:
    document = ANNOTATION.as_json()
    renamed = json.loads(json.dumps(document).replace('"3"', '"9"'))
    lines = [{"text": "small left effusion", "radgraph": each} for each in (document, renamed)]
    assert differences(tmp_path, "radgraph_f1", ANNOTATION, *lines) == ["ok: 2 texts as in the file"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": "OBS-DA"}, r"1 entities are lacking, 1 are too much: lacks \[0, 0, 'OBS-DA'\]; adds \[0, 0, 'OBS-DP'\]"),
        ({"end_ix": 1}, r"lacks \[0, 1"),
        ({"relations": []}, "1 entities are lacking"),
        ({"relations": [["suggestive_of", "3"]]}, "1 entities are lacking"),
    ],
)  # fmt: skip
def test_a_different_annotation_is_told_by_line(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    document = ANNOTATION.as_json()
    document["entities"]["1"] |= change
    same = {"text": "a", "radgraph": ANNOTATION.as_json()}
    (line,) = differences(tmp_path, "radgraph_f1", ANNOTATION, same, {"text": "b", "radgraph": document})
    assert line.startswith("WRONG: line 2: ")
    assert re.search(words, line)


def reading(labels: dict[str, int | None]) -> Reading:
    return Reading(None, 0.0, tuple(CLASSES[labels[label]] for label in LABELS), False)  # type: ignore[arg-type]


def test_labels_agree_or_are_named(tmp_path: Path) -> None:
    line = {"text": "a", "chexbert": CHEXBERT}
    assert differences(tmp_path, "semb_score", reading(CHEXBERT), line) == ["ok: 1 texts as in the file"]
    (difference,) = differences(tmp_path, "semb_score", reading({**CHEXBERT, "Edema": -1, "Fracture": None}), line)
    assert difference == "WRONG: line 1: Edema is uncertain, not positive; Fracture is blank, not negative"


def test_only_the_first_differences_are_printed(tmp_path: Path) -> None:
    lines = [{"text": "a", "chexbert": dict.fromkeys(LABELS)}] * 9
    found = differences(tmp_path, "semb_score", reading(CHEXBERT), *lines)
    assert len(found) == 6
    assert found[-1] == "WRONG: 4 more of 9 lines"


def test_other_components_have_no_goldens(tmp_path: Path) -> None:
    assert differences(tmp_path, "bleu2", None, {"text": "a", "chexbert": CHEXBERT}) == []


def entity(**changes: Any) -> dict[str, Any]:
    """An annotation with one entity."""
    one = {"tokens": "a", "label": "OBS-DP", "start_ix": 0, "end_ix": 0, "relations": [], **changes}
    return {"text": "a", "entities": {"1": one}}


def test_blanks_may_be_what_pandas_writes_and_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    labels = {**CHEXBERT, **dict(zip(LABELS[:3], (math.nan, "", None), strict=True))}
    path = tmp_path / "golden"
    path.write_text("\ufeff" + json.dumps({"text": "a", "chexbert": labels}), encoding="utf-8")
    assert compare_golden("semb_score", Fixed(reading(CHEXBERT)), read_golden(str(path))) == [
        "ok: 1 texts as in the file"
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "Line 2: is not JSON"),
        ({"radgraph": {}}, "needs a 'text'"),
        ({"text": "a"}, "needs 'radgraph', 'chexbert' or both"),
        ({"text": "a", "radgraph": {"text": "a"}}, "not an annotation"),
        ({"text": "a", "radgraph": {"text": "a", "entities": []}}, "not an annotation"),
        ({"text": "a", "chexbert": {"Edema": 1}}, "needs these labels: Enlarged"),
        ({"text": "a", "chexbert": dict.fromkeys(LABELS, 3)}, "is 1, 0, -1 or blank"),
        ({"text": "a", "chexbert": {**CHEXBERT, "Edema": [1]}}, "is 1, 0, -1 or blank"),
        ({"text": "a", "radgraph": entity(label=["OBS-DP"])}, "not an annotation"),
        ({"text": "a", "radgraph": entity(start_ix="0")}, "not an annotation"),
        ({"text": "a", "radgraph": entity(relations=[[["modify"], "1"]])}, "not an annotation"),
        ({"text": "a", "radgraph": entity(relations=[["modify", "7"]])}, "not an annotation"),
    ],
)
def test_a_wrong_file_names_the_line(tmp_path: Path, line: Any, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        read_golden(write(tmp_path / "golden", {"text": "a", "chexbert": CHEXBERT}, line))


def test_no_file_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="No such file"):
        read_golden(str(tmp_path / "absent"))
    with pytest.raises(InvalidRequest, match="no line"):
        read_golden(write(tmp_path / "golden", ""))
