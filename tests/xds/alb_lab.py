"""A real Envoy that serves load balancers to tests, with an echo target behind each target group."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from lockgate.dataplane.ads import AdsServer
from lockgate.dataplane.desired import Rejection
from lockgate.dataplane.envoy import Envoy, find_envoy
from lockgate.loadbalancer.model import Listener, LoadBalancer
from lockgate.loadbalancer.network import AnyLoadBalancer
from lockgate.resources.memo import Memo
from lockgate.runtime.ports import Ports
from lockgate.xds.loadbalancer import Endpoint, Material, Socket, TrustStore, snapshot

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """An HTTP/1.1 answer as received."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def seen(self) -> Any:
        """What the target saw: method, target, headers as pairs, its name."""
        return json.loads(self.body)

    def seen_header(self, name: str) -> list[str]:
        return [value for key, value in self.seen["headers"] if key.lower() == name]


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Lab:
    runner: asyncio.Runner
    ads: AdsServer
    rejections: list[Rejection]
    envoy: Envoy
    memo: Memo = field(default_factory=Memo)
    sockets: dict[tuple[str, int], Socket] = field(default_factory=dict)
    targets: dict[str, int] = field(default_factory=dict)
    servers: list[asyncio.Server] = field(default_factory=list)
    certificates: dict[str, Material] = field(default_factory=dict)
    trust_stores: dict[str, TrustStore] = field(default_factory=dict)
    authentication: Socket | None = None
    waf_socket: str = ""
    records: str = ""

    def run(self, work: Awaitable[T]) -> T:
        async def limited() -> T:
            async with asyncio.timeout(30):
                return await work

        return self.runner.run(limited())

    def serve(self, balancer: AnyLoadBalancer, endpoints: Mapping[str, Sequence[Endpoint]] | None = None) -> None:
        """Serve a load balancer; each of its target groups gets an echo target unless `endpoints` says otherwise."""
        self.run(self._serve(balancer, endpoints or {}))

    async def _serve(self, balancer: AnyLoadBalancer, given: Mapping[str, Sequence[Endpoint]]) -> None:
        endpoints: dict[str, Sequence[Endpoint]] = {}
        for reference, group in balancer.target_groups.items():
            if reference in given:
                endpoints[reference] = given[reference]
                continue
            secure = group.protocol == "HTTPS"
            if (key := f"{reference} {secure}") not in self.targets:
                self.targets[key] = await self.listen(_echo(group.name), secure=secure)
            endpoints[reference] = [Endpoint("127.0.0.1", self.targets[key])]
        for listener in balancer.listeners:
            if (balancer.arn, listener.port) not in self.sockets:
                self.sockets[balancer.arn, listener.port] = Socket("127.0.0.1", free_port())
            for arn in listener.certificates if isinstance(listener, Listener) else ():
                self.certificates.setdefault(arn, certificate(arn.rpartition("/")[2]))
        made = snapshot(
            [balancer],
            sockets=self.sockets,
            certificates=self.certificates,
            endpoints=endpoints,
            trust_stores=self.trust_stores,
            authentication=self.authentication,
            waf_socket=self.waf_socket,
            records=self.records,
            memo=self.memo,
        )
        self.rejections.clear()
        self.ads.publish("alb", made)
        await self.ads.settled("alb")
        assert not self.rejections, self.rejections

    async def listen(self, handler: Handler, *, secure: bool = False) -> int:
        context = server_context(certificate("target.example")) if secure else None
        server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=context, limit=1 << 20)
        self.servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def flush_records(self) -> None:
        """Have Envoy write its logs now; it does every ten seconds by itself."""
        self.admin("POST", "/reopen_logs")

    def stats(self) -> dict[str, int]:
        pairs = (line.partition(": ") for line in self.admin("GET", "/stats").body.decode().splitlines())
        return {name: int(value) for name, _, value in pairs if value.isdigit()}

    def admin(self, method: str, path: str) -> Answer:
        async def ask() -> Answer:
            reader, writer = await asyncio.open_unix_connection(str(self.envoy.admin_socket), limit=1 << 24)
            writer.write(f"{method} {path} HTTP/1.1\r\nHost: admin\r\nContent-Length: 0\r\n\r\n".encode())
            answer = await read_answer(reader)
            writer.close()
            return answer

        answer = self.run(ask())
        assert answer.status == 200, answer
        return answer

    def port(self, balancer: AnyLoadBalancer, listener_port: int) -> int:
        return self.sockets[balancer.arn, listener_port].port

    def ask(
        self,
        balancer: LoadBalancer,
        request: str | bytes,
        *,
        port: int = 80,
        server_name: str | None = None,
        source: str = "127.0.0.1",
        head: bool = False,
        client: Material | None = None,
    ) -> Answer:
        """Send raw HTTP/1.1 and read one answer, without a body if it is to `head`. HTTPS where the listener is."""
        return self.run(self._ask(balancer, request, port, server_name, source, head, client))

    async def _ask(
        self,
        balancer: LoadBalancer,
        request: str | bytes,
        port: int,
        server_name: str | None,
        source: str,
        head: bool,
        client: Material | None,
    ) -> Answer:
        secure = next(each for each in balancer.listeners if each.port == port).protocol == "HTTPS"
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self.port(balancer, port),
            ssl=client_context(client) if secure else None,
            server_hostname=(server_name or "") if secure else None,
            local_addr=(source, 0),
            limit=1 << 20,
        )
        try:
            writer.write(request if isinstance(request, bytes) else request.encode("latin-1"))
            return await read_answer(reader, head=head)
        finally:
            writer.transport.abort()


