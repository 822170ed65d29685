"""`lockgate diff`"""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal

import click

from lockgate.cli.options import no_supply_option, read_options, values_option
from lockgate.cli.terminal import paint, print_data, print_fault, say
from lockgate.cli.up import name_option

if TYPE_CHECKING:
    from lockgate.edge.edge import Edge
    from lockgate.runtime.reading.revisions import Place, Revision

RUNNING = "running"
_MOST_ERRORS = 10  # of a revision
_EPILOG = """\b
Examples:
  lockgate diff git:main k8s/                       what this branch changes
  lockgate diff git:HEAD~1:k8s git:HEAD:k8s         one folder, in two commits
  lockgate diff running k8s/                        what applying these files would change
  lockgate diff git:main k8s/ --output markdown     a comment for a pull request
"""


@click.command(epilog=_EPILOG)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--output", "-o", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
@no_supply_option
@values_option
@name_option
def diff(old: str, new: str, output: str, no_supply: bool, values: tuple[str, ...], name: str) -> int:
    """Find which requests two revisions of manifests treat differently, with one example of each.

    OLD and NEW are folders or files, as for `up`, commits, or `running`. git:REV has the files of the other side's path
    as of that commit, git:REV:PATH those of another path. `running` is the edge of --name, as its APIs have it now.
    Nothing is sent.

    The exit code is 0 if all requests are treated equally, 1 if some differ or something could not be decided, and 2
    for wrong usage.
    """
    from lockgate.runtime.reading.files import NoManifests
    from lockgate.runtime.reading.revisions import NoRevision, placed
    from lockgate.trace.difference import text

    if RUNNING in (old, new) and (old == new or no_supply):
        raise click.UsageError("with `running`, the other side are files, and --no-supply is the running edge's option")
    with ExitStack() as stack:
        try:
            places = [stack.enter_context(placed(*each)) for each in ((old, new), (new, old)) if each[0] != RUNNING]
            if len(places) == 2:
                shown = _between(places[0], places[1], values, no_supply=no_supply)
            else:
                shown = _with_running(name, "old" if old == RUNNING else "new", places[0], values)
        except (NoRevision, NoManifests) as error:
            raise click.UsageError(f"{error} — {error.hint}") from None
    match output:
        case "json":
            print_data(json.dumps(shown, indent=2))
        case "markdown":
            print_data("\n".join(text.markdown(shown, old, new)))
        case _:
            for line in text.lines(shown, _style):
                say(line)
    return int(not shown["equal"])


def _between(old: Place, new: Place, values: tuple[str, ...], *, no_supply: bool) -> dict[str, Any]:
    from lockgate.runtime.reading.revisions import read
    from lockgate.trace.difference import difference
    from lockgate.trace.difference.text import as_json

    before = read(old, values)
    after = read(new, values, earlier=before)
    first = _edge(before, no_supply)
    second = _edge(after, no_supply, first)
    _print_errors(first, before, but=second)
    _print_errors(second, after)
    return as_json(difference(first, second), before.locate(), after.locate())


def _print_errors(edge: Edge, revision: Revision, *, but: Edge | None = None) -> None:
    """Prints what is left out of the comparison because it has errors, on standard error; not those that `but` has."""
    from lockgate.resources.diagnostics import diagnose
    from lockgate.resources.faults import Severity

    known = {(each.code.id, each.message) for each in but.faults} if but else set()
    errors = [each for each in edge.faults if each.severity is Severity.ERROR]
    shown = [each for each in errors if (each.code.id, each.message) not in known]
    for each in shown[:_MOST_ERRORS]:
        print_fault(diagnose(each, revision.locate()))
    if len(shown) > _MOST_ERRORS:
        say(f"… {len(shown) - _MOST_ERRORS} more errors: lockgate check", err=True)


def _edge(revision: Revision, no_supply: bool, earlier: Edge | None = None) -> Edge:
    from lockgate.edge.from_manifests import from_manifests

    return from_manifests(revision.manifests, read_options(revision.paths, no_supply=no_supply), earlier)


def _with_running(name: str, side: Literal["old", "new"], place: Place, values: tuple[str, ...]) -> dict[str, Any]:
    from lockgate.cli.running import folder_of
    from lockgate.runtime.commands import compare

    return compare(folder_of(name), place, values, running=side)


def _style(text: str, role: str) -> str:
    return paint(text, {"bold": "bold", "dim": "dim", "pass": "green", "fail": "red"}.get(role, "yellow"))
