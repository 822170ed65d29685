"""Local ports for listeners with other port numbers: 443 of a load balancer, 8443 of a gateway Pod."""

from __future__ import annotations

import socket
import sys
from hashlib import blake2b
from pathlib import Path

# Below the range of ephemeral ports, so that a free port stays free.
_FIRST, _COUNT = 20000, 10000


def _ephemeral_floor() -> int:
    """The first ephemeral port (Linux; elsewhere it is 49152 or higher)."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 49152


class Ports:
    """Assigns free ports to Envoys, each once. The same edge name gets the same ports again, if they are free.

    An Envoy binds its ports later, and with SO_REUSEPORT, so two edges that start together could share one, and each
    would get some of the other's connections. So an assigned port is claimed at once, under a name that both see.
    """

    def __init__(self, edge: str) -> None:
        self._edge = edge
        self._claims: dict[tuple[str, int], socket.socket] = {}
        self._count = min(_COUNT, max(_ephemeral_floor() - _FIRST, 1000))

    def free(self, address: str, desired: int, purpose: str = "") -> int:
        """A free port on `address`: the wanted one if an unprivileged user may use it, else one of Lockgate's range."""
        if desired >= 1024 and self._take(address, desired):
            return desired
        seed = int.from_bytes(blake2b(f"{self._edge}/{purpose or desired}".encode(), digest_size=8).digest())
        for step in range(self._count):
            port = _FIRST + (seed + step) % self._count
            if self._take(address, port):
                return port
        raise OSError(f"no free port on {address} between {_FIRST} and {_FIRST + self._count}")

    def release(self, address: str, port: int) -> None:
        """The port may be assigned again, as soon as nothing listens on it any more."""
        if claim := self._claims.pop((address, port), None):
            claim.close()

    def _take(self, address: str, port: int) -> bool:
        if (address, port) in self._claims:
            return False
        claim = _claimed(address, port)
        if claim is None:
            return False
        if not all(_is_free(address, port, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)):
            claim.close()
            return False
        self._claims[address, port] = claim
        return True


def _claimed(address: str, port: int) -> socket.socket | None:
    """A socket that holds the port's name in Linux' abstract namespace, which ends with the process; None if another
    edge of this machine holds it. Elsewhere, where Envoy does not set SO_REUSEPORT, the socket has no name."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        if sys.platform == "linux":
            claim.bind(f"\0lockgate/port/{address}:{port}")
    except OSError:
        claim.close()
        return None
    return claim


def _is_free(address: str, port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
