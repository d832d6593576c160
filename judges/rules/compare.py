"""Two sets of findings against each other: one-to-one assignment, six categories, credit and penalty.

Everything is decided by the findings alone, never by the texts, so equal findings in other words cost nothing and equal
texts cost nothing without being compared as texts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from judges import scores
from judges.base import CATEGORIES, Category, Evidence, Judgement
from judges.rules import lexicon as lx
from judges.rules.reader import STUDY, Denial, Finding, Findings

SIGNIFICANT: Final = 0.5
"""An error is clinically significant when what it concerns weighs at least this much (a certain moderate finding)."""
UNCERTAIN: Final = 0.5
"""Share of its weight that a merely possible finding has, and of the credit for hedging what the reference asserts."""
OVERCONFIDENT: Final = 0.75
"""Share of the credit for asserting what the reference calls possible."""
KIN: Final = (1.0, 0.75, 0.5)
"""Credit for naming an ancestor or descendant instead, by distance; farther ones get the last."""
FREE_KIN: Final = 0.5
"""Credit for a finding that is only a more general or special name of another one that matched."""
DENIED: Final = 0.25
"""Extra penalty, as a share of the weight, for denying what the reference asserts: by name, or, where it would be a

significant error, also by a normality phrase ("the lungs are clear")."""
WRONG_SIDE: Final = 0.25
"""Extra penalty, as a share of the weight, for the wrong side; there is no credit for it either."""
ONE_SIDE: Final = 0.6
"""Share of the credit when only one side of two is right."""
NO_SIDE: Final = 0.9
OTHER_ZONE: Final = 0.75
OTHER_PLACE: Final = 0.25
"""Share of the credit for a tube or line whose tip is reported elsewhere."""
ONE_BAND: Final = 0.85
"""Share of the credit for a severity one band off (small/moderate); more bands give `FAR_BAND`."""
FAR_BAND: Final = 0.5
COMPARISON: Final = 0.2
"""Penalty for an invented or dropped direction of change; a mere "stable" or "compared with" costs half."""
PARTIAL_DENIAL: Final = 0.5
"""Share of the weight of a false finding that the reference denies only in part ("no large effusion")."""

_DIRECTED: Final = lx.WORSE | lx.BETTER | lx.NEW | lx.RESOLVED
_SIDE_NAME: Final = ("unspecified", "left", "right", "bilateral")
_BAND_NAME: Final = ("trace", "small", "moderate", "large")
_CHANGE_NAME: Final = ("stable", "worse", "better", "new", "resolved", "compared")


@dataclass(slots=True)
class _Account:
    """Credit by alternative group (a differential counts once, by its best member), penalties, errors, evidence."""

    lexicon: lx.Lexicon
    weight: dict[object, float] = field(default_factory=dict)
    credit: dict[object, float] = field(default_factory=dict)
    penalty: float = 0.0
    matched: float = 0.0
    significant: dict[Category, float] = field(default_factory=lambda: dict.fromkeys(CATEGORIES, 0.0))
    insignificant: dict[Category, float] = field(default_factory=lambda: dict.fromkeys(CATEGORIES, 0.0))
    evidence: list[Evidence] = field(default_factory=list)

    def worth(self, finding: Finding) -> float:
        weight = self.lexicon.concepts[finding.concept].weight
        return weight if finding.certain else weight * UNCERTAIN

    def expect(self, finding: Finding) -> None:
        key = _key(finding)
        self.weight[key] = max(self.weight.get(key, 0.0), self.worth(finding))
        self.credit.setdefault(key, 0.0)

    def earn(self, finding: Finding, share: float) -> None:
        key = _key(finding)
        self.credit[key] = max(self.credit[key], self.worth(finding) * share)

    def error(
        self,
        category: Category,
        finding: str,
        significant: bool,
        candidate: tuple[int, int] | None,
        reference: tuple[int, int] | None,
        detail: str = "",
    ) -> None:
        (self.significant if significant else self.insignificant)[category] += 1
        self.evidence.append(Evidence(category, finding, significant, candidate, reference, detail))


def _key(finding: Finding) -> object:
    return finding.group or (finding.concept, finding.side)


def judge(lexicon: lx.Lexicon, candidate: Findings, reference: Findings, prior: Findings | None) -> Judgement:
    """The verdict on one pair; see the module's constants for what each difference costs."""
    account = _Account(lexicon)
    pairs: list[tuple[Finding, Finding, float]] = []
    mine: list[Finding] = []
    theirs: list[Finding] = []
    for concept in sorted(candidate.positive.keys() | reference.positive.keys()):
        a, b = _same_grain(candidate.positive.get(concept, {}), reference.positive.get(concept, {}))
        for finding in b.values():
            account.expect(finding)
        for x, y in _assign_sides(a, b):
            pairs.append((x, y, 1.0))
            a.pop(x.side)
            b.pop(y.side)
        mine += a.values()
        theirs += b.values()
    pairs += _assign_kin(lexicon, mine, theirs, candidate, reference)

    free_mine = {_id(x) for x, _, _ in pairs}
    free_theirs = {_id(y) for _, y, _ in pairs}
    for x, y, share in pairs:
        _attributes(account, x, y, share)
    hit_groups = {y.group for _, y, _ in pairs if y.group}
    spare = {x.group: 2 for x, _, _ in pairs if x.group}

    for finding in theirs:
        if finding.group in hit_groups:
            continue
        if not _outright(candidate, finding.concept) and _take_kin(lexicon, finding, pairs, free_theirs, 1):
            account.earn(finding, FREE_KIN)
            continue
        name = lexicon.concepts[finding.concept].name
        denial = _denial(lexicon, candidate, finding.concept)
        worth = account.worth(finding)
        if denial and (denial.explicit or worth >= SIGNIFICANT):
            account.penalty += DENIED * worth
        account.error(
            "missing_finding", name, worth >= SIGNIFICANT, denial.span if denial else None, finding.span,
            "denied" if denial else "",
        )  # fmt: skip
    for finding in mine:
        if spare.get(finding.group, 0) > 0:
            spare[finding.group] -= 1
            continue
        if not _outright(reference, finding.concept) and _take_kin(lexicon, finding, pairs, free_mine, 0):
            continue
        name = lexicon.concepts[finding.concept].name
        worth = account.worth(finding)
        denial = _denial(lexicon, reference, finding.concept)
        own = reference.negative.get(finding.concept)
        if own is not None and own.partial:
            worth *= PARTIAL_DENIAL
        account.penalty += worth
        account.error(
            "false_finding", name, worth >= SIGNIFICANT, finding.span, denial.span if denial else None,
            "denied" if denial else "",
        )  # fmt: skip

    covered, total = _negatives(lexicon, candidate, reference)
    account.matched += scores.NEGATIVE * covered
    _comparisons(account, candidate, reference, prior, pairs)

    weight = sum(account.weight.values())
    credit = sum(account.credit[key] for key in account.weight)
    if reference.positive:
        if weight < scores.NORMAL_REPORT:
            credit, weight = credit / weight * scores.NORMAL_REPORT, scores.NORMAL_REPORT
    elif total:
        weight = scores.NORMAL_REPORT
        credit = weight * (covered / total)
    notes = []
    if not (reference.positive or reference.negative or reference.changes):
        notes.append("reference_without_findings")
    if any(f.contradicted for sides in candidate.positive.values() for f in sides.values()):
        notes.append("candidate_contradicts_itself")
    return Judgement(
        significant=account.significant,
        insignificant=account.insignificant,
        matched_findings=account.matched,
        evidence=tuple(account.evidence),
        values=scores.score(
            account.significant,
            account.insignificant,
            matched=account.matched,
            credit=credit,
            penalty=account.penalty,
            weight=weight,
            empty=candidate.empty,
        ),
        notes=tuple(notes),
    )


