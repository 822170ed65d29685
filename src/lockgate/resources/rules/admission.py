"""The rules that an object of a kind must satisfy to be stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from lockgate.resources import cert_manager as cm
from lockgate.resources import core, elbv2, istio
from lockgate.resources import networking as net
from lockgate.resources.field_errors import FieldError
from lockgate.resources.model import Resource
from lockgate.resources.rules import (
    cert_manager,
    istio_authorization_policy,
    istio_destination_rule,
    istio_dry_run,
    istio_envoy_filter,
    istio_gateway,
    istio_peer_authentication,
    istio_proxy_config,
    istio_request_authentication,
    istio_service_entry,
    istio_stored,
    istio_telemetry,
    istio_virtual_service,
    istio_wasm_plugin,
    metadata,
    networking,
)
from lockgate.resources.rules import core as core_rules
from lockgate.resources.rules import elbv2 as elbv2_rules

# Any, because each rule takes its own kind; the table pairs the two.
Rule = Callable[[Any], Iterator[FieldError]]

_REFUSALS: dict[type[Resource], Rule] = {
    core.Service: core_rules.service,
    core.Secret: core_rules.secret,
    core.ConfigMap: core_rules.config_map,
    core.Pod: core_rules.pod,
    core.EndpointSlice: core_rules.endpoint_slice,
    net.Ingress: networking.ingress,
    net.IngressClass: networking.ingress_class,
    elbv2.IngressClassParams: elbv2_rules.ingress_class_params,
    elbv2.TargetGroupBinding: elbv2_rules.target_group_binding,
    cm.Certificate: cert_manager.certificate,
    cm.CertificateRequest: cert_manager.certificate_request,
    cm.Issuer: cert_manager.issuer,
    cm.ClusterIssuer: cert_manager.issuer,
    istio.Gateway: istio_gateway.refusals,
    istio.VirtualService: istio_virtual_service.refusals,
    istio.DestinationRule: istio_destination_rule.refusals,
    istio.ServiceEntry: istio_service_entry.refusals,
    istio.AuthorizationPolicy: istio_authorization_policy.refusals,
    istio.RequestAuthentication: istio_request_authentication.refusals,
    istio.EnvoyFilter: istio_envoy_filter.refusals,
    istio.Telemetry: istio_telemetry.refusals,
    istio.PeerAuthentication: istio_peer_authentication.refusals,
    istio.ProxyConfig: istio_proxy_config.refusals,
    istio.WasmPlugin: istio_wasm_plugin.refusals,
    istio.WorkloadEntry: istio_service_entry.workload_entry,
    istio.Sidecar: istio_stored.sidecar,
    istio.WorkloadGroup: istio_stored.workload_group,
}
_WARNINGS: dict[type[Resource], Rule] = {
    istio.Gateway: istio_gateway.warnings,
    istio.VirtualService: istio_virtual_service.warnings,
    istio.DestinationRule: istio_destination_rule.warnings,
    istio.ServiceEntry: istio_service_entry.warnings,
    istio.AuthorizationPolicy: istio_authorization_policy.warnings,
    istio.RequestAuthentication: istio_request_authentication.warnings,
    istio.EnvoyFilter: istio_envoy_filter.warnings,
    istio.Telemetry: istio_telemetry.warnings,
    istio.PeerAuthentication: istio_peer_authentication.warnings,
    istio.ProxyConfig: istio_proxy_config.warnings,
    istio.WasmPlugin: istio_wasm_plugin.warnings,
    istio.WorkloadEntry: istio_service_entry.workload_warnings,
}


def refusals(resource: Resource) -> Iterator[FieldError]:
    yield from metadata.refusals(resource)
    yield from istio_dry_run.refusals(resource)
    rule = _REFUSALS.get(type(resource))
    if rule is not None:
        yield from rule(resource)


def warnings(resource: Resource) -> Iterator[FieldError]:
    rule = _WARNINGS.get(type(resource))
    if rule is not None:
        yield from rule(resource)
