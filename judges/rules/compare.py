"""Two sets of findings against each other: one-to-one assignment, six categories, credit and penalty.

Everything is decided by the findings alone, never by the texts, so equal findings in other words cost nothing and equal
texts cost nothing without being compared as texts.
"""

from __future__ import annotations

from typing import Final

from judges import scores
from judges.base import Evidence, Judgement
from judges.rules import details, tips, unread
from judges.rules import lexicon as lx
from judges.rules.account import FAINT, SIGNIFICANT, UNCERTAIN, Account, denial_of, named_absent
from judges.rules.assign import Match, assign_kin, assign_sides, same_grain, spend
from judges.rules.changes import compare_changes, cost
from judges.rules.denials import negatives
from judges.rules.findings import Denial, Finding, Findings
from judges.rules.hierarchy import take_up

OVERCONFIDENT: Final = 0.75
"""Share of the credit for asserting what the reference calls possible (`UNCERTAIN` for the converse)."""
FREE_KIN: Final = 0.5
"""Credit for a finding that is only a more special name of another one that matched."""
KIN_EXCESS: Final = 0.5
"""Penalty for naming something heavier instead, as a share of the difference: a nodule for a granuloma."""
LOOKALIKE: Final = 0.25
"""Credit for the right place under the name of something that looks like it: pneumonia for atelectasis."""
PART: Final = 0.25
"""Most that is left where one text denies a part of what the other asserts: hydropneumothorax, "no pneumothorax"."""
DENIED: Final = 0.5
"""Extra penalty, as a share of the weight, for denying what the reference asserts: by name, or, where the error is a
significant one, by a normality phrase ("the lungs are clear")."""
PARTIAL_DENIAL: Final = 0.5
"""Share of the weight of a false finding that the reference denies only in part ("no large effusion"), and of the
penalty for denying in part what the reference asserts."""
WRONG_SIDE: Final = 0.25
"""Extra penalty, as a share of the weight, for the wrong side; there is no credit for it either."""
ONE_SIDE: Final = 0.5
"""Share of the credit when only one side of two is right; `NO_SIDE` when the side is left out."""
NO_SIDE: Final = 0.65
OVERLOOKED: Final = 0.1
"""Penalty, as a share of the weight, for a significant finding that such a candidate does not deny in particular."""
UNSAID: Final = 0.9
"""Share of the credit when the reference's grade is left out: less than a good guess is worth."""
OTHER_ZONE: Final = 0.75
"""Share of the credit for another zone of the lung."""
ONE_BAND: Final = 0.85
"""Share of the credit for a severity one band off (small/moderate), or a size over 1.5 times off."""
FAR_BAND: Final = 0.5
"""The same for more bands, or a size over 2.5 times off."""

_RANGE: Final = 1  # steps that one grade may span: "mild to moderate"
_SIDE_NAME: Final = ("unspecified", "left", "right", "bilateral")
_BAND_NAME: Final = ("trace", "small", "moderate", "large")


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

    shares = {y[:2]: _Matched(account, x, y, share).settle(candidate, reference) for x, y, share in pairs}
    for general, special in spent:
        account.earn(general, shares[special[:2]])
    misnamed = _lookalikes(account, mine, theirs, candidate, reference)
    _missing(account, candidate, theirs, pairs)
    _false(account, reference, mine, pairs, misnamed)
    covered, total = negatives(lexicon, candidate, reference)
    account.matched += scores.NEGATIVE * covered
    omitted = compare_changes(account, candidate, reference, prior, [(x, y) for x, y, _ in pairs])

    known = bool(reference.positive or reference.negative or reference.changes)
    if known and not (candidate.positive or candidate.negative or candidate.changes or candidate.empty):
        account.penalty += DENIED * (sum(account.weight.values()) or scores.NORMAL_REPORT)  # not a report of this study
    weight = sum(account.weight.values())
    credit = sum(account.credit.values())
    if total and weight < scores.MODERATE:  # what is normal counts the less, the more there is that is not
        normal = scores.NORMAL_REPORT * (1 - weight / scores.MODERATE)
        credit, weight = credit + normal * (covered / total), weight + normal
    elif 0 < weight < scores.NORMAL_REPORT:  # a lone minor finding is worth a normal report
        credit, weight = credit / weight * scores.NORMAL_REPORT, scores.NORMAL_REPORT
    elif reference.changes and not weight:  # "No change.": worth a normal report, and only comparisons can earn it
        credit, weight = scores.NORMAL_REPORT * (1 - omitted / cost(lexicon, reference.changes)), scores.NORMAL_REPORT
    notes = [unread.NAME] if unread.charge(account, candidate, reference, weight or scores.NORMAL_REPORT) else []
    if not known:
        notes.append("reference_without_findings")
    if any(f.contradicted for sides in candidate.positive.values() for f in sides.values()):
        notes.append("candidate_contradicts_itself")
    significant, insignificant = account.significant, account.insignificant
    return Judgement(
        significant=significant,
        insignificant=insignificant,
        matched_findings=account.matched,
        evidence=tuple(account.evidence),
        values=scores.score(
            significant,
            insignificant,
            matched=account.matched,
            credit=credit,
            penalty=account.penalty,
            weight=weight,
            empty=candidate.empty,
        ),
        notes=tuple(notes),
    )


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
        account.earn(y, LOOKALIKE)
        account.penalty += KIN_EXCESS * max(0.0, account.worth(x) - account.worth(y))
        account.error("false_finding", x, account.serious(x), x.span, y.span, "lookalike")
        account.error("missing_finding", y, account.serious(y), x.span, y.span, "lookalike")
    return misnamed


