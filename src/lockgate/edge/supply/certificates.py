"""ACM certificates: those that Ingresses and their classes name by ARN, and those discovered by host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from uuid import NAMESPACE_DNS, uuid5

from lockgate.edge.location import Place
from lockgate.edge.supply.hosts import covering, is_public
from lockgate.edge.supply.pieces import AcmCertificate
from lockgate.ingress.certificates import covers
from lockgate.ingress.references import References
from lockgate.resources.arns import partition_of

NAMES = 10  # ACM's default limit of names per certificate


def certificates(
    references: Iterable[References], hosts: Sequence[str], zones: Sequence[str], place: Place
) -> tuple[AcmCertificate, ...]:
    """`hosts` are all hosts that the edge serves. A certificate that is named by ARN covers all of them."""
    references = tuple(references)
    arns = dict.fromkeys(arn for each in references for arn in each.certificates)
    names = covering(hosts, zones)
    made = [AcmCertificate(arn, names, _why(arn, names)) for arn in arns if names]
    have = [name for each in made for name in each.names]
    return (*made, *_discovered(references, have, zones, place))


def _discovered(
    references: Iterable[References], have: Sequence[str], zones: Sequence[str], place: Place
) -> Iterator[AcmCertificate]:
    for each in references:
        hosts = [
            host for host in each.hosts_to_match if is_public(host) and not any(covers(name, host) for name in have)
        ]
        names = covering(hosts, zones)
        have = [*have, *names]
        for start in range(0, len(names), NAMES):
            some = names[start : start + NAMES]
            id_ = uuid5(NAMESPACE_DNS, ",".join(some))
            arn = f"arn:{partition_of(place.region)}:acm:{place.region}:{place.account}:certificate/{id_}"
            why = f"{_why(arn, some)}, as {each.label} finds its certificate by host"
            yield AcmCertificate(arn, some, why)


def _why(arn: str, names: Sequence[str]) -> str:
    return f"ACM certificate {arn.rpartition('/')[2] or arn}: requested for {', '.join(names)}"
