"""Pictures of the pages' main states for README and docs: `make screenshots` (needs chromium)."""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path

import httpx
from playwright.sync_api import sync_playwright

from testbed.service import ROOT, Service, running

OUT = ROOT / "docs" / "pictures"
_REFERENCE = "There is a small left pleural effusion with adjacent atelectasis. No pneumothorax. The heart is enlarged."
_RIGHT = _REFERENCE.split(". ")
_WRONG = ["There is a large right pleural effusion", "There is a pneumothorax", "The heart is normal in size."]


def train(service: Service, run: str, learning: float, seed: int) -> None:
    """Forty steps of eight rollouts; each sentence is right more often from step to step."""
    draw = random.Random(seed)
    for step in range(40):
        share = 0.3 + learning * step
        texts = [
            " ".join(right if draw.random() < share else wrong for right, wrong in zip(_RIGHT, _WRONG, strict=True))
            for _ in range(8)
        ]
        body = {"run_id": run, "step": step, "groups": [{"reference": _REFERENCE, "candidates": texts}]}
        httpx.post(f"{service.url}/score", json=body, timeout=60).raise_for_status()


def main() -> None:
    """Write every picture anew."""
    OUT.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder) / "log", profiles="text") as service,
        sync_playwright() as playwright,
    ):
        train(service, "slow", 0.004, 1)
        train(service, "quick", 0.016, 2)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_page(color_scheme=scheme, viewport={"width": 1100, "height": 1000})
            page.goto(f"{service.url}/?example=wrong-side-effusion")
            page.wait_for_selector("#result0")
            page.screenshot(path=OUT / f"playground-{scheme}.png")
            page.goto(f"{service.url}/runs")
            page.get_by_role("checkbox", name="slow").check()
            page.locator("#charts svg[aria-label*='slow']").first.wait_for()
            page.screenshot(path=OUT / f"runs-{scheme}.png")
        browser.close()


if __name__ == "__main__":
    main()
