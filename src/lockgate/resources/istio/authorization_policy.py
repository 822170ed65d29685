"""AuthorizationPolicy: who may do what at a workload (istio/api `authorization_policy.proto`)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from lockgate.resources.istio.selectors import PolicySelector, TargetReference
from lockgate.resources.meta import AGE
from lockgate.resources.model import Column, JsonObject, Kind, Model, Resource, register


class Source(Model):
    """All fields must hold, each by one of its values. `ip_blocks` are peers, `remote_ip_blocks` are clients."""

    principals: tuple[str, ...] = ()
    not_principals: tuple[str, ...] = ()
    request_principals: tuple[str, ...] = ()
    not_request_principals: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    not_namespaces: tuple[str, ...] = ()
    service_accounts: tuple[str, ...] = ()
    not_service_accounts: tuple[str, ...] = ()
    ip_blocks: tuple[str, ...] = ()
    not_ip_blocks: tuple[str, ...] = Field(default=(), alias="notIpBlocks")
    remote_ip_blocks: tuple[str, ...] = Field(default=(), alias="remoteIpBlocks")
    not_remote_ip_blocks: tuple[str, ...] = Field(default=(), alias="notRemoteIpBlocks")


class Operation(Model):
    hosts: tuple[str, ...] = ()
    not_hosts: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    not_ports: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    not_methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    not_paths: tuple[str, ...] = ()


class From(Model):
    source: Source | None = None


class To(Model):
    operation: Operation | None = None


class Condition(Model):
    key: str
    values: tuple[str, ...] = ()
    not_values: tuple[str, ...] = ()


class AuthorizationRule(Model):
    """One of `from_`, one of `to` and all of `when` must hold. An empty rule holds for every request."""

    from_: tuple[From, ...] = ()
    to: tuple[To, ...] = ()
    when: tuple[Condition, ...] = ()


class ExtensionProviderName(Model):
    name: str = ""


class AuthorizationPolicySpec(Model):
    """Without `action` it is ALLOW. An ALLOW without rules allows nothing."""

    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = (("selector", "targetRef", "targetRefs"),)

    selector: PolicySelector | None = None
    target_ref: TargetReference | None = None
    target_refs: tuple[TargetReference, ...] = ()
    action: Literal["ALLOW", "DENY", "AUDIT", "CUSTOM"] | None = None
    provider: ExtensionProviderName | None = None
    rules: tuple[AuthorizationRule, ...] = ()


@register
class AuthorizationPolicy(Resource):
    KIND: ClassVar[Kind] = Kind(
        "security.istio.io",
        ("v1", "v1beta1"),
        "AuthorizationPolicy",
        "authorizationpolicies",
        short_names=("ap",),
        categories=("istio-io", "security-istio-io"),
        columns=(Column("Action", ".spec.action"), AGE),
    )

    spec: AuthorizationPolicySpec = Field(default_factory=AuthorizationPolicySpec)
    status: JsonObject = Field(default_factory=dict)
