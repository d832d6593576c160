"""The page of runs in Chromium, filling while a trainer posts steps to the real service of two processes."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from reward_service.api.auth import new_key
from testbed.redis_server import Redis
from testbed.service import Service, running, write_profile
from tests.browser import tab
from tests.needs import needs
from tests.waiting import wait_until

HOSTILE = "<img src=x onerror=\"document.title='taken'\">/../?a=b#\"'"
REFERENCE = "There is a small left pleural effusion. No pneumothorax."
CANDIDATES = [REFERENCE, "Small right effusion. No pneumothorax.", "No effusion.", "Small left effusion."]

pytestmark = [needs("chromium"), pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("service") / "log"
    with running(log, profiles="text", workers=2, pool_workers=0) as found:
        yield found


def train(service: Service, run: str, steps: range, **options: Any) -> None:
    """What a trainer posts: one group a step."""
    group = {"reference": REFERENCE, "candidates": CANDIDATES}
    for step in steps:
        body = {"groups": [group], "run_id": run, "step": step}
        httpx.post(f"{service.url}/score", json=body, timeout=60, **options).raise_for_status()


def point(service: Service, run: str, **options: Any) -> dict[str, Any]:
    answer = httpx.get(f"{service.url}/v1/runs/{quote(run, safe='')}", timeout=60, **options)
    return answer.json() if answer.status_code == 200 else {"points": []}


@pytest.mark.slow
def test_the_page_fills_while_a_trainer_posts(browser: Any, service: Service) -> None:
    with tab(browser, service.url) as page:
        page.goto(f"{service.url}/runs")
        page.get_by_text("No run yet").wait_for()
        train(service, HOSTILE, range(1, 4))
        page.get_by_role("img", name="Reward, mean and quantiles").filter(has=page.locator("path.line")).wait_for()
        wait_until(lambda: "at step 3" in page.locator("#charts svg").first.get_attribute("aria-label"))
        assert HOSTILE in page.inner_text("#list")
        train(service, HOSTILE, range(4, 6))
        page.locator("#charts svg[aria-label$='at step 5']").first.wait_for()
        assert page.title() == "Reward service: runs"
        assert page.locator("#choice img").count() == 0
        assert [one["items"] for one in point(service, HOSTILE)["points"]] == [4] * 5
        train(service, "second", range(3))
        page.get_by_role("checkbox", name="second").check()
        page.locator("#charts svg[aria-label*='second']").first.wait_for()
        assert page.locator("#charts svg").first.locator("path.line").count() == 2
        page.get_by_role("button", name="Delete second").click()
        page.get_by_role("button", name="Delete second").click()
        page.get_by_role("checkbox", name="second").wait_for(state="detached")


@pytest.mark.slow
def test_both_processes_show_the_same_numbers(service: Service) -> None:
    train(service, "counted", range(6))
    wait_until(lambda: [one["items"] for one in point(service, "counted")["points"]] == [4] * 6)
    direct = service.score(*((c, REFERENCE) for c in CANDIDATES), profile="text").json()["results"]
    mean = sum(one["reward"] for one in direct) / 4
    for _ in range(8):  # whichever process answers
        found = point(service, "counted")
        assert [one["reward"]["mean"] for one in found["points"]] == pytest.approx([mean] * 6)
        assert [one["zero_advantage"] for one in found["points"]] == [0.0] * 6
    assert point(service, "counted", params={"points": 2})["points"][0]["steps"] == [0, 2]


@pytest.mark.slow
def test_a_degraded_reward_is_shown_as_one(browser: Any, tmp_path: Path) -> None:
    """No server is at the judge's address, so the clinical component has a substitute."""
    profile = write_profile(
        tmp_path,
        "degrading",
        {
            "clinical": {"component": "vllm", "weight": 1, "when_missing": "substitute:rules"},
            "rules": {"weight": 0, "value": "signed"},
        },
    )
    judge = {"judge_urls": "http://127.0.0.1:9/v1", "judge_model": "m", "judge_revision": "r"}
    with (
        running(tmp_path / "log", profiles=profile, keep_samples=3, **judge) as service,
        tab(browser, service.url) as page,
    ):
        train(service, "lacking", range(1))
        wait_until(lambda: point(service, "lacking")["points"])
        page.goto(f"{service.url}/runs")
        row = page.locator("#about tr", has_text="lacking")
        row.get_by_text("100 %").wait_for()
        assert "clinical: judge_unavailable (4)" in row.inner_text()
        page.locator("#charts figure", has_text="Degraded rewards, share").wait_for()
        page.locator("#samples-list h3", has_text="(degraded)").first.wait_for()


