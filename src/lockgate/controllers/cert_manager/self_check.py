"""Whether a challenge's record can be seen where the CA will look for it.

cert-manager finds the zone's name servers and asks each; here one server answers for all of them, under the
addresses that the edge was given. Source: cert-manager, `pkg/issuer/acme/dns/util/wait.go`.
"""

from __future__ import annotations

from lockgate.controllers.dns import DnsFailure, NameServer


class NotPropagated(Exception):
    """Not yet. The message goes behind "Waiting for DNS-01 challenge propagation: "."""


async def check(names: NameServer, domain: str, value: str) -> None:
    """Return when every answer for the domain's TXT record holds `value`; else raise `NotPropagated`."""
    name = f"_acme-challenge.{domain}"
    try:
        target = await names.follow(name)
        zone = await names.zone(target)
        if zone is None:
            raise NotPropagated(
                f'Could not determine the zone for "{target}.": Could not find the SOA record in the DNS tree for the '
                f"domain '{target}.' using nameservers [{names.host}:{names.port}]"
            )
        if not await names.name_servers(zone):
            raise NotPropagated(f'Could not determine authoritative nameservers for "{zone}."')
        texts = await names.txt(target)
    except DnsFailure as failure:
        if failure.code:
            raise NotPropagated(f"NS {names.host}:{names.port} returned {failure.code} for {failure.name}.") from None
        raise NotPropagated(str(failure)) from None
    if value not in texts:
        raise NotPropagated(f'DNS record for "{domain}" not yet propagated')