def _id(finding: Finding) -> tuple[int, int]:
    return finding.concept, finding.side


# ----- assignment ---------------------------------------------------------------------------------------------------


def _same_grain(a: dict[int, Finding], b: dict[int, Finding]) -> tuple[dict[int, Finding], dict[int, Finding]]:
    """Left and right as one finding where the other text does not tell them apart, so that nothing counts twice."""
    a, b = dict(a), dict(b)
    for one, other in ((a, b), (b, a)):
        if lx.LEFT in one and lx.RIGHT in one and other and lx.LEFT not in other and lx.RIGHT not in other:
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
            )
    return a, b


def _assign_sides(a: dict[int, Finding], b: dict[int, Finding]) -> Iterator[tuple[Finding, Finding]]:
    """Findings of one concept: the same side first, then overlapping or unnamed sides, then opposite ones."""
    left, right = list(a.values()), list(b.values())
    for compatible in (lambda s, t: s == t, lambda s, t: bool(s & t), lambda s, t: not (s and t), lambda s, t: True):
        for x in list(left):
            for y in right:
                if compatible(x.side, y.side):
                    left.remove(x)
                    right.remove(y)
                    yield x, y
                    break


def _distance(lexicon: lx.Lexicon, a: int, b: int) -> int:
    """Steps between a concept and its ancestor, either way round; 0 when neither is the other's ancestor."""
    return lexicon.concepts[a].ancestors.get(b) or lexicon.concepts[b].ancestors.get(a) or 0


