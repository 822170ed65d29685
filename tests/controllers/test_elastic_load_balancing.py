"""Elastic Load Balancing between the embedded AWS API and targets that really answer."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lockgate.controllers.aws import Aws
from lockgate.controllers.elastic_load_balancing import ElasticLoadBalancing
from lockgate.controllers.elastic_load_balancing import controller as elastic_load_balancing_controller
from lockgate.controllers.elastic_load_balancing.probes import probe
from lockgate.embedded.aws.api import AwsApi
from lockgate.loadbalancer.health import Answered, Failed, TimedOut
from lockgate.loadbalancer.model import FixedResponse, HealthCheck, Target
from lockgate.loadbalancer.request import Request
from lockgate.loadbalancer.waf.fields import Inspected
from lockgate.loadbalancer.waf.model import WebAcl
from lockgate.loadbalancer.waf.reader import web_acl as read_web_acl
from lockgate.xds.snapshot import CLUSTER, ENDPOINT, LISTENER, SECRET, Snapshot

KEY, SECRET_KEY = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00"


@dataclass
class Edge:
    api: AwsApi
    aws: Aws
    controller: ElasticLoadBalancing
    places: dict[Target, tuple[tuple[str, int], ...]]
    published: list[Snapshot] = field(default_factory=list)
    servers: list[asyncio.Server] = field(default_factory=list)

    @property
    def now(self) -> Snapshot:
        return self.published[-1] if self.published else Snapshot({})

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not true():
                await asyncio.sleep(0.01)

    async def health(self, group: str) -> list[tuple[str, str]]:
        found = await self.aws.list("elbv2", "describe_target_health", "TargetHealthDescriptions", TargetGroupArn=group)
        return [(each["TargetHealth"]["State"], each["TargetHealth"].get("Reason", "")) for each in found]

    async def until_health(self, group: str, *wanted: tuple[str, str]) -> None:
        async with asyncio.timeout(20):
            while await self.health(group) != list(wanted):
                await asyncio.sleep(0.02)

    def endpoints(self, group: str) -> list[tuple[int, bool]]:
        """Ports of a target group's endpoints, and whether they drain."""
        from envoy.config.core.v3.health_check_pb2 import DRAINING
        from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

        name = group.rpartition(":")[2]
        if name not in self.now.names(ENDPOINT):
            return []
        made = ClusterLoadAssignment.FromString(self.now.resources[ENDPOINT][name].body)
        return [
            (each.endpoint.address.socket_address.port_value, each.health_status == DRAINING)
            for locality in made.endpoints
            for each in locality.lb_endpoints
        ]

    async def answering(self, status: int) -> int:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(f"HTTP/1.1 {status} So\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        self.servers.append(server)
        return int(server.sockets[0].getsockname()[1])


@asynccontextmanager
async def edge(logs: Path | None = None) -> AsyncIterator[Edge]:
    folder = tempfile.TemporaryDirectory()
    api = AwsApi("123456789012", "us-east-1", access_key_id=KEY, secret_access_key=SECRET_KEY)
    await api.start()
    aws = Aws(region="us-east-1", endpoint=api.url, access_key_id=KEY, secret_access_key=SECRET_KEY)
    places: dict[Target, tuple[tuple[str, int], ...]] = {}
    ports = iter(range(20000, 30000))
    made: list[Snapshot] = []
    controller = ElasticLoadBalancing(
        aws,
        platform=api,
        resolve=lambda target, _type, _vpc: places.get(Target(target.id, target.port), ()),
        publish=made.append,
        free_port=lambda _address, wanted: wanted if wanted >= 1024 else next(ports),
        many_loopbacks=True,
        logs=logs,
        waf=Path(folder.name) / "waf.sock",
    )
    task = asyncio.create_task(controller.run())
    here = Edge(api, aws, controller, places, made)
    try:
        yield here
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for server in here.servers:
            server.close()
        aws.close()
        await api.stop()
        folder.cleanup()


def story(work: Callable[[Edge], Awaitable[None]], logs: Path | None = None) -> None:
    async def run() -> None:
        async with edge(logs) as here:
            await work(here)

    asyncio.run(run())


async def make(here: Edge, **group: Any) -> tuple[str, str]:
    """A load balancer with a listener on 8080 and one target group: their ARNs."""
    vpc, subnets, _ = await here.api.default_vpc()
    balancers = await here.aws.call("elbv2", "create_load_balancer", Name="lab", Subnets=list(subnets[:2]))
    arn = balancers["LoadBalancers"][0]["LoadBalancerArn"]
    settings = {"Protocol": "HTTP", "Port": 80, "VpcId": vpc, "TargetType": "ip", **group}
    groups = await here.aws.call("elbv2", "create_target_group", Name="web", **settings)
    target_group = groups["TargetGroups"][0]["TargetGroupArn"]
    forward = [{"Type": "forward", "TargetGroupArn": target_group}]
    await here.aws.call(
        "elbv2", "create_listener", LoadBalancerArn=arn, Port=8080, Protocol="HTTP", DefaultActions=forward
    )
    return arn, target_group


async def register(here: Edge, group: str, target_id: str, port: int, real: int) -> None:
    here.places[Target(target_id, port)] = (("127.0.0.1", real),)
    target = [{"Id": target_id, "Port": port}]
    await here.aws.call("elbv2", "register_targets", TargetGroupArn=group, Targets=target)


async def make_network(here: Edge, port: int, **group: Any) -> tuple[str, str]:
    """A network load balancer with a listener on 8081 and one target group with `port`: their ARNs."""
    vpc, subnets, _ = await here.api.default_vpc()
    made = await here.aws.call("elbv2", "create_load_balancer", Name="front", Type="network", Subnets=[subnets[0]])
    arn = made["LoadBalancers"][0]["LoadBalancerArn"]
    settings = {"Protocol": "TCP", "Port": port, "VpcId": vpc, "TargetType": "ip", **group}
    groups = await here.aws.call("elbv2", "create_target_group", Name="tcp", **settings)
    reference = groups["TargetGroups"][0]["TargetGroupArn"]
    forward = [{"Type": "forward", "TargetGroupArn": reference}]
    await here.aws.call(
        "elbv2", "create_listener", LoadBalancerArn=arn, Port=8081, Protocol="TCP", DefaultActions=forward
    )
    return arn, reference


def test_a_network_load_balancers_targets_are_probed_by_connecting() -> None:
    async def work(here: Edge) -> None:
        arn, group = await make_network(here, 80, HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2)
        await register(here, group, "172.31.0.1", 80, await here.answering(500))
        here.places[Target("172.31.0.2", 80)] = ()  # nothing listens
        await here.aws.call("elbv2", "register_targets", TargetGroupArn=group, Targets=[{"Id": "172.31.0.2"}])
        await here.until(lambda: len(here.endpoints(group)) == 1)
        assert [state for state, _ in await here.health(group)] == ["healthy", "initial"]
        assert f"{arn.partition(':loadbalancer/')[2]}:8081" in here.now.names(LISTENER)
        [balancer] = here.controller.network_load_balancers
        assert here.controller.ports[balancer.dns_name, 8081] == 8081

    story(work)


def test_an_application_load_balancer_behind_a_network_one_is_at_its_own_socket() -> None:
    async def work(here: Edge) -> None:
        _, subnets, _ = await here.api.default_vpc()
        made = await here.aws.call("elbv2", "create_load_balancer", Name="lab", Subnets=list(subnets[:2]))
        behind = made["LoadBalancers"][0]["LoadBalancerArn"]
        port = await here.answering(200)  # stands for Envoy, which is not here: ports above 1024 stay what they are
        fixed = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}]
        listener = {"LoadBalancerArn": behind, "Port": port, "Protocol": "HTTP", "DefaultActions": fixed}
        await here.aws.call("elbv2", "create_listener", **listener)
        _, group = await make_network(here, port, TargetType="alb")
        await here.aws.call("elbv2", "register_targets", TargetGroupArn=group, Targets=[{"Id": behind}])
        await here.until_health(group, ("healthy", ""))
        assert here.endpoints(group) == [(port, False)]
        await here.aws.call("elbv2", "deregister_targets", TargetGroupArn=group, Targets=[{"Id": behind}])
        await here.until(lambda: here.endpoints(group) == [(port, True)])

    story(work)


