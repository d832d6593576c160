"""The playground as people use it, in Chromium, with the real service behind it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from reward_service.api.auth import new_key
from reward_service.web import pages
from testbed.service import ROOT, Service, running
from tests.browser import tab
from tests.needs import needs

HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>\"'`&lt;${1}"
REFERENCE = "There is a small left pleural effusion. No pneumothorax."

pytestmark = [needs("chromium"), pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service") / "log", profiles="text", max_text_chars=2000) as found:
        yield found


@contextmanager
def playground(browser: Any, service: Service, query: str = "", **options: Any) -> Iterator[Any]:
    """The page after its first answer."""
    with tab(browser, service.url, **options) as page:
        page.goto(f"{service.url}/{query}")
        page.wait_for_selector("#result0")
        yield page


def scored(page: Any, **texts: str) -> None:
    """Fill in texts by the ids of their fields, and wait for the answer to these very texts."""
    page.uncheck("#live")
    for field, text in texts.items():
        page.fill(f"#{field}", text)
    with page.expect_response("**/web/score") as answered:
        page.click("#score")
    assert answered.value.ok
    page.locator("#status").filter(has_text="Scored with").wait_for()


def marks(page: Any, side: str, kind: str = "significant") -> list[str]:
    found: list[str] = page.locator(f"#result0 [aria-label={side}] mark.rv-{kind}").all_text_contents()
    return found


def reward(page: Any, at: int = 0) -> float:
    return float(page.inner_text(f"#result{at} .reward").split()[1])


def test_an_example_is_scored_and_both_sides_of_its_error_are_marked_and_linked(browser: Any, service: Service) -> None:
    with playground(browser, service, "?profile=text&example=wrong-side-pneumothorax") as page:
        assert "Wrong side of the pneumothorax" in page.inner_text("#result0")
        direct = service.score(
            (page.input_value("#candidate0"), page.input_value("#reference")), profile="text", detail="full"
        ).json()["results"][0]
        assert reward(page) == pytest.approx(direct["reward"], abs=5e-4)
        first = page.locator("#result0 [aria-label=Candidate] mark.rv-significant a").first
        title = first.get_attribute("title")
        assert title.startswith("wrong location: ")
        assert " · significant · " in title
        first.hover()
        target = first.get_attribute("href")
        linked = page.locator(f'#result0 a[href="{target}"]')
        assert linked.count() >= 2
        assert all("rv-on" in (one.get_attribute("class") or "") for one in linked.all())
        assert "rv-on" in page.locator(target).get_attribute("class")
        note = page.locator("#result0 [role=status]")
        note.filter(has_text="in the reference").wait_for()
        assert "in the candidate, " in note.inner_text()
        assert "side left by cues/attributes.yaml" in note.inner_text()


def test_editing_a_word_moves_the_error_without_a_click(browser: Any, service: Service) -> None:
    with playground(browser, service) as page:
        scored(page, reference=REFERENCE, candidate0="There is a small right pleural effusion. No pneumothorax.")
        assert any("effusion" in text for text in marks(page, "Candidate"))
        before = reward(page)
        page.check("#live")
        page.fill("#candidate0", "There is a small left pleural effusion. There is a pneumothorax.")
        page.locator("#result0 .rv-evidence").filter(has_text="false finding").wait_for()
        assert marks(page, "Candidate") == ["pneumothorax"]
        page.fill("#candidate0", REFERENCE)
        page.locator("#result0").filter(has_text="Nothing is lost").wait_for()
        assert reward(page) == 1.0 > before
        assert marks(page, "Candidate") == []


def test_a_text_with_markup_stays_text_everywhere(browser: Any, service: Service) -> None:
    with playground(browser, service) as page:
        page.evaluate("document.getElementById('prior-part').open = true")
        texts = {"reference": f"{HOSTILE} small left effusion.", "candidate0": f"{HOSTILE} small right effusion."}
        scored(page, prior=HOSTILE, **texts)
        assert HOSTILE in page.locator("#result0 .rv-text").first.inner_text()
        for button in page.locator("[data-copy]").all():
            button.click()
        assert page.title() == "Reward service: playground"
        assert page.locator("#results img, #results script, #copied img").count() == 0
        page.goto(f"{service.url}/?profile={HOSTILE}&example={HOSTILE}")
        page.wait_for_selector("#result0")
        assert page.title() == "Reward service: playground"


def test_candidates_beside_one_another_are_compared(browser: Any, service: Service) -> None:
    with playground(browser, service) as page:
        page.uncheck("#live")
        page.click("#add")
        assert page.evaluate("document.activeElement.id") == "candidate1"
        scored(page, reference=REFERENCE, candidate0=REFERENCE, candidate1="Small right effusion. No pneumothorax.")
        assert reward(page, 0) > reward(page, 1)
        moved = page.inner_text("#moved")
        assert "Only Candidate 2" in moved
        assert "wrong location: left pleural effusion (right/left)" in moved
        difference = float(page.locator("#moved tbody tr").last.locator("td").last.inner_text())
        assert difference == pytest.approx(reward(page, 1) - reward(page, 0), abs=1.1e-3)
        page.get_by_role("button", name="Remove candidate 1").click()
        scored(page)
        assert page.locator(".candidate").count() == 1
        assert not page.is_visible("#compare")


def test_null_flags_and_their_price_are_shown_as_what_they_are(browser: Any, service: Service) -> None:
    with playground(browser, service) as page:
        scored(page, reference="", candidate0="No effusion.")
        assert page.inner_text("#result0 .reward") == "reward null"
        assert "empty_reference" in page.inner_text("#result0 .problem")
        assert page.locator("#result0 svg").count() == 0
        scored(page, reference=REFERENCE, candidate0="Small right effusion. " * 8)
        # The profile multiplies by 0.25 what a repetition earns above the lower bound (docs/guards.md).
        assert "repetition: what lies above the lower bound is multiplied by 0.25" in page.inner_text("#result0")
        steps = page.locator("#result0 .waterfall").get_attribute("aria-label")
        assert steps.endswith(f"reward {page.inner_text('#result0 .reward').split()[1]}")
        assert "adjustment -" in steps


def test_what_is_copied_runs_and_gives_the_same_reward(browser: Any, service: Service, tmp_path: Path) -> None:
    with playground(browser, service) as page:
        candidate = 'Small right effusion; it\'s "new".\n\\ No pneumothorax.'
        scored(page, reference=REFERENCE, candidate0=candidate)
        shown = page.inner_text("#result0 .reward").split()[1]
        copied = {}
        for kind in ("curl", "python", "jsonl", "link"):
            page.click(f"[data-copy={kind}]")
            copied[kind] = page.text_content("#copied pre")
        assert copied["link"] == f"{service.url}/?profile=text"
        arguments = shlex.split(copied["curl"])
        assert arguments[:2] == ["curl", "-s"]
        answer = httpx.post(arguments[2], content=arguments[-1], headers={"content-type": "application/json"}).json()
        assert f"{answer['results'][0]['reward']:.3f}" == shown
        assert json.loads(copied["jsonl"]) == {"candidate": candidate, "reference": REFERENCE}
        environment = {"PYTHONPATH": str(ROOT / "client")}
        done = subprocess.run([sys.executable, "-c", copied["python"]], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        assert f"{float(done.stdout.split()[0]):.3f}" == shown


def test_no_text_is_in_the_address_or_in_the_log(browser: Any, service: Service) -> None:
    with playground(browser, service, "?profile=text&example=omission-nodule") as page:
        assert page.input_value("#example") == "omission-nodule"
        scored(page, candidate0="Zanzibarine opacity.")
        assert page.url == f"{service.url}/?profile=text"
        assert page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0
    assert "anzibarine" not in service.log


@pytest.mark.slow
def test_a_key_is_asked_for_and_kept_in_memory_alone(browser: Any, tmp_path: Path) -> None:
    key, entry = new_key("reader")
    with (
        running(tmp_path / "log", profiles="text", api_keys=entry, root_path="/team/reward") as service,
        tab(browser, service.url, expected=("401",)) as page,
    ):
        assert httpx.post(f"{service.url}/web/score", json={"items": []}).status_code == 401
        page.goto(f"{service.url}/team/reward/")
        page.wait_for_selector("#key-form")
        assert page.evaluate("document.activeElement.id") == "key"
        page.fill("#key", "wrong")
        page.keyboard.press("Enter")
        page.get_by_text("This key is not accepted.").wait_for()
        page.fill("#key", "kéy–✓")
        page.keyboard.press("Enter")
        page.get_by_text("only letters, digits and signs of ASCII").wait_for()
        assert page.is_visible("#key-form")
        page.fill("#key", key)
        page.keyboard.press("Enter")
        page.wait_for_selector("#result0")
        assert not page.is_visible("#key-form")
        assert key not in page.content() + page.url
        assert page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0
        page.reload()
        page.wait_for_selector("#key-form")
        assert key not in service.log


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_wider_than_a_phone(browser: Any, service: Service, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    with playground(browser, service, color_scheme=scheme, bypass_csp=True) as page:  # axe is an inline script
        page.uncheck("#live")
        page.click("#add")
        scored(page, reference=REFERENCE, candidate0="Small right effusion. " * 8, candidate1="x" * 3000)
        found = axe.Axe().run(page).response["violations"]
        assert [(v["id"], [n["html"][:200] for n in v["nodes"]][:3]) for v in found] == []
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_documentation_of_the_api_shows_its_routes_within_its_policy(browser: Any, service: Service) -> None:
    with tab(browser, service.url) as page:
        page.goto(f"{service.url}/docs")
        page.locator(".opblock-summary-path").first.wait_for()
        assert "/v1/score" in page.inner_text("#swagger-ui")


def test_pages_and_what_they_load_are_small() -> None:
    folder = Path(pages.__file__).parent / "static"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 150_000
