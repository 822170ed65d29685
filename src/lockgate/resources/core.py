"""Kubernetes' core group and EndpointSlice: Services, nodes, Pods, Secrets and events."""

import base64
from typing import ClassVar, Literal

from pydantic import Field

from lockgate.resources import columns
from lockgate.resources.meta import (
    AGE,
    Condition,
    LoadBalancerStatus,
    LocalObjectReference,
    ObjectReference,
)
from lockgate.resources.model import (
    Column,
    Flag,
    Integer,
    IntOrString,
    JsonObject,
    Kind,
    Model,
    Resource,
    register,
)


class NamespaceSpec(Model):
    finalizers: tuple[str, ...] = ()


class NamespaceStatus(Model):
    phase: str = ""
    conditions: tuple[Condition, ...] = ()


@register
class Namespace(Resource):
    KIND: ClassVar[Kind] = Kind(
        "",
        ("v1",),
        "Namespace",
        "namespaces",
        namespaced=False,
        short_names=("ns",),
        columns=(Column("Status", ".status.phase"), AGE),
    )

    spec: NamespaceSpec = Field(default_factory=NamespaceSpec)
    status: NamespaceStatus = Field(default_factory=NamespaceStatus)


Protocol = Literal["TCP", "UDP", "SCTP"]


class ServicePort(Model):
    """Without `target_port`, the target is `port`; `node_port` 0 means not assigned yet."""

    name: str = ""
    protocol: Protocol = "TCP"
    app_protocol: str | None = None
    port: Integer
    target_port: IntOrString | None = None
    node_port: Integer = 0


class ClientIPConfig(Model):
    timeout_seconds: Integer | None = None


class SessionAffinityConfig(Model):
    client_ip: ClientIPConfig | None = Field(default=None, alias="clientIP")


class ServiceSpec(Model):
    type: Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] = "ClusterIP"
    ports: tuple[ServicePort, ...] = ()
    selector: dict[str, str] = Field(default_factory=dict)
    cluster_ip: str = ""
    cluster_ips: tuple[str, ...] = ()
    external_ips: tuple[str, ...] = ()
    external_name: str = ""
    external_traffic_policy: Literal["Cluster", "Local", ""] = ""
    internal_traffic_policy: Literal["Cluster", "Local"] | None = None
    traffic_distribution: str | None = None
    health_check_node_port: Integer = 0
    ip_families: tuple[Literal["IPv4", "IPv6"], ...] = ()
    ip_family_policy: Literal["SingleStack", "PreferDualStack", "RequireDualStack"] | None = None
    load_balancer_ip: str = ""
    load_balancer_class: str | None = None
    load_balancer_source_ranges: tuple[str, ...] = ()
    allocate_load_balancer_node_ports: Flag | None = None
    publish_not_ready_addresses: Flag = False
    session_affinity: Literal["None", "ClientIP"] = "None"
    session_affinity_config: SessionAffinityConfig | None = None


class ServiceStatus(Model):
    load_balancer: LoadBalancerStatus = Field(default_factory=LoadBalancerStatus)
    conditions: tuple[Condition, ...] = ()


@register
class Service(Resource):
    KIND: ClassVar[Kind] = Kind(
        "",
        ("v1",),
        "Service",
        "services",
        short_names=("svc",),
        categories=("all",),
        columns=(
            Column("Type", ".spec.type"),
            Column("Cluster-IP", cell=columns.service_cluster_ip),
            Column("External-IP", cell=columns.service_external_ip),
            Column("Port(s)", cell=columns.service_ports),
            AGE,
            Column("Selector", wide=True, cell=columns.labels_at("spec", "selector")),
        ),
    )

    spec: ServiceSpec = Field(default_factory=ServiceSpec)
    status: ServiceStatus = Field(default_factory=ServiceStatus)


@register
class Secret(Resource):
    """`data` holds base64 as the manifest does; `decoded` has the bytes, with `string_data` written over them."""

    KIND: ClassVar[Kind] = Kind(
        "",
        ("v1",),
        "Secret",
        "secrets",
        has_status=False,
        columns=(Column("Type", ".type"), Column("Data", type="integer", cell=columns.count_of("data")), AGE),
    )

    type: str = "Opaque"
    data: dict[str, str] = Field(default_factory=dict, repr=False)
    string_data: dict[str, str] = Field(default_factory=dict, repr=False)
    immutable: Flag | None = None

    @property
    def decoded(self) -> dict[str, bytes]:
        """Raises binascii.Error (a ValueError) for a value that is not base64; validation refuses such values."""
        values = {key: base64.b64decode(value) for key, value in self.data.items()}
        return values | {key: value.encode() for key, value in self.string_data.items()}


