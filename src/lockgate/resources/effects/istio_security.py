"""AuthorizationPolicy and RequestAuthentication: enforced at the ingress gateway, and nowhere else.

PeerAuthentication is for sidecars, of which one part is played here: they reset connections of load balancers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lockgate.resources.codes import objects as codes
from lockgate.resources.effects.row import Row, Scope, accepted, declare, served
from lockgate.resources.model import JsonObject

_GROUP = "security.istio.io"
_NO_SIDECAR = "applications have no sidecar here"
_TARGETS = "spec.{targetRef,targetRefs}.{group,kind,name,namespace}"


def _elsewhere(what: str, **limits: Any) -> Row:
    return accepted(
        "",
        because=f"{_NO_SIDECAR}, so {what}",
        noticed=True,
        code=codes.NOT_ENFORCED,
        case="that selects applications alone",
        scope=Scope.APPLICATION,
        **limits,
    )


def _refuses_plain_text(case: str, scope: Scope, when: Callable[[JsonObject], bool]) -> Row:
    return accepted(
        "",
        because=f"{_NO_SIDECAR}. The gateway's requests satisfy it in a cluster, and are not checked here. A load "
        "balancer's to Pods are refused as in a cluster; plain text of others passes",
        noticed=True,
        code=codes.NOT_ENFORCED,
        case=case,
        scope=scope,
        when=when,
    )


def _targets() -> Row:
    return accepted(
        _TARGETS,
        because="Istio ignores a policy with targets at a gateway of networking.istio.io",
        noticed=True,
        fix="select the gateway's Pods with spec.selector",
    )


ROWS = (
    *declare(
        _GROUP,
        "AuthorizationPolicy",
        _elsewhere(
            "requests that it denies in a cluster (403) reach them",
            when=lambda policy: _may_deny(policy),
        ),
        served(
            "",
            "spec.selector.matchLabels",
            "spec.action",
            "spec.provider.name",
            "spec.rules.from.source.{principals,requestPrincipals,namespaces,serviceAccounts,ipBlocks,remoteIpBlocks}",
            "spec.rules.from.source.{notPrincipals,notRequestPrincipals,notNamespaces,notServiceAccounts}",
            "spec.rules.from.source.{notIpBlocks,notRemoteIpBlocks}",
            "spec.rules.to.operation.{hosts,ports,methods,paths,notHosts,notPorts,notMethods,notPaths}",
            "spec.rules.when.{key,values,notValues}",
        ),
        _targets(),
    ),
    *declare(
        _GROUP,
        "RequestAuthentication",
        _elsewhere("requests with an invalid JWT (401 in a cluster) reach them"),
        served(
            "",
            "spec.selector.matchLabels",
            "spec.jwtRules.{issuer,audiences,jwks,jwksUri,jwks_uri,timeout}",
            "spec.jwtRules.fromHeaders.{name,prefix}",
            "spec.jwtRules.{fromParams,fromCookies}",
            "spec.jwtRules.outputClaimToHeaders.{header,claim}",
            "spec.jwtRules.{outputPayloadToHeader,forwardOriginalToken,spaceDelimitedClaims}",
        ),
        _targets(),
    ),
    *declare(
        _GROUP,
        "PeerAuthentication",
        _refuses_plain_text("that is STRICT for applications", Scope.APPLICATION, lambda policy: _is_strict(policy)),
        _refuses_plain_text(
            "that is STRICT for a namespace with the ingress gateway",
            Scope.GATEWAY,
            lambda policy: _is_strict(policy) and not _selects(policy),
        ),
        accepted(
            "",
            because="Istio's gateways do not read it, and one that is not STRICT refuses nothing",
            case="that selects the ingress gateway, or is not STRICT",
            when=lambda policy: _selects(policy) or not _is_strict(policy),
        ),
        accepted(
            "spec.{selector.matchLabels,mtls.mode,portLevelMtls.*.mode}",
            because="the object as a whole has no effect here",
        ),
    ),
)


def _is_strict(policy: JsonObject) -> bool:
    spec = _object(policy.get("spec"))
    ports = _object(spec.get("portLevelMtls")).values()
    return any(_object(mtls).get("mode") == "STRICT" for mtls in (spec.get("mtls"), *ports))


def _selects(policy: JsonObject) -> bool:
    return bool(_object(_object(_object(policy.get("spec")).get("selector")).get("matchLabels")))


def _object(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _may_deny(policy: JsonObject) -> bool:
    """Not AUDIT, DENY without rules, or ALLOW with a rule that everything meets."""
    spec = policy.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    rules = spec.get("rules")
    match spec.get("action") or "ALLOW":
        case "AUDIT":
            return False
        case "ALLOW":  # without rules nothing is allowed
            return not (isinstance(rules, list) and any(not rule for rule in rules))
        case _:
            return bool(rules)
