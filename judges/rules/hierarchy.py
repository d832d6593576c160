"""Whether two findings may be two names of one thing: along the hierarchy, at one place, or as alternatives."""

from __future__ import annotations

from judges.rules import lexicon as lx
from judges.rules.findings import Finding


def steps(lexicon: lx.Lexicon, x: Finding, y: Finding) -> int:
    """Steps between a concept and its ancestor, either way round; 0 for strangers, and for opposite sides."""
    if x.side and y.side and not x.side & y.side:
        return 0
    concepts = lexicon.concepts
    return concepts[x.concept].ancestors.get(y.concept) or concepts[y.concept].ancestors.get(x.concept) or 0


def together(x: Finding, y: Finding) -> bool:
    """Whether two kin of one text may be one thing: not on two sides, nor in two zones."""
    if x.side and y.side and not x.side & y.side:
        return False
    return not (x.zone and y.zone) or bool(x.zone & y.zone or (x.zone | y.zone) & lx.CENTRAL)


def another_name(lexicon: lx.Lexicon, thing: Finding, finding: Finding) -> bool:
    """Whether `finding` is a more general or a more special name of a thing that its text has named."""
    concepts = lexicon.concepts
    related = (
        thing.concept in concepts[finding.concept].ancestors or finding.concept in concepts[thing.concept].ancestors
    )
    return related and together(thing, finding)


def take_up(lexicon: lx.Lexicon, things: list[Finding], finding: Finding) -> Finding | None:
    """The one of these things, found in the same text, for which `finding` is another name.

    A thing has one special name: "opacity" may be the pneumonia or the nodule, but the pneumonia is not the nodule.
    """
    for i, thing in enumerate(things):
        if another_name(lexicon, thing, finding):
            if thing.concept in lexicon.concepts[finding.concept].ancestors:
                things[i] = finding
            return thing
    return None