@register
class ConfigMap(Resource):
    KIND: ClassVar[Kind] = Kind(
        "",
        ("v1",),
        "ConfigMap",
        "configmaps",
        short_names=("cm",),
        has_status=False,
        columns=(Column("Data", type="integer", cell=columns.count_of("data", "binaryData")), AGE),
    )

    data: dict[str, str] = Field(default_factory=dict)
    binary_data: dict[str, str] = Field(default_factory=dict)
    immutable: Flag | None = None


class Taint(Model):
    key: str
    value: str = ""
    effect: str
    time_added: str | None = None


class NodeSpec(Model):
    """`provider_id` is ``aws:///<availability zone>/<instance id>`` on EKS."""

    pod_cidr: str = ""
    pod_cidrs: tuple[str, ...] = ()
    provider_id: str = ""
    unschedulable: Flag = False
    taints: tuple[Taint, ...] = ()
    external_id: str = ""
    config_source: JsonObject | None = None


class NodeAddress(Model):
    type: str
    address: str


class NodeSystemInfo(Model):
    OPEN: ClassVar[bool] = True

    machine_id: str = ""
    system_uuid: str = ""
    boot_id: str = ""
    kernel_version: str = ""
    os_image: str = ""
    container_runtime_version: str = ""
    kubelet_version: str = ""
    kube_proxy_version: str = ""
    operating_system: str = ""
    architecture: str = ""


class NodeStatus(Model):
    OPEN: ClassVar[bool] = True

    capacity: dict[str, IntOrString] = Field(default_factory=dict)
    allocatable: dict[str, IntOrString] = Field(default_factory=dict)
    phase: str = ""
    conditions: tuple[Condition, ...] = ()
    addresses: tuple[NodeAddress, ...] = ()
    node_info: NodeSystemInfo | None = None


@register
class Node(Resource):
    KIND: ClassVar[Kind] = Kind(
        "",
        ("v1",),
        "Node",
        "nodes",
        namespaced=False,
        short_names=("no",),
        columns=(
            Column("Status", cell=columns.node_status),
            Column("Roles", cell=columns.node_roles),
            AGE,
            Column("Version", ".status.nodeInfo.kubeletVersion"),
            Column("Internal-IP", wide=True, cell=columns.node_address("InternalIP")),
            Column("External-IP", wide=True, cell=columns.node_address("ExternalIP")),
            Column("OS-Image", ".status.nodeInfo.osImage", wide=True),
            Column("Kernel-Version", ".status.nodeInfo.kernelVersion", wide=True),
            Column("Container-Runtime", ".status.nodeInfo.containerRuntimeVersion", wide=True),
        ),
    )

    spec: NodeSpec = Field(default_factory=NodeSpec)
    status: NodeStatus = Field(default_factory=NodeStatus)


class ContainerPort(Model):
    container_port: Integer
    name: str = ""
    protocol: Protocol = "TCP"
    host_port: Integer = 0
    host_ip: str = ""


class ResourceRequirements(Model):
    OPEN: ClassVar[bool] = True

    limits: dict[str, IntOrString] = Field(default_factory=dict)
    requests: dict[str, IntOrString] = Field(default_factory=dict)


class Container(Model):
    OPEN: ClassVar[bool] = True

    name: str
    image: str = ""
    ports: tuple[ContainerPort, ...] = ()
    resources: ResourceRequirements = Field(default_factory=ResourceRequirements)


class PodReadinessGate(Model):
    condition_type: str


class PodSpec(Model):
    OPEN: ClassVar[bool] = True

    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...] = ()
    node_name: str = ""
    restart_policy: str = ""
    host_network: Flag = False
    hostname: str = ""
    subdomain: str = ""
    service_account_name: str = ""
    readiness_gates: tuple[PodReadinessGate, ...] = ()


class PodIP(Model):
    ip: str


class ContainerStatus(Model):
    OPEN: ClassVar[bool] = True

    name: str
    ready: Flag = False
    restart_count: Integer = 0
    image: str = ""


class PodStatus(Model):
    OPEN: ClassVar[bool] = True

    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: tuple[Condition, ...] = ()
    pod_ip: str = ""
    pod_ips: tuple[PodIP, ...] = ()
    host_ip: str = ""
    start_time: str = ""
    container_statuses: tuple[ContainerStatus, ...] = ()