def test_a_load_balancer_made_by_API_calls_is_served_and_its_targets_become_healthy() -> None:
    async def work(here: Edge) -> None:
        _, group = await make(here)
        await register(here, group, "172.31.0.5", 8080, await here.answering(200))
        await here.until_health(group, ("healthy", ""))
        (listener,) = here.now.names(LISTENER)
        assert listener.startswith("app/lab/")
        assert listener.endswith(":8080")
        assert len(here.endpoints(group)) == 1
        ((dns_name, address),) = here.controller.addresses.items()
        assert address == "127.0.0.1"
        assert here.controller.ports == {(dns_name, 8080): 8080}

    story(work)


def test_a_target_that_fails_is_left_out_while_another_is_healthy() -> None:
    async def work(here: Edge) -> None:
        _, group = await make(here, HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2)
        good, bad = await here.answering(200), await here.answering(500)
        await register(here, group, "172.31.0.5", 8080, good)
        await register(here, group, "172.31.0.6", 8080, bad)
        await here.until_health(group, ("healthy", ""), ("initial", "Elb.InitialHealthChecking"))
        await here.until(lambda: here.endpoints(group) == [(good, False)])
        await here.until(lambda: here.controller.complaints(group) != ())
        assert here.controller.complaints(group) == ("Health checks failed with these codes: [500]",)

    story(work)