def test_axe_finds_nothing_and_nothing_is_wider_than_a_phone(browser: Any, service: Service) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    train(service, "seen", range(8))
    train(service, "s" * 200, range(2))
    wait_until(lambda: point(service, "s" * 200)["points"])
    for scheme in ("light", "dark"):
        with tab(browser, service.url, color_scheme=scheme, bypass_csp=True) as page:  # axe is an inline script
            page.goto(f"{service.url}/runs")
            page.locator("#charts svg").first.wait_for()
            found = axe.Axe().run(page).response["violations"]
            assert [(v["id"], [n["html"][:200] for n in v["nodes"]][:3]) for v in found] == []
            page.set_viewport_size({"width": 360, "height": 740})
            assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.slow
def test_runs_need_the_key_and_hold_no_text(browser: Any, tmp_path: Path) -> None:
    key, entry = new_key("reader")
    headers = {"Authorization": f"Bearer {key}"}
    file = tmp_path / "runs.sqlite"
    with (
        running(tmp_path / "log", profiles="text", api_keys=entry, runs_file=file) as service,
        tab(browser, service.url, expected=("401",)) as page,
    ):
        train(service, "kept", range(2), headers=headers)
        for method in ("GET", "DELETE"):
            assert httpx.request(method, f"{service.url}/v1/runs/kept").status_code == 401
        assert httpx.get(f"{service.url}/v1/samples?run_id=kept").status_code == 401
        page.goto(f"{service.url}/runs")
        page.wait_for_selector("#key-form")
        page.fill("#key", key)
        page.keyboard.press("Enter")
        page.get_by_role("checkbox", name="kept").wait_for()
        service.stop()
    assert b"effusion" not in b"".join(path.read_bytes() for path in tmp_path.glob("runs.sqlite*"))
    with running(tmp_path / "log2", profiles="text", runs_file=file) as service:  # a run outlives the service
        assert [one["items"] for one in point(service, "kept")["points"]] == [4, 4]
        assert httpx.delete(f"{service.url}/v1/runs/kept").json() == {"deleted": "kept"}
        assert httpx.get(f"{service.url}/v1/runs/kept").status_code == 404
        unkept = httpx.get(f"{service.url}/v1/samples", params={"run_id": "kept"})
        assert error_of(unkept) == (404, "samples_not_found")
        assert "REWARD_KEEP_SAMPLES is 0" in unkept.json()["error"]["message"]


def sample_count(file: Path) -> int:
    with contextlib.closing(sqlite3.connect(file)) as opened:
        (count,) = opened.execute("SELECT count(*) FROM samples").fetchone()
        return int(count)


def error_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


STOCK = "No acute cardiopulmonary process today."


def collapse(service: Service, run: str) -> None:
    """Eight steps of four studies; from the fourth step on three of four candidates are one string."""
    for step in range(8):
        candidates = [STOCK if step > 3 and k else f"Effusion {step} {k}." for k in range(4)]
        groups = [{"reference": f"Small effusion, study {study}.", "candidates": candidates} for study in range(4)]
        body = {"groups": groups, "run_id": run, "step": step}
        httpx.post(f"{service.url}/score", json=body, timeout=60).raise_for_status()


@pytest.mark.slow
def test_a_run_that_is_not_ticked_shows_its_alarms_and_leads_to_the_samples(browser: Any, tmp_path: Path) -> None:
    """The string: 12 of 16 candidates of the last step, 3 of the 4 for each study."""
    with running(tmp_path / "log", profiles="text", keep_samples=30) as service, tab(browser, service.url) as page:
        collapse(service, "cheat")
        assert len(point(service, "cheat")["points"]) == 8  # so that it is the older one
        train(service, "honest", range(3))
        page.goto(f"{service.url}/runs")
        mark = page.locator("#list div", has_text="cheat").get_by_role("button", name=re.compile(r"^\d alarms$"))
        mark.wait_for()
        assert not page.get_by_role("checkbox", name="cheat").is_checked()
        assert page.locator("#list div", has_text="honest").locator(".mark").is_hidden()
        worst = page.get_by_role("tooltip")
        assert worst.count() == 0
        for reached in (mark.hover, mark.focus):
            reached()
            assert worst.inner_text().startswith(
                "The worst: 12 of 16 candidates of step 7 are one string (75% of the last 64;"
            )
            page.mouse.move(0, 0)
        assert mark.get_attribute("aria-describedby") == worst.get_attribute("id")
        mark.click()
        told = page.locator("#alarms li").first
        told.wait_for()
        assert told.inner_text().strip().startswith("cheat: 12 of 16 candidates of step 7")
        assert "since step 4." in told.inner_text()
        told.get_by_role("button", name="Show it among the samples").click()
        noted = "3 of the step's 16 candidates for this study; the same text for any study: 12."
        page.locator("#samples-list .note", has_text=noted).nth(3).wait_for()
        assert page.locator("#samples-list section").count() == 4
        assert STOCK in page.inner_text("#samples-list")


