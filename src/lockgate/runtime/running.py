"""A running edge: all embedded services and controllers, assembled.

Services that others use listen first, while Envoy starts and the AWS API's slow imports run on a thread. After that
there is no order: each controller watches an API and acts when it can.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Set
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockgate.controllers.aws import preload as preload_aws
from lockgate.controllers.aws_load_balancer import AwsLoadBalancerController
from lockgate.controllers.aws_load_balancer.metrics import ControllerMetrics
from lockgate.controllers.cert_manager import CertManager
from lockgate.controllers.cert_manager import preload as preload_cert_manager
from lockgate.controllers.certificate_manager import CertificateManager
from lockgate.controllers.elastic_load_balancing import ElasticLoadBalancing
from lockgate.controllers.external_dns import ExternalDns
from lockgate.controllers.istiod import Istiod
from lockgate.controllers.keys import create_ahead
from lockgate.controllers.kube_controller_manager import KubeControllerManager
from lockgate.controllers.nodes import Nodes
from lockgate.controllers.nodes.controller import Machine
from lockgate.controllers.reflector import Reflector
from lockgate.dataplane.envoy import find_envoy
from lockgate.edge.empty import CONTROLLERS, emptied
from lockgate.edge.manifests import Manifests
from lockgate.edge.network import ServicePort
from lockgate.edge.options import ISTIOD, Options
from lockgate.edge.plan import Plan, Settle, controller_flags, load_balancers, plan
from lockgate.edge.supply import Supply
from lockgate.edge.without_effect import without_effect
from lockgate.embedded.asgi import Application
from lockgate.gateway.model import Tcp
from lockgate.gateway.telemetry.model import Collector
from lockgate.ingress.manifests import Stacks
from lockgate.loadbalancer.model import Target, TargetType
from lockgate.loadbalancer.network import AnyLoadBalancer
from lockgate.resources import cert_manager as cm
from lockgate.resources import workloads as apps
from lockgate.resources.faults import Fault, Origin, Position
from lockgate.resources.model import ObjectKey, Resource
from lockgate.resources.positions import Positions
from lockgate.runtime.account import Provisioner, instance_id
from lockgate.runtime.envoys import ALB, Envoys
from lockgate.runtime.external_istiod import AGENT_SOCKET, ExternalIstiod
from lockgate.runtime.identities import PodIdentities
from lockgate.runtime.keeping import keep_running, restarted
from lockgate.runtime.labelling import Labelling
from lockgate.runtime.loader import Loaded, Loader
from lockgate.runtime.places import Places
from lockgate.runtime.ports import Ports
from lockgate.runtime.reports.refused import of_stacks, refused
from lockgate.runtime.state import StateFolder
from lockgate.runtime.traffic import Traffic
from lockgate.xds.flows import LOAD_BALANCERS
from lockgate.xds.loadbalancer.names import listener_name
from lockgate.xds.snapshot import Snapshot

if TYPE_CHECKING:
    from lockgate.runtime.spans import Spans

log = logging.getLogger("lockgate.runtime")

_KEYS_AHEAD = 4  # more are created when they are needed
_NODE_ADDRESS = "172.31.0.10"
_NODE = "ip-172-31-0-10"


@dataclass
class Progress:
    """When each step was done, in seconds since the command started: for `status` and the benchmarks."""

    began: float
    marks: list[tuple[str, float]] = field(default_factory=list)

    def mark(self, what: str) -> None:
        self.marks.append((what, round(time.monotonic() - self.began, 3)))


class RunningEdge:
    """One edge, from its manifests to its two Envoys. `run` starts it and runs it until cancelled."""

    def __init__(
        self, options: Options, folder: StateFolder, progress: Progress, console: Application | None = None
    ) -> None:
        self.options = options
        self.folder = folder
        self.progress = progress
        self.faults: tuple[Fault, ...] = ()
        self.interruption: Fault | None = None  # while the files are incomplete
        self.refused: Mapping[ObjectKey, Fault] = {}
        self.supply: Supply | None = None
        self.planned: Plan | None = None
        self.stacks: Stacks | None = None
        self.manifests: Manifests | None = None
        self._positions = Positions(())
        self._ports = Ports(options.name)
        self._flags_changed = asyncio.Event()
        self._solver_secret = secrets.token_urlsafe(30)
        self.vpc_id = ""
        self.controller_metrics = ControllerMetrics()
        self._console = console
        self.external_istiod: ExternalIstiod | None = None

    async def run(self, manifests: Manifests, started: Callable[[], Awaitable[None]]) -> None:
        """`started` runs once everything listens; `report` decides when it is ready.

        Raises `PortInUse`, `EnvoyNotFound`, OSError.
        """
        self.binary = find_envoy()
        _import_shared()
        self.planned = plan(manifests, self.options, secret_access_key=self._solver_secret)
        planned = self.planned.supply
        create_ahead(min(_keys_wanted(self.planned), _KEYS_AHEAD))
        async with AsyncExitStack() as until, asyncio.TaskGroup() as actors:
            self.places = Places(self, until)
            await self.places.start(planned.place, self._console)
            self.loader = Loader(self.places.store)
            self.provisioner = Provisioner(self.places.aws_api, self.places.aws, self.places.trust.root.root_pem)
            self.progress.mark("apis")
            self._actors = actors
            self.external_istiod = await self._external_istiod()
            self.envoys = Envoys(self.binary, self.folder.run, actors, self.external_istiod)
            self.envoys.start(ALB)
            actors.create_task(asyncio.to_thread(preload_cert_manager))
            await self.load(manifests)
            self._start_actors(await self._machine(planned.place.region))
            await started()

    async def load(
        self, manifests: Manifests, *, settle: Settle | None = None, saved: Set[str] = frozenset()
    ) -> Loaded:
        """Make the edge that of what `settle` makes of these manifests.

        An object that somebody deleted is created again when its file is among the `saved`.
        """
        # Pure work that may take seconds runs on a thread, so that the edge stays responsive.
        planned = await asyncio.to_thread(
            plan,
            manifests,
            self.options,
            settle=settle,
            secret_access_key=self._solver_secret,
            earlier=self.planned,
        )
        self.planned = planned
        if self.options.empty:
            planned = emptied(planned, self.options.name)
        missing = await self.provisioner.provide(planned.supply)
        flags = self.places.store.writes.webhooks.settings = controller_flags(planned)
        self.places.store.writes.addresses.preferred_ports = {
            (each.namespace, each.service, each.port): each.number for each in planned.supply.node_ports
        }
        supplied = (*planned.supply.objects, *planned.supply.control_plane, *planned.supply.deployments)
        objects = (*supplied, *self.places.key_pairs.secrets(planned.supply.key_pairs))
        loaded = await self.loader.load(planned.manifests, objects, saved)
        self.supply, self.manifests = planned.supply, planned.manifests
        self._positions = planned.manifests.positions()
        if self.options.empty:
            for namespace, name in CONTROLLERS:
                status = {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1, "updatedReplicas": 1}
                await self.places.store.patch_status(apps.Deployment, name, namespace, status)
        if self.stacks is not None and self.stacks.settings != flags:
            self._flags_changed.set()
        self.stacks = await asyncio.to_thread(load_balancers, planned, self.stacks, instead=loaded.refused)
        documents, foreign = planned.manifests.documents, self.stacks.foreign
        ignored = await asyncio.to_thread(without_effect, documents, planned.objects, foreign, planned.memo)
        read, stacks = planned.manifests.faults, of_stacks(self.stacks, loaded)
        self.faults = (*read, *missing, *stacks, *loaded.faults, *ignored)
        self.refused = refused(read, loaded, self.stacks)
        return loaded

    def locate(self, origin: Origin) -> Position | None:
        """The current position of an origin: holders of this function always find the line to which it has moved."""
        return self._positions(origin)

    @property
    def notes(self) -> tuple[str, ...]:
        """The supplied resources, one sentence each."""
        return self.supply.notes if self.supply else ()

    def about(self) -> dict[str, Any]:
        """Names, addresses and paths, for anyone who queries the edge. It has no secrets."""
        return {
            "name": self.options.name,
            "addresses": {
                "kubernetes": self.places.kubernetes_api.url,
                "aws": self.places.aws_api.url,
                "acme": self.places.acme.directory_url,
                "dns": f"{self.places.dns.host}:{self.places.dns.port}",
                "proxy": self.places.proxy.url,
                "metrics": f"http://{self.places.metrics.host}:{self.places.metrics.port}/metrics",
                "prometheus": f"http://{self.places.metrics.host}:{self.places.metrics.port}",
                "console": self.places.console_url.partition("?")[0],
            },
            "files": {
                "kubeconfig": str(self.folder.kubeconfig),
                "kube_cache": str(self.folder.path / "kube-cache"),
                "ca_bundle": str(self.folder.ca_bundle),
                "log": str(self.folder.log),
                "access_logs": str(self.folder.path / "access-logs"),
            },
            "aws": {
                "account": self.places.aws_api.account,
                "region": self.places.aws_api.region,
                "access_key_id": self.places.access_key[0],
                "vpc": self.vpc_id,
            },
            "cluster": self.stacks.settings.cluster_name if self.stacks else "",
            **({"istiod": self.external_istiod.about()} if self.external_istiod else {}),
        }

    def about_with_key(self) -> dict[str, Any]:
        """The same with the dummy AWS key and the console's token, for the file that only the owner may read."""
        about = self.about()
        return {
            **about,
            "console_token": self.places.console_token,
            "aws": {**about["aws"], "secret_access_key": self.places.access_key[1]},
        }

    def closing(self, close: Callable[[], Awaitable[None]]) -> None:
        """Calls `close` when the edge stops."""
        self.places.until.push_async_callback(close)

    # --- start ---------------------------------------------------------------------------------------------------

    async def _external_istiod(self) -> ExternalIstiod | None:
        how = self.options.controllers.get(ISTIOD)
        if not how:
            return None
        system_ca = str(self.folder.ca_bundle)
        istiod = ExternalIstiod(
            self.places.store,
            how,
            free_port=self._ports.free,
            system_ca=system_ca,
            watched=self.watched_file,
            annotations=lambda pod: self.istiod.annotations(pod),
        )
        await istiod.agent.start(self.folder.run / AGENT_SOCKET)
        self.closing(istiod.agent.stop)
        return istiod

    async def _machine(self, region: str) -> Machine:
        self.vpc_id, _, zones = await self.places.aws_api.default_vpc()
        machine = Machine(
            node=f"{_NODE}.{region}.compute.internal",
            instance_id=instance_id(self.options.name),
            zone=zones[0],
            region=region,
            private_ip=_NODE_ADDRESS,
        )
        await self.places.aws_api.create_instance(machine.instance_id, machine.private_ip, machine.zone)
        self.progress.mark("aws")
        return machine

    def _start_actors(self, machine: Machine) -> None:
        kubernetes, aws, dns_server = self.places.store, self.places.aws, (self.places.dns.host, self.places.dns.port)
        self.nodes = Nodes(
            kubernetes,
            machine=machine,
            echo=lambda namespace, service, port, names, workload, datagrams: self.places.echo.listen(
                ServicePort(namespace, service, port), names, workload, datagrams=datagrams
            ),
            silence=self.places.echo.close,
            backends=self.options.backends,
            free_port=self._ports.free,
        )
        trust = ssl.create_default_context(cafile=str(self.folder.ca_bundle))
        self.load_balancing = ElasticLoadBalancing(
            aws,
            platform=self.places.aws_api,
            resolve=self._targets,
            publish=lambda snapshot: self.places.ads.publish("alb", snapshot),
            free_port=self._listener_port,
            release_port=self._ports.release,
            serve=self.places.serve,
            trust=trust,
            proxy_to=self.places.proxy_to,
            logs=self._access_logs(),
            spans=str(self._span_records) if self.options.collector else "",
            functions=self.options.functions,
            waf=self.folder.run / "waf.sock",
        )
        self.nodes.on_change(self.load_balancing.targets_changed)
        self.istiod = Istiod(
            kubernetes,
            publish=self._publish_gateway,
            modules_folder=self.folder.run / "modules",
            watched=self.watched_file,
            collector=self.options.collector,
            locate=self.locate,
            system_ca=str(self.folder.ca_bundle),
            trust=trust,
            proxy_to=self.places.proxy_to,
        )
        self._labelling = Labelling(self.istiod, kubernetes)
        self.traffic = Traffic(self.envoys, self._labelling, self._has_connections)
        self.identities = PodIdentities(self.places.aws_api, self.places.aws, kubernetes, self.options.name)
        self.cert_manager = CertManager(
            kubernetes,
            route53=self.places.route53,
            ambient=self.identities.of_cert_manager,
            directory=self.places.acme_endpoint,
            dns_server=dns_server,
            cluster_resource_namespace=self.supply.cluster_resource_namespace if self.supply else "cert-manager",
        )
        self.workloads = KubeControllerManager(
            kubernetes, node=machine.node, inject=self.nodes.injected, identify=self.identities.injected
        )
        actors: dict[str, Callable[[], Awaitable[None]]] = {
            "nodes": self.nodes.run,
            "kube-controller-manager": self.workloads.run,
            "elastic-load-balancing": self.load_balancing.run,
            "istiod": self.istiod.run,
            "cert-manager": self.cert_manager.run,
            "certificate-manager": CertificateManager(
                self.places.aws_api, authority=self.places.trust.acm, dns_server=dns_server
            ).run,
            "aws-load-balancer-controller": lambda: restarted(self._load_balancer_controller, self._flags_changed),
            "reflector": Reflector(kubernetes).run,
            "pods": lambda: self.envoys.follow(self.places.store),
            "traffic": self.traffic.run,
            "kubernetes": self.places.store.run,
        }
        if not self.options.empty:
            actors["external-dns"] = ExternalDns(kubernetes, aws).run
        for name in self.options.controllers.keys() - {ISTIOD}:  # which predicts here what the user's will decide
            actors.pop(name, None)
        if self.options.collector is not None:
            actors["spans"] = self._spans(self.options.collector).run
        for name, run in actors.items():
            self._actors.create_task(keep_running(name, run), name=name)

    async def _load_balancer_controller(self) -> None:
        """Runs with the flags in the manifests."""
        assert self.stacks is not None
        flags = self.stacks.settings
        actor = AwsLoadBalancerController(
            self.places.store,
            self.places.aws,
            cluster_name=flags.cluster_name,
            vpc_id=self.vpc_id,
            settings=flags,
            metrics=self.controller_metrics,
        )
        await actor.run()

    async def show_load_balancers(self) -> None:
        """Adds load balancers to Istio's metrics, for `lockgate kiali --with-alb`."""
        serving = self.load_balancing
        balancers: tuple[AnyLoadBalancer, ...] = (*serving.load_balancers, *serving.network_load_balancers)
        names = [listener_name(each, listener.port) for each in balancers for listener in each.listeners]
        await self._labelling.show_load_balancers(names)
        await self.envoys[ALB].set_runtime(LOAD_BALANCERS, 100)

    def _has_connections(self, node: str) -> bool:
        """Whether an Envoy forwards connections, and not only requests."""
        if node == "alb":
            return bool(self.load_balancing.network_load_balancers)
        proxy = self.istiod.proxies.get(node)
        listeners = proxy.gateway.listeners if proxy and proxy.gateway else ()
        return any(isinstance(chain.filter, Tcp) for each in listeners for chain in each.filter_chains)

    # --- dependencies of controllers -----------------------------------------------------------------------------

    def _access_logs(self) -> Path:
        folder = self.folder.path / "access-logs"
        folder.mkdir(exist_ok=True)  # Envoy creates files there, but no folders
        return folder

    @property
    def _span_records(self) -> Path:
        return self._access_logs() / "spans-alb.jsonl"

    def _spans(self, collector: Collector) -> Spans:
        from lockgate.runtime.spans import Spans

        return Spans(
            collector,
            self._span_records,
            load_balancers=lambda: self.load_balancing.load_balancers,
            stacks=lambda: self.stacks,
            locate=self.locate,
        )

    def watched_file(self, node: str) -> str:
        """An Envoy's log of requests while somebody watches (`xds.watched`)."""
        return str(self._access_logs() / f"watched-{node}.jsonl")

    def _publish_gateway(self, node: str, snapshot: Snapshot) -> None:
        """What Envoy gets from istiod here; from the user's, only where its listeners are is decided here."""
        if self.external_istiod is None:
            self.places.ads.publish(node, snapshot)
        elif proxy := self.istiod.proxies.get(node):
            self.external_istiod.move(node, proxy.binds)

    def _targets(self, target: Target, target_type: TargetType, vpc_id: str) -> tuple[tuple[str, int], ...]:
        del vpc_id  # there is only one
        return self.nodes.table.resolve(target, target_type)

    def _listener_port(self, address: str, port: int) -> int:
        return self.options.ports.get(str(port)) or self._ports.free(address, port, f"listener {address}:{port}")

    def load_balancer_addresses(self, dns_name: str) -> list[str]:
        """What an alias record of a load balancer answers with."""
        name = dns_name.rstrip(".").lower().removeprefix("dualstack.")
        address = self.addresses.get(name)
        return [address] if address else []

    @property
    def local_ports(self) -> Mapping[tuple[str, int], int]:
        """The real address of each listener, by (load balancer's DNS name, listener port)."""
        return {(name.lower(), port): local for (name, port), local in self.load_balancing.ports.items()}

    @property
    def addresses(self) -> Mapping[str, str]:
        """The loopback address of each load balancer, by DNS name."""
        return {name.lower(): address for name, address in self.load_balancing.addresses.items()}

    @property
    def proxied_ports(self) -> Mapping[tuple[str, int], tuple[str, int]]:
        """Where connections to an address and port really go: a client knows the address once it has asked DNS."""
        addresses = self.addresses
        listeners = {
            (addresses[name], port): (addresses[name], local) for (name, port), local in self.local_ports.items()
        }
        return {**listeners, **self.nodes.exposed}


def _keys_wanted(planned: Plan) -> int:
    """Private keys that ACM and cert-manager need: one for each certificate, and one for each issuer's account."""
    kinds: tuple[type[Resource], ...] = (cm.Certificate, cm.Issuer, cm.ClusterIssuer)
    return len(planned.supply.certificates) + sum(len(planned.objects.all(kind)) for kind in kinds)


def _import_shared() -> None:
    """Imports packages that moto's thread and cert-manager's both import. Concurrent imports could see them half
    initialized, because their modules import each other."""
    import requests  # noqa: F401

    preload_aws()
