"""Parsing bodies: whatever the bytes, a value or one clear refusal; paths in errors hold no report text."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_service.errors import InvalidRequest
from reward_service.scoring.profile_scorer import Item
from reward_service.wire import decoding, parsing, schemas
from tests.work import work

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    code = "none"
    try:
        decoding.decode(raw)
    except InvalidRequest as error:
        code = error.code
    assert code in ("none", "malformed_json", "invalid_utf8", "invalid_unicode")


@given(JSON)
def test_valid_json_comes_through_unchanged(value: Any) -> None:
    assert decoding.decode(orjson.dumps(value)) == (value, {})


@given(st.lists(st.text(st.characters(codec=None), min_size=1), min_size=1, max_size=6))  # type: ignore[arg-type]
def test_exactly_the_texts_with_lone_surrogates_are_emptied_and_named(texts: list[str]) -> None:
    items = [{"candidate": text, "reference": "r"} for text in texts]
    data, broken = decoding.decode(json.dumps({"items": items}).encode())
    # JSON joins the escapes of a surrogate pair, so what counts is the text after the round trip.
    arrived = [json.loads(json.dumps(text)) for text in texts]
    wrong = {i for i, text in enumerate(arrived) if any(0xD800 <= ord(c) <= 0xDFFF for c in text)}
    assert broken == {("items", i): f"items[{i}].candidate" for i in wrong}
    assert [item["candidate"] for item in data["items"]] == ["" if i in wrong else t for i, t in enumerate(arrived)]


@pytest.mark.parametrize(
    ("location", "path"),
    [
        (("items", 3, "candidate"), "items[3].candidate"),
        (("groups", 0, "candidates", 12), "groups[0].candidates[12]"),
        (("fingerprint", "str"), "fingerprint"),
        (("fingerprint", "dict[str,json-or-python[...]]", "The lungs are clear."), "fingerprint"),
        (("items", 0, "The lungs are clear."), "items[0]"),
        (("The lungs are clear.",), "(a field)"),
        ((), ""),
    ],
)
def test_paths(location: tuple[int | str, ...], path: str) -> None:
    assert parsing.path(location) == path


def test_a_refusal_names_the_field_and_repeats_no_input() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parsing.validate(schemas.ScoreRequest, {"items": [{"candidate": ["The lungs are clear."], "reference": "r"}]})
    assert caught.value.param == "items[0].candidate"
    assert "lungs" not in caught.value.message


def test_thousands_of_broken_texts_cost_no_more_than_their_number() -> None:
    def read(count: int) -> list[Item]:
        item = {"candidate": "\ud800", "reference": "r"}
        data, broken = decoding.decode(json.dumps({"items": [item] * count, "groups": [{"reference": "r"}]}).encode())
        wanted = parsing.validate(schemas.ScoreRequest, {"items": data["items"]})
        return parsing.build_items(wanted, broken, count)[0]

    items = read(4096)
    assert [one.fault is not None for one in items] == [True] * 4096
    assert items[4095].fault is not None
    assert "items[4095].candidate" in items[4095].fault.message
    assert work(lambda: read(4096)) < 4.5 * work(lambda: read(1024))