def _fits(x: Finding, y: Finding) -> bool:
    return not (x.side and y.side) or bool(x.side & y.side)


def _outright(findings: Findings, concept: int) -> bool:
    """Whether the text names the concept as absent, without reservation."""
    denial = findings.negative.get(concept)
    return denial is not None and denial.explicit and not denial.partial


def _denial(lexicon: lx.Lexicon, findings: Findings, concept: int) -> Denial | None:
    """The full denial of a concept or of one of its ancestors; the nearest, then the first in the lexicon."""
    known = findings.negative
    lineage = sorted(lexicon.concepts[concept].ancestors.items(), key=lambda item: (item[1], item[0]))
    for each in (concept, *(ancestor for ancestor, _ in lineage)):
        if each in known and not known[each].partial:
            return known[each]
    return None


def _assign_kin(
    lexicon: lx.Lexicon, mine: list[Finding], theirs: list[Finding], candidate: Findings, reference: Findings
) -> list[tuple[Finding, Finding, float]]:
    """Match what is left along the hierarchy, nearest first; matched findings are removed from the lists.

    A relative cannot stand for what its text denies by name ("opacity, no consolidation" for "consolidation").
    """
    options = []
    for i, x in enumerate(mine):
        if _outright(reference, x.concept):
            continue
        for j, y in enumerate(theirs):
            distance = _distance(lexicon, x.concept, y.concept)
            if distance and _fits(x, y) and not _outright(candidate, y.concept):
                weight = lexicon.concepts[y.concept].weight
                options.append((distance, -weight, x.concept, x.side, y.concept, y.side, i, j))
    found = []
    used_x: set[int] = set()
    used_y: set[int] = set()
    for option in sorted(options):
        i, j = option[-2:]
        if i not in used_x and j not in used_y:
            used_x.add(i)
            used_y.add(j)
            found.append((mine[i], theirs[j], KIN[min(option[0], len(KIN) - 1)]))
    mine[:] = [x for i, x in enumerate(mine) if i not in used_x]
    theirs[:] = [y for j, y in enumerate(theirs) if j not in used_y]
    return found