def test_all_targets_are_used_while_none_is_healthy() -> None:
    async def work(here: Edge) -> None:
        _, group = await make(here)
        ports = [await here.answering(500), await here.answering(503)]
        for at, port in enumerate(ports):
            await register(here, group, f"172.31.0.{at + 5}", 8080, port)
        await here.until(
            lambda: here.published != [] and sorted(here.endpoints(group)) == sorted((p, False) for p in ports)
        )

    story(work)


def test_a_deregistered_target_drains_for_its_delay_and_is_gone() -> None:
    async def work(here: Edge) -> None:
        _, group = await make(here)
        slow, quick = [{"Id": "172.31.0.5", "Port": 8080}], [{"Id": "172.31.0.6", "Port": 8080}]
        port, other = await here.answering(200), await here.answering(200)
        await register(here, group, "172.31.0.5", 8080, port)
        await register(here, group, "172.31.0.6", 8080, other)
        await here.until_health(group, ("healthy", ""), ("healthy", ""))
        await here.aws.call("elbv2", "deregister_targets", TargetGroupArn=group, Targets=slow)  # 300 s
        await here.until(lambda: here.endpoints(group) == [(other, False), (port, True)])
        delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "1"}]
        await here.aws.call("elbv2", "modify_target_group_attributes", TargetGroupArn=group, Attributes=delay)
        await here.aws.call("elbv2", "deregister_targets", TargetGroupArn=group, Targets=quick)
        await here.until(lambda: here.endpoints(group) == [(port, True)])
        assert await here.health(group) == [("draining", "Target.DeregistrationInProgress")]

    story(work)


def test_an_https_listener_is_served_once_its_certificate_is_issued() -> None:
    async def work(here: Edge) -> None:
        arn, group = await make(here)
        chain, key = self_signed()
        imported = await here.aws.call("acm", "import_certificate", Certificate=chain.encode(), PrivateKey=key.encode())
        certificate = imported["CertificateArn"]
        await here.aws.call(
            "elbv2",
            "create_listener",
            LoadBalancerArn=arn,
            Port=8443,
            Protocol="HTTPS",
            Certificates=[{"CertificateArn": certificate}],
            DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
        )
        await here.until(lambda: here.published != [] and here.now.names(SECRET) == {certificate})
        assert len(here.now.names(LISTENER)) == 2
        assert key not in repr(here.now)

    story(work)


