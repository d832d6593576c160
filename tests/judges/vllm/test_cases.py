"""The shipped labelled pairs: enough of every kind, each once, and the kept third fixed by the names of the studies."""

from __future__ import annotations

from collections import Counter

from judges.base import CATEGORIES
from judges.vllm import cases


def test_the_shipped_pairs_have_every_kind_of_error_and_none() -> None:
    shipped = cases.shipped()
    assert len(shipped) >= 200
    assert (
        len({case.id for case in shipped})
        == len({(case.reference, case.candidate) for case in shipped})
        == len(shipped)
    )
    counted: Counter[tuple[str, bool]] = Counter()
    for case in shipped:
        counted.update({(name, True): int(n) for name, n in case.significant.items()})
        counted.update({(name, False): int(n) for name, n in case.insignificant.items()})
    assert {(name, grave) for name in CATEGORIES for grave in (True, False)} <= counted.keys()
    totals = [sum(case.significant.values()) + sum(case.insignificant.values()) for case in shipped]
    assert min(Counter(totals)[n] for n in (0, 1, 2, 3)) >= 8
    assert sum(case.prior is not None for case in shipped) >= 30
    assert len({case.examination for case in shipped}) >= 4
    clean = {case.id.partition("/")[0] for case, total in zip(shipped, totals, strict=True) if not total}
    assert clean == {case.id.partition("/")[0] for case in shipped}  # each reference has itself in other words


def test_the_parts_are_two_thirds_and_one_and_share_no_study() -> None:
    parts = {part: cases.shipped(part) for part in ("open", "kept")}  # type: ignore[arg-type]  # a loop over literals
    assert len(parts["open"]) + len(parts["kept"]) == len(cases.shipped())
    assert 0.25 < len(parts["kept"]) / len(cases.shipped()) < 0.42
    assert not {c.reference for c in parts["open"]} & {c.reference for c in parts["kept"]}
