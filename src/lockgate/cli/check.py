"""`lockgate check`"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockgate.cli.options import no_supply_option, read_options, values_option
from lockgate.cli.terminal import print_data, say
from lockgate.resources.faults import Severity

if TYPE_CHECKING:
    from lockgate.check.outcome import Outcome
    from lockgate.check.selection import Selection

_EPILOG = """\b
Examples:
  lockgate check examples/edge
  lockgate check k8s/ --ignore LG7,LG8102 --fail-on warning
  lockgate check k8s/ --baseline .lockgate-baseline.json --write-baseline
  lockgate check k8s/ --baseline .lockgate-baseline.json --strict
  lockgate check k8s/ --output sarif > lockgate.sarif

\b
To accept a finding, write a comment with a reason on its line, on the line above, or above the object:
  # lockgate: ignore LG5001 because this port is not for the load balancer
"""


@click.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, metavar="[PATH…]")
@click.option("--select", multiple=True, metavar="CODES", help="Only these codes or beginnings of codes, such as LG5.")
@click.option("--ignore", multiple=True, metavar="CODES", help="None of these codes or beginnings of codes.")
@click.option("--fail-on", type=click.Choice([*(each.value for each in Severity), "never"]), metavar="SEVERITY",
              help="What makes the exit code 1, or worse: error (the default), warning, info; or never.")  # fmt: skip
@click.option("--strict", is_flag=True, help="Fail on warnings too, heed no suppression without a reason, and fail if "
              "the baseline has findings that are gone.")  # fmt: skip
@click.option(
    "--baseline", type=click.Path(dir_okay=False), metavar="FILE", help="Leave out the findings of this file."
)
@click.option("--write-baseline", is_flag=True, help="Write the findings into the file of --baseline.")
@click.option("--output", "-o", type=click.Choice(["text", "json", "sarif", "github", "junit"]), default="text",
              show_default=True, help="How to print; github prints annotations for GitHub Actions.")  # fmt: skip
@no_supply_option
@values_option
def check(
    paths: tuple[str, ...],
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_on: str | None,
    strict: bool,
    baseline: str | None,
    write_baseline: bool,
    output: str,
    no_supply: bool,
    values: tuple[str, ...],
) -> int:
    """Find what is wrong across load balancer, gateway, certificates and DNS, without running anything.

    PATH is as for `up`, by default the current folder. `lockgate explain CODE` says more about a finding. The exit code
    is 1 if a finding has the severity of --fail-on or a worse one, and 2 for wrong usage.
    """
    from lockgate.check.outcome import outcome
    from lockgate.edge.from_manifests import from_manifests
    from lockgate.runtime import files

    if write_baseline and baseline is None:
        raise click.UsageError("--write-baseline needs --baseline FILE")
    selection = _selection(select, ignore)
    known = frozenset[str]() if baseline is None or write_baseline else _baseline(baseline)
    paths = paths or (".",)
    manifests = files.load(paths, values)
    edge = from_manifests(manifests, read_options(paths, no_supply=no_supply))
    result = outcome(edge, manifests, selection=selection, baseline=known, strict=strict)
    if baseline is not None and write_baseline:
        from lockgate.check.reports import baseline as baselines

        Path(baseline).write_text(baselines.write(result.findings), "utf-8")
        say(f"{baseline}: {len(result.findings)} findings")
        return 0
    least = fail_on or ("warning" if strict else "error")
    _print(result, manifests.files, output, least)
    if strict and result.gone:
        return 1
    return int(least != "never" and bool(result.failing(Severity(least))))


def _selection(select: tuple[str, ...], ignore: tuple[str, ...]) -> Selection:
    from lockgate.check.selection import Selection, UnknownCode, named

    try:
        return Selection(named(",".join(select)), named(",".join(ignore)))
    except UnknownCode as error:
        raise click.UsageError(f"{error}; `lockgate explain` lists all codes") from None


def _baseline(file: str) -> frozenset[str]:
    from lockgate.check.reports import baseline

    try:
        return baseline.read(Path(file).read_text("utf-8"))
    except FileNotFoundError:
        raise click.UsageError(f"{file} does not exist; --write-baseline writes it") from None
    except (baseline.BadBaseline, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file}: {error}") from None


def _print(result: Outcome, read: tuple[str, ...], output: str, least: str) -> None:
    match output:
        case "json":
            from lockgate.check.outcome import as_json

            print_data(json.dumps(as_json(result), indent=2))
        case "sarif":
            from lockgate import __version__
            from lockgate.check.reports.sarif import sarif

            print_data(json.dumps(sarif(result, read, __version__), indent=2))
        case "github":
            from lockgate.check.reports.github import commands

            for line in commands(result.findings):
                say(line)
        case "junit":
            from lockgate.check.reports.junit import junit

            failing = () if least == "never" else result.failing(Severity(least))
            print_data(junit(result.findings, read, failing), end="")
        case _:
            from lockgate.cli.findings import print_outcome

            print_outcome(result)
