"""All analyzers. Each is a module with `CODES`, the codes that it may find, and `analyze`.

To add one, write the module and add a line to `ANALYZERS`, in the order of the alphabet.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from lockgate.check.analyzers import (
    acme_issuers,
    client_addresses,
    client_certificates,
    closed_ports,
    closed_targets,
    credentials_in_files,
    default_redirects,
    envoy_patches,
    fargate,
    gateway_certificates,
    group_ports,
    grpc_calls,
    health_checks,
    host_names,
    issuance,
    issuer_secrets,
    json_fields,
    load_balancer_attributes,
    network_listeners,
    open_gateways,
    open_logins,
    outdated,
    paths_alone,
    plain_listeners,
    plain_targets,
    plain_to_https,
    ports,
    public_names,
    quotas,
    redirect_loops,
    refused_by_elbv2,
    regions,
    server_names,
    shared_hosts,
    shared_load_balancers,
    sticky_choices,
    strict_targets,
    target_protocols,
    targets,
    timeouts,
    tls_versions,
    unreachable_rules,
    unverified_upstreams,
    web_acls,
)
from lockgate.edge.edge import Edge
from lockgate.resources.faults import Code, Fault


class Analyzer(Protocol):
    """A module of this package."""

    @property
    def __name__(self) -> str: ...

    @property
    def CODES(self) -> tuple[Code, ...]: ...

    def analyze(self, edge: Edge, /) -> Iterator[Fault]: ...


ANALYZERS: Final[tuple[Analyzer, ...]] = (
    acme_issuers,
    client_addresses,
    client_certificates,
    closed_ports,
    closed_targets,
    credentials_in_files,
    default_redirects,
    envoy_patches,
    fargate,
    gateway_certificates,
    group_ports,
    grpc_calls,
    health_checks,
    host_names,
    issuance,
    issuer_secrets,
    json_fields,
    load_balancer_attributes,
    network_listeners,
    open_gateways,
    open_logins,
    outdated,
    paths_alone,
    plain_listeners,
    plain_targets,
    plain_to_https,
    ports,
    public_names,
    quotas,
    redirect_loops,
    refused_by_elbv2,
    regions,
    server_names,
    shared_hosts,
    shared_load_balancers,
    sticky_choices,
    strict_targets,
    target_protocols,
    targets,
    timeouts,
    tls_versions,
    unreachable_rules,
    unverified_upstreams,
    web_acls,
)  # fmt: skip

ANALYZED: Final[frozenset[str]] = frozenset(code.id for analyzer in ANALYZERS for code in analyzer.CODES)
"""The ids of all codes that analyzers find."""
