"""Two sets of findings against each other: one-to-one assignment, six categories, and what each difference costs.

Everything is decided by the findings alone, never by the texts, so equal findings in other words cost nothing and equal
texts cost nothing without being compared as texts.
"""

from __future__ import annotations

from math import fsum
from typing import Final

from judges import scores
from judges.base import STUDY, Judgement
from judges.rules import lexicon as lx
from judges.rules import unread
from judges.rules.account import FAINT, SIGNIFICANT, Account, Booking, denial_of, named_absent
from judges.rules.assign import Match, assign_kin, assign_sides, same_grain, spend
from judges.rules.changes import compare_changes, cost
from judges.rules.denials import Repeated, negatives
from judges.rules.findings import Denial, Finding, Findings, Span
from judges.rules.hierarchy import take_up
from judges.rules.matched import KIN_EXCESS, Matched

FREE_KIN: Final = 0.5
"""Credit for a finding that is only a more special name of another one that matched."""
LOOKALIKE: Final = 0.25
"""Credit for the right place under the name of something that looks like it: pneumonia for atelectasis."""
DENIED: Final = 0.5
"""Extra penalty, as a share of the weight, for denying what the reference asserts: by name, or, where the error is a
significant one, by a normality phrase ("the lungs are clear")."""
PARTIAL_DENIAL: Final = 0.5
"""Share of the weight of a false finding that the reference denies only in part ("no large effusion"), and of the
penalty for denying in part what the reference asserts."""
OVERLOOKED: Final = 0.1
"""Penalty, as a share of the weight, for a significant finding that such a candidate does not deny in particular."""


def judge(lexicon: lx.Lexicon, candidate: Findings, reference: Findings, prior: Findings | None) -> Judgement:
    """The verdict on one pair; see this module's constants for what each difference costs."""
    account = Account(lexicon)
    pairs: list[Match] = []
    mine: list[Finding] = []
    theirs: list[Finding] = []
    for concept in sorted(candidate.positive.keys() | reference.positive.keys()):
        a, b = same_grain(candidate.positive.get(concept, {}), reference.positive.get(concept, {}))
        for finding in b.values():
            account.expect(finding)
        for x, y in assign_sides(a, b):
            pairs.append((x, y, 1.0))
            a.pop(x.side)
            b.pop(y.side)
        mine += a.values()
        theirs += b.values()
    spent = spend(lexicon, theirs, pairs, candidate)
    pairs += assign_kin(lexicon, mine, theirs, candidate, reference, spent)
    if len(pairs) > 1:  # of the names of one thing the heaviest first
        pairs.sort(key=lambda pair: -lexicon.concepts[pair[1].concept].weight)

    claims = {y[:2]: Matched(account, x, y, share).settle(candidate, reference) for x, y, share in pairs}
    for general, special in spent:
        account.enter(account.claim(general, claims[special[:2]]))
    misnamed = _lookalikes(account, mine, theirs, candidate, reference)
    _missing(account, candidate, theirs, pairs)
    _false(account, reference, mine, pairs, misnamed)
    account.book()
    repeated = negatives(lexicon, candidate, reference)
    account.matched += scores.NEGATIVE * repeated.covered
    omitted = compare_changes(account, candidate, reference, prior, [(x, y) for x, y, _ in pairs])

    unread.expect(account, candidate, reference)
    known = bool(reference.positive or reference.negative or reference.changes or account.unread)
    said = candidate.positive or candidate.negative or candidate.changes or unread.repeated(candidate, reference)
    if known and not (said or candidate.empty):
        item = account.deduct(STUDY, None, None, "no_report")  # not a report of this study
        item.penalty += DENIED * (account.weight or scores.NORMAL_REPORT)
    weight, scale = _weigh(account, candidate, reference, repeated, omitted)
    silent = ["candidate_without_findings"] if known and not (said or candidate.empty) else []
    notes = silent + [unread.NAME] * bool(unread.charge(account, candidate, reference, weight))
    evidence = account.evidence(weight, scale, empty=candidate.empty)
    if not known:
        notes.append("reference_without_findings")
    if any(f.contradicted for sides in candidate.positive.values() for f in sides.values()):
        notes.append("candidate_contradicts_itself")
    significant, insignificant = account.significant, account.insignificant
    return Judgement(
        significant=significant,
        insignificant=insignificant,
        matched_findings=account.matched,
        evidence=evidence,
        values=scores.score(
            significant,
            insignificant,
            matched=account.matched,
            lost=fsum(item.cost for item in evidence),
            empty=candidate.empty,
        ),
        notes=tuple(notes),
    )


