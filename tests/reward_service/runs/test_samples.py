"""Which items are kept with their texts does not depend on who saw them, in which order, or in how many parts."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from judges.base import CATEGORIES, Evidence, Judgement
from reward_service.contracts import Composite
from reward_service.runs.samples import Reservoir, Told, digest_of, smallest
from reward_service.runs.totals import digest


def told(candidate: str, reference: str = "r", prior: str | None = None) -> Told:
    none = dict.fromkeys(CATEGORIES, 0.0)
    evidence = (Evidence("matched", "pleural_effusion", True, (0, 3), None),)
    composite = Composite(0.5, "ok", {"a": 0.5}, {"a": 0.5}, {}, (), (), ("empty",))
    return Told(candidate, reference, prior, composite, Judgement(none, none, 1.0, evidence, {}))


TEXTS = st.lists(st.text("ab", max_size=3), max_size=30)  # so that many come again


@given(TEXTS, st.integers(1, 5), st.integers(1, 4))
def test_parts_together_keep_what_one_process_would_have_kept(texts: list[str], most: int, parts: int) -> None:
    whole = Reservoir(most)
    whole.add([told(text) for text in texts])
    shared = [Reservoir(most) for _ in range(parts)]
    for i, text in enumerate(reversed(texts)):
        shared[i % parts].add([told(text)])
    expected = sorted(Counter(digest_of(text, "r") for text in texts).items())[:most]
    assert [(sample["digest"], sample["count"]) for sample in whole.samples] == expected
    assert smallest([sample for one in shared for sample in one.samples], most) == whole.samples


def test_a_sample_has_the_texts_and_all_there_is_to_show() -> None:
    reservoir = Reservoir(2)
    assert reservoir.add([told("a \ud800", prior="p")])
    assert reservoir.add([told("a \ud800", prior="p")])  # counted
    (sample,) = reservoir.samples
    assert (sample["candidate"], sample["reference"], sample["prior"]) == ("a ?", "r", "p")
    assert (sample["count"], sample["candidate_digest"]) == (2, digest("a \ud800"))
    assert sample["result"]["reward"] == 0.5
    assert sample["result"]["flags"] == ["empty"]
    assert sample["result"]["judgement"]["evidence"][0]["finding"] == "pleural_effusion"
