"""The prompt: the same bytes for all that can be shared, nothing in it that a report's author can act through."""

from __future__ import annotations

import json
import os

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges.base import CATEGORIES
from judges.vllm import prompt
from judges.vllm.accounting import judgement, settle
from judges.vllm.answer import parse
from judges.vllm.errors import EmptyReference, TooManyStatements
from judges.vllm.prompt import examples, fingerprints, instructions, read_pair, schema
from judges.vllm.settings import VllmJudgeSettings

REFERENCE = "Small left effusion. No pneumothorax."
VARIANTS = ("findings", "chexprompt")


def test_a_group_shares_everything_before_its_candidates() -> None:
    texts = [
        read_pair(c, REFERENCE, "Old report.", 60).text for c in ("Effusion.", "Nothing. At all.", "{reference} %s")
    ]
    shared = os.path.commonprefix(texts)  # noqa: RUF071  (these are texts, not paths)
    assert '{"id":"R2","text":"No pneumothorax."}' in shared
    assert '{"id":"H1","text":"Old report."}' in shared
    assert shared.rstrip().endswith('{"id":"P1","text":"')
    assert '{"id":"P1","text":"{reference} %s"}' in texts[2]
    assert len({text.rsplit("]\n", 1)[1] for text in texts}) == 1  # one closing line


def test_order_is_reference_prior_candidate() -> None:
    text = read_pair("Edema.", REFERENCE, "Old report.", 60).text
    assert text.index("[REFERENCE ") < text.index("[EARLIER REPORT ") < text.index("[CANDIDATE ")
    assert "EARLIER" not in read_pair("Edema.", REFERENCE, None, 60).text
    assert "EARLIER" not in read_pair("Edema.", REFERENCE, "  ", 60).text


def test_the_delimiter_depends_on_reference_and_prior_alone() -> None:
    keys = [read_pair(c, r, p, 60).reference.key for c, r, p in [
        ("a", REFERENCE, None), ("b", REFERENCE, None), ("a", REFERENCE + " x", None), ("a", REFERENCE, "y"),
    ]]  # fmt: skip
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_too_many_statements_and_empty_reference_are_typed_failures() -> None:
    read_pair("No edema. " * 60, "No edema. " * 60, None, 60)
    for texts in ((REFERENCE, "x. " * 61, None), ("x", REFERENCE, "x. " * 61)):
        with pytest.raises(TooManyStatements, match="61 statements"):
            read_pair(*texts, 60)
    with pytest.raises(EmptyReference):
        read_pair("x", " . ", None, 60)


def test_a_candidate_cannot_fail_by_the_number_of_its_statements() -> None:
    candidate = " ".join(f"No edema {n}." for n in range(200))
    pair = read_pair(candidate, REFERENCE, None, 60)
    assert len(pair.candidate) == 60
    assert pair.withheld == {59}
    assert pair.notes == ("too_many_statements",)
    last = pair.candidate[59]
    assert candidate[last.start : last.end] == last.text
    assert last.text.startswith("No edema 59.")
    assert last.text.endswith("No edema 199.")
    assert "No edema 59" not in pair.text


@pytest.mark.parametrize("variant", VARIANTS)
def test_worked_examples_are_valid_and_cover_the_six_categories(variant: str) -> None:
    covered: set[str] = set()
    for example in examples(variant):  # type: ignore[arg-type]
        pair = read_pair(example["candidate"], example["reference"], example["prior"], 60)
        read = parse(orjson.dumps(example["answer"]).decode(), len(pair.reference.statements), len(pair.candidate))
        account = settle(read, pair)
        assert account.corrections == 0, example["name"]  # an example must not teach what the law would correct
        verdict = judgement([account], pair, significant_only=False, details={})
        covered |= {c for c in CATEGORIES if verdict.significant[c] + verdict.insignificant[c]}
    assert covered == set(CATEGORIES)
    assert len(examples(variant)) >= 6  # type: ignore[arg-type]
    assert instructions(variant).count("Example ") == len(examples(variant))  # type: ignore[arg-type]


def test_every_text_of_the_prompt_is_in_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprints(VllmJudgeSettings("m", "r"))
    original = prompt._read
    for name in ("findings.txt", "format.txt", "closing.txt", "findings_examples.json"):
        monkeypatch.setattr(
            prompt, "_read", lambda n, name=name: original(n).replace("the", "thy", 1) if n == name else original(n)
        )
        prompt.instructions.cache_clear()
        prompt.examples.cache_clear()
        assert fingerprints(VllmJudgeSettings("m", "r")) != before, name
    monkeypatch.undo()
    prompt.instructions.cache_clear()
    prompt.examples.cache_clear()
    assert fingerprints(VllmJudgeSettings("m", "r")) == before
    assert fingerprints(VllmJudgeSettings("m", "r", variant="chexprompt"))["instructions"] != before["instructions"]


@given(st.text(), st.text(min_size=1), st.none() | st.text())
def test_any_text_makes_a_prompt_that_can_be_sent(candidate: str, reference: str, prior: str | None) -> None:
    try:
        pair = read_pair(candidate, f"Effusion {reference}", prior, 60)
    except TooManyStatements:
        return
    assert orjson.loads(orjson.dumps(pair.text)) == pair.text
    assert all(candidate[s.start : s.end] == s.text for s in pair.candidate)


def test_the_schema_is_closed_and_names_the_statements_of_this_pair() -> None:
    rule = schema(2, 3)
    text = json.dumps(rule)
    assert '"R2"' in text
    assert '"P3"' in text
    assert '"R3"' not in text
    assert '"P4"' not in text
    assert rule["additionalProperties"] is False
    assert rule["required"] == list(rule["properties"])
    assert all("maxItems" in r for r in rule["properties"].values())
    assert '"type": "string"' not in text  # no free text: nothing to smuggle, nothing to escape wrongly
