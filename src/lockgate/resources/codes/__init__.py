"""The registry of codes: every kind of fault that Lockgate reports, each defined once.

A code is a promise: its number never gets another meaning. The hundreds go by subject:

    LG00xx  reading files           reading, objects, suppressions
    LG01xx  refused by the Kubernetes API              admission
    LG1xxx  load balancer           load_balancer, rules      LG2xxx  gateway                         gateway, policies
    LG3xxx  certificates            certificates       LG4xxx  names and DNS                   names
    LG5xxx  across systems          across             LG6xxx  outdated and discouraged        guide
    LG7xxx  security                security           LG8xxx  operations and cost             operations
    LG9xxx  this machine            machine
    IST0xxx what `istioctl analyze` reports under the same number, in our own words            istio

To add one, write a `Code` into the file of its subject, and use it where the fault is found:

    CLASS_NOT_FOUND = Code(
        "LG1190",
        Severity.ERROR,
        "A title for lists: a noun phrase without a period",
        message="IngressClass {name} does not exist",
        fix="create it, or correct spec.ingressClassName",
        what="What the code means, in a sentence or two.",
        why="What comes of it, here and on AWS.",
        example="the smallest manifests that have the fault",
        instead="the same manifests without it",
    )

    yield codes.CLASS_NOT_FOUND.at(origin.under("spec", "ingressClassName"), name=name)

Then write its page: `python -m lockgate.resources.codes.document docs/codes`. A test reads and builds every example:
it must have the code, and `instead` must not. What only a whole edge shows is found by an analyzer (`lockgate.check`).
What needs a running edge is listed in that test with the test that shows it.

- `message` says what is wrong and what comes of it, `fix` what to do about it. Both are short, start with a small
  letter unless a name comes first, and end without a period: they are printed as `error: message — fix [LG1190]`.
- Another case of the same fault is a `variant` of the code, with other words.
- `aliases` are the numbers that other tools have for the same fault: ``("KIA0201",)``.
- The files of codes import nothing but `faults`: commands that only print codes must start quickly.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Final

from lockgate.resources.codes import (
    across,
    admission,
    certificates,
    gateway,
    guide,
    istio,
    load_balancer,
    machine,
    names,
    network_to_gateway,
    objects,
    operations,
    policies,
    reading,
    rules,
    security,
    service_load_balancers,
    suppressions,
    to_gateway,
)
from lockgate.resources.faults import Code


def _defined(*modules: ModuleType) -> dict[str, tuple[Code, ...]]:
    found: dict[str, tuple[Code, ...]] = {}
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, Code):
                found[value.id] = (*found.get(value.id, ()), value)
    return dict(sorted(found.items()))


CODES: Final[Mapping[str, tuple[Code, ...]]] = _defined(
    reading,
    objects,
    suppressions,
    admission,
    load_balancer,
    service_load_balancers,
    rules,
    gateway,
    policies,
    istio,
    certificates,
    names,
    network_to_gateway,
    across,
    to_gateway,
    guide,
    security,
    operations,
    machine,
)
"""Every code by its id, in order: as it is defined, and its variants after it."""


def codes() -> tuple[Code, ...]:
    """Every code once, in order of their ids."""
    return tuple(variants[0] for variants in CODES.values())
