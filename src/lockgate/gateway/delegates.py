"""Merges a delegate VirtualService's rule into the root's rule that references it.

Source: istio/istio `pilot/pkg/model/virtualservice.go` (mergeHTTPRoute and what it calls).
"""

from __future__ import annotations

from lockgate.resources import istio


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
