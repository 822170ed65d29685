"""What counting requests costs: CPU time of the load balancers' Envoy per request, with and without its counts.

Load balancers count only for `lockgate kiali --with-alb`, with the logger that gateways always have. So one process can
be measured in turns, within half a second of each other: a shared machine's noise then meets both alike.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.running import Figures, edge, median, spread
from benchmarks.start import HOST
from benchmarks.throughput import envoy, free_port, listener_of, static_backend
from lockgate.xds.flows import LOAD_BALANCERS

_TURNS = 240
_SECONDS = 0.4  # of a turn
_REQUESTS = re.compile(r"downstream_rq_total: (\d+)")


def run() -> Figures:
    if shutil.which("wrk") is None:
        return {"wrk": "is not installed: apt-get install wrk"}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        backend = free_port()
        stack.enter_context(envoy(folder, "backend", static_backend(backend)))
        backends = [f"--backend=shop/{name}=http://127.0.0.1:{backend}" for name in ("web:3000", "api:8080")]
        running = stack.enter_context(edge(*backends))
        url = f"https://{listener_of(running.wait_until_ready())}/"
        admin = running.home / "default" / "run" / "alb.admin.sock"
        worker = _worker(running.home / "default" / "run" / "envoy-alb.json")
        command = ["wrk", "-t1", "-c32", f"-d{int(_TURNS * (_SECONDS + 0.3))}s", "-H", f"Host: {HOST}", url]
        load = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        stack.callback(load.wait)
        stack.callback(load.terminate)
        time.sleep(3)
        turns = [_turn(admin, worker, counts=number % 2 == 1) for number in range(_TURNS)]
    # Each turn with counts against the mean of the two turns around it.
    pairs = [turns[n] - (turns[n - 1] + turns[n + 1]) / 2 for n in range(1, _TURNS - 1, 2)]
    without = median(turns[::2])
    return {
        "microseconds of a request in one Envoy": spread(turns[::2], "µs", 1),
        "more with counts, median": f"{median(pairs):.1f} µs, {median(pairs) / without:.1%} of it  (n={len(pairs)})",
    }


def _turn(admin: Path, worker: Path, *, counts: bool) -> float:
    """Microseconds of CPU time per request."""
    _ask(admin, f"POST /runtime_modify?{LOAD_BALANCERS}={100 if counts else 0}")
    before = _busy(worker), _requests(admin)
    time.sleep(_SECONDS)
    after = _busy(worker), _requests(admin)
    return (after[0] - before[0]) / max(after[1] - before[1], 1) / 1000


def _busy(worker: Path) -> int:
    """Nanoseconds of CPU time."""
    return int((worker / "schedstat").read_text().split()[0])


def _requests(admin: Path) -> int:
    return sum(map(int, _REQUESTS.findall(_ask(admin, "GET /stats?filter=^http.app.*downstream_rq_total$"))))


def _worker(config: Path) -> Path:
    """The folder in /proc of the thread that serves requests."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(config) in (process / "cmdline").read_text() and (process / "exe").readlink().name == "envoy":
                threads = (process / "task").iterdir()
                return next(each for each in threads if (each / "comm").read_text().startswith("wrk:worker"))
        except OSError:
            continue
    raise SystemExit("the load balancers' Envoy does not run")


def _ask(admin: Path, line: str) -> str:
    answer = b""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(admin))
        connection.sendall(f"{line} HTTP/1.1\r\nhost: envoy\r\nconnection: close\r\n\r\n".encode())
        while part := connection.recv(65536):
            answer += part
    return answer.decode(errors="replace")
