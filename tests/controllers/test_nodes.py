"""The machine as a node: which gateway Pods run on it, which endpoints Services get, where a target really is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from lockgate.controllers.kube_controller_manager import KubeControllerManager
from lockgate.controllers.nodes import Nodes, PortTable
from lockgate.controllers.nodes.controller import Machine
from lockgate.edge.service_pods import workload_of
from lockgate.edge.workloads import NODE_ID, PROXY_LABEL, gateway_workloads, slice_manifest, target_port
from lockgate.embedded.kubernetes.store import Store
from lockgate.loadbalancer.model import Target, TargetType
from lockgate.resources import core, istio, networking
from lockgate.resources.meta import condition
from lockgate.resources.model import JsonObject
from lockgate.resources.status import NotFound

MACHINE = Machine("node-1", "i-0123", "eu-west-1a", "eu-west-1", "172.31.0.10")
ECHO = 20000  # what this file's echo adds to a Service port
TLS_ECHO = 40000  # and to one that is reached with TLS
GATEWAY_PORTS = {"https": (443, 8443), "http2": (80, 8080)}


def service_manifest(
    name: str,
    namespace: str = "default",
    *,
    selector: Mapping[str, str] | None = None,
    ports: Mapping[str, tuple[int, int]] | None = None,
    **spec: Any,
) -> JsonObject:
    """Ports by name: the Service's and the target's."""
    listed = [
        {"name": port, "port": number, "targetPort": target}
        for port, (number, target) in (ports or {"http": (80, 8080)}).items()
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": dict(selector or {}), "ports": listed, **spec},
    }


def gateway_manifest(name: str, **selector: str) -> JsonObject:
    servers = [{"port": {"number": 443, "name": "tcp", "protocol": "TCP"}, "hosts": ["*"]}]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": selector, "servers": servers},
    }


def service(*arguments: Any, **more: Any) -> core.Service:
    return core.Service.model_validate(service_manifest(*arguments, **more))


def gateway(**selector: str) -> istio.Gateway:
    return istio.Gateway.model_validate(gateway_manifest("edge", **selector))


# --- which Pods ----------------------------------------------------------------------------------------------------


def test_a_service_whose_pods_a_gateway_selects_is_a_workload() -> None:
    edge = service("edge", "ingress", selector={"app": "edge", "tier": "front"})
    other = service("web", selector={"app": "web"})
    (found,) = gateway_workloads([other, edge], [gateway(app="edge")])
    assert (found.namespace, found.name, found.node_id) == ("ingress", "edge", "gateway")
    assert dict(found.labels) == {"app": "edge", "tier": "front"}
    assert found.serves(edge)
    assert not found.serves(other)


@pytest.mark.parametrize(
    ("selector", "runs"),
    [
        ({"istio": "ingressgateway"}, True),
        ({"istio": "mine"}, True),
        ({"istio": "egressgateway"}, False),
        ({"istio": "pilot"}, False),
        ({"app": "web"}, False),
        ({}, False),
    ],
)
def test_istios_own_gateways_run_before_a_gateway_asks(selector: dict[str, str], runs: bool) -> None:
    assert bool(gateway_workloads([service("edge", selector=selector)], [])) is runs


def test_a_gateway_without_a_selector_needs_no_workload() -> None:
    assert gateway_workloads([service("web", selector={"app": "web"})], [gateway()]) == ()


def test_services_of_the_same_pods_share_a_workload() -> None:
    narrow = service("edge", selector={"istio": "edge", "app": "edge"})
    wide = service("edge-internal", selector={"istio": "edge"})
    (found,) = gateway_workloads([wide, narrow], [gateway(istio="edge")])
    assert found.name == "edge"
    assert found.serves(wide)
    assert not found.serves(service("edge", "elsewhere", selector={"istio": "edge"}))


def test_each_further_workload_is_a_node_of_its_own() -> None:
    services = [service(name, selector={"istio": name}) for name in ("two", "one")]
    found = {each.name: each.node_id for each in gateway_workloads(services, [])}
    assert found == {"one": "gateway", "two": "gateway-default-two"}


def test_the_port_behind_a_service_port() -> None:
    ports = {"numbered": (443, 8443)}
    edge = service("edge", ports=ports)
    assert target_port(edge, "numbered") == 8443
    named = core.Service.model_validate({"spec": {"ports": [{"port": 80, "targetPort": "http"}]}})
    assert target_port(named, "") == 80  # no container says which number the name has


# --- the port table ------------------------------------------------------------------------------------------------


def table(*slices: JsonObject) -> PortTable:
    web = service_manifest("web", type="NodePort", clusterIP="10.100.1.1")
    web["spec"]["ports"][0]["nodePort"] = 30080
    headless = service_manifest("headless", clusterIP="None")
    services = [core.Service.model_validate(each) for each in (web, headless)]
    return PortTable.of(
        ("i-0123", "172.31.0.10"), services, [core.EndpointSlice.model_validate(each) for each in slices]
    )


def test_connections_to_ports_that_take_no_plain_text_are_reset() -> None:
    web = core.Service.model_validate(service_manifest("web", clusterIP="10.100.1.1"))
    resets = ("127.0.0.1", 4)
    slices = [core.EndpointSlice.model_validate(web_slice(9001))]
    for refused, at in (((80,), resets), ((81,), ("127.0.0.1", 9001))):
        found = PortTable.joined((), [PortTable.of_service(web, slices, refused, resets)])
        for target in (Target("127.0.0.1", 9001), Target("10.100.1.1", 80)):
            assert found.resolve(target, "ip") == (at,)


def web_slice(port: int, name: str = "http", **endpoint: Any) -> JsonObject:
    manifest: JsonObject = dict(slice_manifest(service("web"), "echo", "127.0.0.1", {name: port}))
    manifest["endpoints"] = [{"addresses": ["127.0.0.1"], **endpoint}]
    return manifest


@pytest.mark.parametrize(
    ("target", "target_type", "where"),
    [
        (Target("i-0123", 30080), "instance", [("127.0.0.1", 9001)]),
        (Target("i-0123", 30081), "instance", []),
        (Target("i-9999", 30080), "instance", []),
        (Target("172.31.0.10", 30080), "ip", [("127.0.0.1", 9001)]),
        (Target("172.31.0.10", 9999), "ip", [("127.0.0.1", 9999)]),
        (Target("10.100.1.1", 80), "ip", [("127.0.0.1", 9001)]),
        (Target("10.100.1.1", 81), "ip", []),
        (Target("127.0.0.1", 9001), "ip", [("127.0.0.1", 9001)]),
        (Target("::1", 9001), "ip", [("127.0.0.1", 9001)]),
        (Target("::1", 3000), "ip", []),
        (Target("127.0.0.1", 3000), "ip", []),
        (Target("127.0.0.2", 9001), "ip", []),
        (Target("169.254.169.254", 80), "ip", []),
        (Target("192.0.2.1", 3000), "ip", []),
    ],
    ids=str,
)
def test_the_real_address_of_a_target(target: Target, target_type: TargetType, where: list[tuple[str, int]]) -> None:
    ipv6 = slice_manifest(service("web"), "echo-ipv6", "::1", {"http": 9001})
    assert list(table(web_slice(9001), dict(ipv6)).resolve(target, target_type)) == where


def test_endpoints_of_all_slices_that_are_ready() -> None:
    slices = [
        web_slice(9001),
        web_slice(9002, conditions={"ready": True}),
        web_slice(9003, conditions={"ready": False}),
        web_slice(9004, "metrics"),
        {**web_slice(9005), "metadata": {"name": "stray", "namespace": "default"}},
    ]
    assert table(*slices).node_ports == {30080: (("127.0.0.1", 9001), ("127.0.0.1", 9002))}
    assert table(*slices).cluster_addresses.keys() == {("10.100.1.1", 80)}


# --- the controller ------------------------------------------------------------------------------------------------


class Lab:
    def __init__(self, backends: Mapping[tuple[str, str, int], tuple[str, int]]) -> None:
        self.store = Store()
        self.asked: list[tuple[str, int, str]] = []
        self.tables = 0
        self.silenced: list[tuple[str, str]] = []
        self.nodes = Nodes(
            self.store,
            machine=MACHINE,
            echo=self._echo,
            backends=backends,
            free_port=self._free_port,
            silence=lambda namespace, service: self.silenced.append((namespace, service)),
        )
        self.nodes.on_change(self._changed)
        self.manager = KubeControllerManager(self.store, node=MACHINE.node, inject=self.nodes.injected)

    async def _echo(
        self, _namespace: str, _service: str, port: int, names: tuple[str, ...] | None, workload: str, _datagrams: bool
    ) -> tuple[str, int]:
        return "127.0.0.1", (ECHO if names is None else TLS_ECHO) + port

    def _free_port(self, address: str, wanted: int, purpose: str) -> int:
        self.asked.append((address, wanted, purpose))
        return 10000 + wanted

    def _changed(self) -> None:
        self.tables += 1

    async def slices(self, service: str) -> dict[str, dict[str, tuple[str, int]]]:
        """Address and port by port name, by slice name."""
        found = await self.store.list(core.EndpointSlice, labels={"kubernetes.io/service-name": service})
        return {
            each.name: {port.name or "": (each.endpoints[0].addresses[0], port.port or 0) for port in each.ports}
            for each in found
        }

    async def pods(self) -> list[str]:
        """The workloads of the Pods that an Envoy runs for."""
        return [workload_of(pod).name for pod in await self.store.list(core.Pod, labels={PROXY_LABEL: "istio"})]

    async def pod(self) -> core.Pod:
        (pod,) = await self.store.list(core.Pod, labels={PROXY_LABEL: "istio"})
        return pod

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        while not await holds():
            await asyncio.sleep(0)

    async def until_slices(self, service: str, wanted: dict[str, dict[str, tuple[str, int]]]) -> None:
        async def equal() -> bool:
            return await self.slices(service) == wanted

        try:
            await asyncio.wait_for(self.until(equal), 10)
        except TimeoutError:
            assert await self.slices(service) == wanted

    async def until_pods(self, *wanted: str) -> None:
        async def equal() -> bool:
            return await self.pods() == list(wanted)

        try:
            await asyncio.wait_for(self.until(equal), 10)
        except TimeoutError:
            assert await self.pods() == list(wanted)


@asynccontextmanager
async def lab(
    *manifests: JsonObject, backends: Mapping[tuple[str, str, int], tuple[str, int]] | None = None
) -> AsyncIterator[Lab]:
    there = Lab(backends or {})
    for manifest in manifests:
        await there.store.create(manifest)
    running = asyncio.ensure_future(asyncio.gather(there.nodes.run(), there.manager.run()))
    try:
        yield there
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def test_the_machine_is_a_node() -> None:
    async def story() -> None:
        async with lab(service_manifest("web")) as there:
            await there.until_slices("web", {"web-echo": {"http": ("127.0.0.1", ECHO + 80)}})
            node = await there.store.get(core.Node, "node-1")
            assert node.spec.provider_id == "aws:///eu-west-1a/i-0123"
            assert node.metadata.labels["topology.kubernetes.io/zone"] == "eu-west-1a"
            ready = condition(node.status.conditions, "Ready")
            assert ready is not None
            assert ready.status == "True"

    asyncio.run(story())


def test_kube_proxy_says_whether_the_node_has_an_endpoint() -> None:
    async def story() -> None:
        local = service_manifest("web", type="LoadBalancer", externalTrafficPolicy="Local")
        async with lab(local) as there:
            web = await there.store.get(core.Service, "web", "default")
            target = Target("i-0123", web.spec.health_check_node_port)

            async def asked() -> bytes:
                found = there.nodes.table.resolve(target, "instance")
                if not found:
                    return b""
                reader, writer = await asyncio.open_connection(*found[0])
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: node\r\n\r\n")
                answer = await reader.read()
                writer.close()
                return answer

            async def healthy() -> bool:
                return (await asked()).startswith(b"HTTP/1.1 200 ")

            async def unhealthy() -> bool:
                return (await asked()).startswith(b"HTTP/1.1 503 ")

            await asyncio.wait_for(there.until(healthy), 10)
            own = web_slice(9001, conditions={"ready": False})
            labels = {"kubernetes.io/service-name": "web"}
            await there.store.create({**own, "metadata": {"name": "own", "namespace": "default", "labels": labels}})
            await asyncio.wait_for(there.until(unhealthy), 10)

    asyncio.run(story())


def test_a_service_is_answered_by_the_echo_until_it_goes() -> None:
    async def story() -> None:
        ports = {"http": (80, 8080), "grpc": (9090, 9090)}
        async with lab(service_manifest("web", ports=ports, type="NodePort")) as there:
            wanted = {"web-echo": {"grpc": ("127.0.0.1", ECHO + 9090), "http": ("127.0.0.1", ECHO + 80)}}
            await there.until_slices("web", wanted)
            web = await there.store.get(core.Service, "web", "default")

            async def resolved() -> bool:
                target = Target("i-0123", web.spec.ports[0].node_port)
                return there.nodes.table.resolve(target, "instance") == (("127.0.0.1", ECHO + 80),)

            await asyncio.wait_for(there.until(resolved), 10)
            assert there.tables > 0
            await there.store.delete(core.Service, "web", "default")
            await there.until_slices("web", {})

            async def silenced() -> bool:
                return there.silenced == [("default", "web")]

            await asyncio.wait_for(there.until(silenced), 10)

    asyncio.run(story())


def test_the_echo_speaks_tls_while_an_object_expects_it() -> None:
    rule = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "all", "namespace": "default"},
        "spec": {"host": "*.default.svc.cluster.local", "trafficPolicy": {"tls": {"mode": "SIMPLE"}}},
    }
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": "web",
            "namespace": "default",
            "annotations": {"alb.ingress.kubernetes.io/backend-protocol": "HTTPS"},
        },
        "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 443}}}},
    }

    async def story() -> None:
        ports = {"https": (443, 8443), "http": (80, 8080)}
        plain, tls = ("127.0.0.1", ECHO + 80), ("127.0.0.1", TLS_ECHO + 443)
        async with lab(service_manifest("web", ports=ports), ingress) as there:
            await there.until_slices("web", {"web-echo": {"http": plain, "https": tls}})
            await there.store.create(rule)
            await there.until_slices("web", {"web-echo": {"http": ("127.0.0.1", TLS_ECHO + 80), "https": tls}})
            await there.store.delete(istio.DestinationRule, "all", "default")
            await there.until_slices("web", {"web-echo": {"http": plain, "https": tls}})
            await there.store.delete(networking.Ingress, "web", "default")
            await there.until_slices("web", {"web-echo": {"http": plain, "https": ("127.0.0.1", ECHO + 443)}})

    asyncio.run(story())


def test_the_users_programs_answer_for_their_ports() -> None:
    async def story() -> None:
        ports = {"http": (80, 8080), "admin": (81, 8081), "metrics": (82, 8082)}
        backends = {
            ("default", "web", 80): ("127.0.0.1", 3000),
            ("default", "web", 81): ("127.0.0.2", 3001),
            ("default", "other", 80): ("127.0.0.1", 3002),
        }
        async with lab(service_manifest("web", ports=ports), backends=backends) as there:
            await there.until_slices(
                "web",
                {
                    "web-backend-0": {"http": ("127.0.0.1", 3000)},
                    "web-backend-1": {"admin": ("127.0.0.2", 3001)},
                    "web-echo": {"metrics": ("127.0.0.1", ECHO + 82)},
                },
            )

    asyncio.run(story())


def test_endpoints_of_the_users_own_are_left_alone_and_left_to_answer() -> None:
    async def story() -> None:
        own = web_slice(9001)
        own["metadata"] = {"name": "mine", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}}
        async with lab(service_manifest("web")) as there:
            await there.until_slices("web", {"web-echo": {"http": ("127.0.0.1", ECHO + 80)}})
            await there.store.create(own)
            await there.until_slices("web", {"mine": {"http": ("127.0.0.1", 9001)}})
            await there.store.delete(core.EndpointSlice, "mine", "default")
            await there.until_slices("web", {"web-echo": {"http": ("127.0.0.1", ECHO + 80)}})

    asyncio.run(story())


def test_the_port_table_is_current_once_it_has_the_services_that_were_just_written() -> None:
    async def story() -> None:
        edge = service_manifest("edge", selector={"app": "edge"}, ports=GATEWAY_PORTS, clusterIP="10.100.1.1")
        async with lab(service_manifest("web")) as there:
            await there.until_slices("web", {"web-echo": {"http": ("127.0.0.1", ECHO + 80)}})

            async def current() -> bool:
                return there.store.followed and there.nodes.current and there.manager.current

            def behind() -> tuple[tuple[str, int], ...]:
                return there.nodes.table.cluster_addresses["10.100.1.1", 443]

            await there.store.create(edge)
            await asyncio.wait_for(there.until(current), 10)
            assert behind() == (("127.0.0.1", ECHO + 443),)
            await there.store.create(gateway_manifest("edge", app="edge"))
            await asyncio.wait_for(there.until(current), 10)
            assert behind() != (("127.0.0.1", ECHO + 443),), "a gateway is there now, and no longer the echo"

    asyncio.run(story())


def test_a_service_of_both_families_has_endpoints_of_both() -> None:
    async def story() -> None:
        both = service_manifest("web", ipFamilies=["IPv6", "IPv4"], ipFamilyPolicy="PreferDualStack")
        async with lab(both, backends={("default", "web", 81): ("127.0.0.1", 3000)}) as there:
            await there.until_slices(
                "web",
                {"web-echo": {"http": ("127.0.0.1", ECHO + 80)}, "web-echo-ipv6": {"http": ("::1", ECHO + 80)}},
            )

    asyncio.run(story())


def test_nothing_answers_for_a_name_elsewhere_or_for_sctp() -> None:
    async def story() -> None:
        outside = service_manifest("outside", type="ExternalName", externalName="db.example")
        calls = service_manifest("calls")
        calls["spec"]["ports"] = [{"name": "calls", "port": 3868, "protocol": "SCTP"}]
        async with lab(outside, calls, service_manifest("web")) as there:
            await there.until_slices("web", {"web-echo": {"http": ("127.0.0.1", ECHO + 80)}})
            assert await there.slices("outside") == await there.slices("calls") == {}

    asyncio.run(story())


def test_a_gateway_runs_as_a_pod_on_ports_of_this_machine() -> None:
    async def story() -> None:
        edge = service_manifest("edge", selector={"app": "edge"}, ports=GATEWAY_PORTS)
        internal = service_manifest("internal", selector={"app": "edge"}, ports={"tls": (8443, 8443)})
        async with lab(edge, internal, gateway_manifest("edge", app="edge")) as there:
            await there.until_slices(
                "edge", {"edge-gateway": {"http2": ("127.0.0.1", 18080), "https": ("127.0.0.1", 18443)}}
            )
            await there.until_slices("internal", {"internal-gateway": {"tls": ("127.0.0.1", 18443)}})
            pod = await there.pod()
            assert pod.metadata.labels["app"] == "edge"
            assert pod.metadata.annotations[NODE_ID] == "gateway"
            assert (pod.spec.node_name, pod.status.phase) == ("node-1", "Running")
            assert sorted(wanted for _, wanted, _ in there.asked) == [8080, 8443]  # one Envoy, each port once
            await there.store.delete(core.Service, "internal", "default")
            await there.until_slices("internal", {})
            await there.until_pods("edge")

    asyncio.run(story())


def test_a_gateways_service_has_an_address_until_an_ingress_leads_to_it() -> None:
    """One that is a plain application, or whose load balancer would end TLS, has none."""
    app = service_manifest("app", selector={"app": "app"}, type="LoadBalancer")
    edge = service_manifest("edge", selector={"istio": "edge"}, ports=GATEWAY_PORTS, type="LoadBalancer")
    tls = service_manifest("tls", selector={"istio": "tls"}, type="LoadBalancer")
    tls["metadata"]["annotations"] = {"service.beta.kubernetes.io/aws-load-balancer-ssl-cert": "arn:a"}
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"defaultBackend": {"service": {"name": "edge", "port": {"number": 80}}}},
    }

    async def story() -> None:
        async with lab(app, edge, tls) as there:

            async def addresses() -> list[str]:
                services = await there.store.list(core.Service)
                return [f"{each.name} {entry.ip}" for each in services for entry in each.status.load_balancer.ingress]

            async def reached() -> bool:
                return there.nodes.exposed.keys() == {("127.1.0.1", 80), ("127.1.0.1", 443)}

            async def unreached() -> bool:
                return not there.nodes.exposed and await addresses() == []

            await asyncio.wait_for(there.until(reached), 10)
            assert there.nodes.exposed["127.1.0.1", 443] == ("127.0.0.1", 18443)
            assert await addresses() == ["edge 127.1.0.1"]
            await there.store.create(ingress)
            await asyncio.wait_for(there.until(unreached), 10)

    asyncio.run(story())


def test_a_service_that_no_gateway_selects_any_more_is_an_application_again() -> None:
    async def story() -> None:
        edge = service_manifest("edge", selector={"app": "edge"})
        async with lab(edge, gateway_manifest("edge", app="edge")) as there:
            await there.until_slices("edge", {"edge-gateway": {"http": ("127.0.0.1", 18080)}})
            await there.store.delete(istio.Gateway, "edge", "default")
            await there.until_slices("edge", {"edge-echo": {"http": ("127.0.0.1", ECHO + 80)}})
            await there.until_pods()

    asyncio.run(story())


def test_a_pod_goes_with_its_service_and_follows_its_selector() -> None:
    async def story() -> None:
        edge = service_manifest("edge", selector={"istio": "edge"})
        async with lab(edge) as there:
            await there.until_pods("edge")
            await there.store.patch(
                core.Service, "edge", "default", {"spec": {"selector": {"istio": "edge", "v": "2"}}}
            )

            async def relabelled() -> bool:
                return any(pod.metadata.labels.get("v") == "2" for pod in await there.store.list(core.Pod))

            await asyncio.wait_for(there.until(relabelled), 10)
            await there.store.delete(core.Service, "edge", "default")
            await there.until_pods()
            with pytest.raises(NotFound):
                await there.store.get(core.EndpointSlice, "edge-gateway", "default")

    asyncio.run(story())


def test_a_service_beside_a_new_gateway_is_answered_by_its_pod() -> None:
    async def story() -> None:
        wide = service_manifest("wide", selector={"app": "edge"})
        async with lab(wide) as there:
            await there.until_slices("wide", {"wide-echo": {"http": ("127.0.0.1", ECHO + 80)}})
            await there.store.create(service_manifest("edge", selector={"app": "edge", "istio": "edge"}))
            await there.until_slices("wide", {"wide-gateway": {"http": ("127.0.0.1", 18080)}})
            await there.until_pods("edge")

    asyncio.run(story())