def test_deleted_listeners_are_no_longer_served() -> None:
    async def work(here: Edge) -> None:
        arn, group = await make(here)
        await register(here, group, "172.31.0.5", 8080, await here.answering(200))
        await here.until_health(group, ("healthy", ""))
        await here.aws.call("elbv2", "delete_load_balancer", LoadBalancerArn=arn)
        await here.until(lambda: not here.now.names(CLUSTER) and not here.now.names(LISTENER))
        await here.until(lambda: here.controller.addresses == {} and here.controller.ports == {})
        await here.until_health(group, ("unused", "Target.NotInUse"))

    story(work)


def test_an_instance_is_probed_and_logged_by_its_address_in_the_vpc(tmp_path: Path) -> None:
    heard: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 503 So\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def work(here: Edge) -> None:
        _, _, zones = await here.api.default_vpc()
        await here.api.create_instance("i-0123456789abcdef0", "172.31.0.10", zones[0])
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        here.servers.append(server)
        balancer, group = await make(here, TargetType="instance")
        on = [
            {"Key": f"{log}.s3.{key}", "Value": value}
            for log in ("health_check_logs", "access_logs")
            for key, value in LOGGED.items()
        ]
        await here.aws.call("elbv2", "modify_load_balancer_attributes", LoadBalancerArn=balancer, Attributes=on)
        await register(here, group, "i-0123456789abcdef0", 30080, server.sockets[0].getsockname()[1])
        await here.until(lambda: any(tmp_path.rglob("health_check_log_*.log")))
        assert "Host: 172.31.0.10:30080" in heard[0].split("\r\n")
        record = {
            "balancer": balancer,
            "start": "2026-01-02T03:04:05.123456Z",
            "client": "127.0.0.1:50000",
            "listener_port": "8080",
            "cluster": group.rpartition(":")[2],
            "target": f"127.0.0.1:{server.sockets[0].getsockname()[1]}",
        }
        (tmp_path / "access-records.jsonl").write_text(json.dumps(record) + "\n")
        await here.until(lambda: any(tmp_path.rglob("123456789012_*.log")))

    story(work, tmp_path)
    (access,) = tmp_path.rglob("123456789012_*.log")
    assert access.read_text().split()[4] == "172.31.0.10:30080"
    (file,) = tmp_path.rglob("health_check_log_*.log")
    assert file.name.startswith("health_check_log_123456789012_elasticloadbalancing_us-east-1_app.lab.")
    line = file.read_text().splitlines()[0]
    wanted = r"http \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \d\.\d{9} 172\.31\.0\.10:30080 web FAIL 503 TargetError"
    assert re.fullmatch(wanted + r" app/lab/[0-9a-f]{16} 127\.0\.0\.1", line), line


LOGGED = {"enabled": "true", "bucket": "checks"}


def test_targets_are_resolved_again_when_the_edge_requests_it() -> None:
    async def work(here: Edge) -> None:
        _, group = await make(here)
        port = await here.answering(200)
        await register(here, group, "172.31.0.5", 8080, port)
        await here.until_health(group, ("healthy", ""))
        here.places[Target("172.31.0.5", 8080)] = (("127.0.0.1", port), ("127.0.0.1", port + 1))
        here.controller.targets_changed()
        await here.until(lambda: len(here.endpoints(group)) == 2)

    story(work)


