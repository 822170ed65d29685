"""ELBv2's TLS policies and account limits."""

from __future__ import annotations

from functools import cache
from typing import Any

from lockgate.embedded.aws.elbv2.load_balancers import paged
from lockgate.embedded.aws.elbv2.state import Shape, State
from lockgate.embedded.aws.protocol import Refusal, Result

DEFAULT = "ELBSecurityPolicy-2016-08"  # the API's default

_TLS13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
_GCM = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
)
_CBC = (
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
)
_SHA1 = (
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-RSA-AES256-SHA",
    "ECDHE-ECDSA-AES256-SHA",
)
_RSA = ("AES128-GCM-SHA256", "AES128-SHA256", "AES256-GCM-SHA384", "AES256-SHA256")
_RSA_SHA1 = ("AES128-SHA", "AES256-SHA")
_STRONG = _GCM + _CBC
_ALL = _STRONG + _SHA1 + _RSA + _RSA_SHA1
_TLS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")

# Source: ALB user guide, "Security policies for your Application Load Balancer". FIPS policies offer only AES-GCM here.
_BASE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "TLS13-1-3": (_TLS[3:], _TLS13),
    "TLS13-1-2": (_TLS[2:], _TLS13 + _STRONG),
    "TLS13-1-2-Res": (_TLS[2:], _TLS13 + _GCM),
    "TLS13-1-2-Ext1": (_TLS[2:], _TLS13 + _STRONG + _RSA),
    "TLS13-1-2-Ext2": (_TLS[2:], _TLS13 + _ALL),
    "TLS13-1-1": (_TLS[1:], _TLS13 + _ALL),
    "TLS13-1-0": (_TLS, _TLS13 + _ALL),
}
_OLDER: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "2016-08": (_TLS[:3], _ALL),
    "2015-05": (_TLS[:3], _ALL),
    "TLS-1-0-2015-04": (_TLS[:3], (*_ALL, "DES-CBC3-SHA")),
    "TLS-1-1-2017-01": (_TLS[1:3], _ALL),
    "TLS-1-2-2017-01": (_TLS[2:3], _STRONG + _RSA),
    "TLS-1-2-Ext-2018-06": (_TLS[2:3], _ALL),
    "FS-2018-06": (_TLS[:3], _STRONG + _SHA1),
    "FS-1-1-2019-08": (_TLS[1:3], _STRONG + _SHA1),
    "FS-1-2-2019-08": (_TLS[2:3], _STRONG + _SHA1),
    "FS-1-2-Res-2019-08": (_TLS[2:3], _STRONG),
    "FS-1-2-Res-2020-10": (_TLS[2:3], _GCM),
}


def names() -> frozenset[str]:
    return frozenset(_policies())


def describe(state: State, given: Shape) -> Result:
    requested = given.get("Names") or list(_policies())
    for name in requested:
        if name not in _policies():
            raise Refusal("SSLPolicyNotFound", f"SSL policy '{name}' not found")
    items, marker = paged([_policies()[name] for name in requested], given)
    return {"SslPolicies": items, **marker}


def limits(state: State, given: Shape) -> Result:
    items, marker = paged([{"Name": name, "Max": str(most)} for name, most in state.quotas.items()], given)
    return {"Limits": items, **marker}


@cache
def _policies() -> dict[str, Shape]:
    table = {f"{name}-2021-06": value for name, value in _BASE.items()}
    for name, (protocols, ciphers) in _BASE.items():
        table[f"{name}-PQ-2025-09"] = (protocols, ciphers)
        allowed = tuple(cipher for cipher in ciphers if "CHACHA20" not in cipher)
        table[f"{name}-FIPS-2023-04"] = (protocols, allowed)
        table[f"{name}-FIPS-PQ-2025-09"] = (protocols, allowed)
    return {f"ELBSecurityPolicy-{name}": _shown(name, *value) for name, value in (table | _OLDER).items()}


def _shown(name: str, protocols: tuple[str, ...], ciphers: tuple[str, ...]) -> dict[str, Any]:
    return {
        "Name": f"ELBSecurityPolicy-{name}",
        "SslProtocols": list(reversed(protocols)),
        "Ciphers": [{"Name": cipher, "Priority": place} for place, cipher in enumerate(ciphers, start=1)],
        "SupportedLoadBalancerTypes": ["application", "network"],
    }
