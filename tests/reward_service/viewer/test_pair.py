"""The fragment of one pair: what is marked, what is linked, and that texts stay texts."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from reward_service.viewer.pair import pair, style

CANDIDATE = "Small right effusion. <script>alert(1)</script>"
REFERENCE = "Small left effusion & edema."


def one(
    kind: str, significant: bool = True, candidate: Any = None, reference: Any = None, **more: Any
) -> dict[str, Any]:
    return {"kind": kind, "finding": "pleural_effusion", "significant": significant, "candidate": candidate,
            "reference": reference, "detail": "", **more}  # fmt: skip


class Read(HTMLParser):
    """Text by the class of the innermost mark, ids, links."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.marked: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        given = dict(attributes)
        self.tags.add(tag)
        if tag == "mark":
            self._open.append(given["class"])
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"][1:]] if "href" in given else []

    def handle_endtag(self, tag: str) -> None:
        if tag == "mark":
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open:
            self.marked.append((self._open[-1], data))


def test_errors_and_matches_are_marked_where_they_stand_and_linked_both_ways() -> None:
    evidence = [
        one("matched", candidate=[0, 5], reference=[0, 5]),
        one("wrong_location", candidate=[6, 20], reference=[6, 19], detail="right/left", cost=0.25, side="left"),
        one("missing_finding", False, reference=[22, 27], cost=0.1),
        one("deduction", False, detail="grade", cost=0.2),
    ]
    html = pair(CANDIDATE, REFERENCE, {"judgement": {"evidence": evidence}, "reason": "Wrong <side> (−.25)."}, "p7")
    read = Read(html)
    assert read.marked == [
        ("rv-matched", "Small"), ("rv-significant", "right effusion"),
        ("rv-matched", "Small"), ("rv-significant", "left effusion"), ("rv-insignificant", "edema"),
    ]  # fmt: skip
    assert sorted(read.ids) == sorted(["p7-c0", "p7-c1", "p7-r0", "p7-r1", "p7-r2", "p7-e0", "p7-e1", "p7-e2", "p7-e3"])
    assert set(read.links) <= set(read.ids)
    assert "pleural effusion, left · significant · right/left · costs 0.250" in html
    assert "Wrong &lt;side&gt; (−.25)." in html
    places = [html.index(f"{kind}</b>") for kind in ("wrong location", "missing finding", "deduction", "matched")]
    assert places == sorted(places)


def test_texts_are_escaped_wherever_they_come_from() -> None:
    hostile = '"><img src=x onerror=alert(1)>'
    evidence = [one(hostile, candidate=[0, 99], finding=hostile, detail=hostile, side=hostile)]
    missing = {hostile: {"message": hostile}}
    read = Read(pair(CANDIDATE, hostile, {"judgement": {"evidence": evidence}, "missing": missing}, hostile))
    assert not read.tags & {"script", "img"}
    assert read.marked == [("rv-significant", CANDIDATE)]


def test_overlapping_evidence_shows_the_gravest() -> None:
    evidence = [one("matched", candidate=[0, 10]), one("false_finding", candidate=[6, 20])]
    assert Read(pair(CANDIDATE, "", {"judgement": {"evidence": evidence}})).marked == [
        ("rv-matched", "Small "), ("rv-significant", "righ"), ("rv-significant", "t effusion"),
    ]  # fmt: skip


def test_without_a_judgement_the_reason_is_there() -> None:
    html = pair("", "Clear.", {"missing": {"clinical": {"code": "x", "message": "The judge is away."}}})
    assert "No clinical: The judge is away." in html
    assert "<i>empty</i>" in html


def test_kinds_differ_in_line_and_colour() -> None:
    lines = dict(re.findall(r"mark\.rv-(\w+) a \{ border-bottom: 3px (\w+)", style()))
    backgrounds = dict(re.findall(r"mark\.rv-(\w+) \{ background: (#\w+)", style()))
    assert len(set(lines.values())) == len(set(backgrounds.values())) == 4
