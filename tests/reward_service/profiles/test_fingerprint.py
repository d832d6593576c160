"""Fingerprints change with what they cover, and with nothing else."""

from __future__ import annotations

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from reward_service.profiles import fingerprint

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=3), json_values, max_size=4))
def test_key_order_does_not_matter(document: dict[str, object]) -> None:
    backwards = dict(reversed(list(document.items())))
    assert fingerprint.digest(document) == fingerprint.digest(backwards)


def test_the_hash_can_be_recomputed_from_the_document_with_standard_tools() -> None:
    document = {"weights": {"b": 0.5, "a": 1}, "bounds": [0, 1]}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert fingerprint.of_profile(document).split(".")[0] == "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def test_a_pin_names_the_parts_that_changed() -> None:
    document = dict.fromkeys(fingerprint.PARTS, 1)
    pinned = fingerprint.of_profile(document)
    served = fingerprint.of_profile({**document, "weights": 2, "guards": 3})
    assert fingerprint.changed_parts(pinned, served) == ["weights", "guards"]
    assert fingerprint.changed_parts(pinned.split(".")[0], served) == []
    assert fingerprint.same(pinned.split(".")[0], pinned)
    assert not fingerprint.same(pinned, served)


def test_changed_fields_are_paths_to_leaves() -> None:
    a = {"weights": {"a": 1, "b": 2}, "bounds": [0, 1]}
    b = {"weights": {"a": 1, "b": 3}, "bounds": [0, 2], "new": None, "more": 1}
    assert list(fingerprint.changed_fields(a, b)) == ["bounds", "more", "weights.b"]
