"""`lockgate check`"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockgate.cli.options import no_supply_option, read_options, values_option
from lockgate.cli.terminal import paint, print_data, say
from lockgate.resources.faults import Severity

if TYPE_CHECKING:
    from lockgate.check.fixing import Check
    from lockgate.check.outcome import Outcome
    from lockgate.check.selection import Selection
    from lockgate.edge.manifests import Manifests

_EPILOG = """\b
Examples:
  lockgate check examples/edge
  lockgate check k8s/ --ignore LG7,LG8102 --fail-on warning
  lockgate check k8s/ --baseline .lockgate-baseline.json --write-baseline
  lockgate check k8s/ --baseline .lockgate-baseline.json --strict
  lockgate check k8s/ --diff
  lockgate check k8s/ --fix
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
@click.option("--strict", is_flag=True, help="Fail on warnings too, ignore suppressions without a reason, and fail if "
              "the baseline has findings that are gone.")  # fmt: skip
@click.option(
    "--baseline", type=click.Path(dir_okay=False), metavar="FILE", help="Leave out the findings of this file."
)
@click.option("--write-baseline", is_flag=True, help="Write the findings into the file of --baseline.")
@click.option("--fix", is_flag=True, help="Fix what has one right fix, in the files. Comments and format are kept.")
@click.option("--diff", is_flag=True, help="Print what --fix would change, and change nothing.")
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
    fix: bool,
    diff: bool,
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
    from lockgate.runtime.reading import files

    if write_baseline and baseline is None:
        raise click.UsageError("--write-baseline needs --baseline FILE")
    selection = _selection(select, ignore)
    known = frozenset[str]() if baseline is None or write_baseline else _baseline(baseline)
    paths = paths or (".",)
    manifests = files.load(paths, values)
    options = read_options(paths, no_supply=no_supply)

    def checked(manifests: Manifests) -> Outcome:
        edge = from_manifests(manifests, options)
        return outcome(edge, manifests, selection=selection, baseline=known, strict=strict)

    if diff:
        return _print_changes(manifests, checked)
    result = _fix(manifests, checked) if fix else checked(manifests)
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


def _fix(manifests: Manifests, check: Check) -> Outcome:
    """Writes the fixed files. What is left is the outcome."""
    from lockgate.check.fixing import fix

    files = Files(manifests.files)
    made = fix(manifests, files.texts, check)
    for file, text in made.texts.items():
        files.write(file, text)
    for finding in made.fixed:
        say(f"{paint('fixed', 'green')} {finding.diagnostic.line()}", err=True)
    return made.outcome


def _print_changes(manifests: Manifests, check: Check) -> int:
    """As a patch. The exit code is 1 if there is one."""
    from difflib import unified_diff

    from lockgate.check.fixing import fix

    files = Files(manifests.files)
    made = fix(manifests, files.texts, check)
    for file, text in made.texts.items():
        old, new = files.texts[file].splitlines(keepends=True), text.splitlines(keepends=True)
        for line in unified_diff(old, new, file, file):
            say(line.rstrip("\r\n"))
    return int(bool(made.texts))


class Files:
    """The files that can be fixed, with their texts: UTF-8, and nothing that was rendered or piped in."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.texts: dict[str, str] = {}
        self._marked: set[str] = set()  # files with a byte order mark
        for name in names:
            try:
                content = Path(name).read_bytes()
                text = content.decode("utf-8-sig")
            except (OSError, ValueError):
                continue
            self.texts[name] = text
            if content.startswith(BOM_UTF8):
                self._marked.add(name)

    def write(self, name: str, text: str) -> None:
        """In place, so that the file keeps its mode, owner and links."""
        mark = BOM_UTF8 if name in self._marked else b""
        Path(name).write_bytes(mark + text.encode("utf-8"))


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
