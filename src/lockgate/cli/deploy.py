"""Commands for a real account and cluster: plan."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.progress import Lines, styled
from lockgate.cli.shipping import given_to, identity_option, target_options, wish_options
from lockgate.cli.terminal import print_data, say

if TYPE_CHECKING:
    from lockgate.deploy.applying import Progress
    from lockgate.deploy.planning.plan import Plan, Wishes
    from lockgate.deploy.session import Target
    from lockgate.edge.manifests import Manifests
    from lockgate.edge.options import Options

_EPILOG = """\b
Examples:
  lockgate plan k8s/
  lockgate plan k8s/ --context production --profile platform --output markdown > comment.md
  lockgate plan k8s/ --policy                       the IAM policy that apply needs
"""

_APPLY = """\b
Examples:
  lockgate apply k8s/
  lockgate apply k8s/ --install --identity pod-identity
  lockgate apply k8s/ --progressive --pause 60
  git worktree add /tmp/old v41 && lockgate apply /tmp/old/k8s --yes      the way back
"""

_ADOPT = """\b
Example:
  lockgate adopt k8s/ --name shop
"""

_DESTROY = """\b
Example:
  lockgate destroy k8s/ --context staging
"""


@click.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@target_options
@wish_options
@click.option("--policy", is_flag=True, help="Print the IAM policy that apply needs, too.")
@click.option("--out", type=click.Path(dir_okay=False), metavar="FILE", help="Write the plan as JSON there, too.")
@click.option("--output", "-o", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
def plan(paths: tuple[str, ...], policy: bool, out: str | None, output: str, **given: Any) -> int:
    """Show what `apply` would do in an AWS account and a cluster of EKS. Nothing is written.

    Reads the cluster of the kubeconfig's context and the account of boto3's credentials; AWS_ENDPOINT_URL is honoured.
    Read-only rights are enough. Then the plan says what a server-side dry run would have added.

    The exit code is 0 if there is nothing to do, 2 if there are changes, and 1 if something prevents them.
    """
    from lockgate.deploy.reports import text
    from lockgate.deploy.reports.as_json import as_json

    found = asyncio.run(_planned(*given_to(paths, given)))
    if out is not None:
        Path(out).write_text(json.dumps(as_json(found), indent=2), "utf-8")
    match output:
        case "json":
            print_data(json.dumps(as_json(found), indent=2))
        case "markdown":
            print_data(text.markdown(found))
        case _:
            for line in text.lines(found, styled, policy=policy):
                say(line)
    return 1 if found.problems else 2 if found.changes else 0


@click.command(epilog=_APPLY)
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@target_options
@wish_options
@click.option("--write", is_flag=True, help="Write the certificates' ARNs into the files, too.")
@click.option("--no-verify", is_flag=True, help="Do not compare and probe the edge in the end.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def apply(paths: tuple[str, ...], write: bool, no_verify: bool, yes: bool, **given: Any) -> int:
    """Bring the edge that manifests describe to an AWS account and a cluster of EKS.

    Makes the plan that `lockgate plan` prints, asks, and performs its steps: hosted zone, ACM certificate with its
    validation, objects by server-side apply, load balancer, healthy targets, records. Stops at the first failure. Run
    it again to go on: what is done stays done, and nothing is stored but in the account and the cluster.

    In the end it does what `lockgate verify` does, and the exit code is 1 if something differs or a host fails.
    """
    from lockgate.cli.verify import verified

    arguments = given_to(paths, given)
    done = asyncio.run(_applied(*arguments, Lines(), (lambda _: True) if yes else _confirmed))
    if write:
        _write(done)
    if no_verify:
        return 0
    return asyncio.run(verified(*arguments, probe=True, every=None, output="text"))


def _write(plan: Plan) -> None:
    from lockgate.cli.check import Files
    from lockgate.deploy.planning.writing import written

    files = Files(plan.intent.planned.manifests.files)
    for file, text in written(plan, files.texts).items():
        files.write(file, text)
        say(f"wrote the certificate's ARN into {file}")


def _confirmed(_: Plan) -> bool:
    return click.confirm("Apply this?", default=False, err=True)


async def _applied(
    target: Target,
    manifests: Manifests,
    options: Options,
    wishes: Wishes,
    progress: Progress,
    confirm: Callable[[Plan], bool],
) -> Plan:
    from lockgate.cli.verify import aimed_at
    from lockgate.deploy.applying import apply as applied
    from lockgate.deploy.session import session

    async def probed(url: str, count: int) -> Sequence[str]:
        from lockgate.probe.volley import volley

        return await volley(aimed_at(target, options.name).place, url, count)

    async with session(target, manifests, options, wishes) as opened:
        return await applied(opened, progress, confirm=confirm, prober=probed)


@click.command(epilog=_ADOPT)
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@target_options
@identity_option
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def adopt(paths: tuple[str, ...], yes: bool, **given: Any) -> int:
    """Take over an edge that exists: what the manifests describe belongs to --name from then on.

    Objects that kubectl, Helm or others made get this edge's label, and its field manager owns the fields that the
    manifests have. An Ingress keeps its load balancer. The plan that is shown says which requests change: for an edge
    that is as its manifests say, none.
    """
    arguments = given_to(paths, {**given, "adopt": True})
    asyncio.run(_applied(*arguments, Lines(), (lambda _: True) if yes else _confirmed))
    return 0


@click.command(epilog=_DESTROY)
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@target_options
@click.option("--installed", is_flag=True, help="Uninstall the Helm releases that `apply --install` made, too.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def destroy(paths: tuple[str, ...], installed: bool, yes: bool, **given: Any) -> int:
    """Delete the edge of --name from an AWS account and a cluster of EKS: what `apply` created, and nothing else.

    Records first, then Ingresses with their load balancers, other objects, certificates, IAM roles, and zones. What
    others own stays, and is listed with the reason. Namespaces stay, and Helm releases without --installed. Run it
    again to go on after a failure.
    """
    return asyncio.run(_destroyed(*given_to(paths, given), installed=installed, yes=yes))


async def _destroyed(
    target: Target, manifests: Manifests, options: Options, wishes: Wishes, *, installed: bool, yes: bool
) -> int:
    from lockgate.deploy.destroying import destroy as destroyed
    from lockgate.deploy.destroying import planned
    from lockgate.deploy.session import session

    async with session(target, manifests, options, wishes) as opened:
        plan, wanted = await planned(opened, installed=installed)
        for line in wanted.lines():
            say(styled(f"- {line}", "remove"))
        for line in wanted.kept:
            say(f"  {line}")
        if not wanted.anything:
            say("Nothing to delete: the account and the cluster have nothing of this edge.")
            return 0
        where = f"{plan.seen.place.account} and {plan.seen.place.cluster or plan.seen.place.context}"
        if not yes and click.prompt(f"This deletes it from {where}. Type {options.name} to go on") != options.name:
            raise click.ClickException("not confirmed")
        await destroyed(opened, plan, wanted, Lines())
        _, left = await planned(opened, installed=installed)
    for line in left.lines():
        say(f"{line} is still there", err=True)
    return int(left.anything)


async def _planned(target: Target, manifests: Manifests, options: Options, wishes: Wishes) -> Plan:
    from lockgate.deploy.session import session

    async with session(target, manifests, options, wishes) as opened:
        return await opened.plan()