def _take_kin(
    lexicon: lx.Lexicon,
    finding: Finding,
    pairs: list[tuple[Finding, Finding, float]],
    free: set[tuple[int, int]],
    which: int,
) -> bool:
    """Use up the one free relative of a matched finding, if there is one for `finding`."""
    for pair in pairs:
        matched = pair[which]
        if (
            isinstance(matched, Finding)
            and _id(matched) in free
            and _distance(lexicon, finding.concept, matched.concept)
            and _fits(finding, matched)
        ):
            free.discard(_id(matched))
            return True
    return False


# ----- attributes of a matched pair ---------------------------------------------------------------------------------


def _bands(mask: int) -> tuple[int, int]:
    return (mask & -mask).bit_length() - 1, mask.bit_length() - 1


def _attributes(account: _Account, x: Finding, y: Finding, share: float) -> None:
    name = account.lexicon.concepts[y.concept].name
    serious = account.worth(y) >= SIGNIFICANT
    wrong = False
    if x.contradicted and not y.contradicted:
        share, wrong = 0.0, True
        account.error("missing_finding", name, serious, x.span, y.span, "contradicted")
    if not x.certain and y.certain:
        share *= UNCERTAIN
    elif x.certain and not y.certain:
        share *= OVERCONFIDENT

    if y.side and x.side != y.side and account.lexicon.concepts[x.concept].sided:
        detail = f"{_SIDE_NAME[x.side]}/{_SIDE_NAME[y.side]}"
        if not x.side & y.side and x.side:
            share, wrong = 0.0, serious
            account.penalty += WRONG_SIDE * account.worth(y)
            account.error("wrong_location", name, serious, x.span, y.span, detail)
        elif x.side:
            share, wrong = share * ONE_SIDE, serious
            account.error("wrong_location", name, serious, x.span, y.span, detail)
        else:
            share *= NO_SIDE
            account.error("wrong_location", name, False, x.span, y.span, detail)
    elif x.place and y.place and not x.place & y.place:
        share, wrong = share * OTHER_PLACE, True
        account.error("wrong_location", name, True, x.span, y.span, "tip")
    elif x.zone and y.zone and not x.zone & y.zone:
        share *= OTHER_ZONE
        account.error("wrong_location", name, False, x.span, y.span, "zone")

    if x.severity and y.severity and x.severity & ~y.severity:
        (low, high), (from_, to) = _bands(x.severity), _bands(y.severity)
        off = max(low - to, from_ - high, 1)
        far = off > 1
        share *= FAR_BAND if far else ONE_BAND
        wrong = wrong or (far and serious)
        account.error("wrong_severity", name, far and serious, x.span, y.span, f"{_BAND_NAME[high]}/{_BAND_NAME[to]}")
    elif x.size and y.size and max(x.size, y.size) > 1.5 * min(x.size, y.size):
        far = max(x.size, y.size) > 2.5 * min(x.size, y.size)
        share *= FAR_BAND if far else ONE_BAND
        wrong = wrong or (far and serious)
        account.error("wrong_severity", name, far and serious, x.span, y.span, "size")

    account.earn(y, share)
    if not wrong:
        account.matched += 1
        account.evidence.append(Evidence("matched", name, serious, x.span, y.span))


# ----- negatives and comparisons ------------------------------------------------------------------------------------


def _negatives(lexicon: lx.Lexicon, candidate: Findings, reference: Findings) -> tuple[float, float]:
    """Weight of the reference's denials that the candidate repeats, itself or by a more general one, and of all."""
    covered = total = 0.0
    for concept, denial in reference.negative.items():
        total += lexicon.concepts[concept].weight
        own = candidate.negative.get(concept)
        if own is not None:
            covered += lexicon.concepts[concept].weight * (0.5 if own.partial and not denial.partial else 1.0)
        elif any(a in candidate.negative for a in lexicon.concepts[concept].ancestors):
            covered += lexicon.concepts[concept].weight
        elif any(concept in lexicon.concepts[c].ancestors for c in candidate.negative):
            covered += lexicon.concepts[concept].weight * 0.5
    return covered, total


