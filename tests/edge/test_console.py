"""The console as users have it: a real edge, a real Chromium, requests by curl."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.edge.chromium import chromium, faults_of_accessibility
from tests.edge.conftest import GUIDE, PATIENCE, ROOT, Start, Up

pytestmark = pytest.mark.edge

URL = "https://quay.example/"


@pytest.fixture(scope="module")
def guide(up: Start) -> Up:
    return up(GUIDE).ready()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    with chromium(tmp_path_factory.mktemp("profile")) as context:
        yield context


@pytest.fixture
def page(guide: Up, browser: BrowserContext) -> Iterator[Page]:
    """The console of the edge, as its address opens it. Nothing may be logged in the browser's console."""
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address(guide))
    page.locator(".node").first.wait_for()
    yield page
    page.close()
    assert [each for each in said if "status of 400" not in each] == []  # a request that a test may not send


def address(edge: Up) -> str:
    return edge.lockgate("console").stdout.strip()


def test_up_prints_its_address_and_it_opens(guide: Up, page: Page) -> None:
    assert guide.until("console http://127.0.0.1:").split()[1] == address(guide)
    assert page.url.endswith("/")  # without the token
    expect(page.locator("#status")).to_contain_text("ready")
    for kind in ("DNS", "Listener", "Rule", "Target group", "Gateway", "Route", "Service"):
        assert page.locator(f'.node[data-label^="{kind} "]').count() > 0, kind
    expect(page.locator('.node[data-label^="Target group "]').first).to_contain_text("1/1 healthy")
    expect(page.locator('.node[data-label^="Gateway "] .lock.ok').first).to_contain_text("d")


def test_requests_appear_with_their_hops_and_their_reason(guide: Up, page: Page) -> None:
    guide.curl("-o", "/dev/null", f"{URL}seen-in-the-console")
    row = page.locator("#rows-requests tr", has_text="/seen-in-the-console").first
    expect(row).to_contain_text("200")
    expect(page.locator('[data-node^="service/"] .figures', has_text="/s").first).to_be_visible()
    row.locator("button").click()
    drawer = page.locator("#drawer")
    expect(drawer).to_contain_text("200 from the service")
    hops = drawer.locator(".hops tr td:first-child").all_text_contents()
    assert hops == ["Client", "DNS", "Listener", "Rule", "Target group", "Gateway", "Route", "Service"]
    expect(page.locator("svg.traced .node.passed")).to_have_count(len(hops))
    drawer.get_by_text("What the Envoys logged").click()
    expect(drawer).to_contain_text('"upstream_cluster"')
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(row.locator("button")).to_be_focused()

    guide.curl("-o", "/dev/null", "https://quay.example/", "-H", "Host: nobody.example")
    expect(page.locator("#rows-requests tr", has_text="nobody.example").first).to_contain_text("404")
    page.fill("#filter-requests", "404")
    expect(page.locator("#rows-requests tr", has_text="seen-in-the-console")).to_have_count(0)
    expect(page.locator("#shown-requests")).to_contain_text("of")


def test_a_node_shows_its_line_its_findings_and_its_part_of_envoy(page: Page) -> None:
    page.locator('.node[data-label^="Route "]').first.click()
    drawer = page.locator("#drawer")
    expect(drawer.locator("pre .here").first).to_be_visible()
    expect(drawer).to_contain_text("VirtualService")
    expect(drawer).to_contain_text("Findings")
    drawer.get_by_text("Envoy's configuration").click()
    expect(drawer.locator("details pre")).to_contain_text('"virtual_hosts"')
    assert "PRIVATE KEY" not in page.content()


def test_a_request_is_predicted_and_sent(page: Page) -> None:
    page.fill("#url", f"{URL}tried")
    page.click("#try button")
    drawer = page.locator("#drawer")
    expect(drawer).to_contain_text("The real request went as predicted.")
    expect(drawer.locator(".hops tbody tr", has_text="Service")).to_contain_text("ms")
    page.fill("#url", "ftp://quay.example/")
    page.click("#try button")
    expect(drawer).to_contain_text("is not an http:// or https:// URL")


def test_the_keyboard_reaches_every_node_and_the_table_has_them_too(page: Page) -> None:
    client = page.locator('.node[data-node="client"]')
    client.focus()
    page.keyboard.press("ArrowRight")
    focused = page.evaluate("document.activeElement.dataset.node")
    assert focused.startswith("dns/")
    page.keyboard.press("Enter")
    expect(page.locator("#drawer-title")).to_be_focused()
    page.keyboard.press("Escape")
    page.click("#as-table")
    expect(page.locator("#graph-table tbody tr")).to_have_count(page.locator(".node").count())


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_axe_finds_nothing(guide: Up, page: Page, theme: str) -> None:
    page.emulate_media(color_scheme="dark" if theme == "Dark" else "light", reduced_motion="reduce")
    expect(page.locator("html")).to_have_attribute("data-theme", theme.lower())
    guide.curl("-o", "/dev/null", f"{URL}axe-{theme}")
    page.locator("#rows-requests tr", has_text=f"/axe-{theme}").first.locator("button").click()
    assert faults_of_accessibility(page) == []
    for tab in ("timeline", "locks", "parts"):
        page.click(f"#tab-{tab}")
        assert faults_of_accessibility(page) == []
    page.click("#as-table")
    page.locator("#graph-table button", has_text="HTTPS 443").first.click()
    assert faults_of_accessibility(page) == []
    page.click("#close")
    page.fill("#url", f"{URL}tried-{theme}")
    page.click("#try button")
    page.locator(".answer").wait_for()
    assert faults_of_accessibility(page) == []


