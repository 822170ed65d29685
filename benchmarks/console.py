"""What the console costs, and how fast its page is, in Chromium.

Memory is the supervisor's own: at rest, after the page was first opened, and while 10,000 requests a minute come.
Paints are those of a browser that runs, but for the first. Frames are taken on an edge with 1,000 nodes, while figures
come in and the graph is scrolled.
"""

from __future__ import annotations

import http.client
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import BrowserContext, CDPSession, Page

from benchmarks.memory import private
from benchmarks.running import Figures, Running, edge, median, percentile, spread, trusting
from benchmarks.scale import write
from benchmarks.start import HOST
from tests.edge.chromium import chromium

_LOADS = 7
_A_MINUTE = 10_000  # requests
_MINUTES = 10
_CLIENTS = 6
_LOOKS = (1, 2, 5)  # min
_VIRTUAL_SERVICES = 325  # with three routes each
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
_FRAMES = """() => new Promise((done) => {
  const box = document.getElementById("graph"), times = [];
  let last = performance.now();
  const step = (now) => {
    times.push(now - last);
    last = now;
    box.scrollTop += 12;
    if (times.length < 300) requestAnimationFrame(step);
    else done(times.slice(1));
  };
  requestAnimationFrame(step);
})"""


def run(minutes: float = _MINUTES) -> Figures:
    if shutil.which("chromium") is None:
        return {"chromium": "is not installed: apt-get install chromium"}
    return {**_small(minutes), **_large()}


def _small(minutes: float) -> Figures:
    figures: Figures = {}
    with edge() as running:
        running.wait_until_ready()
        time.sleep(5)
        pid = running.process.pid
        before = private(pid)
        url = running.ask("console").strip()
        paints, nodes, trivial = [], [], []
        with _browser() as context:
            for _ in range(_LOADS):
                page, seconds = _opened(context, url)
                other = context.new_page()
                other.goto("data:text/html,hello")
                other.wait_for_timeout(500)
                trivial.append(other.evaluate(_PAINT))
                paints.append(page.evaluate(_PAINT))
                nodes.append(seconds * 1000)
                page.close()
                other.close()
        figures["first paint"] = f"{spread(paints, 'ms', 0)}; a page of one word: {spread(trivial, 'ms', 0)}"
        figures["first paint of a browser that has just started"] = f"{paints[0]:.0f} ms"
        figures["until the graph is there"] = spread(nodes, "ms", 0)
        with _browser() as context:
            _opened(context, url)
            time.sleep(3)
            opened = private(pid)
            figures["memory until it is opened"] = f"{before:.1f} MiB"
            figures["memory with the page open"] = f"{opened:.1f} MiB ({opened - before:+.1f})"
            for minute, rate, mebibytes in _loaded(running, pid, minutes):
                figures[f"memory after {minute:g} min"] = f"{mebibytes:.1f} MiB, at {rate:,.0f} requests a minute"
    return figures


def _loaded(running: Running, pid: int, minutes: float) -> Iterator[tuple[float, float, float]]:
    """Requests at an even pace, over connections as clients keep them: minutes, requests a minute so far, memory."""
    began, over = time.monotonic(), threading.Event()
    counts = [0] * _CLIENTS
    clients = [threading.Thread(target=_ask, args=(running, counts, each, over)) for each in range(_CLIENTS)]
    for client in clients:
        client.start()
    for minute in (*(each for each in _LOOKS if each < minutes), minutes):
        time.sleep(max(began + minute * 60 - time.monotonic(), 0))
        passed = (time.monotonic() - began) / 60
        yield round(passed, 1), sum(counts) / passed, private(pid)
    over.set()
    for client in clients:
        client.join()


def _ask(running: Running, counts: list[int], place: int, over: threading.Event) -> None:
    about = running.about()
    host, _, port = about["addresses"]["proxy"].partition("://")[2].partition(":")
    client = http.client.HTTPSConnection(host, int(port), context=trusting(about["files"]["ca_bundle"]), timeout=20)
    client.set_tunnel(HOST, 443)
    began = time.monotonic()
    while not over.wait(max(began + counts[place] * 60 * _CLIENTS / _A_MINUTE - time.monotonic(), 0)):
        client.request("GET", f"/api/{counts[place] % 50}")
        client.getresponse().read()
        counts[place] += 1
    client.close()


def _large() -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        manifests = Path(folder) / "manifests"
        write(manifests, _VIRTUAL_SERVICES)
        with edge(path=manifests) as running, _browser() as context:
            running.wait_until_ready()
            page, seconds = _opened(context, running.ask("console").strip())
            count = page.locator(".node").count()
            time.sleep(2)
            session = context.new_cdp_session(page)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            busy = _busy(session)
            frames = page.evaluate(_FRAMES)
            work = (_busy(session) - busy) * 1000 / len(frames)
    scrolled = f"{median(frames):.1f} ms, p99 {percentile(frames, 0.99):.1f} ms, {work:.1f} ms of CPU"
    return {
        f"{count:,} nodes: until the graph is there": f"{seconds * 1000:.0f} ms",
        f"{count:,} nodes: a frame while it is scrolled": scrolled,
    }


@contextmanager
def _browser() -> Iterator[BrowserContext]:
    with tempfile.TemporaryDirectory() as profile, chromium(Path(profile)) as context:
        yield context


def _opened(context: BrowserContext, url: str) -> tuple[Page, float]:
    page = context.new_page()
    began = time.monotonic()
    page.goto(url, wait_until="commit")
    page.locator(".node").first.wait_for()
    return page, time.monotonic() - began


def _busy(session: CDPSession) -> float:
    """CPU seconds of the page's thread: what a frame costs, on a machine that others use, too."""
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    return float(metrics["TaskDuration"])
