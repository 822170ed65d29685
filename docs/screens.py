"""Screenshots of the console, from a running example of which one application does not answer."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

HOST = "https://towpath.example"
PATHS = ("/api/v1/orders", "/api/v1/orders/17", "/api/v1/cart", "/about", "/api/v1/orders")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
SECONDS = 25.0  # of requests before the first picture


def draw(browser: str, docs: Path, address: str) -> None:
    """`address` is the console's, as `lockgate console` prints it. The edge is the one that `LOCKGATE_EDGE` names."""
    done = threading.Event()
    requests = threading.Thread(target=_send, args=(done,))
    requests.start()
    try:
        with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
            context = playwright.chromium.launch_persistent_context(
                profile,
                executable_path=browser,
                args=list(FLAGS),
                viewport={"width": 1440, "height": 860},
                color_scheme="light",
            )
            page = context.pages[0]
            page.goto(address)
            page.locator(".node").first.wait_for()
            page.wait_for_timeout(SECONDS * 1000)
            page.screenshot(path=docs / "console.png")
            _failed_request(page)
            page.screenshot(path=docs / "console-request.png")
            page.keyboard.press("Escape")
            page.emulate_media(color_scheme="dark")
            page.fill("#url", f"{HOST}/about")
            page.click("#try button")
            page.locator(".answer").wait_for()
            page.wait_for_timeout(500)
            page.screenshot(path=docs / "console-dark.png")
            context.close()
    finally:
        done.set()
        requests.join()


def _failed_request(page: Page) -> None:
    page.locator("#rows-requests tr", has_text="/about").first.locator("button").click()
    page.locator("svg.traced").wait_for()
    page.wait_for_timeout(500)


def _send(done: threading.Event) -> None:
    urls = [f"{HOST}{path}" for path in PATHS] + ["https://www.towpath.example/api/health", "http://towpath.example/"]
    command = [sys.executable, "-m", "lockgate", "exec", "--", "curl", "-s"]
    while not done.wait(0.2):
        subprocess.run([*command, *urls], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
