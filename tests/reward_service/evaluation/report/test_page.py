"""The page as a reader uses it, in Chromium; its size and safety without one."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reward_service.evaluation.report import plots
from reward_service.evaluation.report.page import Page
from reward_service.evaluation.scores import Scores
from reward_service.evaluation.statistics import Interval
from tests.browser import tab
from tests.needs import needs

HOSTILE = "<script>document.title='taken'</script></script><img src=x onerror=\"document.title='taken'\">"
CATEGORIES = ("false_finding", "missing_finding", "wrong_location", "wrong_severity", "false_comparison",
              "missing_comparison")  # fmt: skip


def row(i: int, reward: float | None, kind: str = "wrong_location", **more: Any) -> dict[str, Any]:
    candidate = f"Study {i}: small right effusion. {HOSTILE if i == 3 else ''}"
    reference = f"Study {i}: small left effusion."
    at = candidate.index("small")
    error = {"kind": kind, "finding": "pleural_effusion", "significant": True, "candidate": [at, at + 20],
             "reference": [at, at + 19], "detail": "right/left", "cost": 0.25, "reason": "The side differs."}  # fmt: skip
    judgement = {
        "significant": {**dict.fromkeys(CATEGORIES, 0.0), kind: 1.0},
        "insignificant": dict.fromkeys(CATEGORIES, 0.0),
        "evidence": [error],
    }
    more = {"reason": f"Wrong side of the effusion in {i}.", **more}
    missing = {"item": {"code": "too_long", "message": "Too long.", "retryable": False}} if reward is None else {}
    return {"id": f"study-{i:04}", "reward": reward, "components": {"bleu2": reward}, "missing": missing,
            "flags": ["repetition"] if i % 10 == 0 else [], "fingerprint": "sha256:one", "judgement": judgement,
            "candidate": candidate, "reference": reference, "sex": "FM"[i % 2], **more}  # fmt: skip


ROWS = [row(i, None if i == 7 else i / 250, "false_finding" if i % 5 == 0 else "wrong_location") for i in range(250)]


def made(rows: list[dict[str, Any]] = ROWS, **options: Any) -> str:
    return Page(rows, "mine.jsonl", **options).html()


def test_it_loads_nothing_and_allows_nothing_else() -> None:
    html = made(other=Scores.of(ROWS, "other.jsonl"), by=["sex"])
    assert not re.findall(r"(?:src|href)\s*=\s*[\"']?(?!#)[^\"'#>\s]*//", html)
    assert html.count("<script>") == 1
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy
    assert policy[1].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy[1]


@pytest.mark.slow
def test_5000_studies_are_under_15_megabytes() -> None:
    words = ["effusion", "pneumothorax", "opacity", "lobe", "unchanged", "catheter", "mild", "left", "consolidation"]
    rows = []
    for i in range(5000):
        text = " ".join(words[(i * 7 + k * k * (i % 11 + 1)) % 9] + str((i * k) % 97) for k in range(90))
        rows.append({**row(i, i / 5000), "candidate": text, "reference": text[::-1]})
    assert len(made(rows, other=Scores.of(rows, "b")).encode()) < 15e6


def test_long_labels_are_whole() -> None:
    """Up to half of the width makes room for them, and what is longer is set closer."""
    names = ["portable anteroposterior view", "x", "posteroanterior and lateral views, erect, second attempt"]
    drawn = plots.intervals("by view", names, [Interval(0.5, 0.4, 0.6)] * 3)
    assert re.findall(r'<text x="(\d+)"[^>]*?( textLength="\d+")?(?: lengthAdjust="\w+")?>([^<]*)</text>', drawn)[
        :3
    ] == [
        ("174", "", names[0]),
        ("174", "", "x"),
        ("174", ' textLength="174"', names[2]),
    ]


def unpacked(html: str) -> list[str]:
    """The studies of the first block, as they are shown when they are opened."""
    packed = re.search(r'id="block0">([^<]*)<', html)
    assert packed
    found: list[str] = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    return found


def test_without_texts_reason_and_evidence_are_shown() -> None:
    bare = [{k: v for k, v in one.items() if k not in ("candidate", "reference")} for one in ROWS]
    made_of = Page(bare, "mine")
    assert made_of.studies.lacking == 250
    first = unpacked(made_of.html())[0]
    for words in ("The texts are not in the scores", "costs 0.250", "false finding"):
        assert words in first
    assert "href" not in first


def test_the_other_system_s_text_and_errors_stand_below() -> None:
    theirs = [{**one, "candidate": "Another text.", "judgement": None} for one in ROWS]
    html = made(other=Scores.of(theirs, "other", keep=True))
    first = unpacked(html)[1]
    assert re.findall("<h3>(.*?)</h3>", first) == ["mine.jsonl: 0.004", "other: 0.004"]
    assert "Another text." in first
    assert "<h3>" not in unpacked(made(other=Scores.of(theirs, "other")))[1]


@pytest.fixture
def shown(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """The page in a browser that fails the test on any message of the console and any request."""
    file = tmp_path / "report.html"
    others = [{**one, "reward": one["reward"] and one["reward"] / 2} for one in ROWS[::-1]]
    file.write_text(made(other=Scores.of(others, "other.jsonl"), by=["sex"]), encoding="utf-8")
    with tab(browser, "file:") as page:
        page.goto(file.as_uri())
        page.wait_for_selector("#studies tbody tr")
        yield page


def ids(shown: Any) -> list[str]:
    found: list[str] = shown.locator("#studies tbody td:first-child button").all_text_contents()
    return found


@needs("chromium")
def test_worst_first_sorted_and_paged(shown: Any) -> None:
    assert ids(shown)[:3] == ["study-0007", "study-0000", "study-0001"]  # null, then the lowest
    assert len(ids(shown)) == 100
    assert shown.inner_text("#status") == "1 to 100 of 250 studies"
    shown.get_by_role("button", name="Next").click()
    assert ids(shown)[0] == "study-0100"
    shown.get_by_role("button", name="reward", exact=True).click()
    assert ids(shown)[:2] == ["study-0007", "study-0249"]
    shown.get_by_role("button", name="id", exact=True).click()
    assert ids(shown)[0] == "study-0000"


@needs("chromium")
def test_filters_by_error_flag_code_and_id(shown: Any) -> None:
    shown.locator("[data-filter=categories]").select_option("false_finding")
    assert shown.inner_text("#status") == "1 to 50 of 50 studies"
    shown.locator("[data-filter=flags]").select_option("repetition")
    assert shown.inner_text("#status") == "1 to 25 of 25 studies"
    shown.get_by_label("Id", exact=True).fill("024")
    assert ids(shown) == ["study-0240"]
    shown.locator("[data-filter=codes]").select_option("too_long")
    assert shown.inner_text("#status") == "no study matches"


@needs("chromium")
def test_a_study_opens_by_keyboard_and_errors_are_linked_with_the_text(shown: Any) -> None:
    button = shown.get_by_role("button", name="study-0000")
    button.focus()
    shown.keyboard.press("Enter")
    pair = shown.locator(".rv-pair")
    pair.wait_for()
    assert button.get_attribute("aria-expanded") == "true"
    assert pair.locator("mark.rv-significant").all_text_contents() == ["small right effusion", "small left effusion"]
    assert "costs 0.250" in pair.inner_text()
    pair.get_by_role("link", name="in the reference").click()
    assert shown.evaluate("document.querySelector(':target').id") == "s0-r0"
    pair.locator("mark a").first.click()
    assert "false finding" in shown.evaluate("document.querySelector(':target').textContent")
    button.click()
    assert pair.count() == 0


@needs("chromium")
def test_a_study_that_lost_points_has_its_reason_in_the_list(shown: Any) -> None:
    notes = shown.locator("#studies tbody td[data-name=notes]").all_text_contents()
    assert notes[:3] == ["Wrong side of the effusion in 7. too long", "Wrong side of the effusion in 0. repetition",
                         "Wrong side of the effusion in 1."]  # fmt: skip


@needs("chromium")
def test_contents_and_the_studies_that_differ_most_are_links(shown: Any) -> None:
    assert shown.locator("nav a").all_text_contents() == ["Summary", "Comparison", "Plots", "Studies"]
    shown.get_by_label("Id", exact=True).fill("nothing")
    link = shown.locator("a[data-study]").first
    assert link.inner_text() == "study-0249"
    link.click()
    shown.locator(".rv-pair").wait_for()
    assert "Study 249" in shown.locator(".rv-text").first.inner_text()
    assert shown.inner_text("#status") == "201 to 250 of 250 studies"


@needs("chromium")
def test_a_report_that_holds_a_script_does_nothing(shown: Any) -> None:
    shown.get_by_role("button", name="study-0003").click()
    shown.locator(".rv-pair").wait_for()
    assert HOSTILE in shown.locator(".rv-text").first.inner_text()
    assert shown.title() == "mine.jsonl"


@needs("chromium")
def test_nothing_is_wider_than_a_phone(shown: Any) -> None:
    shown.set_viewport_size({"width": 360, "height": 740})
    shown.get_by_role("button", name="study-0000").click()
    shown.locator(".rv-pair").wait_for()
    assert shown.evaluate("document.documentElement.scrollWidth") <= 360
    shown.emulate_media(media="print")
    assert not shown.locator(".controls").is_visible()
    assert shown.locator(".rv-pair").is_visible()


@needs("chromium")
def test_axe_finds_nothing(shown: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    shown.get_by_role("button", name="study-0000").click()
    shown.locator(".rv-pair").wait_for()
    found = axe.Axe().run(shown)
    assert [(v["id"], [n["html"][:200] for n in v["nodes"]][:3]) for v in found.response["violations"]] == []


def test_the_difference_has_the_sign_of_the_comparison() -> None:
    """This system is 0.25 better in each study but study 7, which has no reward here."""
    other = [{**one, "reward": None if one["reward"] is None else one["reward"] - 0.25} for one in ROWS]
    html = made(other=Scores.of(other, "base"))
    data = json.loads(re.search(r'id="data">(.*?)</script>', html)[1])  # type: ignore[index]
    assert {study["difference"] for study in data["studies"]} == {None, 0.25}
    assert data["columns"][-1][1] == "mine.jsonl less base"
    assert "<caption>mine.jsonl less base</caption>" in html
    assert "0.250 [0.250, 0.250]" in html
    assert "mine.jsonl is higher than base in 249 of 249 studies" in html


def test_numbers_are_those_of_the_summary() -> None:
    data = json.loads(re.search(r'id="data">(.*?)</script>', made())[1])  # type: ignore[index]
    assert len(data["studies"]) == 250
    assert data["studies"][7]["codes"] == ["too_long"]