def test_it_survives_the_death_of_an_envoy(guide: Up, page: Page) -> None:
    def pid() -> int:
        found = guide.status()["envoys"]["gateway"]["pid"]
        return int(found) if found else 0

    before = pid()
    os.kill(before, signal.SIGKILL)
    page.click("#tab-timeline")
    expect(page.locator("#rows-timeline", has_text="the Envoy gateway ended")).to_be_visible()
    guide.wait(until=lambda: pid() not in (0, before), what="another Envoy")
    guide.wait(until=lambda: _status(guide) == "200", what="the gateway serves again")
    page.click("#tab-requests")

    def again() -> bool:
        guide.curl("-o", "/dev/null", f"{URL}after-the-death")
        return page.locator("#rows-requests tr", has_text="/after-the-death").filter(has_text="service").count() > 0

    until(page, again)


def _status(edge: Up) -> str:
    return edge.curl("-o", "/dev/null", "-w", "%{http_code}", URL)


def until(page: Page, done: Callable[[], bool]) -> None:
    for _ in range(int(PATIENCE)):
        if done():
            return
        page.wait_for_timeout(1000)
    raise AssertionError(f"never: {page.locator('body').inner_text()[:2000]}")


def test_a_saved_change_is_drawn(manifests: Path, up: Start, browser: BrowserContext) -> None:
    edge = up(manifests).ready()
    page = browser.new_page()
    page.goto(address(edge))
    page.locator(".node").first.wait_for()
    routes = next(path for path in sorted(manifests.glob("*.yaml")) if "VirtualService" in path.read_text())
    routes.write_text(routes.read_text().replace("kind: VirtualService", "kind: VirtualService  # saved", 1))
    text = routes.read_text()
    assert "prefix: /" in text, "the guide has a route by prefix"
    routes.write_text(text.replace("prefix: /", "prefix: /drawn-", 1))
    expect(page.locator('.node[data-label*="/drawn-"]').first).to_be_visible()
    page.click("#tab-timeline")
    expect(page.locator("#rows-timeline tr", has_text="save").first).to_be_visible()
    page.close()
    edge.stop()


def test_an_export_opens_from_a_file(guide: Up, browser: BrowserContext, tmp_path: Path) -> None:
    guide.curl("-o", "/dev/null", f"{URL}exported")
    file = tmp_path / "edge.html"
    guide.lockgate("console", "--export", str(file))
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.as_uri())
    expect(page.locator("#status")).to_contain_text("Recording")
    expect(page.locator("#try")).to_be_hidden()
    page.locator('.node[data-label^="Route "]').first.click()
    expect(page.locator("#drawer")).to_contain_text("VirtualService")
    page.keyboard.press("Escape")
    assert faults_of_accessibility(page) == []
    assert "PRIVATE KEY" not in file.read_text()
    assert said == []
    page.close()


def _in_the_background() -> None:
    """As a shell starts a command with ``&``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def test_a_recording_is_replayed_without_the_edge(guide: Up, browser: BrowserContext, tmp_path: Path) -> None:
    file = tmp_path / "edge.jsonl"
    lockgate = [sys.executable, "-m", "lockgate", "console"]
    recorder = subprocess.Popen(
        [*lockgate, "--name", guide.name, "--record", str(file)],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=_in_the_background,
    )

    def recorded(name: str) -> list[Any]:
        lines = [json.loads(line) for line in file.read_text().splitlines()[1:-1]] if file.exists() else []
        return [data for _, each, data in lines if each == name]

    guide.wait(until=lambda: bool(recorded("timeline")), what="the first messages")
    guide.curl("-o", "/dev/null", f"{URL}recorded")
    guide.wait(until=lambda: "/recorded" in json.dumps(recorded("requests")), what="the request")
    recorder.send_signal(signal.SIGINT)
    said, _ = recorder.communicate(timeout=PATIENCE)
    assert "messages" in said

    player = subprocess.Popen(
        [*lockgate, "--replay", str(file), "--speed", "100"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        preexec_fn=_in_the_background,
    )
    try:
        assert player.stdout is not None
        url = next(word for word in player.stdout.readline().split() if word.startswith("http://"))
        page = browser.new_page()
        page.goto(url)
        expect(page.locator("#rows-requests tr", has_text="/recorded").first).to_contain_text("200")
        page.locator('.node[data-label^="Route "]').first.click()
        expect(page.locator("#drawer")).to_contain_text("VirtualService")
        page.close()
    finally:
        player.send_signal(signal.SIGINT)
        assert player.wait(PATIENCE) == 0


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    for text, why in (
        ("{}\n", ":1: this is not a recording of Lockgate"),
        ('{"lockgate": "recording", "version": 1}\n[1]\n', ":2: not a message"),
        ('{"lockgate": "recording", "version": 1}\nx\n', ":2: not JSON"),
        ('{"lockgate": "recording", "version": 1}\n', "the recording is empty"),
    ):
        file = tmp_path / "no.jsonl"
        file.write_text(text)
        done = subprocess.run(
            [sys.executable, "-m", "lockgate", "console", "--replay", str(file)], capture_output=True, text=True
        )
        assert done.returncode == 1
        assert why in done.stderr
        assert done.stderr.count("\n") == 1