@pytest.mark.slow
def test_charts_are_read_by_pointer_and_keyboard_all_at_one_step(browser: Any, service: Service) -> None:
    train(service, "read", range(0, 50, 10))
    wait_until(lambda: len(point(service, "read")["points"]) == 5)
    with tab(browser, service.url) as page:
        page.goto(f"{service.url}/runs")
        figure = page.locator("#charts figure").first
        figure.locator(".read", has_text="Step 40: read 0.").wait_for()
        assert figure.locator(".tick").all_text_contents() == ["0", "10", "20", "30", "40"]
        assert "Bands: the middle 90 % and 50 % of read" in figure.inner_text()
        box = figure.locator("svg").bounding_box()
        page.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + box["height"] / 2)
        figure.locator(".read", has_text="Step 20: read").wait_for()
        slider = figure.get_by_role("slider", name="Read Reward, mean and quantiles")
        slider.focus()
        page.keyboard.press("ArrowLeft")
        assert slider.get_attribute("aria-valuetext").startswith("Step 10: read 0.")
        page.locator("figure", has_text="Length, characters").locator(".read", has_text="Step 10: read").wait_for()
        train(service, "read", range(50, 60, 10))  # what is drawn anew keeps its place and the focus
        page.locator("#charts svg[aria-label$='at step 50']").first.wait_for()
        assert figure.locator(".read").inner_text().startswith("Step 10: read")
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Read Reward, mean and quantiles"


def test_histograms_of_several_runs_share_their_range_and_differ_in_colour(browser: Any, service: Service) -> None:
    for run, candidate in (("low", "No effusion."), ("high", REFERENCE)):
        body = {"items": [{"candidate": candidate, "reference": REFERENCE}], "run_id": run, "step": 1}
        httpx.post(f"{service.url}/score", json=body, timeout=60).raise_for_status()
    with tab(browser, service.url) as page:
        page.goto(f"{service.url}/runs")
        for run in ("low", "high"):
            page.get_by_role("checkbox", name=run).check()
        figures = [page.locator("figure", has_text=f"Rewards of {run} at step 1") for run in ("low", "high")]
        figures[0].wait_for()
        figures[1].wait_for()
        ticks, places, colours = (
            [figure.locator(".tick").all_text_contents() for figure in figures],
            [float(figure.locator(".bar").get_attribute("x")) for figure in figures],
            {figure.locator(".bar").evaluate("bar => getComputedStyle(bar).fill") for figure in figures},
        )
        assert ticks[0] == ticks[1]
        assert places[0] < places[1]
        assert len(colours) == 2


def test_names_that_no_address_can_hold_are_refused(service: Service) -> None:
    item = {"candidate": "No effusion.", "reference": "No effusion."}
    for name in ("", ".", "..", "...", "a\nb", "a\x00", "a\u2028b", "\x85"):
        answer = httpx.post(f"{service.url}/score", json={"items": [item], "run_id": name}, timeout=60)
        assert error_of(answer) == (422, "invalid_request")
        assert answer.json()["error"]["param"] == "run_id"
        assert "a character that is no dot" in answer.json()["error"]["message"]
    routed = httpx.post(f"{service.url}/get_reward", params={"run_id": ".."}, json={}, timeout=60)
    assert "Query parameter run_id: a run's id needs" in routed.json()["error"]["message"]


def test_what_is_not_there_is_told_as_such(service: Service) -> None:
    url = service.url
    assert error_of(httpx.get(f"{url}/v1/runs/nope")) == (404, "run_not_found")
    assert error_of(httpx.delete(f"{url}/v1/runs/nope")) == (404, "run_not_found")


