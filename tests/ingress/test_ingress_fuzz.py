"""Whatever an annotation says, the answer is a stack or the controller's refusal, never a crash."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from ingress_cases import Row

from lockgate.ingress.annotations.registry import REGISTRY
from lockgate.ingress.annotations.services import SERVICES
from lockgate.ingress.annotations.spec import SERVICE_PREFIX
from lockgate.ingress.flags import read_arguments
from lockgate.ingress.manifests import stack_from_manifests
from lockgate.ingress.world import Settings
from lockgate.resources import core

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
SERVICE_NAMES = [name.replace("{PROTOCOL-PORT}", "TCP-80").replace("{PORT}", "80") for name in SERVICES]
SERVICE_TEXTS = st.one_of(
    TEXTS,
    st.sampled_from(
        ["*", "on", "off", "external", "nlb-ip", "TCP", "ssl", "None", "HTTP2Only", "traffic-port", "http", "dns", "10",
         "2", "preserve_client_ip.enabled=false", "proxy_protocol_v2.enabled=true", "tcp.idle_timeout.seconds=60",
         "80,53", "CapacityUnits=3000", "10.0.0.1,10.0.0.2", "eipalloc-1,eipalloc-2", "subnet-1,subnet-2",
         "10.0.0.0/8,::/0"]
    ),
)  # fmt: skip
SERVICE_PORTS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["http", "dns", "tls"]),
            "port": st.sampled_from([53, 80, 443]),
            "protocol": st.sampled_from(["TCP", "UDP", "SCTP"]),
        },
        optional={"targetPort": st.sampled_from([8080, "web"]), "nodePort": st.integers(30000, 30005)},
    ),
    max_size=3,
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


@settings(deadline=None, derandomize=True)
@given(
    st.dictionaries(st.sampled_from(SERVICE_NAMES), SERVICE_TEXTS, max_size=6),
    SERVICE_PORTS,
    st.fixed_dictionaries(
        {"type": st.sampled_from(["LoadBalancer", "NodePort", "ClusterIP"])},
        optional={
            "externalTrafficPolicy": st.sampled_from(["Local", "Cluster"]),
            "allocateLoadBalancerNodePorts": st.booleans(),
            "loadBalancerSourceRanges": st.lists(st.sampled_from(["10.0.0.0/8", "::/0"]), max_size=2),
        },
    ),
    FLAGS,
)
def test_no_annotation_of_a_service_breaks_the_build(
    noted: dict[str, str], ports: list[dict[str, Any]], spec: dict[str, Any], flags: list[str]
) -> None:
    annotations = {SERVICE_PREFIX + name: value for name, value in noted.items()}
    metadata = {"namespace": "default", "name": "web", "uid": "u", "annotations": annotations}
    spec = {"loadBalancerClass": "service.k8s.aws/nlb", "ports": ports, **spec}
    service = core.Service.model_validate({"metadata": metadata, "spec": spec})
    read = read_arguments(["--cluster-name=lockgate", *_consistent(flags)], Settings())
    made = stack_from_manifests([service], settings=read.settings)
    refusals = [fault for fault in made.faults if fault.code.id in ("LG1102", "LG1106")]
    assert bool(made.stacks) != bool(refusals)
    assert all(fault.message and fault.subject.startswith("Service default/web") for fault in refusals)
