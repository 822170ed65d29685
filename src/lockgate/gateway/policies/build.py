"""Builds the filters of a workload's chains from its policies.

The order is istiod's: CUSTOM asks its server; JWTs are read, because rules refer to their claims; then AUDIT, DENY and
ALLOW decide. WebAssembly modules stand before JWTs, before access control or after it, by their phase.

Source: istio/istio `pilot/pkg/networking/core/listener_builder.go`, `pilot/pkg/security/authz/builder/builder.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from lockgate.gateway.durations import seconds
from lockgate.gateway.mesh import Mesh
from lockgate.gateway.policies import external
from lockgate.gateway.policies.attach import attached
from lockgate.gateway.policies.keys import NOBODYS, Fetched, KeyPlace, place_of
from lockgate.gateway.policies.model import (
    NEVER,
    AuthServer,
    Filters,
    Jwt,
    JwtProvider,
    Predicate,
    Rbac,
    Rule,
    TokenHeader,
)
from lockgate.gateway.policies.predicates import Unusable, permissions_and_principals
from lockgate.gateway.policies.tokens import is_readable
from lockgate.gateway.policies.trust_domains import LOCAL, migrated
from lockgate.gateway.providers import Unusable as UnusableProvider
from lockgate.gateway.registry import Hosts
from lockgate.gateway.wasm import Modules, plugins
from lockgate.gateway.workload import Workload
from lockgate.resources import istio
from lockgate.resources.codes import policies as codes
from lockgate.resources.faults import Fault, Origin

Keys: TypeAlias = Mapping[KeyPlace, Fetched] | None

DRY_RUN = "istio.io/dry-run"
_ORDER: Final[tuple[Literal["AUDIT", "DENY", "ALLOW"], ...]] = ("AUDIT", "DENY", "ALLOW")
EXTERNAL = "istio-ext-authz"  # by which the names of CUSTOM's rules begin
_UNUSABLE = "-deny-due-to-bad-CUSTOM-action"
_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))  # Go's strconv.ParseBool


@dataclass(frozen=True, slots=True, eq=False)
class Policies:
    """The policies of all workloads."""

    authorization: Sequence[istio.AuthorizationPolicy] = field(default_factory=list)
    authentication: Sequence[istio.RequestAuthentication] = field(default_factory=list)
    wasm_plugins: Sequence[istio.WasmPlugin] = field(default_factory=list)


def filters(
    policies: Policies, workload: Workload, mesh: Mesh, hosts: Hosts, keys: Keys, modules: Modules
) -> tuple[Filters, tuple[Fault, ...]]:
    """`keys` are those that have been fetched; None if nothing fetches keys, so that signatures cannot be checked."""
    wasm, unloaded = plugins(policies.wasm_plugins, workload, mesh.root_namespace, modules)
    domains = tuple(dict.fromkeys((mesh.trust_domain, *mesh.trust_domain_aliases)))
    authorization = [
        _migrated(policy, domains) for policy in attached(policies.authorization, workload, mesh.root_namespace)
    ]
    authentication = list(attached(policies.authentication, workload, mesh.root_namespace))
    providers = tuple(_providers(authentication, keys))
    asking = _Asking([policy for policy in authorization if policy.spec.action == "CUSTOM"], mesh, hosts)
    found = Filters(
        http=(
            *asking.filters(tcp=False),
            *wasm.http.get("AUTHN", ()),
            *((Jwt(providers),) if providers else ()),
            *wasm.http.get("AUTHZ", ()),
            *_access_control(authorization, tcp=False),
            *wasm.http.get("STATS", ()),
            *wasm.http.get("UNSPECIFIED_PHASE", ()),
        ),
        network=(
            *asking.filters(tcp=True),
            *wasm.network.get("AUTHN", ()),
            *wasm.network.get("AUTHZ", ()),
            *_access_control(authorization, tcp=True),
            *wasm.network.get("STATS", ()),
            *wasm.network.get("UNSPECIFIED_PHASE", ()),
        ),
    )
    return found, (*asking.faults, *unloaded, *_unfetched(authentication, keys))


# --- JWTs --------------------------------------------------------------------------------------------------------


def key_places(policies: Iterable[istio.RequestAuthentication]) -> Iterator[KeyPlace]:
    """Where the keys of policies have to be fetched."""
    for policy in policies:
        for rule in policy.spec.jwt_rules:
            if place := place_of(rule, seconds(rule.timeout)):
                yield place


def _providers(policies: Iterable[istio.RequestAuthentication], keys: Keys) -> Iterator[JwtProvider]:
    """In the order of their issuers, as istiod names them."""
    rules = [
        (rule, policy, Origin(policy.key, ("spec", "jwtRules", index)))
        for policy in policies
        for index, rule in enumerate(policy.spec.jwt_rules)
    ]
    for rule, policy, origin in sorted(rules, key=lambda each: each[0].issuer):
        place = place_of(rule, seconds(rule.timeout))
        yield JwtProvider(
            issuer=rule.issuer,
            jwks=_own(rule) if place is None else _fetched(place, keys),
            uri=place.uri if place else "",
            audiences=rule.audiences,
            headers=tuple(TokenHeader(each.name, each.prefix) for each in rule.from_headers),
            params=rule.from_params,
            cookies=rule.from_cookies,
            payload_header=rule.output_payload_to_header,
            claim_headers=tuple((each.header, each.claim) for each in rule.output_claim_to_headers),
            forward=rule.forward_original_token,
            space_delimited=tuple(sorted({"permission", "scope", *rule.space_delimited_claims})),
            policy=f"{policy.namespace}/{policy.name}",
            origin=origin,
        )


def _own(rule: istio.JWTRule) -> str:
    """Envoy refuses a listener whose keys it cannot read."""
    return rule.jwks if is_readable(rule.jwks) else NOBODYS


def _fetched(place: KeyPlace, keys: Keys) -> str | None:
    if keys is None:
        return None
    found = keys.get(place, Fetched()).jwks
    return found if is_readable(found) else NOBODYS


def _unfetched(policies: Iterable[istio.RequestAuthentication], keys: Keys) -> Iterator[Fault]:
    for policy in policies:
        for index, rule in enumerate(policy.spec.jwt_rules):
            place = place_of(rule, seconds(rule.timeout))
            if place is None:
                if not is_readable(rule.jwks):
                    yield codes.UNREADABLE_KEYS.at(Origin(policy.key, ("spec", "jwtRules", index, "jwks")))
                continue
            found = keys.get(place) if keys is not None else None
            if found is not None and found.reason:
                origin = Origin(policy.key, ("spec", "jwtRules", index, "issuer" if place.discovery else "jwksUri"))
                yield codes.NO_KEYS.at(origin, uri=place.uri, reason=found.reason)


# --- access control ----------------------------------------------------------------------------------------------


def _access_control(policies: Iterable[istio.AuthorizationPolicy], *, tcp: bool) -> Iterator[Rbac]:
    by_action: dict[str, list[istio.AuthorizationPolicy]] = {}
    for policy in policies:
        by_action.setdefault(policy.spec.action or "ALLOW", []).append(policy)
    for action in _ORDER:
        if found := by_action.get(action):
            enforced = [policy for policy in found if not is_dry_run(policy)]
            tried = [policy for policy in found if is_dry_run(policy)]
            yield Rbac(
                action,
                rules=tuple(_rules(enforced, tcp, action == "ALLOW")) if enforced else None,
                shadow=tuple(_rules(tried, tcp, action == "ALLOW")) if tried else None,
            )


class _Asking:
    """The CUSTOM policies of a workload. Without a server that can be asked, they refuse what they match."""

    def __init__(self, policies: Iterable[istio.AuthorizationPolicy], mesh: Mesh, hosts: Hosts) -> None:
        self._by_provider: dict[str, list[istio.AuthorizationPolicy]] = {}
        for policy in policies:
            name = policy.spec.provider.name if policy.spec.provider else ""
            self._by_provider.setdefault(name, []).append(policy)
        self._servers: dict[str, AuthServer] = {}
        self.faults: list[Fault] = []
        for name, asking in self._by_provider.items():
            try:
                if len(self._by_provider) > 1:
                    several = ", ".join(sorted(self._by_provider))
                    raise UnusableProvider(f"a workload may have one provider only, and this has {several}")
                self._servers[name] = external.server(name, mesh, hosts)
            except UnusableProvider as error:
                for policy in asking:
                    if policy.spec.rules and not is_dry_run(policy):
                        origin = Origin(policy.key, ("spec", "provider", "name"))
                        self.faults.append(codes.UNUSABLE_PROVIDER.at(origin, provider=name, reason=error))

    def filters(self, *, tcp: bool) -> Iterator[Rbac]:
        """Dry runs are left out: they ask nobody."""
        for name, policies in sorted(self._by_provider.items()):
            enforced = [policy for policy in policies if not is_dry_run(policy)]
            rules = tuple(_rules(enforced, tcp, allow=False)) if enforced else None
            server = self._servers.get(name)
            if server is None:
                refused = rules or ()
                yield Rbac("DENY", tuple(replace(rule, name=f"{rule.name}{_UNUSABLE}") for rule in refused))
            elif rules and (server.grpc or not tcp):  # a server over HTTP is not asked about bytes
                named = tuple(replace(rule, name=f"{EXTERNAL}-{rule.name}") for rule in rules)
                yield Rbac("CUSTOM", named, server=server)


def _migrated(policy: istio.AuthorizationPolicy, domains: tuple[str, ...]) -> istio.AuthorizationPolicy:
    if domains == (LOCAL,):
        return policy
    rules = tuple(migrated(rule, domains) for rule in policy.spec.rules)
    return policy.model_copy(update={"spec": policy.spec.model_copy(update={"rules": rules})})


def is_dry_run(policy: istio.AuthorizationPolicy) -> bool:
    return policy.metadata.annotations.get(DRY_RUN, "") in _TRUE


def _rules(policies: Iterable[istio.AuthorizationPolicy], tcp: bool, allow: bool) -> Iterator[Rule]:
    """In the order of their names, in which Envoy evaluates them."""
    found: list[Rule] = []
    for policy in policies:
        for index, rule in enumerate(policy.spec.rules):
            try:
                permissions, principals = permissions_and_principals(rule, policy.namespace, tcp=tcp, allow=allow)
            except Unusable:
                continue
            found.append(_rule(policy, index, permissions, principals, ("spec", "rules", index)))
        if not policy.spec.rules:
            found.append(_rule(policy, 0, (NEVER,), (NEVER,), ("spec",)))
    return iter(sorted(found, key=lambda rule: rule.name))


def _rule(
    policy: istio.AuthorizationPolicy,
    index: int,
    permissions: tuple[Predicate, ...],
    principals: tuple[Predicate, ...],
    path: tuple[str | int, ...],
) -> Rule:
    name = f"ns[{policy.namespace}]-policy[{policy.name}]-rule[{index}]"
    return Rule(name, permissions, principals, f"{policy.namespace}/{policy.name}", Origin(policy.key, path))
