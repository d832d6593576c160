"""The files of language cases are whole, what is wrong with one is named, and what they say is read."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from benchmarks import language
from judges.rules.judge import RulesJudge
from reward_service.text.normaliser import normalise
from testbed import language_cases as cases

FORM = 'groups:\n  g:\n    reads: absent\n    forms:\n      a: "No {finding}."\n'
PAIR = "kinds:\n  k:\n    important: true\n    pairs:\n      a:\n        reference: Left.\n        candidate: Right.\n"
LIST = "lists:\n  l:\n    text: No effusion.\n    states:\n      pleural_effusion: absent\n"


def test_there_are_as_many_as_the_evidence_needs() -> None:
    assert len(cases.forms()) >= 270
    assert len(cases.lists()) >= 50
    edits = cases.edits()
    assert sum(edit.important for edit in edits) >= 200
    assert sum(not edit.important for edit in edits) >= 100
    assert len(cases.rare_findings()) >= 170
    assert sum(one.same for one in cases.wordings()) >= 1000


def test_every_reading_has_forms_in_both_parts() -> None:
    for of_kept in (False, True):
        chosen = cases.part(cases.forms(), of_kept=of_kept)
        assert {form.expected.state for form in chosen} == set(cases.STATES)


def test_ids_are_unique_over_all_files() -> None:
    ids = [
        case.id
        for kind in (cases.forms, cases.grammar, cases.lists, cases.edits, cases.rare_findings)
        for case in kind()
    ]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("kind", [cases.forms, cases.lists, cases.edits, cases.rare_findings])
def test_about_a_third_is_kept(kind: object) -> None:
    assert callable(kind)
    ids = [case.id for case in kind()]
    share = sum(map(cases.kept, ids)) / len(ids)
    assert 0.2 < share < 0.47


def test_all_wordings_of_a_study_are_in_one_part() -> None:
    parts: dict[str, set[bool]] = {}
    for one in cases.wordings():
        parts.setdefault(one.study, set()).add(one.kept)
    assert {len(part) for part in parts.values()} == {1}
    assert sum(part == {True} for part in parts.values()) == pytest.approx(len(parts) / 3, abs=1)


def test_the_split_never_moves() -> None:
    # by sha256sum: that of "n01" begins with 0x1f = 3 x 10 + 1, that of "n02" with 0xed = 3 x 79
    assert [cases.kept(i) for i in ("n01", "n02")] == [False, True]


def test_a_form_is_spelt_with_each_finding() -> None:
    (form,) = [form for form in cases.forms() if form.template == "We do not see {a finding}."]
    assert [statement.text for statement in form.statements()] == [
        "We do not see a pneumothorax.",
        "We do not see a pleural effusion.",
        "We do not see a consolidation.",
        "We do not see cardiomegaly.",
    ]
    assert cases.fill("{The finding}, {FINDING}, {Findings}.", "pleural_effusion") == (
        "The pleural effusion, PLEURAL EFFUSION, Pleural effusions."
    )


def test_a_list_says_a_side_or_a_second_reading() -> None:
    by_text = {one.text: one.expected for one in cases.lists()}
    assert by_text["Left effusion but no right effusion."] == {
        "pleural_effusion": cases.Expected("present", side="left")
    }
    doubted = by_text["Cardiomegaly; effusion is unlikely; pneumothorax is excluded."]
    assert doubted["pleural_effusion"] == cases.Expected("absent", "uncertain")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FORM.replace("No {finding}", "Nothing"), "a: no slot for the finding"),
        (FORM.replace("{finding}", "{disease}"), "no slot is called"),
        (FORM.replace("absent", "gone"), "a: 'gone' is none of absent"),
        (FORM + '      b: "No {finding}."\n', "b says the same as a"),
        (FORM + '      a: "Without {finding}."\n', "'a'.*stands twice"),
        (FORM.replace("    reads: absent\n", ""), "a: a field is missing"),
    ],
)
def test_a_wrong_form_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "denial.yaml").write_text(text)
    with pytest.raises(cases.CasesError, match=message):
        cases.forms(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LIST.replace("pleural_effusion", "rash"), "l: 'rash' is none of pneumothorax"),
        (LIST.replace("absent", "absent left"), "l: absent left: a side"),
        (LIST.replace("absent", "present above"), "l: present above: a side"),
    ],
)
def test_a_wrong_list_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "denial.yaml").write_text(text)
    with pytest.raises(cases.CasesError, match=message):
        cases.lists(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PAIR.replace("Right", "Left"), "a: reference and candidate are the same"),
        (PAIR.replace("true", "maybe"), "a: important must be true or false"),
        (PAIR.replace("        candidate: Right.\n", ""), "a: a field is missing"),
        (PAIR + PAIR.replace("kinds:\n  k:", "  m:"), "a: two cases have this id"),
    ],
)
def test_a_wrong_edit_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "edits.yaml").write_text(text)
    with pytest.raises(cases.CasesError, match=message):
        cases.edits(tmp_path)


def test_a_wrong_rare_finding_is_named(tmp_path: Path) -> None:
    entry = "settings:\n  icu:\n    knot:\n      present: [A knot., Knotted.]\n      denied: No knot.\n      significance: huge\n"
    (tmp_path / "rare_findings.yaml").write_text(entry)
    with pytest.raises(cases.CasesError, match="knot: significance must be one of major"):
        cases.rare_findings(tmp_path)


def read(judge: RulesJudge, forms: list[cases.Form]) -> tuple[float, float]:
    """The shares of the forms, each with one of the four findings in turn, that are read right and as the opposite."""
    rows = [
        row
        for form, concept in zip(forms, itertools.cycle(cases.FINDINGS), strict=False)
        for row in language.read(
            judge,
            cases.Statement(form.id, form.group, cases.fill(form.template, concept), {concept: form.expected}),
        )
    ]
    opposite = sum((row.expected.state, row.got) in language.OPPOSITES for row in rows)
    return sum(row.right for row in rows) / len(rows), opposite / len(rows)


def test_the_forms_are_read(judge: RulesJudge) -> None:
    """97 % of what the forms say is read; of the rest little is read as the opposite."""
    right, opposite = read(judge, cases.forms())
    assert right >= 0.97
    assert opposite <= 0.01


def test_the_grammars_are_read(judge: RulesJudge) -> None:
    """Sentences that are made of auxiliaries, adverbs and classes of verbs, as no list of forms has them all."""
    right, opposite = read(judge, cases.grammar())
    assert right >= 0.94
    assert opposite <= 0.02


def test_layouts_read_as_the_plain_text(judge: RulesJudge) -> None:
    pairs = [[normalise(text).text for text in (one.text, one.plain)] for one in cases.layouts()]
    lost = [max(language.costs(judge, [(a, b), (b, a)])) for a, b in pairs]
    assert sum(cost <= language.SMALL + language.NOTHING for cost in lost) / len(lost) >= 0.83
