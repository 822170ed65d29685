"""The predefined TLS security policies of HTTPS listeners, as protocol versions, ciphers and key exchange groups.

Source: "Security policies for your Application Load Balancer"; the ciphers of each policy as DescribeSSLPolicies
lists them. Names of ciphers are OpenSSL's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

TlsVersion: TypeAlias = Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]

VERSIONS: Final[tuple[TlsVersion, ...]] = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
DEFAULT: Final = "ELBSecurityPolicy-2016-08"  # the API's default
PREFIX: Final = "ELBSecurityPolicy-"


@dataclass(frozen=True, slots=True)
class SecurityPolicy:
    """`ciphers` are those of TLS 1.2 and below, in the server's order. TLS 1.3 always has the same three ciphers."""

    name: str
    oldest: TlsVersion
    newest: TlsVersion
    ciphers: tuple[str, ...]
    post_quantum: bool = False
    fips: bool = False


def policy(name: str) -> SecurityPolicy | None:
    """A policy by its full name. "" is the default policy; None is returned for an unknown name."""
    return POLICIES.get(name or DEFAULT)


def towards_targets(listener_policy: str) -> SecurityPolicy:
    """The policy for connections to targets, which depends on the listener's policy ("Backend connections")."""
    chosen = policy(listener_policy) or POLICIES[DEFAULT]
    if chosen.fips:
        return POLICIES[PREFIX + "TLS13-1-0-FIPS-2023-04"]
    if chosen.newest == "TLSv1.3":
        return POLICIES[PREFIX + "TLS13-1-0-2021-06"]
    return POLICIES[DEFAULT]


# Cipher families, each with a letter. The list is in the server's order of preference.
_ORDER: Final = (
    ("G", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ("G", "ECDHE-RSA-AES128-GCM-SHA256"),
    ("B", "ECDHE-ECDSA-AES128-SHA256"),
    ("B", "ECDHE-RSA-AES128-SHA256"),
    ("C", "ECDHE-ECDSA-AES128-SHA"),
    ("C", "ECDHE-RSA-AES128-SHA"),
    ("G", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ("G", "ECDHE-RSA-AES256-GCM-SHA384"),
    ("B", "ECDHE-ECDSA-AES256-SHA384"),
    ("B", "ECDHE-RSA-AES256-SHA384"),
    ("C", "ECDHE-RSA-AES256-SHA"),
    ("C", "ECDHE-ECDSA-AES256-SHA"),
    ("R", "AES128-GCM-SHA256"),
    ("R", "AES128-SHA256"),
    ("S", "AES128-SHA"),
    ("R", "AES256-GCM-SHA384"),
    ("R", "AES256-SHA256"),
    ("S", "AES256-SHA"),
    ("D", "DES-CBC3-SHA"),
)

# Name without prefix: lowest and highest TLS version, cipher families.
_TABLE: Final[Mapping[str, tuple[TlsVersion, TlsVersion, str]]] = MappingProxyType(
    {
        "2016-08": ("TLSv1", "TLSv1.2", "GBCRS"),
        "2015-05": ("TLSv1", "TLSv1.2", "GBCRS"),
        "TLS-1-0-2015-04": ("TLSv1", "TLSv1.2", "GBCRSD"),
        "TLS-1-1-2017-01": ("TLSv1.1", "TLSv1.2", "GBCRS"),
        "TLS-1-2-2017-01": ("TLSv1.2", "TLSv1.2", "GBR"),
        "TLS-1-2-Ext-2018-06": ("TLSv1.2", "TLSv1.2", "GBCRS"),
        "FS-2018-06": ("TLSv1", "TLSv1.2", "GBC"),
        "FS-1-1-2019-08": ("TLSv1.1", "TLSv1.2", "GBC"),
        "FS-1-2-2019-08": ("TLSv1.2", "TLSv1.2", "GBC"),
        "FS-1-2-Res-2019-08": ("TLSv1.2", "TLSv1.2", "GB"),
        "FS-1-2-Res-2020-10": ("TLSv1.2", "TLSv1.2", "G"),
        "TLS13-1-3-2021-06": ("TLSv1.3", "TLSv1.3", ""),
        "TLS13-1-2-Res-2021-06": ("TLSv1.2", "TLSv1.3", "G"),
        "TLS13-1-2-2021-06": ("TLSv1.2", "TLSv1.3", "GB"),
        "TLS13-1-2-Ext1-2021-06": ("TLSv1.2", "TLSv1.3", "GBR"),
        "TLS13-1-2-Ext2-2021-06": ("TLSv1.2", "TLSv1.3", "GBCRS"),
        "TLS13-1-1-2021-06": ("TLSv1.1", "TLSv1.3", "GBCRS"),
        "TLS13-1-0-2021-06": ("TLSv1", "TLSv1.3", "GBCRS"),
    }
)

# Variants of the TLS 1.3 policies of 2021 under these dates: with FIPS modules, post-quantum key exchange, or both.
_VARIANTS: Final = (
    ("FIPS-2023-04", True, False),
    ("PQ-2025-09", False, True),
    ("FIPS-PQ-2025-09", True, True),
)


def _policies() -> dict[str, SecurityPolicy]:
    made = {}
    for name, (oldest, newest, families) in _TABLE.items():
        ciphers = tuple(cipher for family, cipher in _ORDER if family in families)
        made[PREFIX + name] = SecurityPolicy(PREFIX + name, oldest, newest, ciphers)
        if not name.startswith("TLS13-"):
            continue
        for date, fips, post_quantum in _VARIANTS:
            variant = PREFIX + name.replace("2021-06", date)
            made[variant] = SecurityPolicy(variant, oldest, newest, ciphers, post_quantum, fips)
    return made


POLICIES: Final[Mapping[str, SecurityPolicy]] = MappingProxyType(_policies())