def test_client_secrets_are_read_only_after_changes_of_elbv2(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(here: Edge) -> None:
        asked: list[str] = []
        real = here.api.client_secret

        async def client_secret(arn: str) -> str | None:
            asked.append(arn)
            return await real(arn)

        monkeypatch.setattr(here.api, "client_secret", client_secret)
        balancer, group = await make(here)
        chain, key = self_signed()
        imported = await here.aws.call("acm", "import_certificate", Certificate=chain.encode(), PrivateKey=key.encode())
        urls = dict.fromkeys(("AuthorizationEndpoint", "TokenEndpoint", "UserInfoEndpoint"), "https://idp.example/")
        config = {"Issuer": "https://idp.example", **urls, "ClientId": "client", "ClientSecret": "secret"}
        login = {"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": config}
        made = await here.aws.call(
            "elbv2",
            "create_listener",
            LoadBalancerArn=balancer,
            Port=8443,
            Protocol="HTTPS",
            Certificates=[{"CertificateArn": imported["CertificateArn"]}],
            DefaultActions=[login, {"Type": "forward", "Order": 2, "TargetGroupArn": group}],
        )
        await register(here, group, "172.31.0.5", 8080, await here.answering(200))
        await here.until_health(group, ("healthy", ""))
        await here.until(lambda: len(here.endpoints(group)) == 1 and here.controller.current)
        assert set(asked) == {made["Listeners"][0]["ListenerArn"]}
        asked.clear()
        here.places[Target("172.31.0.5", 8080)] = (("127.0.0.1", 9),)
        here.controller.targets_changed()
        await here.until(lambda: here.endpoints(group) == [(9, False)])
        assert asked == []

    story(work)


def test_a_target_that_is_elsewhere_counts_as_served_once_that_is_published() -> None:
    async def work(here: Edge) -> None:
        _, group = await make(here)
        await register(here, group, "172.31.0.5", 8080, await here.answering(200))
        await here.until_health(group, ("healthy", ""))
        await here.until(lambda: here.controller.current)
        here.places[Target("172.31.0.5", 8080)] = (("127.0.0.1", 9),)
        here.controller.targets_changed()
        async with asyncio.timeout(20):
            while not here.controller.current:
                await asyncio.sleep(0)
        assert here.endpoints(group) == [(9, False)]

    story(work)


def test_each_load_balancer_has_an_address_of_its_own() -> None:
    async def work(here: Edge) -> None:
        _, subnets, _ = await here.api.default_vpc()
        for name in ("one", "two"):
            await here.aws.call("elbv2", "create_load_balancer", Name=name, Subnets=list(subnets[:2]))
        await here.until(lambda: len(here.controller.addresses) == 2)
        assert sorted(here.controller.addresses.values()) == ["127.0.0.1", "127.0.0.2"]

    story(work)


# --- what is read ------------------------------------------------------------------------------------------------


async def two(here: Edge) -> list[str]:
    """Two load balancers with a listener each, read and served; their listeners."""
    _, subnets, _ = await here.api.default_vpc()
    listeners = []
    for name, port in (("one", 8080), ("two", 8081)):
        made = await here.aws.call("elbv2", "create_load_balancer", Name=name, Subnets=list(subnets[:2]))
        arn = made["LoadBalancers"][0]["LoadBalancerArn"]
        made = await here.aws.call(
            "elbv2", "create_listener", LoadBalancerArn=arn, Port=port, Protocol="HTTP", DefaultActions=answering(404)
        )
        listeners.append(made["Listeners"][0]["ListenerArn"])
    await here.until(lambda: statuses(here) == {"one": "404", "two": "404"} and here.controller.current)
    return listeners


def answering(status: int) -> list[dict[str, Any]]:
    return [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": str(status)}}]


def statuses(here: Edge) -> dict[str, str]:
    """What the default rule of each load balancer's listener answers."""
    return {
        balancer.name: action.status_code
        for balancer in here.controller.load_balancers
        for listener in balancer.listeners
        for action in listener.default_actions
        if isinstance(action, FixedResponse)
    }


async def change(here: Edge, listener: str, status: int) -> None:
    await here.aws.call("elbv2", "modify_listener", ListenerArn=listener, DefaultActions=answering(status))


def count_reads(here: Edge, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """From now on: the ARNs that are read, "all" for a listing."""
    asked: list[str] = []
    listing = here.aws.list

    async def noted(service: str, operation: str, key: str, **parameters: Any) -> list[Any]:
        for value in parameters.values() or ["all"]:
            asked.extend([value] if isinstance(value, str) else value)
        return await listing(service, operation, key, **parameters)

    monkeypatch.setattr(here.aws, "list", noted)
    return asked


def test_only_the_changed_load_balancer_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(here: Edge) -> None:
        listener, _ = await two(here)
        untouched = here.controller.load_balancers[1]
        asked = count_reads(here, monkeypatch)
        await change(here, listener, 410)
        await here.until(lambda: statuses(here) == {"one": "410", "two": "404"})
        assert asked
        assert all("/app/one/" in arn for arn in asked)
        assert here.controller.load_balancers[1] is untouched

    story(work)


def test_everything_is_read_if_the_changed_resource_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockgate.embedded.aws.front.touched", lambda _call, _result: frozenset())

    async def work(here: Edge) -> None:
        listener, _ = await two(here)
        asked = count_reads(here, monkeypatch)
        await change(here, listener, 410)
        await here.until(lambda: statuses(here) == {"one": "410", "two": "404"})
        assert "all" in asked

    story(work)


def test_a_change_without_notification_is_found_by_the_resync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elastic_load_balancing_controller, "RESYNC_SECONDS", 0.05)
    monkeypatch.setattr(elastic_load_balancing_controller, "RESYNCED_EVERY_SECONDS", 0.05)

    async def work(here: Edge) -> None:
        _, listener = await two(here)
        monkeypatch.setattr("lockgate.embedded.aws.front.touched", lambda _call, _result: frozenset({"another"}))
        await change(here, listener, 410)
        await here.until(lambda: statuses(here) == {"one": "404", "two": "410"})
        arn = here.controller.load_balancers[1].arn
        await here.aws.call("elbv2", "delete_load_balancer", LoadBalancerArn=arn)
        await here.until(lambda: statuses(here) == {"one": "404"})

    story(work)


# --- probes ------------------------------------------------------------------------------------------------------

PROBES = {
    "an answer": (b"HTTP/1.1 204 No Content\r\n\r\n", Answered(204)),
    "a redirect is an answer": (b"HTTP/1.0 302 Found\r\nLocation: /x\r\n\r\n", Answered(302)),
    "no HTTP": (b"SSH-2.0-OpenSSH\r\n", Failed()),
    "closed at once": (b"", Failed()),
    "silence": (None, TimedOut()),
}


@pytest.mark.parametrize("name", PROBES)
def test_probes(name: str) -> None:
    says, wanted = PROBES[name]
    heard = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append((await reader.readuntil(b"\r\n\r\n")).decode())
        if says is None:
            await reader.read()
        else:
            writer.write(says)
        writer.close()

    async def ask() -> object:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port = int(server.sockets[0].getsockname()[1])
        try:
            check = HealthCheck(path="/live?x=1", timeout_seconds=1)
            return await probe("127.0.0.1", port, check, "HTTP1", "172.31.0.7:80")
        finally:
            server.close()

    assert asyncio.run(ask()) == wanted
    lines = heard[0].split("\r\n")
    assert lines[0] == "GET /live?x=1 HTTP/1.1"
    assert "Host: 172.31.0.7:80" in lines
    assert "User-Agent: ELB-HealthChecker/2.0" in lines


@pytest.mark.parametrize("secure", [False, True])
def test_a_gRPC_probe_brings_the_calls_status(secure: bool) -> None:
    import grpc.aio

    async def ask() -> object:
        server = grpc.aio.server()  # knows no method at all: status 12, as AWS's default matcher expects
        if secure:
            chain, key = self_signed()
            credentials = grpc.ssl_server_credentials([(key.encode(), chain.encode())])
            port = server.add_secure_port("127.0.0.1:0", credentials)
        else:
            port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            check = HealthCheck("HTTPS" if secure else "HTTP", path="/AWS.ALB/healthcheck", matcher="12")
            return await probe("127.0.0.1", port, check, "GRPC", "172.31.0.7:80")
        finally:
            await server.stop(None)

    assert asyncio.run(ask()) == Answered(12)


@pytest.mark.parametrize("secure", [False, True])
def test_targets_of_http_2_are_probed_over_it(secure: bool, tmp_path: Path) -> None:
    from lockgate.embedded.http import serve

    heard: list[dict[str, Any]] = []

    async def target(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            heard.append(scope)
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    async def ask() -> object:
        files = (tmp_path / "chain.pem", tmp_path / "key.pem")
        for file, text in zip(files, self_signed(), strict=True):
            file.write_text(text)
        server = await serve(target, certificate=files if secure else None, hosts=None)
        try:
            check = HealthCheck("HTTPS" if secure else "HTTP", path="/live?x=1")
            return await probe("127.0.0.1", server.port, check, "HTTP2", "10.0.0.7:80")
        finally:
            with suppress(Exception):
                await server.stop()

    assert asyncio.run(ask()) == Answered(204)
    assert (heard[0]["http_version"], heard[0]["method"], heard[0]["path"]) == ("2", "GET", "/live")
    assert dict(heard[0]["headers"])[b"user-agent"] == b"ELB-HealthChecker/2.0"


def test_a_refused_connection_fails_the_probe() -> None:
    assert asyncio.run(probe("127.0.0.1", 1, HealthCheck(), "HTTP1", "172.31.0.7:80")) == Failed()


def self_signed() -> tuple[str, str]:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a.example.com")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example.com")]), False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    return made.public_bytes(pem).decode(), private.decode()


