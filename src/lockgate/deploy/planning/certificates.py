"""Which certificate of ACM each Ingress gets: the one that it names, one that the account has, or a new one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from lockgate.deploy.planning.seen import Acm
from lockgate.ingress.certificates import covers

LIVE: Final = ("ISSUED", "PENDING_VALIDATION")


@dataclass(frozen=True, slots=True)
class Choice:
    """`reference` is the ARN that the manifests name, or the one that stands for a missing one. `found` is the
    account's certificate that is used; None means that one is requested for `names`."""

    reference: str
    names: tuple[str, ...]
    found: Acm | None

    @property
    def arn(self) -> str:
        """ "" until it is requested."""
        return self.found.arn if self.found else ""

    @property
    def issued(self) -> bool:
        return self.found is not None and self.found.status == "ISSUED"

    @property
    def token(self) -> str:
        """ACM answers a repeated request with the same token, within an hour, with the same certificate."""
        return sha256(",".join(sorted(self.names)).encode()).hexdigest()[:32]


def choose(reference: str, names: Sequence[str], certificates: Iterable[Acm]) -> Choice:
    every = [each for each in certificates if each.status in LIVE]
    named = next((each for each in every if each.arn == reference), None)
    if named is not None:
        return Choice(reference, tuple(names), named)
    fitting = [each for each in every if not each.imported and _covers(each, names)]
    return Choice(reference, tuple(names), max(fitting, key=lambda each: _merit(each, names), default=None))


def _covers(certificate: Acm, names: Iterable[str]) -> bool:
    have = {each.lower() for each in certificate.names}
    return all(name.lower() in have or any(covers(each, name) for each in have) for name in names)


def _merit(certificate: Acm, names: Sequence[str]) -> tuple[object, ...]:
    return (
        certificate.status == "ISSUED",
        {each.lower() for each in certificate.names} == {each.lower() for each in names},
        certificate.in_use,
        certificate.ours,
        certificate.not_after,
        certificate.arn,
    )
