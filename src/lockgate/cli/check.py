"""`lockgate check`"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from lockgate.cli.options import no_supply_option, read_options, values_option
from lockgate.cli.terminal import paint, print_fault, say
from lockgate.resources.faults import Severity

if TYPE_CHECKING:
    from lockgate.check.findings import Finding

_SEVERITIES = [each.value for each in Severity]
_EPILOG = """\b
Examples:
  lockgate check examples/edge
  lockgate check k8s/ --fail-on warning
"""


@click.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, metavar="[PATH…]")
@click.option("--fail-on", type=click.Choice(_SEVERITIES), default="error", show_default=True,
              help="The least severity of a finding that makes the exit code 1.")  # fmt: skip
@no_supply_option
@values_option
def check(paths: tuple[str, ...], fail_on: str, no_supply: bool, values: tuple[str, ...]) -> int:
    """Find what is wrong across load balancer, gateway, certificates and DNS, without running anything.

    PATH is as for `up`, by default the current folder. The exit code is 1 if there are findings of the severity of
    --fail-on or above.
    """
    from lockgate.check.findings import check as find
    from lockgate.edge.from_manifests import from_manifests
    from lockgate.runtime import files

    paths = paths or (".",)
    manifests = files.load(paths, values)
    edge = from_manifests(manifests, read_options(paths, no_supply=no_supply))
    found = find(edge, manifests.positions())
    for each in found:
        print_fault(each.diagnostic, err=False)
    say(_summary(found))
    return int(any(_SEVERITIES.index(each.severity) <= _SEVERITIES.index(fail_on) for each in found))


def _summary(found: Sequence[Finding]) -> str:
    if not found:
        return paint("no findings", "green")
    return paint(", ".join(_counts(found)), "bold")


def _counts(found: Sequence[Finding]) -> Iterator[str]:
    counts = Counter(each.severity for each in found)
    for severity in Severity:
        if count := counts[severity]:
            yield f"{count} {severity.value}{'s' if count != 1 else ''}"
