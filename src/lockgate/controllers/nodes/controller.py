"""The nodes controller: registers the machine as a node, runs gateway Pods on it, gives every Service endpoints."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

from lockgate import __version__
from lockgate.controllers.cache import Mirror
from lockgate.controllers.kubernetes import Kubernetes
from lockgate.controllers.nodes.applications import Applications, OpenEcho
from lockgate.controllers.nodes.gateways import GatewayPods
from lockgate.controllers.nodes.kubelet import Kubelet
from lockgate.controllers.nodes.proxy_health import proxy_health_server
from lockgate.controllers.nodes.resetting import resetting_server
from lockgate.controllers.runtime import Queue
from lockgate.edge.exposure import address, is_exposed
from lockgate.edge.mesh import mesh_of
from lockgate.edge.mutual_tls import PlainTextRules
from lockgate.edge.port_table import Address, PortTable
from lockgate.edge.tls_backends import ANY, User, Users, tls_ports
from lockgate.edge.workloads import (
    MANAGED_BY,
    MANAGER,
    gateway_workloads,
    is_candidate,
)
from lockgate.resources import core, elbv2, istio, networking, workloads
from lockgate.resources.model import JsonObject, Resource
from lockgate.resources.status import NotFound

_FIELD_MANAGER = "lockgate-nodes"
_REST = 4  # pause after joining tables, as a multiple of its duration
ServiceKey = tuple[str, str]  # namespace, name
_PODS: ServiceKey = ("", "")  # the gateway Pods as a whole


@dataclass(frozen=True, slots=True)
class Machine:
    """This machine, as EC2 and Kubernetes know it."""

    node: str
    instance_id: str
    zone: str
    region: str
    private_ip: str


class Nodes:
    """`echo` and `backends` answer for applications: see `Applications`."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        *,
        machine: Machine,
        echo: OpenEcho,
        backends: Mapping[tuple[str, str, int], Address],
        free_port: Callable[[str, int, str], int],
        silence: Callable[[str, str], None] = lambda namespace, service: None,
    ) -> None:
        self._kubernetes = kubernetes
        self._machine = machine
        self._silence = silence
        self._services = Mirror(core.Service, self._service_changed)
        self._gateways = Mirror(istio.Gateway, self._gateway_changed)
        self._slices = Mirror(core.EndpointSlice, self._slice_changed)
        self._users = Users()
        self._using = (
            Mirror(networking.Ingress, self._user_changed),
            Mirror(elbv2.TargetGroupBinding, self._user_changed),
            Mirror(istio.VirtualService, self._user_changed),
            Mirror(istio.DestinationRule, self._user_changed),
        )
        self._addresses: dict[ServiceKey, str] = {}
        self._slices_of: dict[ServiceKey, dict[str, core.EndpointSlice]] = {}
        self._candidates: dict[ServiceKey, core.Service] = {}  # for a gateway's
        self._tables: dict[ServiceKey, PortTable] = {}
        self._changed: set[ServiceKey] = set()  # Services whose table may have changed
        self._scheduled = False
        self._took = 0.0  # seconds that the last join of tables took
        self._queue: Queue[ServiceKey] = Queue()
        self._applications = Applications(echo=echo, backends=backends, again=self._queue.add)
        self._workloads_of = (
            Mirror(workloads.Deployment, self._workload_changed),
            Mirror(workloads.ReplicaSet, self._workload_changed),
            Mirror(workloads.StatefulSet, self._workload_changed),
            Mirror(workloads.DaemonSet, self._workload_changed),
        )
        self._mesh = (
            Mirror(istio.PeerAuthentication, self._mesh_changed),
            Mirror(core.Namespace, self._mesh_changed),
            Mirror(istio.IstioOperator, self._mesh_changed),
        )
        self._resets: Address | None = None
        self._proxies: tuple[Address, Address] | None = None
        self._gateway_pods = GatewayPods(kubernetes, self._applications, free_port=free_port, manager=_FIELD_MANAGER)
        self._kubelet = Kubelet(
            kubernetes,
            node=machine.node,
            host=machine.private_ip,
            stands_in=self._applications.stands_in,
            changed=self._applications.pod_changed,
        )
        self._listeners: list[Callable[[], None]] = []
        self.table = PortTable(frozenset())

    async def run(self) -> None:
        await self._register()
        resetting = await resetting_server()
        self._resets = resetting.sockets[0].getsockname()[:2]
        no, yes = [await proxy_health_server(healthy=healthy) for healthy in (False, True)]
        self._proxies = no.sockets[0].getsockname()[:2], yes.sockets[0].getsockname()[:2]
        async with resetting, no, yes, asyncio.TaskGroup() as tasks:
            mirrors = (self._services, self._gateways, self._slices, *self._workloads_of, *self._using, *self._mesh)
            for mirror in mirrors:
                tasks.create_task(mirror.run(self._kubernetes))
            tasks.create_task(self._kubelet.run())
            for each in (*self._using, *self._workloads_of):  # how a Service is served depends on all of them
                await each.synced.wait()
            tasks.create_task(self._queue.run(self._reconcile, name="nodes"))

    def injected(self, pod: JsonObject) -> JsonObject:
        """A new Pod's manifest, with the marks of a gateway's Envoy if it is a gateway's."""
        return self._gateway_pods.injected(pod)

    @property
    def current(self) -> bool:
        """Whether `table` has all changes that the watches delivered, except what is tried again later."""
        return self._queue.idle and self._kubelet.idle and not self._scheduled

    @property
    def exposed(self) -> Mapping[Address, Address]:
        """The ports of gateways' Services at their addresses, with the gateways' real addresses."""
        found: dict[Address, Address] = {}
        for key, at in self._addresses.items():
            service = self._services.objects.get(key)
            for port in service.spec.ports if service else ():
                if service and (behind := self.table.cluster_addresses.get((service.spec.cluster_ip, port.port))):
                    found[at, port.port] = behind[0]
        return found

    def on_change(self, listener: Callable[[], None]) -> None:
        """Calls `listener` after each change of the port table."""
        self._listeners.append(listener)

    # --- observe -------------------------------------------------------------------------------------------------

    def _service_changed(self, earlier: core.Service | None, current: core.Service | None) -> None:
        key = _key(current or earlier)
        self._applications.service_changed(earlier, current)
        before = self._candidates.pop(key, None)
        if current is not None and is_candidate(current, self._gateways.objects.values()):
            self._candidates[key] = current
        if before is not self._candidates.get(key):
            self._find_workloads()
        self._table_changed(key)
        self._queue.add(key)

    def _gateway_changed(self, _before: istio.Gateway | None, _after: istio.Gateway | None) -> None:
        gateways = self._gateways.objects.values()
        self._candidates = {
            key: service for key, service in self._services.objects.items() if is_candidate(service, gateways)
        }
        self._find_workloads()

    def _user_changed(self, before: User | None, after: User | None) -> None:
        changed = self._users.change(before, after)
        for service in self._services.objects if ANY in changed else changed:
            self._queue.add(service)

    def _mesh_changed(self, before: Resource | None, after: Resource | None) -> None:
        """What decides whether Pods take plain text. Labels of namespaces and policies rarely change."""
        if self._mesh[0].objects or isinstance(before or after, istio.PeerAuthentication):
            for key in self._services.objects:
                self._table_changed(key)

    def _workload_changed(self, before: workloads.Workload | None, after: workloads.Workload | None) -> None:
        self._applications.workload_changed(before, after)
        if self._mesh[0].objects:
            for key in self._services.objects:
                self._table_changed(key)

    def _slice_changed(self, before: core.EndpointSlice | None, current: core.EndpointSlice | None) -> None:
        slice_ = current or before
        assert slice_ is not None
        name = slice_.metadata.labels.get("kubernetes.io/service-name")
        if not name:
            return
        key = (slice_.namespace, name)
        slices = self._slices_of.setdefault(key, {})
        if current is not None:
            slices[slice_.name] = current
        else:
            slices.pop(slice_.name, None)
            if not slices:
                del self._slices_of[key]
        self._table_changed(key)
        if slice_.metadata.labels.get(MANAGED_BY) != MANAGER:
            self._queue.add(key)

    def _find_workloads(self) -> None:
        candidates = self._candidates.values()
        before, found = self._gateway_pods.workloads, gateway_workloads(candidates, self._gateways.objects.values())
        self._gateway_pods.workloads = found
        if found != before:
            for key in (*self._services.objects, _PODS):
                self._queue.add(key)

    def _table_changed(self, key: ServiceKey) -> None:
        """Changes come in bursts: those within one loop iteration, or during the pause, are joined together."""
        self._changed.add(key)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_later(_REST * self._took, self._join_tables)

    def _join_tables(self) -> None:
        began = time.monotonic()
        self._scheduled = False
        changed, self._changed = self._changed, set()
        rules = self._plain_text_rules()
        differs = False
        for key in changed:
            service = self._services.objects.get(key)
            if service is None:
                differs |= self._tables.pop(key, None) is not None
            else:
                refused = [port.port for port in service.spec.ports if self._refuses(rules, service, port)]
                table = PortTable.of_service(
                    service, self._slices_of.get(key, {}).values(), refused, self._resets, self._proxies
                )
                differs |= self._tables.get(key) != table
                self._tables[key] = table
        if differs:
            machine = (self._machine.instance_id, self._machine.private_ip)
            self.table = PortTable.joined(machine, self._tables.values())
            for listener in self._listeners:
                listener()
        self._took = time.monotonic() - began

    def _plain_text_rules(self) -> PlainTextRules:
        policies, namespaces, operators = self._mesh
        if not policies.objects:
            return PlainTextRules((), {}, (), "")
        return PlainTextRules(
            list(policies.objects.values()),
            {each.name: each for each in namespaces.objects.values()},
            [each for mirror in self._workloads_of for each in mirror.objects.values()],
            mesh_of(operators.objects.values()).root_namespace,
        )

    def _refuses(self, rules: PlainTextRules, service: core.Service, port: core.ServicePort) -> bool:
        if not rules.policies or any(each.serves(service) for each in self._gateway_pods.workloads):
            return False
        return rules.refusing(service, port) is not None

    # --- act -----------------------------------------------------------------------------------------------------

    async def _register(self) -> None:
        machine = self._machine
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        await self._kubernetes.apply(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {
                    "name": machine.node,
                    "labels": {
                        "kubernetes.io/hostname": machine.node,
                        "topology.kubernetes.io/zone": machine.zone,
                        "topology.kubernetes.io/region": machine.region,
                    },
                },
                "spec": {"providerID": f"aws:///{machine.zone}/{machine.instance_id}"},
            },
            manager=_FIELD_MANAGER,
        )
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "this machine is the node",
            "lastTransitionTime": now,
            "lastHeartbeatTime": now,
        }
        addresses = [
            {"type": "InternalIP", "address": machine.private_ip},
            {"type": "Hostname", "address": machine.node},
        ]
        info = {"kubeletVersion": f"lockgate-{__version__}", "operatingSystem": platform.system().lower()}
        info["architecture"] = platform.machine()
        status = {"conditions": [ready], "addresses": addresses, "nodeInfo": info}
        await self._kubernetes.patch_status(core.Node, machine.node, "", status)

    async def _reconcile(self, key: ServiceKey) -> None:
        if key == _PODS:
            await self._gateway_pods.tidy()
            return
        service = self._services.objects.get(key)
        if service is None:  # it owns its slices and Pods, which are deleted with it
            self._silence(*key)
            return
        workload = next((each for each in self._gateway_pods.workloads if each.serves(service)), None)
        if workload is not None:
            await self._expose(service)
            same = [each for each in self._services.objects.values() if workload.serves(each)]
            desired = await self._gateway_pods.slices(service, workload, same)
        else:
            desired = await self._of_application(service)
        kept = {manifest["metadata"]["name"] for manifest in desired}
        for manifest in desired:
            await self._kubernetes.apply(manifest, manager=_FIELD_MANAGER)
        for name in [slice_.name for slice_ in self._of(service, ours=True) if slice_.name not in kept]:
            await self._delete(core.EndpointSlice, name, service.namespace)

    async def _expose(self, service: core.Service) -> None:
        """Writes the address of a gateway's Service into its status, as a load balancer controller does."""
        key = (service.namespace, service.name)
        before = self._addresses.get(key)
        if is_exposed(service, self._gateway_pods.workloads, {key} if self._users.ingresses(key) else ()):
            self._addresses[key] = before or self._next_address()
            entries: list[JsonObject] | None = [{"ip": self._addresses[key], "ipMode": "Proxy"}]
        elif before is not None:
            del self._addresses[key]
            entries = None
        else:
            return
        status = {"loadBalancer": {"ingress": entries}}
        await self._kubernetes.patch_status(core.Service, service.name, service.namespace, status)

    def _next_address(self) -> str:
        taken = set(self._addresses.values())
        return next(found for found in map(address, count()) if found not in taken)

    async def _of_application(self, service: core.Service) -> list[JsonObject]:
        if service.spec.type == "ExternalName" or self._of(service, ours=False):
            return []
        return await self._applications.slices(service, tls_ports(service, self._users.of(service)))

    def _of(self, service: core.Service, *, ours: bool) -> list[core.EndpointSlice]:
        slices = self._slices_of.get((service.namespace, service.name), {}).values()
        return [each for each in slices if (each.metadata.labels.get(MANAGED_BY) == MANAGER) is ours]

    async def _delete(self, kind: type[Resource], name: str, namespace: str) -> None:
        try:
            await self._kubernetes.delete(kind, name, namespace)
        except NotFound:
            return


def _key(resource: Resource | None) -> ServiceKey:
    assert resource is not None  # a change has an object before it, after it, or both
    return resource.namespace, resource.name
