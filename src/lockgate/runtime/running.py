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
from urllib.parse import urlsplit

from lockgate.controllers.aws import Aws
from lockgate.controllers.aws import preload as preload_aws
from lockgate.controllers.aws_load_balancer import AwsLoadBalancerController
from lockgate.controllers.aws_load_balancer.metrics import ControllerMetrics
from lockgate.controllers.cache import Mirror
from lockgate.controllers.cert_manager import AcmeEndpoint, CertManager, Route53Access
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
from lockgate.dataplane.ads import AdsServer
from lockgate.dataplane.desired import Rejection
from lockgate.dataplane.envoy import DRAIN_SECONDS, Envoy, find_envoy
from lockgate.dataplane.refusals import EnvoyTrial
from lockgate.edge.empty import CONTROLLERS, emptied
from lockgate.edge.manifests import Manifests
from lockgate.edge.network import ServicePort
from lockgate.edge.options import Options
from lockgate.edge.plan import Plan, Settle, controller_flags, load_balancers, plan
from lockgate.edge.supply import Supply
from lockgate.edge.without_effect import without_effect
from lockgate.edge.workloads import NODE_ID, PROXY_LABEL
from lockgate.embedded.acme import AcmeServer
from lockgate.embedded.asgi import Application
from lockgate.embedded.aws import AwsApi
from lockgate.embedded.aws.eks import Cluster
from lockgate.embedded.dns_server import DnsServer
from lockgate.embedded.echo import Echo
from lockgate.embedded.faults import Faults, rule
from lockgate.embedded.http import Server, serve
from lockgate.embedded.kubernetes.api import KubernetesApi
from lockgate.embedded.kubernetes.kubeconfig import kubeconfig
from lockgate.embedded.kubernetes.store import Store
from lockgate.embedded.proxy import ForwardProxy
from lockgate.embedded.service_accounts import ServiceAccountTokens, issuer_of
from lockgate.gateway.model import Tcp
from lockgate.gateway.telemetry.model import Collector
from lockgate.ingress.manifests import Stacks
from lockgate.loadbalancer.model import Target, TargetType
from lockgate.loadbalancer.network import AnyLoadBalancer
from lockgate.resources import cert_manager as cm
from lockgate.resources import core
from lockgate.resources import workloads as apps
from lockgate.resources.faults import Fault, Origin, Position
from lockgate.resources.model import ObjectKey, Resource
from lockgate.resources.positions import Positions
from lockgate.runtime.account import Provisioner, instance_id
from lockgate.runtime.external import CERT_MANAGER, LOAD_BALANCER_CONTROLLER, LOAD_BALANCER_WEBHOOKS, at_directory
from lockgate.runtime.key_pairs import KeyPairs
from lockgate.runtime.labelling import Labelling
from lockgate.runtime.loader import Loaded, Loader
from lockgate.runtime.metrics import Metrics
from lockgate.runtime.pods import Pods
from lockgate.runtime.ports import Ports
from lockgate.runtime.reports.refused import of_stacks, refused
from lockgate.runtime.state import StateFolder, write_private
from lockgate.runtime.traffic import Traffic
from lockgate.runtime.trust import Trust
from lockgate.xds.flows import LOAD_BALANCERS
from lockgate.xds.loadbalancer.names import listener_name

if TYPE_CHECKING:
    from lockgate.runtime.spans import Spans

log = logging.getLogger("lockgate.runtime")

