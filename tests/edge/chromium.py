"""A real Chromium for tests of the console, driven by Playwright: Debian's package, with a profile of its own."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

AXE = Path(sys.prefix) / "browser" / "node_modules" / "axe-core" / "axe.min.js"  # put there by `make install-test`
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium(profile: Path, *, dark: bool = False) -> Iterator[BrowserContext]:
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("needs Debian's chromium")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(profile),
            executable_path=found,
            args=list(FLAGS),
            viewport={"width": 1440, "height": 900},
            color_scheme="dark" if dark else "light",
        )
        context.set_default_timeout(40_000)
        try:
            yield context
        finally:
            context.close()


def faults_of_accessibility(page: Page) -> list[str]:
    """What axe finds by the rules of WCAG 2.2 AA and by its best practices."""
    # By the protocol, because the page's policy does not allow a script from elsewhere.
    page.evaluate(AXE.read_text())
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate("tags => axe.run(document, {runOnly: tags})", tags)
    return [f"{each['id']}: {node['html'][:200]}" for each in found["violations"] for node in each["nodes"]]
