"""A stored score comes back exactly, or not at all."""

from __future__ import annotations

import math
import struct
import tracemalloc
import zlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges.base import CATEGORIES, Evidence, Judgement
from reward_service.caching.codec import SCHEMA, Shape, _checksum, decode, encode
from reward_service.contracts import ComponentScore

KEY = "0123456789abcdef:" + "7" * 40
WORD = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | FLOAT | WORD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD, inner, max_size=3),
    max_leaves=8,
)
NUMBER = st.floats(-1e12, 1e12)
COUNT = st.floats(0, 1e12)
SPAN = st.none() | st.tuples(st.integers(0, 20_000), st.integers(0, 20_000)).map(lambda span: tuple(sorted(span)))
KIND = st.sampled_from([*CATEGORIES, "deduction", "matched"])
EVIDENCE = st.builds(Evidence, KIND, WORD, st.booleans(), SPAN, SPAN, WORD, COUNT, WORD)
COUNTS = st.fixed_dictionaries(dict.fromkeys(CATEGORIES, COUNT))
VALUES = st.dictionaries(WORD, NUMBER, max_size=5)
NOTES = st.lists(st.from_regex(r"[a-z0-9_]{1,64}", fullmatch=True), max_size=16).map(tuple)


def judgements(values: dict[str, float]) -> st.SearchStrategy[Judgement]:
    """A judge's scores are the component's values."""
    evidence = st.lists(EVIDENCE, max_size=8).map(tuple)
    return st.builds(
        Judgement, COUNTS, COUNTS, COUNT, evidence, st.just(values), NOTES, st.dictionaries(WORD, JSON, max_size=3)
    )


OUTCOME = VALUES.flatmap(
    lambda values: st.builds(ComponentScore, st.just(values), NOTES, st.none() | judgements(values))
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


ZEROS: dict[str, float] = dict.fromkeys(CATEGORIES, 0.0)
VERDICT: list[Any] = [
    ZEROS, ZEROS, 1.0, [["matched", "edema", True, [0, 3], None, "", 0.0, "left"]], {"x": 1.0}, [], {}
]  # fmt: skip


def forged(body: Any, flag: int = 0) -> bytes:
    """With the right checksum, which is no secret."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return bytes([SCHEMA, flag]) + _checksum(KEY, flag, raw) + raw


def changed(position: int, value: Any) -> list[Any]:
    return [{"x": 1.0}, [], [value if i == position else part for i, part in enumerate(VERDICT)]]


@pytest.mark.parametrize(
    "body",
    [
        b"[]", b"null", b"{", b"[[],[],null]", b'[{"x":1.0},[]]', b'[{"x":1.0},[],{}]', b'[{"x":1.0},[],[1,2]]',
        b'[{"x":NaN},[],null]', b'[{"x":1e999},[],null]', b'[{"x":1e300},[],null]', b"[" * 3000,
        [{"x": "1.0"}, [], None], [{"x": True}, [], None], [{"x": None}, [], None], [{"x": [1.0]}, [], None],
        [[["x", 1.0]], [], None], [{"x": 1.0}, "notes", None], [{"x": 1.0}, [1], None], [{"x": 1.0}, [["a"]], None],
        [{"x": 1.0}, None, None], [{"x": 1.0}, [], None, 1], [{"x": 1.0}, [], False],
        changed(0, {}), changed(0, {**ZEROS, "more": 0.0}), changed(0, {**ZEROS, "wrong_location": -1.0}),
        changed(1, {**ZEROS, "wrong_location": "1"}), changed(1, {**ZEROS, "wrong_location": True}), changed(2, None),
        changed(2, -1.0), changed(3, None), changed(3, [[]]), changed(3, [["matched", "edema", True, [0, 3], None]]),
        changed(3, [["invented", "edema", True, None, None, "", 0.0, "left"]]), changed(3, [["matched", 5, True, None, None, "", 0.0, "left"]]),
        changed(3, [["matched", "edema", 1, None, None, "", 0.0, "left"]]), changed(3, [["matched", "edema", True, [0], None, "", 0.0, "left"]]),
        changed(3, [["matched", "edema", True, [5, 3], None, "", 0.0, "left"]]),
        changed(3, [["matched", "edema", True, [-5, 3], None, "", 0.0, "left"]]),
        changed(3, [["matched", "edema", True, [0, 1.5], None, "", 0.0, "left"]]), changed(4, None), changed(5, "flag"), changed(5, [None]), changed(6, []), changed(6, "details"),
        *(changed(5, [note]) for note in ("", "a" * 65, "A", "two words", "a\n", "\u0661")), changed(5, ["a"] * 17),
        [{"x": 1.0}, ["No effusion."], None], [{"x": 1.0}, [f"a{i}" for i in range(17)], None],
        changed(3, VERDICT[3] * 4097), changed(3, [["matched", "edema", True, [0, 3], None, ""]]),
        *(changed(3, [["matched", "edema", True, [0, 3], None, "", cost, "left"]]) for cost in (-0.1, "0", None, 1e13)),
        changed(3, [["matched", "edema", True, [0, 3], None, "", 0.0, 1]]),
    ],
)  # fmt: skip
def test_the_right_checksum_over_the_wrong_shape_is_a_miss(body: Any) -> None:
    assert decode(KEY, forged(body)) is None


def test_what_these_are_made_of_is_no_miss() -> None:
    assert decode(KEY, forged(changed(9, None)), Shape(frozenset({"x"}), True)) is not None
    assert decode(KEY, forged([{"x": 1.0}, [], None]), Shape(frozenset({"x"}), False)) is not None
    assert decode(KEY, forged([{"x": 1.0}, ["a" * 63 + "_"] * 16, None])) is not None
    assert decode(KEY, forged(changed(3, VERDICT[3] * 4096))) is not None


@pytest.mark.parametrize("keys", [{"x", "y"}, {"y"}, set()])
@pytest.mark.parametrize("judges", [True, False])
def test_a_score_that_its_component_does_not_give_is_a_miss(keys: set[str], judges: bool) -> None:
    shape = Shape(frozenset(keys), judges)
    for body in (changed(9, None), [{"x": 1.0}, [], None], [{}, [], None]):
        fits = body[0].keys() == keys and (body[2] is not None) == judges
        assert (decode(KEY, forged(body), shape) is not None) == fits
    x = Shape(frozenset({"x"}), True)
    assert decode(KEY, forged(changed(4, {"y": 1.0})), x) is decode(KEY, forged(changed(4, {})), x) is None


def test_what_is_compressed_is_inflated_as_far_as_a_value_may_go() -> None:
    bomb = zlib.compress(b" " * 300_000_000, 9)
    tracemalloc.start()
    try:
        assert decode(KEY, forged(bomb, 1)) is None
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()
    assert decode(KEY, forged(b"no zlib", 1)) is None
    assert decode(KEY, forged(zlib.compress(b'[{"x":1.0},[],null]'), 1)) == ComponentScore({"x": 1.0})
    long: dict[str, float] = {"x": 1.0, "n" * 2**21: 1.0}
    assert decode(KEY, forged([long, [], None])) is None
    with pytest.raises(TypeError):
        encode(KEY, ComponentScore(long))


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
