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
        return parsing.build_items(wanted, broken)[0]

    items = read(4096)
    assert [one.fault is not None for one in items] == [True] * 4096
    assert items[4095].fault is not None
    assert "items[4095].candidate" in items[4095].fault.message
    assert work(lambda: read(4096)) < 4.5 * work(lambda: read(1024))


ONE = b'{"candidate":"a","reference":"b"}'


@pytest.mark.parametrize(
    "raw",
    [
        b'{"items":[' + b",".join([ONE] * 200_000) + b"]}",
        b'{"items":[' + b"{}," * 300_000 + b"{}]}",
        b'{"groups":[{"reference":"r","candidates":[' + b'"",' * 300_000 + b'""]}]}',
        b'{"groups":[' + b'{"candidates":[]},' * 150_000 + b"{}]}",
        b"[" * 300_000,
        b'{"note":"' + rb"\"\\" * 100_000 + b'","items":[' + b"{}," * 300_000 + b"{}]}",
    ],
)
def test_a_large_body_of_tiny_values_is_refused_before_it_is_decoded(
    raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_load", lambda raw: pytest.fail("decoded"))
    with pytest.raises(InvalidRequest) as caught:
        parsing.parse(raw, 4096)
    assert (caught.value.code, "REWARD_MAX_ITEMS" in caught.value.message) == ("too_many_items", True)


@pytest.mark.parametrize(
    "text", ["[{, " * 5000, 'He said "no, no" [{, ' * 900, "\\" * 9000, '\\"[,' * 3000, "é[,{" * 4000]
)
def test_what_texts_hold_is_not_counted(text: str) -> None:
    """4,096 pairs of the longest texts, and full of what separates values."""
    item = {"candidate": text, "reference": text}
    raw = orjson.dumps({"items": [item] * 400})
    assert len(raw) > decoding.LARGE_BYTES
    decoding.refuse_too_many_values(raw, 4096)
    assert len(parsing.parse(raw, 4096).scoring.items) == 400


@pytest.mark.parametrize(
    "body",
    [
        {"items": [{}] * 9},
        {"groups": [{}] * 9},
        {"groups": [{"reference": "r", "candidates": []}] * 9},
        {"items": [1] * 5, "groups": [{"reference": "r", "candidates": ["c", "c"]}, None, "x"]},
    ],
)
def test_pairs_are_counted_before_any_is_validated(body: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parsing.parse(orjson.dumps(body), 8)
    assert caught.value.code == "too_many_items"
