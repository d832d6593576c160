"""An explanation shows the text as it was sent, and for everything that it says of a finding what decided it."""

from __future__ import annotations

import re

import pytest

from judges.rules import reading
from judges.rules.judge import RulesJudge
from tests.judges.rules.test_readings import GROUPS

TEXTS = [text for groups in GROUPS.values() for sentences in groups.values() for text in sentences]
ROW = re.compile(r"(concepts|cues)/\w+\.yaml:\d+")


def test_an_explanation_of_a_sentence() -> None:
    read = reading.explain("Findings: No large left effusion.")
    assert read["sections"] == [{"words": "Findings", "start": 0, "end": 8, "read": True}]
    (sentence,) = read["sentences"]
    (clause,) = sentence["clauses"]
    assert [phrase["words"] for phrase in clause["phrases"]] == ["No", "large", "left", "effusion"]
    (mention,) = clause["mentions"]
    assert (mention["finding"], mention["state"], mention["side"], mention["grade"]) == (
        "pleural_effusion", "absent", "left", "large",
    )  # fmt: skip
    state = mention["because"][0]
    assert (state["field"], state["value"], state["words"], state["start"]) == ("state", "absent", "No", 10)
    assert re.fullmatch(r"cues/assertion\.yaml:\d+ absent forward", state["by"])
    assert read["findings"] == ["~pleural_effusion"]


def test_the_row_that_is_named_is_there() -> None:
    from judges.rules import knowledge

    by = reading.explain("No effusion.")["sentences"][0]["clauses"][0]["mentions"][0]["because"][0]["by"]
    file, line = by.split()[0].split(":")
    assert knowledge.texts()[file].splitlines()[int(line) - 1] == "  - role: absent"


def test_the_trace_changes_nothing(judge: RulesJudge) -> None:
    for text in TEXTS:
        assert reading.explain(text)["findings"] == reading.notation(judge.lexicon, judge.encode([text])[0]), text


@pytest.mark.parametrize("field", ["state", "side", "grade", "zone", "place", "size", "details"])
def test_everything_that_is_said_of_a_finding_has_a_reason(field: str) -> None:
    without = [
        (text, mention["finding"])
        for text in TEXTS
        for sentence in reading.explain(text)["sentences"]
        for clause in sentence["clauses"]
        for mention in clause["mentions"]
        if field in mention and field not in {note["field"] for note in mention["because"]}
    ]
    assert without == []


def test_the_last_reason_for_a_state_is_the_state() -> None:
    wrong = [
        (text, mention["finding"], mention["state"])
        for text in TEXTS
        for sentence in reading.explain(text)["sentences"]
        for clause in sentence["clauses"]
        for mention in clause["mentions"]
        if not mention["state"].startswith([n["value"] for n in mention["because"] if n["field"] == "state"][-1])
    ]
    assert wrong == []


def test_every_change_has_a_reason() -> None:
    for text in TEXTS:
        read = reading.explain(text)
        assert len([one for one in read["findings"] if "=" in one]) <= len(read["comparisons"]), text


def test_what_a_later_heading_drops_is_shown_as_dropped() -> None:
    read = reading.explain("HISTORY: Cough. There is a mass.\nFINDINGS: Edema.")
    mentions = [m for s in read["sentences"] for c in s["clauses"] for m in c["mentions"]]
    assert [(m["finding"], "dropped" in m) for m in mentions] == [("mass", True), ("edema", False)]
    assert [section["read"] for section in read["sections"]] == [False, True]


def test_offsets_are_those_of_the_text_as_sent() -> None:
    text = "Small ple\u00adural e\ufb00usion \u2013 \u00bd left."
    for phrase in reading.explain(text)["sentences"][0]["clauses"][0]["phrases"]:
        assert " ".join(text[phrase["start"] : phrase["end"]].split()) == phrase["words"]


@pytest.mark.parametrize("text", ["", " ", "\n\n", "?", "0.5", "\ud800 no effusion \udfff", "none" * 3000])
def test_any_text_is_read(text: str) -> None:
    assert reading.render(reading.explain(text)).splitlines()[-1].startswith("findings: ")


def test_it_is_printed_with_its_rows() -> None:
    shown = reading.render(reading.explain("Mild edema, increased. Clear pleura."))
    assert "→ edema: present, grade small" in shown
    assert "normal: 'Clear' rules out pleural_effusion pneumothorax" in shown
    assert "comparison: 'increased' edema worse" in shown
    assert len(ROW.findall(shown)) >= 5
    assert shown.splitlines()[-1] == "findings: 0pleural_effusion 0pneumothorax edema.small edema=worse"