# --- WAF ---------------------------------------------------------------------------------------------------------

VISIBLE = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "m"}


def blocking(statement: dict[str, Any], name: str = "rule") -> dict[str, Any]:
    return {"Name": name, "Priority": 1, "Statement": statement, "Action": {"Block": {}}, "VisibilityConfig": VISIBLE}


async def web_acl(here: Edge, *rules: dict[str, Any], name: str = "acl") -> dict[str, Any]:
    made = await here.aws.call(
        "wafv2",
        "create_web_acl",
        Name=name,
        Scope="REGIONAL",
        DefaultAction={"Allow": {}},
        Rules=list(rules),
        VisibilityConfig=VISIBLE,
    )
    return dict(made["Summary"])


def test_a_web_acl_is_followed_from_association_to_its_end(caplog: pytest.LogCaptureFixture) -> None:
    async def work(here: Edge) -> None:
        arn, _ = await make(here)
        await here.until(lambda: bool(here.published and here.now.names(LISTENER)))
        addresses = await here.aws.call(
            "wafv2", "create_ip_set", Name="set", Scope="REGIONAL", IPAddressVersion="IPV4", Addresses=["192.0.2.0/24"]
        )
        group = await here.aws.call(
            "wafv2",
            "create_rule_group",
            Name="group",
            Scope="REGIONAL",
            Capacity=10,
            Rules=[blocking({"IPSetReferenceStatement": {"ARN": addresses["Summary"]["ARN"]}}, "inside")],
            VisibilityConfig=VISIBLE,
        )
        managed = {"ManagedRuleGroupStatement": {"VendorName": "AWS", "Name": "AWSManagedRulesCommonRuleSet"}}
        in_group = {"RuleGroupReferenceStatement": {"ARN": group["Summary"]["ARN"]}}
        none: dict[str, Any] = {"OverrideAction": {"None": {}}, "VisibilityConfig": VISIBLE}
        acl = await web_acl(
            here,
            {"Name": "managed", "Priority": 1, "Statement": managed, **none},
            {"Name": "group", "Priority": 2, "Statement": in_group, **none},
        )

        def verdict(source: str) -> str | None:
            found = here.controller.evaluate(arn, Inspected(Request(source=source)))
            return None if found is None else (found.rule if found.blocked else "passes")

        assert verdict("192.0.2.7") is None
        assert "lockgate.waf" not in here.now.names(CLUSTER)
        await here.aws.call("wafv2", "associate_web_acl", WebACLArn=acl["ARN"], ResourceArn=arn)
        await here.until(lambda: verdict("192.0.2.7") == "group/inside")
        assert verdict("192.0.3.7") == "passes"
        await here.until(lambda: "lockgate.waf" in here.now.names(CLUSTER))
        assert [balancer.web_acl.name for balancer in here.controller.load_balancers if balancer.web_acl] == ["acl"]
        assert "web ACL acl: rule managed is not evaluated: the rules of the managed rule group" in caplog.text

        await here.aws.call(
            "wafv2",
            "update_ip_set",
            Name="set",
            Scope="REGIONAL",
            Id=addresses["Summary"]["Id"],
            Addresses=["192.0.3.0/24"],
            LockToken=addresses["Summary"]["LockToken"],
        )
        await here.until(lambda: verdict("192.0.3.7") == "group/inside")
        assert verdict("192.0.2.7") == "passes"
        assert caplog.text.count("rule managed is not evaluated") == 1

        await here.aws.call("wafv2", "disassociate_web_acl", ResourceArn=arn)
        await here.until(lambda: verdict("192.0.3.7") is None)
        await here.until(lambda: [balancer.web_acl for balancer in here.controller.load_balancers] == [None])

    story(work)


