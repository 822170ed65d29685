"""Merges a delegate VirtualService's rule into the root's rule that references it.

Source: istio/istio `pilot/pkg/model/virtualservice.go` (mergeHTTPRoute and what it calls).
"""

from __future__ import annotations

from lockgate.gateway.hosts import fully_qualified, gateway_name
from lockgate.resources import istio


def qualified(root: istio.HTTPRoute, namespace: str, domain: str) -> istio.HTTPRoute:
    """A root's rule with full names where a delegate in another namespace inherits them: mirrors, and Gateways that a
    match names."""

    def full(destination: istio.Destination) -> istio.Destination:
        return destination.model_copy(update={"host": fully_qualified(destination.host, namespace, domain)})

    update = {
        "mirror": full(root.mirror) if root.mirror else None,
        "mirrors": tuple(one.model_copy(update={"destination": full(one.destination)}) for one in root.mirrors),
        "match": tuple(
            one.model_copy(update={"gateways": tuple(gateway_name(name, namespace) for name in one.gateways)})
            for one in root.match
        ),
    }
    return root.model_copy(update=update)


def merged(root: istio.HTTPRoute, delegate: istio.HTTPRoute) -> istio.HTTPRoute | None:
    """The merged rule. None if the two matches exclude each other."""
    matches = _merged_matches(root.match, delegate.match)
    if matches is None:
        return None
    inherited = {
        name: getattr(root, name)
        for name in (
            "rewrite", "direct_response", "timeout", "retries", "fault", "mirror", "mirror_percent",
            "mirror_percentage", "mirrors", "cors_policy", "headers",
        )
        if not getattr(delegate, name)
    }  # fmt: skip
    name = "-".join(part for part in (root.name, delegate.name) if part)
    return delegate.model_copy(update={**inherited, "name": name, "match": matches})


def _merged_matches(
    root: tuple[istio.HTTPMatchRequest, ...], delegate: tuple[istio.HTTPMatchRequest, ...]
) -> tuple[istio.HTTPMatchRequest, ...] | None:
    if not root or not delegate:
        return root or delegate
    merged: list[istio.HTTPMatchRequest] = []
    for inner in delegate:
        pairs = [_merged_match(outer, inner) for outer in root]
        if None in pairs:
            return None  # one conflict excludes the whole rule
        merged += [pair for pair in pairs if pair is not None]
    return tuple(merged)


def _merged_match(root: istio.HTTPMatchRequest, delegate: istio.HTTPMatchRequest) -> istio.HTTPMatchRequest | None:
    update: dict[str, object] = {}
    for name in ("uri", "scheme", "method", "authority"):
        outer, inner = getattr(root, name), getattr(delegate, name)
        if outer is not None and inner is not None and not _contains(outer, inner):
            return None
        update[name] = inner if inner is not None else outer
    for name in ("headers", "query_params", "without_headers", "source_labels"):
        outer, inner = getattr(root, name), getattr(delegate, name)
        if any(key in inner and inner[key] != value for key, value in outer.items()):
            return None
        update[name] = {**outer, **inner}
    for name in ("port", "source_namespace"):
        outer, inner = getattr(root, name), getattr(delegate, name)
        if outer and inner and outer != inner:
            return None
        update[name] = inner or outer
    update["gateways"] = delegate.gateways or root.gateways
    update["ignore_uri_case"] = root.ignore_uri_case or delegate.ignore_uri_case
    update["stat_prefix"] = delegate.stat_prefix or root.stat_prefix
    update["name"] = "-".join(part for part in (root.name, delegate.name) if part)
    return delegate.model_copy(update=update)


def _contains(outer: istio.StringMatch, inner: istio.StringMatch) -> bool:
    """Whether the root's match covers everything that the delegate's match covers."""
    if outer.regex is not None or inner.regex is not None:
        return outer.regex == inner.regex
    if outer.prefix is not None:
        return (inner.exact if inner.exact is not None else inner.prefix or "").startswith(outer.prefix)
    return inner.exact == outer.exact
