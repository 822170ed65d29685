"""What an edge listens with: the APIs, the DNS server, the CA, the proxy, the pages."""

from __future__ import annotations

import logging
import secrets
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lockgate.controllers.aws import Aws
from lockgate.controllers.cert_manager import AcmeEndpoint, Route53Access
from lockgate.dataplane.ads import AdsServer
from lockgate.dataplane.desired import Rejection
from lockgate.dataplane.refusals import EnvoyTrial
from lockgate.edge.location import Place
from lockgate.edge.options import ISTIOD
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
from lockgate.runtime.external import CERT_MANAGER, LOAD_BALANCER_CONTROLLER, LOAD_BALANCER_WEBHOOKS, at_directory
from lockgate.runtime.key_pairs import KeyPairs
from lockgate.runtime.metrics import Metrics
from lockgate.runtime.pods import Pods
from lockgate.runtime.state import write_private
from lockgate.runtime.trust import Trust

if TYPE_CHECKING:
    from lockgate.runtime.running import RunningEdge

log = logging.getLogger("lockgate.runtime")

Certificate = tuple[Path, Path]  # files with the chain and its key

LETS_ENCRYPT = frozenset(
    {
        "https://acme-v02.api.letsencrypt.org/directory",
        "https://acme-staging-v02.api.letsencrypt.org/directory",
    }
)