def _weighs(lexicon: lx.Lexicon, read: Findings) -> bool:
    """Whether a text says anything that counts."""
    concepts = lexicon.concepts
    return (
        any(concepts[concept].weight > 0 for concept in read.positive)
        or any(concepts[concept].denied > 0 for concept in read.negative)
        or bool(read.changes)
        or any(not statement.denied for statement in read.unread)
    )


def _weigh(
    account: Account, candidate: Findings, reference: Findings, repeated: Repeated, omitted: list[tuple[Booking, float]]
) -> tuple[float, float]:
    """What the reference is worth, with what of its normal statements or comparisons is not earned entered as items.

    The second value is by how much the findings count more than they weigh.
    """
    weight = account.weight
    if weight >= scores.MODERATE:
        return weight, 1.0
    normal = scores.NORMAL_REPORT * (1 - weight / scores.MODERATE)  # the less, the more there is that is not normal
    if repeated.total:
        _unrepeated(account, repeated, normal / repeated.total)
        return weight + normal, 1.0
    if weight:  # a lone minor finding is worth as much as with denials beside it
        return weight + normal, (weight + normal) / weight
    if reference.changes:  # "No change.": worth a normal report, and only comparisons can earn it
        every = cost(account.lexicon, reference.changes)
        for item, price in omitted:
            item.unearned += normal * price / every
    elif candidate.empty or _weighs(account.lexicon, candidate):
        # Nothing in it was recognised, or nothing that counts, so nothing is earned, but by a text that says no more.
        account.deduct(STUDY, None, None, "nothing_to_earn").unearned += normal
    return normal, 1.0


def _unrepeated(account: Account, repeated: Repeated, price: float) -> None:
    """Enter what the reference denies and the candidate does not: by name one item each, else one a phrase.

    `price`: of the weight of what is denied. A phrase ("the bones are intact") goes by what all that it rules out is a
    kind of, else by the heaviest, of these by the most general.
    """
    concepts = account.lexicon.concepts
    phrases: dict[Span, list[tuple[float, int, int, float]]] = {}
    for concept, denial, amount in repeated.lost:
        if denial.explicit:
            account.deduct(concepts[concept].name, None, denial.span, "unrepeated").unearned += price * amount
            continue
        rank = -concepts[concept].denied, len(concepts[concept].ancestors)
        phrases.setdefault(denial.span, []).append((*rank, concept, amount))
    for span, lost in phrases.items():
        concept = min(lost)[2]
        if len(lost) > 1:
            families = [concepts[each].ancestors.keys() | {each} for _, _, each, _ in lost]
            kinds = set.intersection(*map(set, families))
            concept = max(kinds, key=lambda kind: (len(concepts[kind].ancestors), -kind), default=concept)
        amount = sum(each for *_, each in lost)
        account.deduct(concepts[concept].name, None, span, "unrepeated").unearned += price * amount


# ----- assignment ---------------------------------------------------------------------------------------------------


def _lookalikes(
    account: Account, mine: list[Finding], theirs: list[Finding], candidate: Findings, reference: Findings
) -> list[Finding]:
    """What is left of both, where one may be the other misnamed: two errors, but better than to overlook it.

    Returns what the candidate calls them.
    """
    misnamed = []
    for x in list(mine):
        y = next(
            (
                y for y in theirs
                if (x.side & y.side or not (x.side and y.side))
                and account.lexicon.alike(x.concept, y.concept)
                and not named_absent(reference, x.concept, x.side)
                and not named_absent(candidate, y.concept, y.side)
            ),
            None,
        )  # fmt: skip
        if y is None:
            continue
        mine.remove(x)
        misnamed.append(x)
        theirs.remove(y)
        false = account.error("false_finding", x, account.serious(x), x.span, y.span, "lookalike")
        false.penalty += KIN_EXCESS * max(0.0, account.worth(x) - account.worth(y))
        missing = account.error("missing_finding", y, account.serious(y), x.span, y.span, "lookalike")
        claim = account.claim(y)
        claim.keep(LOOKALIKE, missing)
        account.enter(claim)
    return misnamed


