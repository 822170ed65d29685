"""The control loop: watches, waits for a burst to end, builds each gateway, and publishes changes."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lockgate.controllers.cache import Cache
from lockgate.controllers.istiod.fetching import Network, ProxyTo
from lockgate.controllers.istiod.installer import Installer
from lockgate.controllers.istiod.keys import keys
from lockgate.controllers.istiod.modules import modules
from lockgate.controllers.istiod.workloads import Proxy, sources
from lockgate.controllers.kubernetes import Kubernetes
from lockgate.edge.objects import Objects
from lockgate.edge.workloads import NODE_ID, PROXY_LABEL
from lockgate.gateway.analysis import analyse
from lockgate.gateway.clusters import SYSTEM_CA
from lockgate.gateway.mesh import Mesh
from lockgate.gateway.policies.attach import attached
from lockgate.gateway.policies.build import key_places
from lockgate.gateway.policies.keys import KeyPlace
from lockgate.gateway.telemetry.model import Collector
from lockgate.gateway.wasm import ModulePlace, places
from lockgate.gateway.workload import Workload
from lockgate.resources import core, istio
from lockgate.resources.diagnostics import diagnose
from lockgate.resources.faults import Fault, Locate, Severity
from lockgate.resources.memo import Memo
from lockgate.resources.model import Resource
from lockgate.xds.snapshot import EMPTY, Snapshot

if TYPE_CHECKING:
    from lockgate.xds.gateway import AccessLog

log = logging.getLogger("lockgate.istiod")

_WATCHED: tuple[type[Resource], ...] = (
    istio.IstioOperator,
    istio.Gateway,
    istio.VirtualService,
    istio.DestinationRule,
    istio.ServiceEntry,
    istio.WorkloadEntry,
    istio.ProxyConfig,
    istio.EnvoyFilter,
    istio.Telemetry,
    istio.WasmPlugin,
    istio.AuthorizationPolicy,
    istio.RequestAuthentication,
    core.Service,
    core.EndpointSlice,
    core.Secret,
    core.Pod,
    core.Node,
    core.Namespace,
)
_LONGEST_REST = 2.0  # s
_LEVELS = {Severity.ERROR: logging.ERROR, Severity.WARNING: logging.WARNING, Severity.INFO: logging.INFO}


class Istiod:
    """`publish` is called with an Envoy's node ID and its desired configuration, when that changes.

    `watched` returns the file of an Envoy's log for those who watch the edge (`xds.watched`), by its node ID.
    `collector` gets spans of all requests. `locate` resolves the lines of faults for the log. `system_ca` is the file
    of the CAs that gateways trust by default. `trust` and `proxy_to` are for fetching the keys of JWTs and the modules
    of WasmPlugins, which are kept in `modules_folder`: see `Network`.

    Gateway workloads are Pods with the label ``lockgate.dev/proxy: istio``; the annotation ``lockgate.dev/node-id`` has
    their Envoy's node ID. Changes within `settle` seconds are built together.
    """

    def __init__(
        self,
        kubernetes: Kubernetes,
        *,
        publish: Callable[[str, Snapshot], None],
        modules_folder: Path,
        access_log: AccessLog | None = None,
        watched: Callable[[str], str] = lambda node: "",
        collector: Collector | None = None,
        locate: Locate = lambda origin: None,
        system_ca: str = SYSTEM_CA,
        trust: ssl.SSLContext | None = None,
        proxy_to: ProxyTo | None = None,
        settle: float = 0.02,
    ) -> None:
        self._kubernetes = kubernetes
        self._publish = publish
        self._access_log = access_log
        self._watched = watched
        self._collector = collector
        self._locate = locate
        self._settle = settle
        self._system_ca = system_ca
        self._cache = Cache(_WATCHED, self._note)
        self._installer = Installer(kubernetes, self._cache)
        self._proxies: dict[str, Proxy] = {}
        self._memo = Memo()
        self._wake = asyncio.Event()
        network = Network(self._cache.now, trust, proxy_to)
        self._keys = keys(self._wake.set, network)
        self._modules = modules(self._wake.set, network, modules_folder)
        self._named = False
        self._built = asyncio.Event()
        self._built.set()
        self.faults: tuple[Fault, ...] = ()

    async def run(self) -> None:
        """Runs until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._cache.run(self._kubernetes))
            tasks.create_task(self._installer.run())
            tasks.create_task(self._build(tasks))

    @property
    def proxies(self) -> dict[str, Proxy]:
        """The gateways by node ID, for status and trace: `Proxy.gateway` is the value that is served."""
        return dict(self._proxies)

    @property
    def objects(self) -> Objects:
        """All objects that it watches, as they are now."""
        return self._cache.now()

    @property
    def mesh(self) -> Mesh:
        return self._installer.mesh

    def annotations(self, pod: core.Pod) -> dict[str, str]:
        """A gateway Pod's, with those of the IstioOperator that installs it."""
        installed = self._installer.installed(pod)
        return {**(installed.pod_annotations if installed else {}), **pod.metadata.annotations}

    @property
    def current(self) -> bool:
        """Whether all known changes are built, and `faults` includes theirs."""
        return self._built.is_set() and not self._wake.is_set()

    async def name_routes(self) -> None:
        """From now on, each route names its VirtualService, for whoever reads Envoy's configuration. With 30,000
        routes, that is a third of Envoy's work for each change, and 50 MiB. Returns when they are published."""
        if not self._named:
            self._named = True
            self._wake.set()
        while not self.current:
            self._built.clear()
            await self._built.wait()

    def _note(self, kind: type[Resource]) -> None:
        if kind is istio.IstioOperator:
            self._installer.wake()
        self._wake.set()

    async def _build(self, tasks: asyncio.TaskGroup) -> None:
        """A long build is followed by as long a rest: of a long burst of changes, not each is worth one."""
        rested = 0.0
        while True:
            await self._wake.wait()
            await asyncio.sleep(max(self._settle, rested - time.monotonic()))
            self._built.clear()
            self._wake.clear()
            began = time.monotonic()
            await self._build_all(tasks)
            self._built.set()
            rested = time.monotonic() + min(time.monotonic() - began, _LONGEST_REST)

    async def _build_all(self, tasks: asyncio.TaskGroup) -> None:
        """On a thread, so that the edge keeps serving: ten thousand routes take half a second."""
        objects, mesh = self._cache.now(), self._installer.mesh
        nodes: dict[str, core.Pod] = {}
        for pod in objects.all(core.Pod):
            node = pod.metadata.annotations.get(NODE_ID, "")
            if node and pod.metadata.labels.get(PROXY_LABEL) == "istio" and not pod.metadata.deletion_timestamp:
                nodes[node] = pod
        for node in self._proxies.keys() - nodes.keys():
            del self._proxies[node]
            self._publish(node, EMPTY)
        fetched = (self._keys.found, self._modules.found)
        for node, pod in nodes.items():
            proxy = self._proxies.setdefault(node, self._proxy(node))
            installed = self._installer.installed(pod)
            try:
                changed = await asyncio.to_thread(proxy.build, objects, pod, installed, mesh, fetched, self._named)
            except Exception:  # the last good configuration stays served
                log.exception("cannot build the configuration of %s", node)
                continue
            if changed:
                self._publish(node, proxy.snapshot)
        proxies = list(self._proxies.values())
        workloads = [proxy.workload for proxy in proxies if proxy.workload]
        self._keys.want(_key_places(objects, workloads, mesh), tasks)
        self._modules.want(_module_places(objects, workloads, mesh), tasks)
        analysed = await asyncio.to_thread(_analysed, objects, workloads, mesh, self._memo)
        self._report(tuple(dict.fromkeys((*(fault for proxy in proxies for fault in proxy.faults), *analysed))))

    def _proxy(self, node: str) -> Proxy:
        return Proxy(self._access_log, self._system_ca, self._watched(node), self._collector)

    def _report(self, faults: tuple[Fault, ...]) -> None:
        before, now = frozenset(self.faults), frozenset(faults)
        for fault in self.faults:
            if fault not in now:
                log.info("resolved: %s", fault.message)
        self.faults = faults
        for fault in faults:
            if fault not in before:
                log.log(_LEVELS[fault.severity], "%s", diagnose(fault, self._locate))


def _key_places(objects: Objects, workloads: list[Workload], mesh: Mesh) -> Iterator[KeyPlace]:
    policies = objects.all(istio.RequestAuthentication)
    for workload in workloads if policies else ():
        yield from key_places(attached(policies, workload, mesh.root_namespace))


def _module_places(objects: Objects, workloads: list[Workload], mesh: Mesh) -> Iterator[ModulePlace]:
    plugins = objects.all(istio.WasmPlugin)
    for workload in workloads if plugins else ():
        yield from places(attached(plugins, workload, mesh.root_namespace))


def _analysed(objects: Objects, workloads: list[Workload], mesh: Mesh, memo: Memo) -> tuple[Fault, ...]:
    memo.turn()
    return tuple(analyse(sources(objects), workloads, mesh=mesh, memo=memo))
