"""Addresses at which a gateway in a cluster finds nothing of the user's, and here would find this machine."""

from __future__ import annotations

import ipaddress
from typing import Final

LOCAL_IPV6: Final = "::1"
"""The IPv6 address of what listens on 127.0.0.1 here, in EndpointSlices for target groups of IPv6. Nothing listens on
it."""


def is_local(address: str) -> bool:
    """Whether an IP address is loopback, link-local or unspecified.

    In a cluster these are the gateway Pod's own and the node's metadata service. Here, they would be every program on
    the user's machine and, on an instance in a cloud, its credentials. Names are left to the resolver.
    """
    try:
        found = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.is_loopback or found.is_link_local or found.is_unspecified
