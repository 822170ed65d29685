"""The gateway workloads of an edge, each built as istiod does, and the Secrets with their certificates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from lockgate.edge.edge import Certificate, secret_reference
from lockgate.edge.mesh import installed_gateway, mesh_of
from lockgate.edge.objects import Objects
from lockgate.gateway.analysis import analyse
from lockgate.gateway.build import Sources, build
from lockgate.gateway.model import Gateway
from lockgate.gateway.workload import Workload, workload
from lockgate.resources import cert_manager as cm
from lockgate.resources import core, istio
from lockgate.resources.faults import Fault
from lockgate.resources.memo import Memo


@dataclass(frozen=True, slots=True)
class Gateways:
    """`by_workload` are the gateways by namespace/Pod. Passed to the next build, unchanged ones are reused."""

    by_workload: Mapping[str, Gateway]
    faults: tuple[Fault, ...]
    workloads: Mapping[str, Workload] = field(default_factory=dict, repr=False)
    memos: Mapping[str, Memo] = field(default_factory=dict, repr=False)
    memo: Memo = field(default_factory=Memo, repr=False, compare=False)


def built_gateways(
    objects: Objects,
    pods: Sequence[core.Pod],
    slices: Sequence[core.EndpointSlice],
    earlier: Gateways | None = None,
) -> Gateways:
    """`pods` run the gateways; `slices` are all EndpointSlices."""
    memo = earlier.memo if earlier else Memo()
    memo.turn()
    operators, services = objects.view(istio.IstioOperator), objects.view(core.Service)
    namespaces = objects.view(core.Namespace)
    mesh = memo.depending("mesh", [operators], lambda: mesh_of(operators.listed))
    secrets = memo.depending(
        "secrets",
        [objects.view(core.Secret), objects.view(cm.Certificate)],
        lambda: frozenset(_secret_names(objects)),
    )
    sources = Sources(
        gateways=objects.all(istio.Gateway),
        virtual_services=objects.all(istio.VirtualService),
        destination_rules=objects.all(istio.DestinationRule),
        service_entries=objects.all(istio.ServiceEntry),
        services=objects.all(core.Service),
        endpoint_slices=slices,
        pods=objects.all(core.Pod),
        nodes=objects.all(core.Node),
        namespaces=objects.all(core.Namespace),
        workload_entries=objects.all(istio.WorkloadEntry),
        proxy_configs=objects.all(istio.ProxyConfig),
        secrets=secrets,
        authorization_policies=objects.all(istio.AuthorizationPolicy),
        envoy_filters=objects.all(istio.EnvoyFilter),
        telemetries=objects.all(istio.Telemetry),
        wasm_plugins=objects.all(istio.WasmPlugin),
        request_authentications=objects.all(istio.RequestAuthentication),
    )
    found: dict[str, Gateway] = {}
    workloads: dict[str, Workload] = {}
    memos: dict[str, Memo] = {}
    faults: list[Fault] = []
    for pod in pods:
        inputs = [pod, services, operators, namespaces]
        runs = memo.stable(("workload", pod.key), memo.depending(pod.key, inputs, partial(_workload, pod, objects)))
        own = memos[runs.name] = (earlier.memos.get(runs.name) if earlier else None) or Memo()
        made = build(sources, runs, mesh=mesh, memo=own)
        found[runs.name], workloads[runs.name] = made.gateway, runs
        faults += made.faults
    faults += analyse(sources, list(workloads.values()), mesh=mesh, memo=memo)
    return Gateways(found, tuple(dict.fromkeys(faults)), workloads, memos, memo)


def _workload(pod: core.Pod, objects: Objects) -> Workload:
    installed = installed_gateway(pod, objects.all(istio.IstioOperator))
    return workload(pod, objects.all(core.Service), installed, objects.all(core.Namespace))


def gateway_secrets(objects: Objects, memo: Memo) -> Iterator[tuple[str, Certificate]]:
    """The certificates in Secrets: those that cert-manager will write, and those in the manifests."""
    secrets = objects.all(core.Secret)
    for secret, names in zip(secrets, memo.facts("names in Secrets", _names_in, secrets), strict=True):
        if names:
            yield secret_reference(secret.namespace, secret.name), Certificate(names, "the Secret", secret.key)
    for certificate in objects.all(cm.Certificate):
        ref = certificate.spec.issuer_ref
        names = tuple(dict.fromkeys(filter(None, (certificate.spec.common_name, *certificate.spec.dns_names))))
        made = Certificate(names, f"{ref.kind or 'Issuer'} {ref.name}", certificate.key)
        yield secret_reference(certificate.namespace, certificate.spec.secret_name), made


def _secret_names(objects: Objects) -> Iterable[tuple[str, str]]:
    for secret in objects.all(core.Secret):
        yield secret.namespace, secret.name
    for certificate in objects.all(cm.Certificate):
        yield certificate.namespace, certificate.spec.secret_name


def _names_in(secret: core.Secret) -> tuple[str, ...]:
    """The DNS names of a TLS Secret's certificate; empty if the certificate cannot be read."""
    try:
        chain = secret.decoded.get("tls.crt") or secret.decoded.get("cert") or b""
        if not chain:
            return ()
        # Imported on demand, because it imports cryptography.
        from lockgate.certificates.request import alternative_names, load_chain

        return alternative_names(load_chain(chain)[0])["spec.dnsNames"]
    except (ValueError, IndexError):
        return ()
