"""The objects that are not served as written, each with its fault."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lockgate.ingress.manifests import Stacks
from lockgate.resources.faults import Fault, Origin, Severity
from lockgate.resources.model import ObjectKey
from lockgate.runtime.loader import Loaded


def refused(read: Iterable[Fault], loaded: Loaded, stacks: Stacks) -> Mapping[ObjectKey, Fault]:
    """Objects refused by the reader, the Kubernetes API, or the load balancer controller; the first of them counts."""
    found: dict[ObjectKey, Fault] = {}
    for fault in (*read, *loaded.faults):
        if fault.severity is Severity.ERROR and isinstance(fault.origin, Origin):
            found.setdefault(fault.origin.key, fault)
    return {**stacks.refused, **found}


def of_stacks(stacks: Stacks, loaded: Loaded) -> Iterator[Fault]:
    """Faults of load balancers, except those about objects that the API refused: the API has the previous version or
    none, and its fault would be a second report of one mistake."""
    for fault in stacks.faults:
        if not (isinstance(fault.origin, Origin) and fault.origin.key in loaded.refused):
            yield fault
