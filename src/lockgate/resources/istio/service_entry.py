"""ServiceEntry: a host outside the cluster that routes may name (istio/api `service_entry.proto`)."""

from typing import ClassVar, Literal

from pydantic import Field

from lockgate.resources.istio.versions import CATEGORIES, NETWORKING_VERSIONS
from lockgate.resources.meta import AGE
from lockgate.resources.model import Column, Integer, JsonObject, Kind, Model, Resource, register


class ServiceEntryPort(Model):
    number: Integer
    name: str
    protocol: str = ""
    target_port: Integer = 0


class WorkloadEndpoint(Model):
    """`ports` are by the entry's port name."""

    address: str = ""
    ports: dict[str, Integer] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    network: str = ""
    locality: str = ""
    weight: Integer = 0
    service_account: str = ""


class ServiceEntryWorkloadSelector(Model):
    labels: dict[str, str] = Field(default_factory=dict)


class ServiceEntrySpec(Model):
    hosts: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    ports: tuple[ServiceEntryPort, ...] = ()
    location: Literal["MESH_EXTERNAL", "MESH_INTERNAL"] | None = None
    resolution: Literal["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"] | None = None
    endpoints: tuple[WorkloadEndpoint, ...] = ()
    workload_selector: ServiceEntryWorkloadSelector | None = None
    export_to: tuple[str, ...] = ()
    subject_alt_names: tuple[str, ...] = ()


@register
class ServiceEntry(Resource):
    KIND: ClassVar[Kind] = Kind(
        "networking.istio.io",
        NETWORKING_VERSIONS,
        "ServiceEntry",
        "serviceentries",
        short_names=("se",),
        categories=CATEGORIES,
        columns=(
            Column("Hosts", ".spec.hosts"),
            Column("Location", ".spec.location"),
            Column("Resolution", ".spec.resolution"),
            AGE,
        ),
    )

    spec: ServiceEntrySpec
    status: JsonObject = Field(default_factory=dict)


@register
class WorkloadEntry(Resource):
    """A workload without a Pod, which a ServiceEntry selects by its labels."""

    KIND: ClassVar[Kind] = Kind(
        "networking.istio.io",
        NETWORKING_VERSIONS,
        "WorkloadEntry",
        "workloadentries",
        short_names=("we",),
        categories=CATEGORIES,
        columns=(AGE, Column("Address", ".spec.address")),
    )

    spec: WorkloadEndpoint
    status: JsonObject = Field(default_factory=dict)
