"""A matched pair of findings: certainty, location and severity, and what a relative says too much."""

from __future__ import annotations

from typing import Final

from judges.rules import details, tips
from judges.rules import lexicon as lx
from judges.rules.account import SIDES, UNCERTAIN, Account, Booking, Claim, named_absent
from judges.rules.findings import Denial, Finding, Findings

OVERCONFIDENT: Final = 0.75
"""Share of the credit for asserting what the reference calls possible (`UNCERTAIN` for the converse)."""
KIN_EXCESS: Final = 0.5
"""Penalty for naming something heavier instead, as a share of the difference: a nodule for a granuloma."""
RULED_OUT: Final = 0.5
"""Share of the credit for a finding in what the same text calls normal: "The lungs are clear. Basal opacity."."""
PART: Final = 0.25
"""Most that is left where one text denies a part of what the other asserts: hydropneumothorax, "no pneumothorax"."""
WRONG_SIDE: Final = 0.25
"""Extra penalty, as a share of the weight, for the wrong side; there is no credit for it either."""
ONE_SIDE: Final = 0.5
"""Share of the credit when only one side of two is right; `NO_SIDE` when the side is left out."""
NO_SIDE: Final = 0.65
NOWHERE: Final = 0.25
"""The same where the name of a whole family has no place, or both sides for one: "opacities" hits by not aiming."""
UNSAID: Final = 0.9
"""Share of the credit when the reference's grade is left out: less than a good guess is worth."""
ONE_BAND: Final = 0.85
"""Share of the credit for a severity one band off (small/moderate), or a size over 1.5 times off."""
FAR_BAND: Final = 0.5
"""The same for more bands, or a size over 2.5 times off."""

_RANGE: Final = 1  # steps that one grade may span: "mild to moderate"
_BAND_NAME: Final = ("trace", "small", "moderate", "large")