async def read_answer(reader: asyncio.StreamReader, *, head: bool = False) -> Answer:
    text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = text.split("\r\n")
    _, status, reason = line.split(" ", 2)
    headers = tuple((name, value.strip()) for name, _, value in (each.partition(":") for each in rest if each))
    lower = {name.lower(): value for name, value in headers}
    body = b""
    if head:
        pass
    elif "content-length" in lower:
        body = await reader.readexactly(int(lower["content-length"]))
    elif lower.get("transfer-encoding") == "chunked":
        while size := int((await reader.readline()).strip(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
    return Answer(int(status), reason, headers, body)


async def read_request(reader: asyncio.StreamReader) -> tuple[str, list[tuple[str, str]], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = head.split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (each.partition(":") for each in rest if each)]
    lower = {name.lower(): value for name, value in headers}
    body = b""
    if "content-length" in lower:
        body = await reader.readexactly(int(lower["content-length"]))
    elif lower.get("transfer-encoding") == "chunked":
        while size := int((await reader.readline()).strip(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    return line, headers, body


def _echo(name: str) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                line, headers, body = await read_request(reader)
                method, _, rest = line.partition(" ")
                tls = writer.get_extra_info("ssl_object")
                seen = {
                    "target": name,
                    "method": method,
                    "path": rest.rpartition(" ")[0],
                    "headers": headers,
                    "body": body.decode("latin-1"),
                    "tls": tls.version() if tls else None,
                }
                text = json.dumps(seen).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nServer: target\r\n\r\n" % len(text))
                writer.write(b"" if method == "HEAD" else text)

    return handle


_ports = Ports(f"lab-{os.getpid()}")  # none that an outgoing connection may take meanwhile


def free_port() -> int:
    return _ports.free("127.0.0.1", 0)


@contextmanager
def laboratory() -> Iterator[Lab]:
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        rejections: list[Rejection] = []
        ads = AdsServer(rejections.append)
        envoy = Envoy("alb", runtime=Path(folder), ads_socket=Path(folder) / "ads.sock", binary=find_envoy())

        async def start() -> asyncio.Task[None]:
            await ads.start(Path(folder) / "ads.sock")
            return asyncio.create_task(envoy.run())

        task = runner.run(start())
        lab = Lab(runner, ads, rejections, envoy)
        try:
            yield lab
        finally:

            async def stop() -> None:
                for server in lab.servers:
                    server.close()
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await ads.stop()

            runner.run(stop())


_made: dict[str, Material] = {}


def certificate(*names: str) -> Material:
    """A self-signed certificate for `names`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key_of = " ".join(names)
    if key_of not in _made:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        _made[key_of] = Material(
            made.public_bytes(pem).decode(),
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode(),
        )
    return _made[key_of]


def server_context(material: Material) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load(context, material)
    return context


def _load(context: ssl.SSLContext, material: Material) -> None:
    with tempfile.TemporaryDirectory() as folder:
        chain, key = Path(folder) / "chain.pem", Path(folder) / "key.pem"
        chain.write_text(material.chain)
        key.write_text(material.key)
        context.load_cert_chain(chain, key)


def client_context(own: Material | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if own is not None:
        _load(context, own)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
