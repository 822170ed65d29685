"""An istiod that the user runs: where it listens, what it is started with, and what its gateways say of themselves.

Source: istio/istio `pilot/cmd/pilot-discovery`, `pkg/bootstrap/config.go`, and the chart
`manifests/charts/istio-control/istio-discovery`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from lockgate.dataplane.istio_agent import Gateway, IstioAgent, Peer
from lockgate.edge.options import EXTERNAL, GRPCS
from lockgate.edge.service_pods import workload_of
from lockgate.embedded.kubernetes.store import Store
from lockgate.gateway.patches import ISTIO_VERSION
from lockgate.metrics.labels import CLUSTER
from lockgate.resources import core
from lockgate.resources.model import JsonObject, ObjectKey
from lockgate.resources.status import NotFound
from lockgate.xds.istio_proxy import Place

LOCAL: Final = "127.0.0.1"
AGENT_SOCKET: Final = "istio-agent.sock"
ROOTS: Final = "istio-ca-root-cert"
_PROXY_CONFIG: Final = "proxy.istio.io/config"
_AUDIENCE, _TOKEN_SECONDS = "istio-ca", 12 * 3600
_NAMESPACE: Final = "istio-system"
# The flags of pilot-discovery for its ports in a cluster.
_PORTS: Final[Mapping[int, str]] = {
    15010: "--grpcAddr",
    15012: "--secureGRPCAddr",
    8080: "--httpAddr",
    15017: "--httpsAddr",
    15014: "--monitoringAddr",
    9876: "--ctrlz_port",
}
_TLS, _PLAIN = 15012, 15010


class ExternalIstiod:
    """`ports` are those of this machine, by istiod's in a cluster. `how` is `EXTERNAL` or a URL, as in `Options`.
    `watched` returns the file of an Envoy's log for those who watch the edge, `annotations` a gateway Pod's, with those
    of the IstioOperator that installs it."""

    def __init__(
        self,
        store: Store,
        how: str,
        *,
        free_port: Callable[[str, int, str], int],
        system_ca: str,
        watched: Callable[[str], str],
        annotations: Callable[[core.Pod], Mapping[str, str]],
    ) -> None:
        self._store = store
        self._watched = watched
        self._annotations = annotations
        self.gateways: dict[str, Gateway] = {}  # by the edge's own node IDs
        self._binds: dict[str, Mapping[int, tuple[str, int]]] = {}
        self.ports = {port: free_port(LOCAL, 0, f"istiod {port}") for port in _PORTS}
        tls = True
        if how != EXTERNAL:
            url = urlsplit(how)
            tls = url.scheme == GRPCS
            self.ports[_TLS if tls else _PLAIN] = url.port or 0
        server = f"istiod.{_NAMESPACE}.svc"
        authority = Peer(f"{LOCAL}:{self.ports[_TLS]}", True, server)
        peer = authority if tls else Peer(f"{LOCAL}:{self.ports[_PLAIN]}", False, server)
        self.agent = IstioAgent(peer, authority, token=self._token, roots=self._roots, system_ca=system_ca)

    def gateway(self, node_id: str, pod: core.Pod) -> JsonObject:
        """The node of a Pod's Envoy, from which istiod takes what it configures. The agent serves it from now on."""
        account = pod.spec.service_account_name or "default"
        node = _node(pod, account, self._annotations(pod), self._proxy_config(pod))
        place = Place(self._binds.get(node_id, {}), self._watched(node_id))
        self.gateways[node_id] = self.agent.gateways[node["id"]] = Gateway((pod.namespace, account), place)
        return node

    def move(self, node_id: str, binds: Mapping[int, tuple[str, int]]) -> None:
        """The ports of a gateway are at these addresses of this machine."""
        self._binds[node_id] = binds
        if gateway := self.gateways.get(node_id):
            gateway.move(binds)

    def _proxy_config(self, pod: core.Pod) -> JsonObject:
        """Istio's settings of a Pod's proxy, if its annotation changes those of the mesh."""
        own = _loaded(self._annotations(pod).get(_PROXY_CONFIG, ""))
        mesh = self._store.storage.get(ObjectKey("", "ConfigMap", _NAMESPACE, "istio"))
        text = mesh.json.get("data", {}).get("mesh", "") if mesh else ""
        defaults = _loaded(text).get("defaultConfig")
        return {**(defaults if isinstance(defaults, dict) else {}), **own} if own else {}

    def described(self, gateway: Gateway) -> str:
        """Which istiod configures a gateway, or what it waits for."""
        there = f"your istiod at {self.agent.peer}"
        if gateway.settled:
            return f"configured by {there}" + (f", {gateway.control_plane}" if gateway.control_plane else "")
        state = "serves what it got last" if gateway.configured else "not configured yet"
        return f"{state}; it waits for {there}" + (f": {gateway.trouble}" if gateway.trouble else "")

    def about(self) -> dict[str, int]:
        """Ports by the flags of pilot-discovery."""
        return {flag: self.ports[port] for port, flag in _PORTS.items()}

    async def _token(self, namespace: str, account: str) -> str:
        return await self._store.create_token(account, namespace, [_AUDIENCE], _TOKEN_SECONDS)

    async def _roots(self, namespace: str) -> bytes | None:
        try:
            found = await self._store.get(core.ConfigMap, ROOTS, namespace)
        except NotFound:
            return None
        return found.data.get("root-cert.pem", "").encode() or None


def arguments(kubeconfig: str, ports: Mapping[str, int]) -> tuple[str, ...]:
    """The command line of pilot-discovery."""
    given = (f"{flag}={number if flag == '--ctrlz_port' else f'{LOCAL}:{number}'}" for flag, number in ports.items())
    return (
        "discovery",
        f"--kubeconfig={kubeconfig}",
        f"--namespace={_NAMESPACE}",
        f"--clusterID={CLUSTER}",
        f"--ctrlz_address={LOCAL}",
        *given,
    )


def variables() -> dict[str, str]:
    """pilot-discovery's environment, as its chart gives it."""
    return {
        "POD_NAME": "istiod-external",
        "POD_NAMESPACE": _NAMESPACE,
        "SERVICE_ACCOUNT": "istiod",
        "REVISION": "default",
        "CLUSTER_ID": CLUSTER,
        "PILOT_CERT_PROVIDER": "istiod",
    }


def _loaded(text: str) -> JsonObject:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def _node(pod: core.Pod, account: str, annotations: Mapping[str, str], proxy_config: JsonObject) -> JsonObject:
    address = pod.status.pod_ip or LOCAL
    workload = workload_of(pod).name
    metadata: dict[str, Any] = {
        "ANNOTATIONS": dict(annotations),
        "CLUSTER_ID": CLUSTER,
        "INSTANCE_IPS": address,
        "ISTIO_PROXY_SHA": "",
        "ISTIO_VERSION": ISTIO_VERSION,
        "LABELS": dict(pod.metadata.labels),
        "MESH_ID": "cluster.local",
        "NAME": pod.name,
        "NAMESPACE": pod.namespace,
        "NODE_NAME": pod.spec.node_name,
        "PROXY_CONFIG": proxy_config,
        "SERVICE_ACCOUNT": account,
        "WORKLOAD_NAME": workload,
    }
    return {
        "id": f"router~{address}~{pod.name}.{pod.namespace}~{pod.namespace}.svc.cluster.local",
        "cluster": f"{workload}.{pod.namespace}",
        "metadata": {key: value for key, value in metadata.items() if value},
    }
