"""Istio's kinds that are stored as written; `effects` describes what that means for requests."""

from typing import ClassVar

from lockgate.resources.istio.versions import CATEGORIES, NETWORKING_VERSIONS
from lockgate.resources.meta import AGE
from lockgate.resources.model import Column, Kind, register
from lockgate.resources.workloads import Stored


def _networking(
    kind: str,
    plural: str,
    short: tuple[str, ...] = (),
    versions: tuple[str, ...] = NETWORKING_VERSIONS,
    columns: tuple[Column, ...] = (AGE,),
) -> Kind:
    return Kind(
        "networking.istio.io",
        versions,
        kind,
        plural,
        short_names=short,
        categories=CATEGORIES,
        columns=columns,
    )


@register
class Sidecar(Stored):
    KIND: ClassVar[Kind] = _networking("Sidecar", "sidecars")


@register
class WorkloadGroup(Stored):
    KIND: ClassVar[Kind] = _networking("WorkloadGroup", "workloadgroups", ("wg",))