class Places:
    """The servers of an edge, which stop with `until`."""

    def __init__(self, edge: RunningEdge, until: AsyncExitStack) -> None:
        options = edge.options
        self.until = until
        self._edge = edge
        self._folder = edge.folder
        self._faults = tuple(map(rule, options.failures))
        self._own_hosts: dict[tuple[str, int], int] = {}
        self.access_key = ("AKIA" + secrets.token_hex(8).upper(), secrets.token_urlsafe(30))
        self.console_token = secrets.token_urlsafe(12)
        self.console_url = ""
        self.trust = Trust.make(options.name)
        self.key_pairs = KeyPairs(self.trust)

    async def start(self, place: Place, console: Application | None) -> None:
        """Raises `PortInUse`, OSError."""
        self.trust.write_bundle(self._folder.ca_bundle)
        certificate = self.trust.server_certificate(self._folder.run, "apis")
        tokens = ServiceAccountTokens(issuer_of(place.region))
        await self._start_aws_api(place, tokens)
        self.ads = AdsServer(_rejected, EnvoyTrial(self._edge.binary))
        await self.ads.start(self._folder.run / "ads.sock")
        self.until.push_async_callback(self.ads.stop)
        await self._start_kubernetes_api(place, tokens, certificate)
        await self._start_dns_and_authority(certificate)
        await self._start_the_rest(console)

    async def _start_aws_api(self, place: Place, tokens: ServiceAccountTokens) -> None:
        edge, (key_id, key) = self._edge, self.access_key
        self.aws_api = AwsApi(
            place.account,
            place.region,
            access_key_id=key_id,
            secret_access_key=key,
            tokens=tokens,
            is_endpoint=lambda address, port: (address, port) in edge.nodes.table.endpoints,
            quotas=edge.options.quotas,
            faults=Faults(self._faults, edge.options.latency),
        )
        await self.aws_api.start(edge.options.ports.get("aws", 0))
        self.until.push_async_callback(self.aws_api.stop)
        self.aws = self.client(key_id, key)
        self.until.callback(self.aws.close)

    async def _start_kubernetes_api(self, place: Place, tokens: ServiceAccountTokens, certificate: Certificate) -> None:
        edge, options, root = self._edge, self._edge.options, self.trust.root.root_pem
        self.store = Store(tokens=tokens)
        self.store.writes.webhooks.enabled = LOAD_BALANCER_CONTROLLER not in options.controllers
        token = secrets.token_urlsafe(32)
        self.kubernetes_api = KubernetesApi(
            self.store,
            token=token,
            faults=Faults(self._faults, options.latency),
            pods=Pods(edge),
            external=options.controllers,
        )
        await self.kubernetes_api.start(options.ports.get("kubernetes", 0), certificate=certificate)
        self.until.push_async_callback(self.kubernetes_api.stop)
        url = self.kubernetes_api.url
        self.aws_api.cluster = Cluster(options.name, url, root, tokens.issuer)
        arn = f"arn:aws:eks:{place.region}:{place.account}:cluster/{options.name}"
        config = kubeconfig(url, root, token, name=arn if options.empty else "lockgate")
        write_private(self._folder.kubeconfig, config)

    async def _start_dns_and_authority(self, certificate: Certificate) -> None:
        edge, ports = self._edge, self._edge.options.ports
        self.dns = DnsServer(self.aws_api.hosted_zones, edge.load_balancer_addresses, self.aws_api.changes)
        await self.dns.start("127.0.0.1", ports.get("dns", 0))
        self.until.push_async_callback(self.dns.stop)
        self.acme = AcmeServer(self.trust.acme, dns_server=(self.dns.host, self.dns.port))
        await self.acme.start(ports.get("acme", 0), certificate=certificate)
        self.until.push_async_callback(self.acme.stop)
        external = edge.options.controllers
        for url in LETS_ENCRYPT if CERT_MANAGER in external else ():
            await self.serve(at_directory(self.acme), urlsplit(url).hostname or "")
        if LOAD_BALANCER_CONTROLLER in external:
            self._folder.webhook_certificates.mkdir(mode=0o700, exist_ok=True)
            self.trust.server_certificate(self._folder.webhook_certificates, "tls", LOAD_BALANCER_WEBHOOKS)

    async def _start_the_rest(self, console: Application | None) -> None:
        edge, ports = self._edge, self._edge.options.ports
        self.echo = Echo(self.trust.key_pair, apart=ISTIOD in edge.options.controllers)
        self.until.push_async_callback(self.echo.stop)
        self.proxy = ForwardProxy(
            self.resolve, lambda: edge.proxied_ports, own=self._own_hosts, open_to_all=edge.options.open_proxy
        )
        await self.proxy.start(port=ports.get("proxy", 0))
        self.until.push_async_callback(self.proxy.stop)
        self.metrics = await serve(Metrics(edge), port=ports.get("metrics", 0))
        self.until.push_async_callback(self.metrics.stop)
        if console is not None:
            page = await serve(console, port=ports.get("console", 0))
            self.until.push_async_callback(page.stop)
            self.console_url = f"http://{page.host}:{page.port}/?token={self.console_token}"

    async def serve(self, application: Application, host: str) -> Server:
        """A server in place of a public host, or without a host for Envoy, who asks for those of load balancers."""
        certificate = self.trust.server_certificate(self._folder.run, host, host) if host else None
        server = await serve(application, certificate=certificate, hosts=(host,) if host else None, websockets=not host)
        self.until.push_async_callback(server.stop)
        if host:
            self._own_hosts[host, 443] = server.port
        return server

    def client(
        self, access_key_id: str, secret_access_key: str, region: str = "", session_token: str | None = None
    ) -> Aws:
        """A client of the AWS API with these credentials."""
        return Aws(
            region=region or self.aws_api.region,
            endpoint=self.aws_api.url,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            session_token=session_token,
            send=self.aws_api.send,
        )

    def route53(self, access: Route53Access) -> Aws:
        """Ambient credentials are the edge's own, as those of a node that may do everything."""
        if access.access_key_id is None or access.secret_access_key is None:
            return self.aws
        return self.client(access.access_key_id, access.secret_access_key, access.region, access.session_token)

    def acme_endpoint(self, url: str) -> AcmeEndpoint:
        """The embedded CA replaces Let's Encrypt, which cannot validate these names. Other servers are used
        directly."""
        if url in LETS_ENCRYPT:
            return AcmeEndpoint(self.acme.directory_url, self._folder.ca_bundle, "Lockgate's embedded CA")
        return AcmeEndpoint(url)

    async def resolve(self, host: str) -> list[str]:
        """A host's addresses, as the edge's own DNS server answers."""
        return await self.dns.addresses_of(host)

    async def proxy_to(self, host: str) -> str | None:
        """Identity providers may be behind the edge: this process reaches them as the edge's clients do."""
        return self.proxy.url if await self.resolve(host) else None


def _rejected(rejection: Rejection) -> None:
    log.error("%s", rejection)
