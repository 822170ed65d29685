"""Whatever an annotation says, the answer is a stack or the controller's refusal, never a crash."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from ingress_cases import Row

from lockgate.ingress.annotations.registry import REGISTRY

NAMES = [
    name.replace("{service}.{port}", "web.80").replace("{service}", "web").replace("{protocol}-{port}", "HTTPS-443")
    for name in REGISTRY
]
NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False))
KEYS = st.sampled_from(
    ["type", "Type", "forwardConfig", "targetGroups", "serviceName", "servicePort", "redirectConfig", "statusCode",
     "field", "values", "hostHeaderConfig", "httpHeaderConfig", "httpHeaderName", "rewrites", "urlRewriteConfig",
     "port", "mode", "HTTP", "HTTPS", "issuer", "secretName", "additionalClaims", "weight"]
)  # fmt: skip
WORDS = st.sampled_from(
    ["forward", "redirect", "fixed-response", "host-header", "path-pattern", "query-string", "url-rewrite", "verify",
     "web", "HTTP_301", "443", "80", "", "9" * 5000]
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, WORDS, st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=8,
)
TEXTS = st.one_of(
    VALUES.map(json.dumps),
    WORDS,
    st.text(alphabet="aHTP=,\\ \n{}[]\"':0129.-/*#", max_size=20),
    st.sampled_from(
        ["true", "false", "instance", "ip", "HTTPS", "GRPC", "oidc", "cognito", "none", "dualstack", "a=b"]
    ),
)
ANNOTATIONS = st.dictionaries(st.sampled_from(NAMES), TEXTS, max_size=5)
PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "scheme": st.sampled_from(["internal", "internet-facing"]),
        "ipAddressType": st.sampled_from(["ipv4", "dualstack"]),
        "targetType": st.sampled_from(["instance", "ip"]),
        "sslRedirectPort": WORDS,
        "certificateArn": st.lists(WORDS, max_size=2),
        "inboundCIDRs": st.lists(WORDS, max_size=2),
        "tags": st.lists(st.fixed_dictionaries({"key": WORDS, "value": WORDS}), max_size=2),
        "loadBalancerName": WORDS,
        "group": st.fixed_dictionaries({"name": WORDS}),
        "subnets": st.dictionaries(st.just("ids"), st.lists(WORDS, max_size=2), max_size=1),
    },
)
FLAGS = st.lists(
    st.sampled_from(
        [
            "--default-target-type=ip", "--default-tags=a=b", "--external-managed-tags=a", "--ingress-class=",
            "--enable-backend-security-group=false", "--enable-manage-backend-security-group-rules",
            "--tolerate-non-existent-backend-service=false", "--tolerate-non-existent-backend-action=false",
            "--feature-gates=EnableIPTargetType=false,ListenerRulesTagging=false,EnableDefaultTagsLowPriority=true",
        ]
    ),
    max_size=3,
    unique=True,
)  # fmt: skip


@settings(deadline=None, derandomize=True)
@given(
    st.lists(ANNOTATIONS, min_size=1, max_size=3),
    ANNOTATIONS,
    st.sampled_from(["80", "use-annotation", "http"]),
    st.one_of(st.none(), PARAMS),
    FLAGS,
)
def test_no_annotation_breaks_the_build(
    members: list[dict[str, str]], service: dict[str, str], port: str, params: dict[str, Any] | None, flags: list[str]
) -> None:
    data: dict[str, Any] = {
        "name": "fuzz",
        "group": members,
        "service": service,
        "paths": ["Prefix / web " + port, "Exact a.example/b web 80", "Any /c* web 15021"],
        "flags": ["--feature-gates=EnableCertificateManagement=true", *_consistent(flags)],
        "params": params,
    }
    outcome = Row("fuzz", data).build()
    refusals = [fault for fault in outcome.faults if fault.code.id in ("LG1102", "LG1106")]
    assert outcome.stacks or refusals
    for fault in refusals:
        assert fault.message
        assert fault.subject.startswith(("Ingress default/", "Service default/", "IngressClassParams alb"))


def _consistent(flags: list[str]) -> list[str]:
    """The controller starts with no tag that is both its own and others'."""
    return [flag for flag in flags if flag != "--external-managed-tags=a" or "--default-tags=a=b" not in flags]
