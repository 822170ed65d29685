"""Ingress and IngressClass, as networking.k8s.io/v1 has them."""

from typing import ClassVar, Literal

from pydantic import Field

from lockgate.resources import columns
from lockgate.resources.meta import AGE, LoadBalancerStatus
from lockgate.resources.model import Column, Integer, Kind, Model, Resource, register


class ServiceBackendPort(Model):
    """Either a name or a number."""

    name: str = ""
    number: Integer = 0


class IngressServiceBackend(Model):
    name: str
    port: ServiceBackendPort = Field(default_factory=ServiceBackendPort)


class TypedLocalObjectReference(Model):
    api_group: str | None = None
    kind: str
    name: str


class IngressBackend(Model):
    service: IngressServiceBackend | None = None
    resource: TypedLocalObjectReference | None = None


class HTTPIngressPath(Model):
    path: str = ""
    path_type: Literal["Exact", "Prefix", "ImplementationSpecific"]
    backend: IngressBackend


class HTTPIngressRuleValue(Model):
    paths: tuple[HTTPIngressPath, ...]


class IngressRule(Model):
    """An empty `host` matches every host."""

    host: str = ""
    http: HTTPIngressRuleValue | None = None


class IngressTLS(Model):
    hosts: tuple[str, ...] = ()
    secret_name: str = ""


class IngressSpec(Model):
    ingress_class_name: str | None = None
    default_backend: IngressBackend | None = None
    tls: tuple[IngressTLS, ...] = ()
    rules: tuple[IngressRule, ...] = ()


class IngressStatus(Model):
    load_balancer: LoadBalancerStatus = Field(default_factory=LoadBalancerStatus)


@register
class Ingress(Resource):
    KIND: ClassVar[Kind] = Kind(
        "networking.k8s.io",
        ("v1",),
        "Ingress",
        "ingresses",
        short_names=("ing",),
        columns=(
            Column("Class", cell=columns.ingress_class),
            Column("Hosts", cell=columns.ingress_hosts),
            Column("Address", cell=columns.ingress_address),
            Column("Ports", cell=columns.ingress_ports),
            AGE,
        ),
    )

    spec: IngressSpec = Field(default_factory=IngressSpec)
    status: IngressStatus = Field(default_factory=IngressStatus)


class IngressClassParametersReference(Model):
    api_group: str | None = None
    kind: str
    name: str
    namespace: str | None = None
    scope: Literal["Cluster", "Namespace"] | None = None


class IngressClassSpec(Model):
    controller: str = ""
    parameters: IngressClassParametersReference | None = None


@register
class IngressClass(Resource):
    KIND: ClassVar[Kind] = Kind(
        "networking.k8s.io",
        ("v1",),
        "IngressClass",
        "ingressclasses",
        namespaced=False,
        has_status=False,
        columns=(
            Column("Controller", ".spec.controller"),
            Column("Parameters", cell=columns.ingress_class_parameters),
            AGE,
        ),
    )

    spec: IngressClassSpec = Field(default_factory=IngressClassSpec)
