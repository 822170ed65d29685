"""What an edge of 1,000, 3,000 and 10,000 VirtualServices costs: its start, its memory, and one saved file.

Each VirtualService has three routes, ten share a Service and a file, and all are bound to one Gateway. CPU time is that
of the supervisor and its child processes: on a shared machine it varies less than the clock. What the edge uses at rest
in the same time is subtracted.
"""

from __future__ import annotations

import http.client
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.changes import client_of
from benchmarks.memory import pss
from benchmarks.running import EXAMPLE, Figures, Running, edge, median, spread

SIZES = (1_000, 3_000, 10_000)
_PER_SERVICE = 10  # VirtualServices of a file, which share a Service
_CHANGES = 7
_REST = 3.0  # s after a change, in which everything that it causes ends
_PATIENCE = 240.0


def run(sizes: tuple[int, ...] = SIZES) -> Figures:
    figures: Figures = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            manifests = Path(folder) / "manifests"
            write(manifests, size)
            _break(manifests, size // 3)
            for what, figure in _measured(manifests, size).items():
                figures[f"{size:,} VirtualServices: {what}"] = figure
    return figures


def write(manifests: Path, size: int, per_service: int = _PER_SERVICE) -> None:
    """The example edge, with `size` more VirtualServices."""
    shutil.copytree(EXAMPLE, manifests)
    for number in range(0, size, per_service):
        file = app_file(manifests, number, per_service)
        file.parent.mkdir(parents=True, exist_ok=True)
        services = [_service(number // per_service)]
        apps = [virtual_service(each, number // per_service) for each in range(number, min(number + per_service, size))]
        file.write_text("---\n".join(services + apps))


def _break(manifests: Path, number: int) -> None:
    """One VirtualService that Istio refuses: all others are to be served, and this one is to be named."""
    file = app_file(manifests, number)
    text = file.read_text().split("---\n")
    at = 1 + number % _PER_SERVICE
    text[at] = text[at].replace("timeout: 5s", "timeout: never")
    file.write_text("---\n".join(text))


def _unbroken(client: http.client.HTTPSConnection, status: dict[str, Any], size: int) -> str:
    served = sum(_answer(client, number) == 410 for number in range(size))
    named = [fault for fault in status["faults"] if fault["severity"] == "error"]
    places = [f"{Path(each['position']['file']).name}:{each['position']['line']}" for each in named]
    if served != size - 1 or len(places) != 1:
        raise SystemExit(f"{served} of {size} VirtualServices are served, and {named} is reported")
    return f"{served:,} served, {places[0]} named"


def app_file(manifests: Path, number: int, per_service: int = _PER_SERVICE) -> Path:
    return manifests / f"team-{number // 1000:02}" / f"app-{number // per_service:05}.yaml"


def virtual_service(number: int, service: int, status: int = 410) -> str:
    destination = f"{{host: backend-{service}, port: {{number: 8080}}}}"
    return (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        f"metadata: {{name: app-{number}, namespace: shop}}\n"
        f"spec:\n  hosts: [app-{number}.towpath.example]\n  gateways: [istio-system/edge]\n  http:\n"
        f"    - match: [{{uri: {{exact: /status}}}}]\n      directResponse: {{status: {status}}}\n"
        "    - match: [{uri: {prefix: /api/}}]\n      rewrite: {uri: /}\n      timeout: 5s\n"
        f"      route: [{{destination: {destination}}}]\n"
        f"    - route: [{{destination: {destination}}}]\n"
    )


def _service(number: int) -> str:
    return (
        f"apiVersion: v1\nkind: Service\nmetadata: {{name: backend-{number}, namespace: shop}}\n"
        f"spec: {{selector: {{app: backend-{number}}}, ports: [{{name: http, port: 8080}}]}}\n"
    )


def _measured(manifests: Path, size: int) -> Figures:
    if sys.platform != "linux":
        return {"CPU time": "only Linux shows it"}
    with edge(path=manifests) as running:
        status = running.wait_until_ready(_PATIENCE)
        ready = time.monotonic() - running.began
        figures = {"ready after": f"{ready:.1f} s, {cpu(running):.1f} s of CPU time"}
        time.sleep(3 * _REST)
        before = cpu(running)
        time.sleep(2 * _REST)
        at_rest = (cpu(running) - before) / (2 * _REST)
        figures["memory of all processes"] = f"{sum(map(pss, processes(running))):.0f} MiB"
        served, used = [], []
        client = client_of(status)
        figures["with one that is broken"] = _unbroken(client, status, size)
        for change in range(_CHANGES):
            milliseconds, seconds = change_one(running, client, manifests, size // 2, 420 + change)
            served.append(milliseconds)
            used.append((seconds - at_rest * (_REST + milliseconds / 1000)) * 1000)
        figures["saved file to served change"] = spread(served, "ms", 0)
        figures["CPU time of a saved file"] = spread(used, "ms", 0)
        figures["CPU at rest"] = f"{at_rest * 100:.1f} %"
    return figures


def change_one(
    running: Running, client: http.client.HTTPSConnection, manifests: Path, number: int, status: int
) -> tuple[float, float]:
    """Milliseconds until the change is served, and seconds of CPU time that it took in all."""
    file, service = app_file(manifests, number), number // _PER_SERVICE
    text = file.read_text().split("---\n")
    text[1 + number % _PER_SERVICE] = virtual_service(number, service, status)
    before = cpu(running)
    began = time.monotonic()
    file.write_text("---\n".join(text))
    while _answer(client, number) != status:
        time.sleep(0.01)
        if time.monotonic() - began > _PATIENCE:
            raise SystemExit("the change is not served")
    served = time.monotonic() - began
    time.sleep(_REST)
    return served * 1000, cpu(running) - before


def _answer(client: http.client.HTTPSConnection, number: int) -> int:
    client.request("GET", "/status", headers={"Host": f"app-{number}.towpath.example"})
    answer = client.getresponse()
    answer.read()
    return answer.status


def cpu(running: Running) -> float:
    """Seconds of CPU time of the supervisor and its children."""
    return sum(map(cpu_of, processes(running)))


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def processes(running: Running) -> Iterator[int]:
    waiting = [running.process.pid]
    while waiting:
        pid = waiting.pop()
        yield pid
        for task in Path(f"/proc/{pid}/task").iterdir():
            waiting += map(int, (task / "children").read_text().split())


__all__ = ["median", "run", "write"]