LETS_ENCRYPT = frozenset(
    {
        "https://acme-v02.api.letsencrypt.org/directory",
        "https://acme-staging-v02.api.letsencrypt.org/directory",
    }
)
ISTIO_DRAIN_SECONDS = 45  # `drainDuration` of Istio's ProxyConfig
_KEYS_AHEAD = 4  # more are created when they are needed
_NODE_ADDRESS = "172.31.0.10"
_NODE = "ip-172-31-0-10"
_FIRST_RESTART, _LAST_RESTART = 0.5, 30.0  # seconds, after a controller crashed


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
        self.envoys: dict[str, Envoy] = {}
        self._ports = Ports(options.name)
        self._own_hosts: dict[tuple[str, int], int] = {}
        self._flags_changed = asyncio.Event()
        self._access_key = ("AKIA" + secrets.token_hex(8).upper(), secrets.token_urlsafe(30))
        self._solver_secret = secrets.token_urlsafe(30)
        self.vpc_id = ""
        self.controller_metrics = ControllerMetrics()
        self._console = console
        self.console_token = secrets.token_urlsafe(12)
        self.console_url = ""

    async def run(self, manifests: Manifests, started: Callable[[], Awaitable[None]]) -> None:
        """`started` runs once everything listens; `report` decides when it is ready.

        Raises `PortInUse`, `EnvoyNotFound`, OSError.
        """
        self.binary = find_envoy()
        _import_shared()
        self.planned = plan(manifests, self.options, secret_access_key=self._solver_secret)
        planned = self.planned.supply
        create_ahead(min(_keys_wanted(self.planned), _KEYS_AHEAD))
        async with AsyncExitStack() as places, asyncio.TaskGroup() as actors:
            self._places = places
            await self._start_places(places, planned)
            self._actors = actors
            self._start_envoy("alb")
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
        flags = self.store.writes.webhooks.settings = controller_flags(planned)
        self.store.writes.addresses.preferred_ports = {
            (each.namespace, each.service, each.port): each.number for each in planned.supply.node_ports
        }
        supplied = (*planned.supply.objects, *planned.supply.control_plane, *planned.supply.deployments)
        objects = (*supplied, *self.key_pairs.secrets(planned.supply.key_pairs))
        loaded = await self.loader.load(planned.manifests, objects, saved)
        self.supply, self.manifests = planned.supply, planned.manifests
        self._positions = planned.manifests.positions()
        if self.options.empty:
            for namespace, name in CONTROLLERS:
                status = {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1, "updatedReplicas": 1}
                await self.store.patch_status(apps.Deployment, name, namespace, status)
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
                "kubernetes": self.kubernetes_api.url,
                "aws": self.aws_api.url,
                "acme": self.acme.directory_url,
                "dns": f"{self.dns.host}:{self.dns.port}",
                "proxy": self.proxy.url,
                "metrics": f"http://{self.metrics.host}:{self.metrics.port}/metrics",
                "prometheus": f"http://{self.metrics.host}:{self.metrics.port}",
                "console": self.console_url.partition("?")[0],
            },
            "files": {
                "kubeconfig": str(self.folder.kubeconfig),
                "kube_cache": str(self.folder.path / "kube-cache"),
                "ca_bundle": str(self.folder.ca_bundle),
                "log": str(self.folder.log),
                "access_logs": str(self.folder.path / "access-logs"),
            },
            "aws": {
                "account": self.aws_api.account,
                "region": self.aws_api.region,
                "access_key_id": self._access_key[0],
                "vpc": self.vpc_id,
            },
            "cluster": self.stacks.settings.cluster_name if self.stacks else "",
        }

    def about_with_key(self) -> dict[str, Any]:
        """The same with the dummy AWS key and the console's token, for the file that only the owner may read."""
        about = self.about()
        return {
            **about,
            "console_token": self.console_token,
            "aws": {**about["aws"], "secret_access_key": self._access_key[1]},
        }

    def closing(self, close: Callable[[], Awaitable[None]]) -> None:
        """Calls `close` when the edge stops."""
        self._places.push_async_callback(close)

    # --- start ---------------------------------------------------------------------------------------------------

    async def _start_places(self, places: AsyncExitStack, planned: Supply) -> None:
        run = self.folder.run
        named = self.options.ports
        rules = tuple(map(rule, self.options.failures))
        tokens = ServiceAccountTokens(issuer_of(planned.place.region))
        self.aws_api = AwsApi(
            planned.place.account,
            planned.place.region,
            access_key_id=self._access_key[0],
            secret_access_key=self._access_key[1],
            tokens=tokens,
            is_endpoint=lambda address, port: (address, port) in self.nodes.table.endpoints,
            quotas=self.options.quotas,
            faults=Faults(rules, self.options.latency),
        )
        await self.aws_api.start(named.get("aws", 0))
        places.push_async_callback(self.aws_api.stop)
        self.aws = self._client(*self._access_key)
        places.callback(self.aws.close)

        self.ads = AdsServer(self._rejected, EnvoyTrial(self.binary))
        await self.ads.start(run / "ads.sock")
        places.push_async_callback(self.ads.stop)

        self.trust = Trust.make(self.options.name)
        self.key_pairs = KeyPairs(self.trust)
        self.provisioner = Provisioner(self.aws_api, self.aws, self.trust.root.root_pem)
        self.trust.write_bundle(self.folder.ca_bundle)
        certificate = self.trust.server_certificate(run, "apis")

        self.store = Store(tokens=tokens)
        self.loader = Loader(self.store)
        token = secrets.token_urlsafe(32)
        external = self.options.controllers
        self.store.writes.webhooks.enabled = LOAD_BALANCER_CONTROLLER not in external
        self.kubernetes_api = KubernetesApi(
            self.store,
            token=token,
            faults=Faults(rules, self.options.latency),
            pods=Pods(self),
            external=external,
        )
        await self.kubernetes_api.start(named.get("kubernetes", 0), certificate=certificate)
        places.push_async_callback(self.kubernetes_api.stop)
        place = planned.place
        cluster = f"arn:aws:eks:{place.region}:{place.account}:cluster/{self.options.name}"
        self.aws_api.cluster = Cluster(
            self.options.name, self.kubernetes_api.url, self.trust.root.root_pem, tokens.issuer
        )
        config = kubeconfig(
            self.kubernetes_api.url, self.trust.root.root_pem, token, name=cluster if self.options.empty else "lockgate"
        )
        write_private(self.folder.kubeconfig, config)

        self.dns = DnsServer(self.aws_api.hosted_zones, self._load_balancer_addresses, self.aws_api.changes)
        await self.dns.start("127.0.0.1", named.get("dns", 0))
        places.push_async_callback(self.dns.stop)

        self.acme = AcmeServer(self.trust.acme, dns_server=(self.dns.host, self.dns.port))
        await self.acme.start(named.get("acme", 0), certificate=certificate)
        places.push_async_callback(self.acme.stop)

        for url in LETS_ENCRYPT if CERT_MANAGER in external else ():
            await self._serve(at_directory(self.acme), urlsplit(url).hostname or "")
        if LOAD_BALANCER_CONTROLLER in external:
            self.folder.webhook_certificates.mkdir(mode=0o700, exist_ok=True)
            self.trust.server_certificate(self.folder.webhook_certificates, "tls", LOAD_BALANCER_WEBHOOKS)

        self.echo = Echo(self.trust.key_pair)
        places.push_async_callback(self.echo.stop)
        self.proxy = ForwardProxy(
            self._resolve, lambda: self.proxied_ports, own=self._own_hosts, open_to_all=self.options.open_proxy
        )
        await self.proxy.start(port=named.get("proxy", 0))
        places.push_async_callback(self.proxy.stop)

        self.metrics = await serve(Metrics(self), port=named.get("metrics", 0))
        places.push_async_callback(self.metrics.stop)
        if self._console is not None:
            console = await serve(self._console, port=named.get("console", 0))
            places.push_async_callback(console.stop)
            self.console_url = f"http://{console.host}:{console.port}/?token={self.console_token}"
        self.progress.mark("apis")

    async def _machine(self, region: str) -> Machine:
        self.vpc_id, _, zones = await self.aws_api.default_vpc()
        machine = Machine(
            node=f"{_NODE}.{region}.compute.internal",
            instance_id=instance_id(self.options.name),
            zone=zones[0],
            region=region,
            private_ip=_NODE_ADDRESS,
        )
        await self.aws_api.create_instance(machine.instance_id, machine.private_ip, machine.zone)
        self.progress.mark("aws")
        return machine

    def _start_actors(self, machine: Machine) -> None:
        kubernetes, aws, dns_server = self.store, self.aws, (self.dns.host, self.dns.port)
        self.nodes = Nodes(
            kubernetes,
            machine=machine,
            echo=lambda namespace, service, port, names, workload, datagrams: self.echo.listen(
                ServicePort(namespace, service, port), names, workload, datagrams=datagrams
            ),
            silence=self.echo.close,
            backends=self.options.backends,
            free_port=self._ports.free,
        )
        trust = ssl.create_default_context(cafile=str(self.folder.ca_bundle))
        self.load_balancing = ElasticLoadBalancing(
            aws,
            platform=self.aws_api,
            resolve=self._targets,
            publish=lambda snapshot: self.ads.publish("alb", snapshot),
            free_port=self._listener_port,
            release_port=self._ports.release,
            serve=self._serve,
            trust=trust,
            proxy_to=self._proxy_to,
            logs=self._access_logs(),
            spans=str(self._span_records) if self.options.collector else "",
            functions=self.options.functions,
            waf=self.folder.run / "waf.sock",
        )
        self.nodes.on_change(self.load_balancing.targets_changed)
        self.istiod = Istiod(
            kubernetes,
            publish=self.ads.publish,
            modules_folder=self.folder.run / "modules",
            watched=self.watched_file,
            collector=self.options.collector,
            locate=self.locate,
            system_ca=str(self.folder.ca_bundle),
            trust=trust,
            proxy_to=self._proxy_to,
        )
        self._labelling = Labelling(self.istiod, kubernetes)
        self.traffic = Traffic(self.envoys, self._labelling, self._has_connections)
        self.cert_manager = CertManager(
            kubernetes,
            route53=self._route53,
            directory=self._acme_endpoint,
            dns_server=dns_server,
            cluster_resource_namespace=self.supply.cluster_resource_namespace if self.supply else "cert-manager",
        )
        self.workloads = KubeControllerManager(kubernetes, node=machine.node, inject=self.nodes.injected)
        actors: dict[str, Callable[[], Awaitable[None]]] = {
            "nodes": self.nodes.run,
            "kube-controller-manager": self.workloads.run,
            "elastic-load-balancing": self.load_balancing.run,
            "istiod": self.istiod.run,
            "cert-manager": self.cert_manager.run,
            "certificate-manager": CertificateManager(
                self.aws_api, authority=self.trust.acm, dns_server=dns_server
            ).run,
            "aws-load-balancer-controller": self._run_load_balancer_controller,
            "reflector": Reflector(kubernetes).run,
            "pods": self._run_pods,
            "traffic": self.traffic.run,
            "kubernetes": self.store.run,
        }
        if not self.options.empty:
            actors["external-dns"] = ExternalDns(kubernetes, aws).run
        for name in self.options.controllers:
            actors.pop(name, None)
        if self.options.collector is not None:
            actors["spans"] = self._spans(self.options.collector).run
        for name, run in actors.items():
            self._actors.create_task(_keep_running(name, run), name=name)

    async def _run_load_balancer_controller(self) -> None:
        """Runs with the flags in the manifests. Changed flags restart it, as a Deployment rollout would."""
        assert self.stacks is not None
        while True:
            self._flags_changed.clear()
            flags = self.stacks.settings
            actor = AwsLoadBalancerController(
                self.store,
                self.aws,
                cluster_name=flags.cluster_name,
                vpc_id=self.vpc_id,
                settings=flags,
                metrics=self.controller_metrics,
            )
            running = asyncio.ensure_future(actor.run())
            changed = asyncio.ensure_future(self._flags_changed.wait())
            try:
                await asyncio.wait((running, changed), return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    return running.result()
            finally:
                running.cancel()
                changed.cancel()
                await asyncio.gather(running, changed, return_exceptions=True)

    async def show_load_balancers(self) -> None:
        """Adds load balancers to Istio's metrics, for `lockgate kiali --with-alb`."""
        serving = self.load_balancing
        balancers: tuple[AnyLoadBalancer, ...] = (*serving.load_balancers, *serving.network_load_balancers)
        names = [listener_name(each, listener.port) for each in balancers for listener in each.listeners]
        await self._labelling.show_load_balancers(names)
        await self.envoys["alb"].set_runtime(LOAD_BALANCERS, 100)

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

    async def _serve(self, application: Application, host: str) -> Server:
        certificate = self.trust.server_certificate(self.folder.run, host, host) if host else None
        # Without a host of its own it is Envoy who asks, for the hosts of the load balancer.
        server = await serve(application, certificate=certificate, hosts=(host,) if host else None, websockets=not host)
        self._places.push_async_callback(server.stop)
        if host:
            self._own_hosts[host, 443] = server.port
        return server

    def _client(self, access_key_id: str, secret_access_key: str, region: str = "") -> Aws:
        return Aws(
            region=region or self.aws_api.region,
            endpoint=self.aws_api.url,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            send=self.aws_api.send,
        )

    def _route53(self, access: Route53Access) -> Aws:
        """Ambient and assumed-role credentials are the edge's own, because the account is the same."""
        if access.access_key_id is None or access.secret_access_key is None or access.session_token:
            return self.aws
        return self._client(access.access_key_id, access.secret_access_key, access.region)

    def _acme_endpoint(self, url: str) -> AcmeEndpoint:
        """The embedded CA replaces Let's Encrypt, which cannot validate these names. Other servers are used
        directly."""
        if url in LETS_ENCRYPT:
            return AcmeEndpoint(self.acme.directory_url, self.folder.ca_bundle, "Lockgate's embedded CA")
        return AcmeEndpoint(url)

    def _targets(self, target: Target, target_type: TargetType, vpc_id: str) -> tuple[tuple[str, int], ...]:
        del vpc_id  # there is only one
        return self.nodes.table.resolve(target, target_type)

    def _listener_port(self, address: str, port: int) -> int:
        return self.options.ports.get(str(port)) or self._ports.free(address, port, f"listener {address}:{port}")

    def _load_balancer_addresses(self, dns_name: str) -> list[str]:
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

    async def _resolve(self, host: str) -> list[str]:
        return await self.dns.addresses_of(host)

    async def _proxy_to(self, host: str) -> str | None:
        """Identity providers may be behind the edge: this process reaches them as the edge's clients do."""
        return self.proxy.url if await self._resolve(host) else None

    def _rejected(self, rejection: Rejection) -> None:
        log.error("%s", rejection)

    # --- Envoys --------------------------------------------------------------------------------------------------

    def _start_envoy(self, node_id: str) -> asyncio.Task[None]:
        envoy = Envoy(
            node_id,
            runtime=self.folder.run,
            ads_socket=self.folder.run / "ads.sock",
            binary=self.binary,
            drain_seconds=DRAIN_SECONDS if node_id == "alb" else ISTIO_DRAIN_SECONDS,
        )
        self.envoys[node_id] = envoy
        return self._actors.create_task(envoy.run(), name=f"envoy {node_id}")

    async def _run_pods(self) -> None:
        """Runs an Envoy for each gateway Pod, as kubelet would."""
        running: dict[str, asyncio.Task[None]] = {}

        def changed(_before: core.Pod | None, _after: core.Pod | None) -> None:
            wanted = {
                pod.metadata.annotations.get(NODE_ID, "")
                for pod in pods.objects.values()
                if pod.metadata.labels.get(PROXY_LABEL) == "istio"
            } - {""}
            for node_id in wanted - running.keys():
                running[node_id] = self._start_envoy(node_id)
            for node_id in running.keys() - wanted:
                running.pop(node_id).cancel()
                del self.envoys[node_id]

        pods = Mirror(core.Pod, changed)
        await pods.run(self.store)


def _keys_wanted(planned: Plan) -> int:
    """Private keys that ACM and cert-manager need: one for each certificate, and one for each issuer's account."""
    kinds: tuple[type[Resource], ...] = (cm.Certificate, cm.Issuer, cm.ClusterIssuer)
    return len(planned.supply.certificates) + sum(len(planned.objects.all(kind)) for kind in kinds)


def _import_shared() -> None:
    """Imports packages that moto's thread and cert-manager's both import. Concurrent imports could see them half
    initialized, because their modules import each other."""
    import requests  # noqa: F401

    preload_aws()


async def _keep_running(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """A crash of a controller is a bug in Lockgate: it is logged, and the controller restarts without affecting
    others."""
    delay = _FIRST_RESTART
    while True:
        began = time.monotonic()
        try:
            await run()
        except Exception as error:
            log.exception("%s failed: %s; starting it again", name, error)
        else:
            log.error("%s ended; starting it again", name)
        delay = _FIRST_RESTART if time.monotonic() - began > _LAST_RESTART else min(delay * 2, _LAST_RESTART)
        await asyncio.sleep(delay)