class Matched:
    """A finding of the candidate, `x`, that stands for one of the reference, `y`."""

    def __init__(self, account: Account, x: Finding, y: Finding, share: float) -> None:
        """`share`: of the credit, what their distance in the hierarchy leaves."""
        self.account, self.lexicon, self.x, self.y = account, account.lexicon, x, y
        self.claim = account.claim(y)
        self.share = share
        self.wrong = False
        """It has a significant error."""
        self.serious = account.serious(y)
        both = x.side == lx.BOTH and 0 < y.side < lx.BOTH
        self.nowhere = self.lexicon.families[x.concept] and (both or not (x.side or x.zone))

    def settle(self, candidate: Findings, reference: Findings) -> Claim:
        """Count errors and enter the claim, which is returned."""
        x, y, account = self.x, self.y, self.account
        price = self.lexicon.zone_prices[y.concept]
        if x.concept != y.concept:
            self._relative(candidate, reference)
        if x.contradicted and not y.contradicted:
            self.wrong = True
            item = account.error("missing_finding", y, self.serious, x.span, y.span, "contradicted")
            self.claim.keep(0.0, item)
        elif x.ruled_out and not y.ruled_out:
            self.claim.keep(RULED_OUT, account.error("missing_finding", y, False, x.span, y.span, "called normal"))
        if x.certain != y.certain:
            share, detail = (OVERCONFIDENT, "certain/possible") if x.certain else (UNCERTAIN, "possible/certain")
            self._deduct(share, detail)
        if y.side and x.side != y.side and self.lexicon.concepts[x.concept].sided:
            self._side()
        elif x.zone and y.zone and not x.zone & y.zone:
            self._lose(details.Loss(price.other, price.category, price.significant, "zone"))
        else:
            self._deduct(tips.aim(x.zone, y.zone, _next_to(y.zone), price.other), "zones")
        self._severity()
        for loss in (*tips.losses(self.lexicon, x, y), *details.losses(self.lexicon, x, y)):
            self._lose(loss)
        account.enter(self.claim)
        if not self.wrong:
            account.match(y, x.span, self.serious)
        return self.claim

    def _deduct(self, share: float, detail: str) -> None:
        """Leave this share, for what is no error."""
        if share < 1.0:
            y, account = self.y, self.account
            self.claim.keep(share, account.deduct(account.name(y), self.x.span, y.span, detail, y.side))

    def _mislocated(self, detail: str, *, serious: bool) -> Booking:
        return self.account.error("wrong_location", self.y, serious, self.x.span, self.y.span, detail)

    def _relative(self, candidate: Findings, reference: Findings) -> None:
        x, y, account = self.x, self.y, self.account
        name = account.name(y)
        item = account.deduct(name, x.span, y.span, f"{account.name(x)}/{name}", y.side)
        self.claim.keep(self.share, item)
        if self.nowhere and not y.side:
            self.claim.keep(NOWHERE, item)
        item.penalty += KIN_EXCESS * max(0.0, account.worth(x) - account.worth(y))
        if denial := _denied_part(self.lexicon, y, x, candidate):
            self.wrong = True
            item = account.error("missing_finding", y, self.serious, denial.span, y.span, "denied")
            if self.claim.share > PART:
                self.claim.keep(PART / self.claim.share, item)
        elif denial := _denied_part(self.lexicon, x, y, reference):
            self.wrong = True
            item = account.error("false_finding", x, account.serious(x), x.span, denial.span, "denied")
            item.penalty += account.worth(x)

    def _side(self) -> None:
        x, y = self.x, self.y
        detail = f"{SIDES[x.side] or 'unspecified'}/{SIDES[y.side]}"
        if not x.side and y.side == lx.BOTH:  # who names no side may well mean both
            self._deduct(NOWHERE if self.nowhere else NO_SIDE, detail)
            return
        item = self._mislocated(detail, serious=self.serious and x.side > 0)
        if not x.side:
            self.claim.keep(NOWHERE if self.nowhere else NO_SIDE, item)
        elif x.side & y.side:
            self.claim.keep(NOWHERE if self.nowhere else ONE_SIDE, item)
            self.wrong = self.wrong or self.serious
        else:
            self.claim.keep(0.0, item)
            self.claim.penalise(WRONG_SIDE, item)
            self.wrong = self.wrong or self.serious

    def _lose(self, loss: details.Loss) -> None:
        x, y, account = self.x, self.y, self.account
        significant = loss.significant and self.serious
        self.wrong = self.wrong or significant
        if loss.told:
            item = account.error(loss.category, y, significant, x.span, y.span, loss.detail)
        else:
            item = account.deduct(account.name(y), x.span, y.span, loss.detail, y.side)
        self.claim.keep(loss.share, item)
        item.penalty += loss.penalty

    def _severity(self) -> None:
        x, y, account = self.x, self.y, self.account
        if y.severity and x.severity & ~y.severity:
            far = _bands_apart(x.severity, y.severity) > 1
            detail = f"{_BAND_NAME[x.severity.bit_length() - 1]}/{_BAND_NAME[y.severity.bit_length() - 1]}"
        elif x.size and y.size and self.lexicon.sized[y.concept] and max(x.size, y.size) > 1.5 * min(x.size, y.size):
            far, detail = max(x.size, y.size) > 2.5 * min(x.size, y.size), "size"
        else:
            if y.severity and not x.severity and not (x.size and y.size):  # any size would do for a grade
                self._deduct(UNSAID, "grade")
            return
        share = FAR_BAND if far else ONE_BAND
        far = far and (account.serious(x) or account.serious(y))
        self.wrong = self.wrong or far
        self.claim.keep(share, account.error("wrong_severity", y, far, x.span, y.span, detail))


def _next_to(zones: int) -> int:
    """Zones with their neighbours; what is central touches all."""
    lungs = zones & ~lx.CENTRAL
    return zones | (lungs << 1 | lungs >> 1) & (lx.UPPER | lx.MIDDLE | lx.LOWER) | lx.CENTRAL


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
