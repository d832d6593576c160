"""Where the tip of a device lies: whether it belongs there, and what another place costs.

`knowledge/cues/places.yaml` says for each device in which places it lies well and in which it lies wrong. A difference
counts by that verdict first, then by the place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from judges.rules import lexicon as lx
from judges.rules.details import Loss
from judges.rules.findings import Finding

_PRICES: Final = (
    "left_out", "astray_left_out", "next_door", "elsewhere", "astray_elsewhere", "missed", "missed_penalty",
    "false_alarm", "false_alarm_penalty",
)  # fmt: skip
_ROW: Final = {"of", "well", "astray", "levels_well", "levels_astray", "in_lung"}


def compiled(
    data: Mapping[str, Any],
    families: list[set[int]],
    ids: Mapping[str, int],
    mask: Callable[..., int],
    names: list[str],
) -> tuple[tuple[lx.Verdicts, ...], dict[str, float]]:
    """Per concept its verdicts, and the prices. Of two rows for one device the later one holds.

    `mask`: the bits of places; `names`: those of details. Raises `LexiconError`.
    """
    tips, prices = data["tips"], data["tip_prices"]
    if wrong := {*_PRICES} ^ prices.keys():
        raise lx.LexiconError(f"tip_prices: {min(wrong)!r} is missing or unknown")
    anywhere = mask(*data["astray"])
    found = [lx.Verdicts(0, anywhere, 0, 0)] * len(families)
    for row in tips:
        if extra := row.keys() - _ROW:
            raise lx.LexiconError(f"tips: unknown field {min(extra)!r}")
        if unknown := [name for name in row["of"] if name not in ids]:
            raise lx.LexiconError(f"tips: unknown concept {unknown[0]!r}")
        of = {ids[name] for name in row["of"]}
        well, astray = mask(*row["well"]), mask(*row["astray"])
        good, bad = (sum(_level(one, names) for one in row.get(key, ())) for key in ("levels_well", "levels_astray"))
        verdicts = lx.Verdicts(well | mask("well"), (anywhere | astray) & ~well, good, bad, row.get("in_lung", False))
        found = [verdicts if of & family else known for known, family in zip(found, families, strict=True)]
    return tuple(found), {name: float(prices[name]) for name in _PRICES}


def _level(name: str, names: list[str]) -> int:
    if name not in names:
        raise lx.LexiconError(f"tips: unknown level {name!r}")
    return 1 << names.index(name)


def judged(lexicon: lx.Lexicon, device: Finding) -> Finding:
    """The device with the verdict among its places: `malposed` if one of them is astray, else `well` if one is."""
    place, details, verdicts = device.place, device.details, lexicon.tips[device.concept]
    in_lung = verdicts.in_lung and device.zone and not place
    if place & verdicts.astray or details & verdicts.levels_astray or in_lung:
        return device._replace(place=(place | lexicon.malposed) & ~lexicon.well)
    if place & verdicts.well or details & verdicts.levels_well:
        return device._replace(place=place & ~lexicon.malposed | lexicon.well)
    return device


def losses(lexicon: lx.Lexicon, x: Finding, y: Finding) -> Iterator[Loss]:
    """What it takes that the candidate `x` says of a tip something else than the reference `y`."""
    price, malposed = lexicon.tip_prices, lexicon.malposed
    said = malposed | lexicon.well
    mine, theirs = x.place & ~said, y.place & ~said
    if y.place & malposed:
        if x.place & malposed:
            yield from _both_astray(lexicon, mine, theirs)
        elif x.place:  # "in good position" for a tube in a bronchus
            yield _loss(price["missed"], penalty=price["missed_penalty"])
        else:
            yield _loss(price["astray_left_out"])
    elif x.place & malposed:
        yield _loss(price["false_alarm"], penalty=price["false_alarm_penalty"])
    elif theirs and not mine:
        yield Loss(price["left_out"], "wrong_location", False, "tip", told=False)
    elif theirs and not mine & theirs:
        near = mine & lexicon.next_to(theirs)
        yield _loss(price["next_door"], significant=False) if near else _loss(price["elsewhere"])
    elif theirs:
        yield from _same(lexicon, x, y, mine, theirs)


def _both_astray(lexicon: lx.Lexicon, mine: int, theirs: int) -> Iterator[Loss]:
    """Both say that it lies wrong."""
    price = lexicon.tip_prices
    if bool(mine) != bool(theirs):  # one says only that, the other where: "malpositioned", "in the right main bronchus"
        yield Loss(price["left_out"], "wrong_location", False, "tip", told=False)
    elif mine & lexicon.next_to(theirs) & ~theirs and not mine & theirs:
        yield _loss(price["next_door"], significant=False)
    elif mine and not mine & theirs:
        yield _loss(price["astray_elsewhere"])
    elif mine & ~theirs:  # who names them all hits by not aiming
        yield _loss(aim(mine, theirs, theirs, price["astray_elsewhere"]))


def _same(lexicon: lx.Lexicon, x: Finding, y: Finding, mine: int, theirs: int) -> Iterator[Loss]:
    """Both name a place that the other names."""
    price = lexicon.tip_prices
    share = aim(mine, theirs, theirs | lexicon.next_to(theirs), price["elsewhere"])
    if theirs & ~(mine | lexicon.next_to(mine)):  # one of two leads
        share *= price["left_out"]
    if share < 1.0:
        yield Loss(share, "wrong_location", False, "tip", told=False)
    if x.size and y.size and abs(x.size - y.size) > lexicon.tip_apart:
        yield _loss(price["next_door"], significant=False)


def aim(mine: int, theirs: int, near: int, elsewhere: float) -> float:
    """Share of the credit for places of which only some are right: who names them all hits by not aiming.

    One more that is `near` a right one costs nothing; with others it is as much as a guess among them would earn, where
    a wrong one is worth `elsewhere`.
    """
    if not (mine and theirs) or (not mine & ~near and mine.bit_count() <= theirs.bit_count() + 1):
        return 1.0
    return elsewhere + (1.0 - elsewhere) * (mine & theirs).bit_count() / mine.bit_count()


def _loss(share: float, *, significant: bool = True, penalty: float = 0.0) -> Loss:
    return Loss(share, "wrong_location", significant, "tip", penalty=penalty)
