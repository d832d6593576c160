"""Which finding of the candidate stands for which of the reference: one for one, nearest first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from judges.rules import lexicon as lx
from judges.rules.account import named_absent
from judges.rules.findings import Finding, Findings
from judges.rules.hierarchy import steps, together

KIN: Final = (1.0, 0.75, 0.5)
"""Credit for naming an ancestor or descendant instead, by distance; farther ones get the last. Never more than what is
named is worth itself, which is its price if it is false: a vague guess must not pay better than a precise one."""

Match = tuple[Finding, Finding, float]
"""Candidate's finding, reference's finding, share of the credit that their distance in the hierarchy leaves."""


def same_grain(a: dict[int, Finding], b: dict[int, Finding]) -> tuple[dict[int, Finding], dict[int, Finding]]:
    """Left and right as one finding where the other text does not tell them apart, so that nothing counts twice.

    What only the reference has stays two, so that to name one of them is not worse than none.
    """
    a, b = dict(a), dict(b)
    for one, other in ((a, b), (b, a)):
        if (
            lx.LEFT in one
            and lx.RIGHT in one
            and (other or one is a)
            and lx.LEFT not in other
            and lx.RIGHT not in other
        ):
            left, right = one.pop(lx.LEFT), one.pop(lx.RIGHT)
            one[lx.BOTH] = left._replace(
                side=lx.BOTH,
                zone=left.zone | right.zone,
                severity=left.severity | right.severity,
                place=left.place | right.place,
                size=max(left.size, right.size),
                certain=left.certain or right.certain,
                contradicted=left.contradicted and right.contradicted,
                span=min(left.span, right.span),
                details=left.details | right.details,
            )
    return a, b


def assign_sides(a: dict[int, Finding], b: dict[int, Finding]) -> Iterator[tuple[Finding, Finding]]:
    """Findings of one concept: the same side first, then overlapping or unnamed sides, then opposite ones."""
    left, right = list(a.values()), list(b.values())
    if len(left) == len(right) == 1:
        yield left[0], right[0]
        return
    for compatible in (lambda s, t: s == t, lambda s, t: bool(s & t), lambda s, t: not (s and t), lambda s, t: True):
        for x in list(left):
            y = next((y for y in right if compatible(x.side, y.side)), None)
            if y is not None:
                left.remove(x)
                right.remove(y)
                yield x, y


def spend(
    lexicon: lx.Lexicon, theirs: list[Finding], pairs: list[Match], candidate: Findings
) -> list[tuple[Finding, Finding]]:
    """Take out of `theirs` what is only the more general name of something that matched, and say of what.

    "Opacity, likely atelectasis" is one finding: who says "atelectasis" has said it all, and nothing else that looks
    opaque can be taken for what is left.
    """
    spent = []
    for y in list(theirs):
        if named_absent(candidate, y.concept, y.side):
            continue
        special = next(
            (
                z for _, z, _ in pairs
                if y.concept in lexicon.concepts[z.concept].ancestors and not (z.side and y.side & ~z.side)
            ),
            None,
        )  # fmt: skip
        if special is not None:
            theirs.remove(y)
            spent.append((y, special))
    return spent


def assign_kin(
    lexicon: lx.Lexicon,
    mine: list[Finding],
    theirs: list[Finding],
    candidate: Findings,
    reference: Findings,
    spent: list[tuple[Finding, Finding]],
) -> list[Match]:
    """Match what is left along the hierarchy, nearest first; matched findings are removed from the lists.

    A relative cannot stand for what the other text denies by name ("opacity, no consolidation" for "consolidation"),
    nor for what that text knows as something else ("edema" for "opacity, consistent with pneumonia").
    """
    able = [x for x in mine if not named_absent(reference, x.concept, x.side)]
    wanted = [y for y in theirs if not named_absent(candidate, y.concept, y.side)]
    options = []
    for x in able:
        for y in wanted:
            distance = steps(lexicon, x, y)
            if distance and not (_known_as_other(lexicon, y, x, theirs) or _known_as_other(lexicon, x, y, mine)):
                options.append((distance, -lexicon.concepts[y.concept].weight, x[:2], y[:2], x, y))
    found: list[Match] = []
    for distance, _, _, _, x, y in sorted(options, key=lambda option: option[:4]):
        if x in mine and y in theirs:
            mine.remove(x)
            theirs.remove(y)
            worth = lexicon.concepts[x.concept].weight / (lexicon.concepts[y.concept].weight or 1.0)
            found.append((x, y, min(KIN[min(distance, len(KIN) - 1)], worth)))
            spent += spend(lexicon, theirs, found[-1:], candidate)
    return found


def _known_as_other(lexicon: lx.Lexicon, general: Finding, special: Finding, known: list[Finding]) -> bool:
    """Whether a text has a certain name for its general finding, and that is another one than `special`."""
    if general.concept not in lexicon.concepts[special.concept].ancestors:
        return False
    concepts = lexicon.concepts
    names = [
        z for z in known if z.certain and general.concept in concepts[z.concept].ancestors and together(z, general)
    ]
    return bool(names) and not any(z.concept == special.concept or steps(lexicon, z, special) for z in names)