def _borne_out(lexicon: lx.Lexicon, concept: int, reference: Findings) -> bool:
    """Whether the reference has something of every kind of weight that the concept is of: hydropneumothorax is two."""
    present = set(reference.positive)
    kinds = {a for known in present for a in lexicon.concepts[known].ancestors} | present
    concepts = lexicon.concepts
    parents = [a for a, n in concepts[concept].ancestors.items() if n == 1 and concepts[a].weight >= scores.MODERATE]
    return all(p in kinds or not present.isdisjoint(lexicon.concepts[p].ancestors) for p in parents)


def _next_to(zones: int) -> int:
    """Zones with their neighbours; what is central touches all."""
    lungs = zones & ~lx.CENTRAL
    return zones | (lungs << 1 | lungs >> 1) & (lx.UPPER | lx.MIDDLE | lx.LOWER) | lx.CENTRAL


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
                account.earn(finding, FREE_KIN)
            continue
        worth = account.worth(finding)
        if not worth:
            continue
        if denial and (denial.explicit or worth >= SIGNIFICANT):
            account.penalty += DENIED * worth
        elif not denial and worth >= SIGNIFICANT:
            if finding.severity & ~FAINT and finding.concept in candidate.negative:
                account.penalty += PARTIAL_DENIAL * DENIED * worth  # "no large effusion" for a large one
            elif candidate.overall:
                account.penalty += OVERLOOKED * worth
        span, detail = (denial.span, "denied") if denial else (None, "")
        account.error("missing_finding", finding, account.serious(finding), span, finding.span, detail)


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
        account.penalty += worth
        span, detail = (denial.span, "denied") if denial else (None, "")
        account.error(
            "false_finding", finding, worth >= SIGNIFICANT and account.serious(finding), finding.span, span, detail
        )


# ----- a matched pair -------------------------------------------------------------------------------------------------


