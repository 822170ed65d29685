"""Whether a challenge's record is visible where the CA will query it.

cert-manager finds the zone's name servers and queries each one. Here one server answers for all of them. Source:
cert-manager, `pkg/issuer/acme/dns/util/wait.go`.
"""

from __future__ import annotations

from lockgate.controllers.dns import DnsFailure, NameServer


class NotPropagated(Exception):
    """Not visible yet. The message follows "Waiting for DNS-01 challenge propagation: "."""


async def check(names: NameServer, domain: str, value: str) -> None:
    """Returns if all answers for the domain's TXT record contain `value`; otherwise raises `NotPropagated`."""
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
