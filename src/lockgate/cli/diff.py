"""`lockgate diff`"""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from lockgate.cli.options import no_supply_option, read_options, values_option
from lockgate.cli.terminal import paint, print_data, say

if TYPE_CHECKING:
    from lockgate.edge.edge import Edge
    from lockgate.runtime.revisions import Revision

_EPILOG = """\b
Examples:
  lockgate diff git:main k8s/                       what this branch changes
  lockgate diff git:HEAD~1:k8s git:HEAD:k8s         one folder, in two commits
  lockgate diff old/ new/ --output json
  lockgate diff git:main k8s/ --output markdown     a comment for a pull request
"""


@click.command(epilog=_EPILOG)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--output", "-o", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
@no_supply_option
@values_option
def diff(old: str, new: str, output: str, no_supply: bool, values: tuple[str, ...]) -> int:
    """Find which requests two revisions of manifests treat differently, with one example of each.

    OLD and NEW are folders or files, as for `up`, or commits: git:REV has the files of the other side's path as of
    that commit, and git:REV:PATH those of another path. Nothing runs and nothing is sent.

    The exit code is 0 if all requests are treated equally, 1 if some differ or something could not be decided, and 2
    for wrong usage.
    """
    from lockgate.runtime.files import NoManifests
    from lockgate.runtime.revisions import NoRevision, revision
    from lockgate.trace.difference import difference, text

    with ExitStack() as stack:
        try:
            before = stack.enter_context(revision(old, values, beside=new))
            after = stack.enter_context(revision(new, values, beside=old, earlier=before))
        except (NoRevision, NoManifests) as error:
            raise click.UsageError(f"{error} — {error.hint}") from None
        first = _edge(before, no_supply)
        found = difference(first, _edge(after, no_supply, first))
        shown = text.as_json(found, before.locate(), after.locate())
    match output:
        case "json":
            print_data(json.dumps(shown, indent=2))
        case "markdown":
            print_data("\n".join(text.markdown(shown, old, new)))
        case _:
            for line in text.lines(shown, _style):
                say(line)
    return int(not found.is_equal)


def _edge(revision: Revision, no_supply: bool, earlier: Edge | None = None) -> Edge:
    from lockgate.edge.from_manifests import from_manifests

    return from_manifests(revision.manifests, read_options(revision.paths, no_supply=no_supply), earlier)


def _style(text: str, role: str) -> str:
    return paint(text, {"bold": "bold", "dim": "dim", "pass": "green", "fail": "red"}.get(role, "yellow"))