class _Matched:
    """A matched finding: certainty, location and severity, and what a relative says too much."""

    def __init__(self, account: Account, x: Finding, y: Finding, share: float) -> None:
        self.account, self.lexicon, self.x, self.y = account, account.lexicon, x, y
        self.share = share
        """Of the finding's credit, what is earned."""
        self.wrong = False
        """It has a significant error."""
        self.serious = account.serious(y)

    def settle(self, candidate: Findings, reference: Findings) -> float:
        """Book credit, penalty and errors; returns the share."""
        x, y, account = self.x, self.y, self.account
        if x.contradicted and not y.contradicted:
            self.share, self.wrong = 0.0, True
            account.error("missing_finding", y, self.serious, x.span, y.span, "contradicted")
        if x.concept != y.concept:
            self._relative(candidate, reference)
        if x.certain != y.certain:
            self.share *= OVERCONFIDENT if x.certain else UNCERTAIN
        if y.side and x.side != y.side and self.lexicon.concepts[x.concept].sided:
            self._side()
        elif x.zone and y.zone and not x.zone & y.zone:
            self.share *= OTHER_ZONE
            account.error("wrong_location", y, False, x.span, y.span, "zone")
        else:
            self.share *= tips.aim(x.zone, y.zone, _next_to(y.zone), OTHER_ZONE)
        self._severity()
        for loss in (*tips.losses(self.lexicon, x, y), *details.losses(self.lexicon, x, y)):
            self._lose(loss)
        account.earn(y, self.share)
        if not self.wrong:
            account.match(y)
            account.evidence.append(Evidence("matched", account.name(y), self.serious, x.span, y.span))
        return self.share

    def _relative(self, candidate: Findings, reference: Findings) -> None:
        x, y, account = self.x, self.y, self.account
        account.penalty += KIN_EXCESS * max(0.0, account.worth(x) - account.worth(y))
        if denial := _denied_part(self.lexicon, y, x, candidate):
            self.share, self.wrong = min(self.share, PART), True
            account.error("missing_finding", y, self.serious, denial.span, y.span, "denied")
        elif denial := _denied_part(self.lexicon, x, y, reference):
            self.wrong = True
            account.penalty += account.worth(x)
            account.error("false_finding", x, account.serious(x), x.span, denial.span, "denied")

    def _side(self) -> None:
        x, y = self.x, self.y
        if not x.side:
            self.share *= NO_SIDE
        elif x.side & y.side:
            self.share, self.wrong = self.share * ONE_SIDE, self.wrong or self.serious
        else:
            self.share, self.wrong = 0.0, self.wrong or self.serious
            self.account.penalty += WRONG_SIDE * self.account.worth(y)
        if x.side or y.side != lx.BOTH:  # who names no side may well mean both
            detail = f"{_SIDE_NAME[x.side]}/{_SIDE_NAME[y.side]}"
            self.account.error("wrong_location", y, self.serious and x.side > 0, x.span, y.span, detail)

    def _lose(self, loss: details.Loss) -> None:
        significant = loss.significant and self.serious
        self.share, self.wrong = self.share * loss.share, self.wrong or significant
        self.account.penalty += loss.penalty
        if loss.told:
            self.account.error(loss.category, self.y, significant, self.x.span, self.y.span, loss.detail)

    def _severity(self) -> None:
        x, y, account = self.x, self.y, self.account
        sized = self.lexicon.sized[y.concept]
        if y.severity and x.severity & ~y.severity:
            far = _bands_apart(x.severity, y.severity) > 1
            detail = f"{_BAND_NAME[x.severity.bit_length() - 1]}/{_BAND_NAME[y.severity.bit_length() - 1]}"
        elif x.size and y.size and sized and max(x.size, y.size) > 1.5 * min(x.size, y.size):
            far, detail = max(x.size, y.size) > 2.5 * min(x.size, y.size), "size"
        else:
            if y.severity and not x.severity and not (x.size and y.size):  # any size would do for a grade
                self.share *= UNSAID
            return
        self.share *= FAR_BAND if far else ONE_BAND
        far = far and (account.serious(x) or account.serious(y))
        self.wrong = self.wrong or far
        account.error("wrong_severity", y, far, x.span, y.span, detail)


def _bands_apart(mine: int, theirs: int) -> int:
    """How many steps lie between two grades."""
    lowest, highest = (mine & -mine).bit_length(), mine.bit_length()
    bottom, top = (theirs & -theirs).bit_length(), theirs.bit_length()
    if highest - lowest > _RANGE:  # "trace to large" says nothing
        return max(highest - bottom, top - lowest)
    return max(lowest - top, bottom - highest)


def _denied_part(lexicon: lx.Lexicon, special: Finding, general: Finding, other: Findings) -> Denial | None:
    """The denial of something else that `special` is too, in the text that knows it as `general` only."""
    rest = lexicon.concepts[special.concept].ancestors.keys() - lexicon.concepts[general.concept].ancestors.keys()
    return next(
        (other.negative[a] for a in sorted(rest - {general.concept}) if named_absent(other, a, general.side)), None
    )