def test_requests_are_counted_for_rules_by_rate() -> None:
    async def work(here: Edge) -> None:
        arn, _ = await make(here)
        acl = await web_acl(here, blocking({"RateBasedStatement": {"Limit": 10, "AggregateKeyType": "IP"}}))
        await here.aws.call("wafv2", "associate_web_acl", WebACLArn=acl["ARN"], ResourceArn=arn)

        def blocked(source: str) -> bool:
            found = here.controller.evaluate(arn, Inspected(Request(source=source)))
            return found is not None and found.blocked is not None

        await here.until(lambda: here.controller.evaluate(arn, Inspected(Request(source="192.0.2.1"))) is not None)
        assert [blocked("192.0.2.7") for _ in range(12)] == [False] * 10 + [True] * 2
        assert not blocked("192.0.2.8")

    story(work)


def test_a_regular_expression_that_takes_too_long_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    async def work(here: Edge) -> None:
        arn, _ = await make(here)
        none = [{"Priority": 0, "Type": "NONE"}]
        slow = {"RegexString": "^/(a|aa)+$", "FieldToMatch": {"UriPath": {}}, "TextTransformations": none}
        acl = await web_acl(here, blocking({"RegexMatchStatement": slow}, "slow"))
        await here.aws.call("wafv2", "associate_web_acl", WebACLArn=acl["ARN"], ResourceArn=arn)
        await here.until(lambda: here.controller.evaluate(arn, Inspected(Request())) is not None)
        assert "slow" not in caplog.text
        for _ in range(2):
            here.controller.evaluate(arn, Inspected(Request(target=f"/{'a' * 60}b")))
        assert caplog.text.count("rule slow is not evaluated: its regular expressions exceed the time limit") == 1

    story(work)


