"""Programs that fail as applications do, each at a port of its own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def _answering(answer: bytes, *, after: float = 0.0) -> Callable[[socket.socket, bytes], None]:
    def answer_one(connection: socket.socket, _asked: bytes) -> None:
        time.sleep(after)
        connection.sendall(answer)

    return answer_one


def _large(connection: socket.socket, asked: bytes) -> None:
    """Headers over 32 K, but for health checks."""
    filler = b"" if b"ELB-HealthChecker" in asked else b"".join(b"X-%d: %s\r\n" % (n, b"x" * 7000) for n in range(6))
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n" + filler + b"\r\nok")


def _unwell(connection: socket.socket, asked: bytes) -> None:
    checked = b"ELB-HealthChecker" in asked
    connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" if checked else _OK)


def _stuck(connection: socket.socket, asked: bytes) -> None:
    time.sleep(0.0 if b"ELB-HealthChecker" in asked else 8.0)
    connection.sendall(_OK)


PROGRAMS: Mapping[str, Callable[[socket.socket, bytes], None]] = {
    "plain": _answering(_OK),
    "closes": lambda _connection, _asked: None,
    "stuck": _stuck,
    "broken": _answering(b"HTTP/1.1 500 Oh\r\nContent-Length: 4\r\nConnection: close\r\n\r\noops"),
    "slow": _answering(_OK, after=1.4),
    "cut": _answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nok"),
    "large": _large,
    "unwell": _unwell,
    "bouncer": _answering(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
}


@contextmanager
def backends() -> Iterator[dict[str, int]]:
    """The port of each program by name; ``closed`` is a port where nothing listens."""
    with ExitStack() as open_:
        ports = {}
        for name, serve in PROGRAMS.items():
            listening = open_.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
            ports[name] = listening.getsockname()[1]
            threading.Thread(target=_accept, args=(listening, serve), daemon=True).start()
        with closing(socket.create_server(("127.0.0.1", 0))) as unused:
            ports["closed"] = unused.getsockname()[1]
        yield ports


def _accept(listening: socket.socket, serve: Callable[[socket.socket, bytes], None]) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(connection, serve), daemon=True).start()


def _serve(connection: socket.socket, serve: Callable[[socket.socket, bytes], None]) -> None:
    with closing(connection):
        try:
            asked = b""  # 0x16 begins a TLS handshake
            while b"\r\n\r\n" not in asked and asked[:1] != b"\x16" and (chunk := connection.recv(65536)):
                asked += chunk
            serve(connection, asked)
        except OSError:
            pass
