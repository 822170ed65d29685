"""Commands for a real account and cluster: plan."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.options import read_options, values_option
from lockgate.cli.progress import Lines, styled
from lockgate.cli.terminal import print_data, say
from lockgate.cli.up import name_option

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
  lockgate apply k8s/ --install --identity arn:aws:iam::123456789012:role/cert-manager
  git worktree add /tmp/old v41 && lockgate apply /tmp/old/k8s --yes      the way back
"""

Command = Callable[..., Any]


def target_options(command: Command) -> Command:
    for option in (
        click.option("--region", metavar="REGION", help="The AWS region; else the cluster's."),
        click.option("--profile", metavar="PROFILE", help="The AWS profile; else boto3's credential chain."),
        click.option("--context", metavar="CONTEXT", help="The context of the kubeconfig; else the current one."),
        values_option,
        name_option,
    ):
        command = option(command)
    return command


def wish_options(command: Command) -> Command:
    for option in (
        click.option("--force-conflicts", is_flag=True, help="Take fields that other field managers own."),
        click.option("--identity", metavar="ROLE", default="", help="Let the issuer use this IAM role (its ARN)."),
        click.option("--install", is_flag=True, help="Install missing controllers with the helm on PATH."),
    ):
        command = option(command)
    return command


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

    found = asyncio.run(_planned(*_given(paths, given)))
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
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def apply(paths: tuple[str, ...], yes: bool, **given: Any) -> int:
    """Bring the edge that manifests describe to an AWS account and a cluster of EKS.

    Makes the plan that `lockgate plan` prints, asks, and performs its steps: hosted zone, ACM certificate with its
    validation, objects by server-side apply, load balancer, healthy targets, records. Stops at the first failure. Run
    it again to go on: what is done stays done, and nothing is stored but in the account and the cluster.
    """
    asyncio.run(_applied(*_given(paths, given), Lines(), (lambda _: True) if yes else _confirmed))
    return 0


def _confirmed(_: Plan) -> bool:
    return click.confirm("Apply this?", default=False, err=True)


async def _applied(
    target: Target,
    manifests: Manifests,
    options: Options,
    wishes: Wishes,
    progress: Progress,
    confirm: Callable[[Plan], bool],
) -> None:
    from lockgate.deploy.applying import apply as applied
    from lockgate.deploy.session import session

    async with session(target, manifests, options, wishes) as opened:
        await applied(opened, progress, confirm=confirm)


async def _planned(target: Target, manifests: Manifests, options: Options, wishes: Wishes) -> Plan:
    from lockgate.deploy.session import session

    async with session(target, manifests, options, wishes) as opened:
        return await opened.plan()


def _given(paths: tuple[str, ...], given: dict[str, Any]) -> tuple[Target, Manifests, Options, Wishes]:
    from lockgate.deploy.planning.plan import Wishes
    from lockgate.deploy.session import Target
    from lockgate.runtime.reading import files

    return (
        Target(given["context"], given["profile"], given["region"]),
        files.load(paths, given["values"]),
        read_options(paths, name=given["name"]),
        Wishes(given["install"], given["identity"], given["force_conflicts"], given.get("adopt", False)),
    )
