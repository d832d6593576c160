"""A stored score comes back exactly, or not at all."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges.base import CATEGORIES, Evidence, Judgement
from reward_service.caching.codec import SCHEMA, decode, encode
from reward_service.contracts import ComponentScore

KEY = "0123456789abcdef:" + "7" * 40
WORD = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | FLOAT | WORD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD, inner, max_size=3),
    max_leaves=8,
)
SPAN = st.none() | st.tuples(st.integers(0, 20_000), st.integers(0, 20_000))
EVIDENCE = st.builds(Evidence, st.sampled_from([*CATEGORIES, "matched"]), WORD, st.booleans(), SPAN, SPAN, WORD)
COUNTS = st.fixed_dictionaries(dict.fromkeys(CATEGORIES, FLOAT))
JUDGEMENT = st.builds(
    Judgement,
    COUNTS,
    COUNTS,
    FLOAT,
    st.lists(EVIDENCE, max_size=8).map(tuple),
    st.dictionaries(WORD, FLOAT, max_size=3),
    st.lists(WORD, max_size=2).map(tuple),
    st.dictionaries(WORD, JSON, max_size=3),
)
OUTCOME = st.builds(
    ComponentScore,
    st.dictionaries(WORD, FLOAT, max_size=5),
    st.lists(WORD, max_size=3).map(tuple),
    st.none() | JUDGEMENT,
)


@given(OUTCOME)
def test_round_trip_is_exact(score: ComponentScore) -> None:
    back = decode(KEY, encode(KEY, score))
    assert back == score
    assert repr(back) == repr(score)  # also the sign of zero, int against float, tuple against list
    for name, value in score.values.items():
        assert struct.pack("d", back.values[name]) == struct.pack("d", value)


@given(OUTCOME, st.data())
def test_a_damaged_or_misplaced_value_is_a_miss(score: ComponentScore, data: st.DataObject) -> None:
    blob = encode(KEY, score)
    cut = data.draw(st.integers(0, len(blob) - 1))
    assert decode(KEY, blob[:cut]) is None
    flipped = bytearray(blob)
    flipped[cut] ^= data.draw(st.integers(1, 255))
    assert decode(KEY, bytes(flipped)) is None
    assert decode(KEY, blob + b"0") is None
    assert decode(KEY.replace("7", "8"), blob) is None


@given(st.binary(max_size=200))
def test_garbage_is_a_miss(blob: bytes) -> None:
    assert decode(KEY, blob) is None
    assert decode(KEY, bytes([SCHEMA, 0]) + blob) is None


@pytest.mark.parametrize(
    "body", [b"[]", b"null", b'[{"x":1.0},[]]', b'[{"x":1.0},[],{}]', b'[{"x":1.0},[],[1,2]]', b"{"]
)
def test_the_right_checksum_over_the_wrong_shape_is_a_miss(body: bytes) -> None:
    from reward_service.caching.codec import _checksum

    assert decode(KEY, bytes([SCHEMA, 0]) + _checksum(KEY, 0, body) + body) is None


def test_an_older_schema_is_a_miss() -> None:
    blob = encode(KEY, ComponentScore({"x": 1.0}))
    assert decode(KEY, bytes([SCHEMA - 1]) + blob[1:]) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "0.5"])
def test_what_is_no_finite_number_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        encode(KEY, ComponentScore({"x": value}))  # type: ignore[dict-item]


def test_values_are_compact() -> None:
    counts = dict.fromkeys(CATEGORIES, 0.0)
    spans = tuple(Evidence("matched", f"finding_{i}", True, (10 * i, 10 * i + 9), (3, 14)) for i in range(8))
    assert len(encode(KEY, ComponentScore({"bleu2": 0.31, "rougeL": 0.48}))) < 50
    assert (
        len(encode(KEY, ComponentScore({"green": 0.5}, (), Judgement(counts, counts, 8.0, spans, {"green": 0.5}))))
        < 350
    )
