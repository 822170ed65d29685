"""Whatever objects a folder holds: they are read, planned and reported, and nothing raises."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate.edge.from_manifests import from_manifests
from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.edge.plan import load_balancers, plan
from lockgate.edge.without_effect import without_effect
from lockgate.resources import kinds as _kinds  # noqa: F401  # registers them
from lockgate.resources.diagnostics import diagnose
from lockgate.resources.model import Resource, kinds
from lockgate.resources.reader import read
from lockgate.resources.shape import Free, ListOf, MapOf, Object, Scalar, Shape, shape_of

TEXTS = [
    "a", "web", "edge", "*", "*.a.example", "a.example", "/", "/*", "443", "http", "HTTPS", "use-annotation",
    "alb", "ip", "instance", "10s", "99999999999h", "Nodeport", "é", "${X}", "<x>", "istio-ingressgateway",
    "10.0.0.1", "::1", "0.0.0.0/0", "a=b,c=d", "true", "null", "٣", "[", "{}", "-", "\x1b",
    "arn:aws:acm:eu-west-1:123456789012:certificate/5f1d6c1e-7a55-4a0e-9d0b-2f6f0c9d7e11", "spec.type",
    "spec.ports[0]",
]  # fmt: skip
NAMES = [
    "scheme", "target-type", "listen-ports", "certificate-arn", "group.name", "group.order", "actions.web",
    "conditions.web", "transforms.web", "load-balancer-attributes", "target-group-attributes", "subnets", "tags",
    "auth-type", "healthcheck-port", "success-codes", "backend-protocol", "ssl-redirect", "inbound-cidrs",
    "wafv2-acl-arn",
]  # fmt: skip
_TEXTS = st.sampled_from(TEXTS) | st.text(max_size=4)
_ANNOTATIONS = st.sampled_from(
    ["kubernetes.io/ingress.class", *(f"alb.ingress.kubernetes.io/{each}" for each in NAMES)]
)
_JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXTS, inner, max_size=2),
    max_leaves=5,
)


@st.composite
def values(draw: st.DrawFn, shape: Shape, depth: int = 0) -> Any:
    """What a field may hold, and now and then what it may not."""
    if draw(st.integers(0, 40)) == 0:
        return draw(_JUNK)
    match shape:
        case Scalar(choices=choices) if choices:
            return draw(st.sampled_from(choices))
        case Scalar(type="integer" | "int-or-string"):
            return draw(st.sampled_from([0, 1, 80, 443, 65535, 70000, -1, 2**40]))
        case Scalar(type="number"):
            return draw(st.floats(allow_nan=False, allow_infinity=False))
        case Scalar(type="boolean"):
            return draw(st.booleans())
        case Scalar():
            return draw(_TEXTS)
        case Object(fields=fields):
            chosen = [each for each in fields.values() if each.required or draw(st.integers(0, 2 + depth)) == 0]
            return {each.name: draw(values(each.shape, depth + 1)) for each in chosen}
        case ListOf(inner):
            return [draw(values(inner, depth + 1)) for _ in range(draw(st.integers(0, 2)))]
        case MapOf(inner):
            return {draw(_TEXTS): draw(values(inner, depth + 1)) for _ in range(draw(st.integers(0, 2)))}
        case Free():
            return draw(_JUNK)


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Any]:
    model: type[Resource] = draw(st.sampled_from(list(kinds().values())))
    manifest = draw(values(shape_of(model)))
    manifest = manifest if isinstance(manifest, dict) else {}
    metadata = {"name": draw(st.sampled_from(["a", "web", "istio-ingressgateway"]))}
    if model.KIND.namespaced:
        metadata["namespace"] = draw(st.sampled_from(["shop", "istio-system"]))
    annotations = draw(st.dictionaries(_ANNOTATIONS, _TEXTS, max_size=4))
    manifest["metadata"] = {**metadata, "annotations": {"kubernetes.io/ingress.class": "alb", **annotations}}
    return {**manifest, "apiVersion": model.KIND.api_version, "kind": model.KIND.kind}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(objects(), min_size=1, max_size=5))
def test_any_objects_lead_to_an_edge_and_faults(manifests: list[dict[str, Any]]) -> None:
    reading = read("\n---\n".join(json.dumps(each) for each in manifests), "all.yaml")
    everything = Manifests(reading.documents, reading.faults, ("all.yaml",), frozenset(), {"all.yaml": (b"", reading)})
    planned = plan(everything, Options(("all.yaml",)))
    made = load_balancers(planned)
    from_manifests(everything, Options(("all.yaml",)))
    locate = planned.manifests.positions()
    ignored = without_effect(planned.manifests.documents, planned.resources)
    for fault in (*planned.manifests.faults, *made.faults, *ignored):
        line = str(diagnose(fault, locate))
        assert "pydantic" not in line
        assert "Input should" not in line