def test_a_web_acl_that_cannot_be_read_keeps_its_previous_state(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(answer: Any, references: Any) -> WebAcl:
        if answer["Name"] == "odd":
            raise KeyError("Odd")
        return read_web_acl(answer, references)

    async def work(here: Edge) -> None:
        arn, _ = await make(here)
        odd, good = [await web_acl(here, name=name) for name in ("odd", "good")]
        await here.aws.call("wafv2", "associate_web_acl", WebACLArn=odd["ARN"], ResourceArn=arn)
        await here.until(lambda: [each.web_acl is None for each in here.controller.load_balancers] == [False])
        monkeypatch.setattr("lockgate.loadbalancer.waf.reader.web_acl", faulty)
        _, subnets, _ = await here.api.default_vpc()
        other = await here.aws.call("elbv2", "create_load_balancer", Name="other", Subnets=list(subnets[:2]))
        other_arn = other["LoadBalancers"][0]["LoadBalancerArn"]
        await here.aws.call("wafv2", "associate_web_acl", WebACLArn=good["ARN"], ResourceArn=other_arn)
        await here.until(lambda: here.controller.evaluate(other_arn, Inspected(Request())) is not None)
        assert here.controller.evaluate(arn, Inspected(Request())) is not None
        assert f"cannot read web ACL {odd['ARN']}, keeping its previous state: KeyError('Odd')" in caplog.text

    story(work)