@register
class Pod(Resource):
    KIND: ClassVar[Kind] = Kind(
        "",
        ("v1",),
        "Pod",
        "pods",
        short_names=("po",),
        categories=("all",),
        columns=(
            Column("Ready", cell=columns.pod_ready),
            Column("Status", cell=columns.pod_status),
            Column("Restarts", type="integer", cell=columns.pod_restarts),
            AGE,
            Column("IP", ".status.podIP", wide=True),
            Column("Node", ".spec.nodeName", wide=True),
            Column("Nominated Node", ".status.nominatedNodeName", wide=True),
            Column("Readiness Gates", wide=True, cell=columns.pod_readiness_gates),
        ),
    )

    spec: PodSpec
    status: PodStatus = Field(default_factory=PodStatus)


class EventSource(Model):
    component: str = ""
    host: str = ""


class EventSeries(Model):
    count: Integer = 0
    last_observed_time: str = ""


@register
class Event(Resource):
    KIND: ClassVar[Kind] = Kind(
        "",
        ("v1",),
        "Event",
        "events",
        short_names=("ev",),
        has_status=False,
        columns=(
            Column("Last Seen", type="date", cell=columns.event_last_seen),
            Column("Type", ".type"),
            Column("Reason", ".reason"),
            Column("Object", cell=columns.event_object),
            Column("Subobject", ".involvedObject.fieldPath", wide=True),
            Column("Source", wide=True, cell=columns.event_source),
            Column("Message", ".message"),
            Column("First Seen", type="date", wide=True, cell=columns.event_first_seen),
            Column("Count", type="integer", wide=True, cell=columns.event_count),
            Column("Name", ".metadata.name", wide=True),
        ),
    )

    involved_object: ObjectReference
    reason: str = ""
    message: str = ""
    type: str = ""
    count: Integer = 0
    source: EventSource = Field(default_factory=EventSource)
    first_timestamp: str = ""
    last_timestamp: str = ""
    event_time: str | None = None
    series: EventSeries | None = None
    action: str = ""
    related: ObjectReference | None = None
    reporting_component: str = ""
    reporting_instance: str = ""


@register
class ServiceAccount(Resource):
    KIND: ClassVar[Kind] = Kind(
        "",
        ("v1",),
        "ServiceAccount",
        "serviceaccounts",
        short_names=("sa",),
        has_status=False,
        columns=(Column("Secrets", type="integer", cell=columns.count_of("secrets")), AGE),
    )

    secrets: tuple[ObjectReference, ...] = ()
    image_pull_secrets: tuple[LocalObjectReference, ...] = ()
    automount_service_account_token: Flag | None = None


class EndpointAddress(Model):
    ip: str
    hostname: str = ""
    node_name: str | None = None
    target_ref: ObjectReference | None = None


class EndpointPort(Model):
    """In an EndpointSlice, `name` is the Service port's."""

    name: str = ""
    port: Integer | None = None
    protocol: Protocol = "TCP"
    app_protocol: str | None = None


class EndpointSubset(Model):
    addresses: tuple[EndpointAddress, ...] = ()
    not_ready_addresses: tuple[EndpointAddress, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


@register
class Endpoints(Resource):
    KIND: ClassVar[Kind] = Kind(
        "",
        ("v1",),
        "Endpoints",
        "endpoints",
        short_names=("ep",),
        has_status=False,
        columns=(Column("Endpoints", cell=columns.endpoints_addresses), AGE),
    )

    subsets: tuple[EndpointSubset, ...] = ()


class EndpointConditions(Model):
    """As in discovery/v1, an absent `ready` counts as ready."""

    ready: Flag | None = None
    serving: Flag | None = None
    terminating: Flag | None = None


class Endpoint(Model):
    addresses: tuple[str, ...]
    conditions: EndpointConditions = Field(default_factory=EndpointConditions)
    hostname: str | None = None
    target_ref: ObjectReference | None = None
    deprecated_topology: dict[str, str] = Field(default_factory=dict)
    node_name: str | None = None
    zone: str | None = None
    hints: JsonObject | None = None


@register
class EndpointSlice(Resource):
    KIND: ClassVar[Kind] = Kind(
        "discovery.k8s.io",
        ("v1",),
        "EndpointSlice",
        "endpointslices",
        has_status=False,
        columns=(
            Column("AddressType", ".addressType"),
            Column("Ports", cell=columns.slice_ports),
            Column("Endpoints", cell=columns.slice_endpoints),
            AGE,
        ),
    )

    address_type: Literal["IPv4", "IPv6", "FQDN"]
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[EndpointPort, ...] = ()