def test_items_without_a_step_are_beside_step_0(browser: Any, service: Service) -> None:
    train(service, "unnamed", range(1))
    body = {"items": [{"candidate": "No effusion.", "reference": REFERENCE}], "run_id": "unnamed"}
    httpx.post(f"{service.url}/score", json=body, timeout=60).raise_for_status()
    found: dict[str, Any] = {}

    def written() -> bool:
        found.update(point(service, "unnamed"))
        return bool(found["points"] and found["without_step"])

    wait_until(written)  # both processes have
    assert found["without_step"]["items"] == 1
    assert [(one["step"], one["items"]) for one in found["points"]] == [(0, 4)]
    httpx.post(f"{service.url}/score", json={**body, "run_id": "only unnamed"}, timeout=60).raise_for_status()
    wait_until(lambda: point(service, "only unnamed").get("without_step"))  # the page ticks the newest that it finds
    with tab(browser, service.url) as page:
        page.goto(f"{service.url}/runs")
        page.locator("#about tr", has_text="only unnamed").get_by_text("none named").wait_for()


@pytest.mark.slow
def test_texts_of_earlier_days_are_deleted_where_none_are_kept_any_more(tmp_path: Path) -> None:
    file = tmp_path / "runs.sqlite"
    asked = {"run_id": "r"}
    with running(tmp_path / "log", profiles="text", runs_file=file, keep_samples=3) as service:
        train(service, "r", range(2))
        wait_until(lambda: httpx.get(f"{service.url}/v1/samples", params=asked).status_code == 200)
        answer = httpx.get(f"{service.url}/v1/samples", params={"run_id": "s"})
        assert error_of(answer) == (404, "run_not_found")
        answer = httpx.get(f"{service.url}/v1/samples", params={**asked, "step": 7})
        assert error_of(answer) == (404, "samples_not_found")
        service.stop()
    with running(tmp_path / "log2", profiles="text", runs_file=file) as service:
        assert error_of(httpx.get(f"{service.url}/v1/samples", params=asked)) == (404, "samples_not_found")
        wait_until(lambda: sample_count(file) == 0)
        assert len(point(service, "r")["points"]) == 2
        service.stop()
    with running(tmp_path / "log3", profiles="text", runs_file=file, keep_samples=3) as service:
        assert error_of(httpx.get(f"{service.url}/v1/samples", params=asked)) == (404, "samples_not_found")


@pytest.mark.slow
def test_samples_are_shown_with_their_errors_where_the_operator_has_some_kept(browser: Any, tmp_path: Path) -> None:
    hostile = "<b>Small right</b> effusion. <script>document.title='taken'</script>"
    settings = {"profiles": "text", "workers": 2, "pool_workers": 0, "keep_samples": 3}
    with running(tmp_path / "log", **settings) as service, tab(browser, service.url) as page:
        for step in (1, 2):
            group = {"reference": REFERENCE, "candidates": [*CANDIDATES, hostile]}
            httpx.post(f"{service.url}/score", json={"groups": [group], "run_id": "r&d", "step": step}, timeout=60)
        found: dict[str, Any] = {}

        def kept() -> bool:
            answer = httpx.get(f"{service.url}/v1/samples", params={"run_id": "r&d"})
            found.update(answer.json())
            return answer.status_code == 200 and found["steps"] == [1, 2]

        wait_until(kept)
        assert found["step"] == 2
        assert len(found["samples"]) == 3
        assert {sample["candidate"] for sample in found["samples"]} <= {*CANDIDATES, hostile}
        assert httpx.get(f"{service.url}/info").json()["runs"]["texts_kept"] == 3
        page.goto(f"{service.url}/runs")
        page.locator("#samples-list section").nth(2).wait_for()
        assert page.locator("#samples-list .rv-text mark").count() > 0
        page.select_option("#samples-step", "1")
        page.locator("#samples-list section").nth(2).wait_for()
        assert page.title() == "Reward service: runs"
        httpx.delete(f"{service.url}/v1/runs/r%26d").raise_for_status()
        assert httpx.get(f"{service.url}/v1/samples", params={"run_id": "r&d"}).status_code == 404


@pytest.mark.slow
@needs("redis-server")
def test_with_redis_all_replicas_show_the_same_also_of_a_shadow(tmp_path: Path) -> None:
    redis = Redis().start()
    settings = {"profiles": "text", "shadow": "text", "cache_url": redis.url, "pool_workers": 0}
    try:
        with running(tmp_path / "a", **settings) as first, running(tmp_path / "b", **settings) as second:
            train(first, "shared", range(2))
            train(second, "shared", range(1, 3))
            wait_until(lambda: [one["items"] for one in point(first, "shared")["points"]] == [4, 8, 4])
            wait_until(lambda: "text" in (point(second, "shared")["points"][2]["shadows"] or {}))
            beside = point(second, "shared")["points"][2]["shadows"]["text"]
            assert beside == {"mean_difference": 0.0, "correlation": pytest.approx(1.0)}
    finally:
        redis.kill()