def _comparisons(
    account: _Account,
    candidate: Findings,
    reference: Findings,
    prior: Findings | None,
    pairs: list[tuple[Finding, Finding, float]],
) -> None:
    """Categories (e), (f): a change is true when prior and reference show it; without a prior, when the latter says it."""
    concepts = account.lexicon.concepts
    ids = {c.name: i for i, c in enumerate(concepts)}
    matched_mine, matched_theirs = {x.concept for x, _, _ in pairs}, {y.concept for _, y, _ in pairs}
    # What is said of a relative is said of the finding that it stands for.
    alias = {concepts[x.concept].name: concepts[y.concept].name for x, y, _ in pairs if x.concept != y.concept}
    changes: dict[str, tuple[int, tuple[int, int]]] = {}
    for name, (mask, span) in candidate.changes.items():
        target = name if name in reference.changes else alias.get(name, name)
        known = changes.get(target)
        changes[target] = (mask | known[0], known[1]) if known else (mask, span)
    said = set(itertools.chain.from_iterable(_bits(mask) for mask, _ in reference.changes.values()))
    general = reference.changes.get(STUDY, (0, (0, 0)))[0]
    for name, (mask, span) in sorted(changes.items()):
        concept = ids.get(name)
        if concept is not None and concept in candidate.positive and concept not in matched_mine:
            continue  # a false finding already
        theirs = reference.changes.get(name)
        for bit in _bits(mask & ~(theirs[0] if theirs else 0)):
            if bit & lx.COMPARED and said:
                continue
            if bit & lx.STABLE and general & lx.STABLE:
                continue
            if prior is not None:
                verdict = _happened(bit, concept, prior, reference)
                if verdict or (verdict is None and not theirs):
                    continue
            directed = bool(bit & _DIRECTED)
            account.penalty += COMPARISON if directed else COMPARISON / 2
            account.error("false_comparison", name, directed, span, theirs[1] if theirs else None, _change_name(bit))
    own = changes.get(STUDY, (0, (0, 0)))[0]
    spoken = set(itertools.chain.from_iterable(_bits(mask) for mask, _ in changes.values()))
    for name, (mask, span) in sorted(reference.changes.items()):
        concept = ids.get(name)
        if concept is not None and concept in reference.positive and concept not in matched_theirs:
            continue  # a missing finding already
        ours = changes.get(name)
        for bit in _bits(mask & ~(ours[0] if ours else 0)):
            if bit & lx.COMPARED and spoken:
                continue
            if bit & lx.STABLE and own & lx.STABLE:
                continue
            if prior is not None and _happened(bit, concept, prior, reference) is False:
                continue  # the prior report does not bear it out
            directed = bool(bit & _DIRECTED)
            account.penalty += COMPARISON if directed else COMPARISON / 2
            account.error("missing_comparison", name, directed, ours[1] if ours else None, span, _change_name(bit))


def _bits(mask: int) -> Iterator[int]:
    while mask:
        yield mask & -mask
        mask &= mask - 1


def _change_name(bit: int) -> str:
    return _CHANGE_NAME[bit.bit_length() - 1]


def _happened(change: int, concept: int | None, prior: Findings, reference: Findings) -> bool | None:
    """Whether prior and reference together show the change; None when they cannot tell."""
    if concept is None:
        return None
    before, now = prior.positive.get(concept), reference.positive.get(concept)
    if change & lx.NEW:
        return before is None and now is not None
    if change & lx.RESOLVED:
        return before is not None and now is None
    if before is None or now is None:
        return False
    old, new = (max((f.severity for f in s.values()), default=0) for s in (before, now))
    if not (old and new):
        return None
    step = new.bit_length() - old.bit_length()
    if change & lx.WORSE:
        return step > 0
    if change & lx.BETTER:
        return step < 0
    return step == 0
