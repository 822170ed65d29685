"""A real Envoy that serves a `Gateway`, and backends that tell what reached them."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lockgate.dataplane.ads import AdsServer
from lockgate.dataplane.envoy import Envoy, find_envoy
from lockgate.dataplane.refusals import EnvoyTrial
from lockgate.gateway.credentials import Credential, KeyPair
from lockgate.gateway.model import Gateway
from lockgate.gateway.request import Request
from lockgate.resources.memo import Memo
from lockgate.xds.gateway import snapshot

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def seen(self) -> dict[str, Any]:
        """What a backend got: `port`, `method`, `target`, `authority`, `headers`."""
        described: dict[str, Any] = json.loads(self.body)
        return described


class Lab:
    """`binds` are the gateway's listeners on this machine; `backends` the ports of the echo backends."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, folder: Path, ports: tuple[int, ...], trial: EnvoyTrial | None
    ) -> None:
        self._loop = loop
        self._folder = folder
        self._memo = Memo()
        self.binds = {port: ("127.0.0.1", _free_port()) for port in ports}
        self.backends: list[int] = []
        self.rejections: list[str] = []
        self.served: list[tuple[Gateway, dict[str, Credential]]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._servers: list[asyncio.Server] = []
        self._ads = AdsServer(lambda rejection: self.rejections.append(str(rejection)), trial)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(asyncio.wait_for(work, 10))

    async def start(self, backends: int) -> None:
        await self._ads.start(self._folder / "ads.sock")
        for _ in range(backends):
            server = await asyncio.start_server(_echo, "127.0.0.1", 0)
            self._servers.append(server)
            self.backends.append(server.sockets[0].getsockname()[1])
        envoy = Envoy("gateway", runtime=self._folder, ads_socket=self._folder / "ads.sock", binary=find_envoy())
        self._tasks.append(asyncio.create_task(envoy.run()))
        self.log = envoy.log_file

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers:
            server.close()
        await self._ads.stop()

    async def serve(self, gateway: Gateway, credentials: dict[str, Credential]) -> None:
        """Publish, and wait until Envoy has taken it."""
        self.served.append((gateway, credentials))
        made = snapshot(gateway, binds=self.binds, credentials=credentials, memo=self._memo)
        self._ads.publish("gateway", made)
        await self._ads.settled("gateway")
        wanted = {listener.port for listener in gateway.listeners} | {gateway.status_port}
        for port in wanted & self.binds.keys():
            await self._open(port)

    async def _open(self, port: int) -> None:
        """Wait until a port is open: that of a listener whose secrets have not come opens a little later."""
        while True:
            try:
                _, writer = await asyncio.open_connection(*self.binds[port])
            except ConnectionError:
                await asyncio.sleep(0.01)
            else:
                return writer.transport.abort()

    async def send(self, request: Request) -> Answer | None:
        """The gateway's answer; None where it closes the connection instead."""
        context = None
        if request.tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        host, port = self.binds[request.port]
        try:
            reader, writer = await asyncio.open_connection(
                host,
                port,
                ssl=context,
                server_hostname=(request.sni or "") if context else None,
                local_addr=(request.peer, 0),
            )
        except (ConnectionError, ssl.SSLError):
            return None
        lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: {request.authority}"]
        lines += [f"{name}: {value}" for name, value in request.headers]
        try:
            writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode())
            return await _answer(reader, request.method)
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            return None
        finally:
            writer.transport.abort()


@contextmanager
def lab(
    *, ports: tuple[int, ...] = (8080, 8443, 15021), backends: int = 2, finds_culprits: bool = False
) -> Iterator[Lab]:
    """With `finds_culprits`, pieces that Envoy rejects are left out alone."""
    loop = asyncio.new_event_loop()
    with tempfile.TemporaryDirectory(prefix="gw", dir="/tmp") as folder:
        made = Lab(loop, Path(folder), ports, EnvoyTrial(find_envoy()) if finds_culprits else None)
        made.run(made.start(backends))
        try:
            yield made
        finally:
            made.run(made.stop())
            loop.close()


def key_pair(*names: str) -> KeyPair:
    """A self-signed certificate for names."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return KeyPair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    port = writer.get_extra_info("sockname")[1]
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ")
            headers = _headers(head[1:])
            body = json.dumps(
                {
                    "port": port,
                    "method": method,
                    "target": target,
                    "authority": headers.get("host", ""),
                    "headers": headers,
                }
            ).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body))
            writer.write(b"" if method == "HEAD" else body)
            await writer.drain()
    writer.close()


async def _answer(reader: asyncio.StreamReader, method: str) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    headers, body = _headers(rest), b""
    if method == "HEAD":
        pass
    elif headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:size]
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Answer(int(first.split(" ")[1]), headers, body)


def _headers(lines: list[str]) -> dict[str, str]:
    """Several of a name are one, joined with commas."""
    found: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            name = name.lower()
            found[name] = f"{found[name]},{value.strip()}" if name in found else value.strip()
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
