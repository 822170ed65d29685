"""cert-manager among embedded APIs: Kubernetes' store, Route 53, the DNS server over its zones, and the ACME CA."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, TypeVar

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from lockgate.certificates.authority import Authority, Content
from lockgate.certificates.keys import encode_key
from lockgate.controllers.aws import Aws
from lockgate.controllers.cert_manager import AcmeEndpoint, CertManager, Pace, Route53Access
from lockgate.embedded.acme import AcmeServer
from lockgate.embedded.aws.api import AwsApi
from lockgate.embedded.dns_server import DnsServer
from lockgate.embedded.kubernetes.store import Store
from lockgate.embedded.service_accounts import ServiceAccountTokens, issuer_of
from lockgate.resources import cert_manager as cm
from lockgate.resources import core
from lockgate.resources.meta import condition
from lockgate.resources.model import JsonObject, Resource

NOW = datetime.now(UTC).replace(microsecond=0)
ZONE_ID = "Z0123456789ABCDEFGHIJ"
ACCESS_KEY, SECRET_KEY = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"

Found = TypeVar("Found")


class Clock:
    """Real time, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Lab:
    store: Store
    aws: Aws
    api: AwsApi
    names: DnsServer
    acme: AcmeServer
    root: Authority
    clock: Clock
    folder: Path
    asked: list[Route53Access] = field(default_factory=list)

    async def apply(self, text: str) -> None:
        for manifest in yaml.safe_load_all(text):
            if manifest:
                await self.store.apply(manifest, manager="kubectl")

    async def until(self, look: Callable[[], Awaitable[Found | None]], what: str, seconds: float = 20.0) -> Found:
        """The first true answer of `look`, asked again after each change of the store."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    if found := await look():
                        return found
                    await asyncio.sleep(0.002)
        raise AssertionError(f"{what} did not come true:\n{await self.story()}")

    async def condition(self, kind: type[Resource], name: str, namespace: str, type_: str, reason: str) -> Any:
        async def look() -> Any:
            try:
                found: Any = await self.store.get(kind, name, namespace)
            except Exception:
                return None
            held = condition(found.status.conditions, type_)
            return found if held is not None and held.reason == reason else None

        return await self.until(look, f"{kind.__name__} {namespace}/{name} {type_}={reason}")

    async def ready(self, name: str, namespace: str = "istio-system") -> cm.Certificate:
        """The Certificate, once it is ready and no issuance is under way."""

        async def look() -> cm.Certificate | None:
            found = await self.store.get(cm.Certificate, name, namespace)
            held = condition(found.status.conditions, "Ready")
            under_way = condition(found.status.conditions, "Issuing")
            if held is None or held.status != "True" or under_way or found.status.next_private_key_secret_name:
                return None
            return found

        return await self.until(look, f"Certificate {namespace}/{name} ready")

    async def event(self, reason: str, text: str = "") -> core.Event:
        async def look() -> core.Event | None:
            for each in await self.store.list(core.Event):
                if each.reason == reason and text in each.message:
                    return each
            return None

        return await self.until(look, f"event {reason} {text}")

    async def events(self, kind: str, name: str) -> list[tuple[str, str, str, str]]:
        """(component, type, reason, message) in the order in which they were written."""
        found = [
            each
            for each in await self.store.list(core.Event)
            if (each.involved_object.kind, each.involved_object.name) == (kind, name)
        ]
        found.sort(key=lambda each: int(each.metadata.resource_version))
        return [(each.source.component, each.type, each.reason, each.message) for each in found]

    async def story(self) -> str:
        lines = [
            f"{each.type} {each.involved_object.kind}/{each.involved_object.name} {each.reason}: {each.message}"
            for each in sorted(await self.store.list(core.Event), key=lambda each: int(each.metadata.resource_version))
        ]
        for kind in (
            cm.Certificate,
            cm.CertificateRequest,
            cm.Order,
            cm.Challenge,
            cm.Issuer,
        ):
            lines += [f"{each.key}: {getattr(each, 'status', None)}" for each in await self.store.list(kind)]
        return "\n".join(lines)

    async def txt_records(self) -> list[JsonObject]:
        sets = await self.aws.list("route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=ZONE_ID)
        return [each for each in sets if each["Type"] == "TXT"]

    def directory(self, url: str) -> AcmeEndpoint:
        if url == LETS_ENCRYPT:
            return AcmeEndpoint(self.acme.directory_url, self.folder / "root.pem", "Lockgate's embedded CA")
        return AcmeEndpoint(url)

    def route53(self, access: Route53Access) -> Aws:
        self.asked.append(access)
        return self.aws


def run_lab(
    folder: Path,
    story: Callable[[Lab], Awaitable[None]],
    *,
    acme: dict[str, Any] | None = None,
    zone: str = "tidewater.example",
    **options: Any,
) -> None:
    async def scenario() -> None:
        async with lab(folder, acme or {}, zone, options) as made:
            await story(made)

    asyncio.run(scenario())


@asynccontextmanager
async def lab(folder: Path, acme: dict[str, Any], zone: str, options: dict[str, Any]) -> AsyncIterator[Lab]:
    async with AsyncExitStack() as stack:
        tokens = ServiceAccountTokens(issuer_of("ap-northeast-2"))
        api = AwsApi(
            "123456789012", "ap-northeast-2", access_key_id=ACCESS_KEY, secret_access_key=SECRET_KEY, tokens=tokens
        )
        await api.start()
        stack.push_async_callback(api.stop)
        names = DnsServer(api.hosted_zones, lambda _: (), api.changes)
        await names.start("127.0.0.1")
        stack.push_async_callback(names.stop)
        root, certificate = authority(folder)
        issuing = root.intermediate(
            "Lab ACME CA",
            ec.generate_private_key(ec.SECP256R1()),
            not_before=NOW - timedelta(days=1),
            not_after=NOW + timedelta(days=3650),
            serial=7,
        )
        clock = Clock()
        server = AcmeServer(issuing, dns_server=(names.host, names.port), now=clock, **acme)
        await server.start(certificate=certificate)
        stack.push_async_callback(server.stop)
        aws = Aws(region="ap-northeast-2", endpoint=api.url, access_key_id=ACCESS_KEY, secret_access_key=SECRET_KEY)
        stack.callback(aws.close)
        await api.create_hosted_zone(zone, ZONE_ID)
        store = Store(clock=clock, tokens=tokens)
        made = Lab(store, aws, api, names, server, root, clock, folder)
        for namespace in ("cert-manager", "istio-system"):
            await store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        manager = CertManager(
            store,
            route53=made.route53,
            directory=made.directory,
            dns_server=(names.host, names.port),
            now=clock,
            pace=options.pop("pace", Pace(shared_secret_check=0.05)),
            **options,
        )
        running = asyncio.create_task(manager.run())
        try:
            yield made
            assert not running.done(), running.exception()
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


def authority(folder: Path) -> tuple[Authority, tuple[Path, Path]]:
    """A root, and a server certificate of its for 127.0.0.1; the root is in ``root.pem`` too."""
    root = Authority.root(
        "Lab root",
        ec.generate_private_key(ec.SECP256R1()),
        not_before=NOW - timedelta(days=1),
        not_after=NOW + timedelta(days=3650),
        serial=1,
    )
    key = ec.generate_private_key(ec.SECP256R1())
    chain = root.issue(
        key.public_key(),
        Content((x509.IPAddress(IPv4Address("127.0.0.1")),)),
        not_before=NOW - timedelta(days=1),
        not_after=NOW + timedelta(days=30),
        serial=3,
    )
    (folder / "chain.pem").write_text(chain)
    (folder / "key.pem").write_bytes(encode_key(key))
    (folder / "root.pem").write_text(root.root_pem)
    return root, (folder / "chain.pem", folder / "key.pem")


def secret(name: str, namespace: str, **data: bytes | str) -> str:
    encoded = {
        key.replace("_", "."): base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode()
        for key, value in data.items()
    }
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "data": encoded,
        }
    )


ROUTE53_SECRET = yaml.safe_dump(
    {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "route53-secret", "namespace": "cert-manager"},
        "stringData": {"secret-access-key": f"{SECRET_KEY}\n"},
    }
)

__all__ = ["Lab", "run_lab"]