def _borne_out(lexicon: lx.Lexicon, concept: int, reference: Findings) -> bool:
    """Whether the reference has something of every kind of weight that the concept is of: hydropneumothorax is two."""
    present = set(reference.positive)
    kinds = {a for known in present for a in lexicon.concepts[known].ancestors} | present
    concepts = lexicon.concepts
    parents = [a for a, n in concepts[concept].ancestors.items() if n == 1 and concepts[a].weight >= scores.MODERATE]
    return all(p in kinds or not present.isdisjoint(lexicon.concepts[p].ancestors) for p in parents)


def _missing(account: Account, candidate: Findings, theirs: list[Finding], pairs: list[Match]) -> None:
    """What the reference asserts and nothing in the candidate stands for."""
    lexicon = account.lexicon
    satisfied = {y.group for _, y, _ in pairs if y.group}  # one hit satisfies a differential
    things = [y for _, y, _ in pairs]
    free = {y[:2] for y in things}  # each matched finding earns something for one relative
    for finding in account.ranked(theirs):
        if finding.group in satisfied:
            continue
        denial = denial_of(lexicon, candidate, finding)
        kin = None if denial and denial.explicit else take_up(lexicon, things, finding)
        if kin is not None:
            if kin[:2] in free:
                free.remove(kin[:2])
                claim = account.claim(finding)
                claim.keep(FREE_KIN, account.deduct(account.name(finding), None, finding.span, "unnamed", finding.side))
                account.enter(claim)
            continue
        worth = account.worth(finding)
        if not worth:
            continue
        span, detail = (denial.span, "denied") if denial else (None, "")
        item = account.error("missing_finding", finding, account.serious(finding), span, finding.span, detail)
        claim = account.claim(finding)
        claim.keep(0.0, item)
        claim.penalise(_denial_price(candidate, finding, denial, worth), item)
        account.enter(claim)


def _denial_price(candidate: Findings, missing: Finding, denial: Denial | None, worth: float) -> float:
    """What it costs to deny a finding, besides the credit for it, as a share of its worth."""
    if denial:
        return DENIED if denial.explicit or worth >= SIGNIFICANT else 0.0
    if worth < SIGNIFICANT:
        return 0.0
    if missing.severity & ~FAINT and missing.concept in candidate.negative:
        return PARTIAL_DENIAL * DENIED  # "no large effusion" for a large one
    return OVERLOOKED if candidate.overall else 0.0


def _false(
    account: Account, reference: Findings, mine: list[Finding], pairs: list[Match], wrong: list[Finding]
) -> None:
    """What the candidate asserts and nothing in the reference bears out, which adds to what is `wrong` already.

    One thing under two names has one price.
    """
    lexicon = account.lexicon
    things = [x for x, _, _ in pairs]
    spare = {x.group: (2, x.concept) for x in things if x.group}  # a differential may name two more of its kind
    for finding in account.ranked(mine):
        group = finding.group
        more, head = spare.get(group, (0, 0))
        if more and lexicon.related(finding.concept, head):
            spare[group] = more - 1, head
            continue
        own = reference.negative.get(finding.concept)
        worth = account.worth(finding) * (PARTIAL_DENIAL if own and own.partial and not own.side else 1.0)
        if not worth:
            continue
        known = None if named_absent(reference, finding.concept, finding.side) else take_up(lexicon, things, finding)
        if known is not None:
            if known.concept not in lexicon.concepts[finding.concept].ancestors:
                continue  # the more general name of something that is there
            if _borne_out(lexicon, finding.concept, reference):
                worth -= account.worth(known)
            if worth <= 0.0:
                continue
        if take_up(lexicon, wrong, finding) is not None:
            continue
        wrong.append(finding)
        if group:
            spare.setdefault(group, (2, finding.concept))
        denial = denial_of(lexicon, reference, finding)
        span, detail = (denial.span, "denied") if denial else (None, "")
        serious = worth >= SIGNIFICANT and account.serious(finding)
        account.error("false_finding", finding, serious, finding.span, span, detail).penalty += worth
