"""Seconds from `lockgate up` to the first 200 through the proxy, and where they go."""

from __future__ import annotations

import socket
import time
from urllib.parse import urlsplit

from benchmarks.running import Figures, Running, edge, median, spread, trusting

_ROUNDS = 7
HOST = "towpath.example"


def run() -> Figures:
    seconds: list[float] = []
    timelines: list[dict[str, float]] = []
    for _ in range(_ROUNDS):
        with edge() as running:
            seconds.append(_first_200(running))
            timelines.append({_phase(mark["done"]): mark["seconds"] for mark in running.wait_until_ready()["timeline"]})
    figures = {"lockgate up to the first 200": spread(seconds, "s")}
    for phase in timelines[0]:
        at = median([timeline[phase] for timeline in timelines if phase in timeline])
        figures[f"  {phase}"] = f"{at:.2f} s after the command began"
    return figures


def _first_200(running: Running) -> float:
    about = running.about()
    context = trusting(about["files"]["ca_bundle"])
    proxy = urlsplit(about["addresses"]["proxy"])
    while True:
        try:
            with socket.create_connection((proxy.hostname or "", proxy.port or 0), 5) as connection:
                connection.sendall(f"CONNECT {HOST}:443 HTTP/1.1\r\n\r\n".encode())
                if b" 200 " in connection.recv(4096):
                    with context.wrap_socket(connection, server_hostname=HOST) as tls:
                        tls.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
                        if tls.recv(4096).startswith(b"HTTP/1.1 200 "):
                            return time.monotonic() - running.began
        except OSError:
            pass
        time.sleep(0.01)


def _phase(mark: str) -> str:
    """Marks without what differs from run to run."""
    names = {"apis": "everything listens, imports of the edge done", "aws": "the AWS API answers (moto imported)"}
    return names.get(mark, mark.split(" http")[0])
