"""Whatever annotations say, a group ends in AWS or in an event; nothing else goes wrong on the way."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from aws_load_balancer_lab import CERTIFICATE, ingress, lab, service
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate.controllers.aws import AwsError
from lockgate.controllers.aws_load_balancer.certificates import NotIssued
from lockgate.ingress.refusal import Refused
from lockgate.resources import networking
from lockgate.resources.status import ApiError

PREFIX = "alb.ingress.kubernetes.io/"
TEXT = st.one_of(
    st.sampled_from(
        ["", "true", "ip", "HTTPS", "GRPC", "80", "-1", "99999", "a=b", "deletion_protection.enabled=true"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12),
)
VALUES = st.lists(
    st.one_of(TEXT, st.sampled_from(["*.example.com", "/a*", "GET", "10.0.0.0/8", "(", "a{9999}"])), max_size=6
)


def as_json(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    return strategy.map(json.dumps)


CONFIGS = {
    "host-header": "hostHeaderConfig",
    "path-pattern": "pathPatternConfig",
    "http-request-method": "httpRequestMethodConfig",
    "source-ip": "sourceIPConfig",
}
CONDITIONS = st.lists(
    st.sampled_from(sorted(CONFIGS)).flatmap(
        lambda field: st.fixed_dictionaries(
            {
                "field": st.just(field),
                CONFIGS[field]: st.dictionaries(st.sampled_from(["values", "regexValues"]), VALUES, max_size=1),
            }
        )
    ),
    max_size=3,
)
REWRITES = st.lists(st.fixed_dictionaries({"regex": TEXT, "replace": TEXT}), max_size=2)
TARGETS = st.fixed_dictionaries(
    {"serviceName": st.just("web"), "servicePort": st.sampled_from([80, "p80"]), "weight": st.integers(-1, 1000)}
)
ACTIONS = st.one_of(
    st.fixed_dictionaries({"type": st.just("fixed-response"), "fixedResponseConfig": st.fixed_dictionaries(
        {"statusCode": TEXT}, optional={"contentType": TEXT, "messageBody": TEXT}
    )}),
    st.fixed_dictionaries({"type": st.just("redirect"), "redirectConfig": st.fixed_dictionaries(
        {"statusCode": st.sampled_from(["HTTP_301", "302"])},
        optional=dict.fromkeys(("host", "path", "port", "protocol", "query"), TEXT),
    )}),
    st.fixed_dictionaries({"type": st.just("forward"), "forwardConfig": st.fixed_dictionaries(
        {"targetGroups": st.lists(TARGETS, max_size=3)},
        optional={"targetGroupStickinessConfig": st.fixed_dictionaries(
            {"enabled": st.booleans(), "durationSeconds": st.integers(0, 700000)}
        )},
    )}),
)  # fmt: skip
ANNOTATIONS: dict[str, st.SearchStrategy[str]] = {
    **dict.fromkeys(
        ("scheme", "ip-address-type", "load-balancer-name", "ssl-policy", "target-type", "backend-protocol",
         "backend-protocol-version", "healthcheck-path", "healthcheck-port", "success-codes", "inbound-cidrs",
         "subnets", "security-groups", "wafv2-acl-arn", "wafv2-acl-name", "shield-advanced-protection",
         "ipam-ipv4-pool-id", "customer-owned-ipv4-pool", "security-group-prefix-lists", "auth-type", "auth-scope",
         "mutual-authentication"),
        TEXT,
    ),
    **dict.fromkeys(
        ("healthcheck-interval-seconds", "healthcheck-timeout-seconds", "healthy-threshold-count", "ssl-redirect",
         "target-control-port.web.80"),
        st.integers(-5, 400).map(str),
    ),
    **dict.fromkeys(
        ("load-balancer-attributes", "target-group-attributes", "listener-attributes.HTTP-80", "tags",
         "minimum-load-balancer-capacity"),
        st.tuples(
            st.sampled_from(["idle_timeout.timeout_seconds", "stickiness.enabled", "CapacityUnits", "é"]), TEXT
        ).map("=".join),
    ),
    "listen-ports": as_json(
        st.lists(st.dictionaries(st.sampled_from(["HTTP", "HTTPS"]), st.integers(79, 82)), max_size=2)
    ),
    "certificate-arn": st.sampled_from([CERTIFICATE, f"{CERTIFICATE},{CERTIFICATE}", "arn:nonsense", " "]),
    "conditions.web": as_json(CONDITIONS),
    "transforms.web": as_json(
        st.lists(st.fixed_dictionaries({
            "type": st.just("url-rewrite"), "urlRewriteConfig": st.fixed_dictionaries({"rewrites": REWRITES})
        }), max_size=2)
    ),
    "actions.act": as_json(ACTIONS),
}  # fmt: skip
SETS = st.lists(
    st.lists(st.sampled_from(sorted(ANNOTATIONS)), min_size=1, max_size=3, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: ANNOTATIONS[name] for name in names})
    ),
    min_size=12,
    max_size=12,
)


@settings(deadline=None, derandomize=True, max_examples=4, suppress_health_check=list(HealthCheck))
@given(SETS)
def test_no_annotation_breaks_the_controller(caplog: pytest.LogCaptureFixture, sets: list[dict[str, str]]) -> None:
    caplog.clear()

    async def run() -> None:
        web = ingress("web", ("/", "web", 80), ("/act", "act", "use-annotation"))
        async with lab(service("web", 80), web, ingress("other", ("/", "web", 80))) as there:
            await there.issue(CERTIFICATE, "web.example")
            for written in sets:
                changed = {PREFIX + key: value for key, value in written.items()}
                try:
                    await there.store.patch(
                        networking.Ingress, "web", "default", {"metadata": {"annotations": changed}}
                    )
                except ApiError as error:
                    assert "denied the request" in error.message, written
                    continue
                await there.quiet()
                gone = dict.fromkeys(changed)
                await there.store.patch(networking.Ingress, "web", "default", {"metadata": {"annotations": gone}})
            await there.another_pass("other")

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    reported = [record.args for record in caplog.records if record.name == "lockgate.controllers"]
    failures = [args[2] for args in reported if isinstance(args, tuple) and len(args) > 2]
    unexpected = [each for each in failures if not isinstance(each, Refused | AwsError | ApiError | NotIssued)]
    assert unexpected == []
    assert [str(each) for each in failures if isinstance(each, AwsError) and each.code in ("InternalFailure", "")] == []
