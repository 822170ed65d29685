"""The controller between the embedded APIs: what a test sees is what kubectl and the AWS CLI would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lockgate.controllers.aws import Aws, AwsError
from lockgate.controllers.aws_load_balancer import AwsLoadBalancerController
from lockgate.embedded.aws.api import AwsApi
from lockgate.embedded.kubernetes.store import Store
from lockgate.ingress.world import Settings
from lockgate.resources import core, elbv2, networking
from lockgate.resources.model import JsonObject, Resource

REGION = "ap-northeast-2"
ACCOUNT = "123456789012"
INSTANCE = "i-0123456789abcdef0"
CERTIFICATE = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/12345678-1234-1234-1234-123456789012"

_READS = ("describe_", "list_", "get_")


@dataclass
class Lab:
    store: Store
    aws: Aws
    api: AwsApi
    vpc_id: str
    controller: AwsLoadBalancerController | None = None
    task: asyncio.Task[None] | None = None
    writes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Every call that changes something, as (operation, parameters), in order."""
    refused: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Operations that AWS is made to refuse, with code and message: what a real account does under load."""
    reads: int = 0
    """How often security groups were listed: at least once in each pass of a group."""

    async def until(self, holds: Callable[[], Awaitable[Any]], what: str = "") -> Any:
        """The first true answer of `holds`; the controller's own failure if it has died."""
        async with asyncio.timeout(30):
            while True:
                if self.task is not None and self.task.done():
                    self.task.result()
                try:
                    if answer := await holds():
                        return answer
                except AwsError as error:
                    if not error.code.endswith("NotFound"):  # deleted while it was being read
                        raise
                await asyncio.sleep(0.01)
        raise AssertionError(f"never: {what}")

    async def quiet(self) -> None:
        """Wait until the controller has seen all there is, and has nothing in hand and nothing waiting."""
        assert self.controller is not None
        queues = (self.controller._groups, self.controller._service_names, self.controller._binding_names)
        cluster = self.controller._cluster
        mirrors: tuple[tuple[type[Resource], Mapping[tuple[str, str], Resource]], ...] = (
            (networking.Ingress, cluster.ingresses),
            (core.Service, cluster.services),
            (elbv2.TargetGroupBinding, cluster.bindings),
        )

        async def idle() -> bool:
            for kind, seen in mirrors:
                there = {(item.namespace, item.name): item for item in await self.store.list(kind)}
                if {name: item.metadata.resource_version for name, item in there.items()} != {
                    name: item.metadata.resource_version for name, item in seen.items()
                }:
                    return False
            return not any(queue._waiting or queue._running for queue in queues)

        await self.until(idle, "quiet")

    async def restart(self, settings: Settings | None = None) -> None:
        """Stop the controller and start another one, which knows nothing yet."""
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.controller = AwsLoadBalancerController(
            self.store, self.aws, cluster_name="lockgate", vpc_id=self.vpc_id, settings=settings
        )
        self.task = asyncio.create_task(self.controller.run())

    def refuse(self, operation: str, code: str, message: str) -> None:
        self.refused[operation] = (code, message)

    def look_at_bindings(self) -> None:
        """As if the time to poll had come."""
        assert self.controller is not None
        for name in self.controller._cluster.bindings:
            self.controller._binding_names.add(name)

    async def served(self, name: str, namespace: str = "default") -> str:
        """The load balancer's host name in an Ingress's status, once it is there."""

        async def hostname() -> str:
            found = await self.store.get(networking.Ingress, name, namespace)
            entries = found.status.load_balancer.ingress
            return entries[0].hostname if entries else ""

        answer = await self.until(hostname, f"{name} served")
        assert isinstance(answer, str)
        return answer

    async def gone(self, name: str, namespace: str = "default") -> None:
        async def is_gone() -> bool:
            return all(i.name != name or i.namespace != namespace for i in await self.store.list(networking.Ingress))

        await self.until(is_gone, f"{name} gone")

    async def event(self, reason: str, holding: str = "", *, count: int = 1) -> core.Event:
        async def found() -> core.Event | None:
            for event in await self.store.list(core.Event):
                if event.reason == reason and holding in event.message and event.count >= count:
                    return event
            return None

        answer = await self.until(found, f"event {reason} {holding}")
        assert isinstance(answer, core.Event)
        return answer

    async def another_pass(self, name: str, namespace: str = "default") -> None:
        """Have the group of an Ingress looked at once more, and wait for the end of it."""
        before = await self.successes(name, namespace)
        stamp = {"metadata": {"annotations": {"note": str(before)}}}
        await self.store.patch(networking.Ingress, name, namespace, stamp)

        async def looked_at() -> bool:
            return await self.successes(name, namespace) > before

        await self.until(looked_at, "another pass")

    async def another_look(self, name: str, namespace: str = "default") -> None:
        """Have the group looked at once more where it cannot succeed: until what it has was read again."""
        reads = self.reads
        stamp = {"metadata": {"annotations": {"note": str(reads)}}}
        await self.store.patch(networking.Ingress, name, namespace, stamp)

        async def looked_at() -> bool:
            return self.reads > reads

        await self.until(looked_at, "another look")

    async def successes(self, name: str, namespace: str = "default") -> int:
        return sum(
            event.count
            for event in await self.store.list(core.Event, namespace)
            if event.reason == "SuccessfullyReconciled"
            and (event.involved_object.kind, event.involved_object.name) == ("Ingress", name)
        )

    async def targets(self, group_arn: str) -> list[tuple[str, int]]:
        answer = await self.aws.call("elbv2", "describe_target_health", TargetGroupArn=group_arn)
        return sorted((item["Target"]["Id"], item["Target"]["Port"]) for item in answer["TargetHealthDescriptions"])

    async def listeners(self) -> list[dict[str, Any]]:
        """All listeners of all load balancers by port, each with its rules under ``Rules``."""
        found = []
        for balancer in await self.aws.list("elbv2", "describe_load_balancers", "LoadBalancers"):
            arn = balancer["LoadBalancerArn"]
            for listener in await self.aws.list("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=arn):
                rules = await self.aws.list("elbv2", "describe_rules", "Rules", ListenerArn=listener["ListenerArn"])
                found.append(listener | {"Rules": [rule for rule in rules if rule["Priority"] != "default"]})
        return sorted(found, key=lambda listener: listener["Port"])

    async def target_groups(self) -> list[dict[str, Any]]:
        return await self.aws.list("elbv2", "describe_target_groups", "TargetGroups")

    async def issue(self, arn: str, *names: str) -> None:
        """A certificate under an ARN, issued."""
        await self.api.create_certificate(arn, names)
        await self.certify(arn, *names)

    async def certify(self, arn: str, *names: str) -> None:
        """Issue a certificate that waits, as if its validation record had been seen."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=90))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(item) for item in names]), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        await self.api.issue_certificate(arn, pem, secret)


@asynccontextmanager
async def lab(*manifests: JsonObject, settings: Settings | None = None) -> AsyncIterator[Lab]:
    """A cluster with one ready node and `manifests`, an account with its instance, and the controller at work."""
    api = AwsApi(ACCOUNT, REGION, access_key_id="AKIAEXAMPLE", secret_access_key="secret")
    await api.start()
    aws = Aws(region=REGION, endpoint=api.url, access_key_id="AKIAEXAMPLE", secret_access_key="secret")
    try:
        vpc_id, _subnets, zones = await api.default_vpc()
        await api.create_instance(INSTANCE, "172.31.0.10", zones[0])
        store = Store()
        await add_node(store, "node-1", INSTANCE, zones[0])
        for manifest in manifests:
            await store.create(manifest)
        there = Lab(store, aws, api, vpc_id)
        _record(there)
        controller = there.controller = AwsLoadBalancerController(
            store, aws, cluster_name="lockgate", vpc_id=vpc_id, settings=settings
        )
        there.task = asyncio.create_task(controller.run())
        try:
            yield there
        finally:
            there.task.cancel()
            await asyncio.gather(there.task, return_exceptions=True)
    finally:
        aws.close()
        await api.stop()


async def add_node(store: Store, name: str, instance: str, zone: str, **metadata: Any) -> None:
    spec = {"providerID": f"aws:///{zone}/{instance}"}
    await store.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, **metadata}, "spec": spec})
    await store.patch_status(core.Node, name, "", {"conditions": [{"type": "Ready", "status": "True"}]})


def ingress(
    name: str, *backends: tuple[str, str, int | str], namespace: str = "default", **settings: str
) -> JsonObject:
    """An Ingress of class alb; each backend is (path, Service, port).

    Settings are annotations without their prefix, with ``__`` for ``.`` and ``_`` for ``-``.
    """
    annotations = {
        f"alb.ingress.kubernetes.io/{key.replace('__', '.').replace('_', '-')}": value
        for key, value in settings.items()
    }
    paths = [
        {
            "path": path,
            "pathType": "Prefix",
            "backend": {"service": {"name": service, "port": {"number" if isinstance(port, int) else "name": port}}},
        }
        for path, service, port in backends
    ]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": {"kubernetes.io/ingress.class": "alb", **annotations},
        },
        "spec": {"rules": [{"http": {"paths": paths}}]} if paths else {},
    }


def service(name: str, *ports: int, namespace: str = "default", **spec: Any) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": "NodePort", "ports": [{"name": f"p{port}", "port": port} for port in ports], **spec},
    }


def _record(there: Lab) -> None:
    call = there.aws._call

    def recording(service: str, operation: str, parameters: dict[str, Any]) -> Any:
        if operation in there.refused:
            raise AwsError(service, operation, *there.refused[operation])
        if not operation.startswith(_READS):
            there.writes.append((operation, parameters))
        return call(service, operation, parameters)

    listing = there.aws._list

    def counting(service: str, operation: str, key: str, parameters: dict[str, Any]) -> Sequence[Any]:
        there.reads += operation == "describe_security_groups"
        return listing(service, operation, key, parameters)

    there.aws._list = counting  # type: ignore[method-assign]
    there.aws._call = recording  # type: ignore[method-assign]
