"""What the commands for a real account and cluster share: their options, and what these lead to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.options import read_options, values_option
from lockgate.cli.up import name_option

if TYPE_CHECKING:
    from lockgate.deploy.planning.plan import Wishes
    from lockgate.deploy.session import Target
    from lockgate.edge.manifests import Manifests
    from lockgate.edge.options import Options

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


def _identity(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
    if text and text not in ("pod-identity", "irsa") and not text.startswith("arn:"):
        raise click.BadParameter(f"{text!r} is not pod-identity, irsa, or the ARN of an IAM role")
    return text


identity_option = click.option(
    "--identity", metavar="pod-identity|irsa|ROLE", default="", callback=_identity,
    help="Give cert-manager an IAM role in place of access keys: one that is made for it, or this one (its ARN).",
)  # fmt: skip


def wish_options(command: Command) -> Command:
    for option in (
        click.option("--pause", metavar="SECONDS", type=click.FloatRange(0), default=10.0, show_default=True,
                     help="With --progressive: how long each share is kept and probed."),
        click.option("--shares", metavar="PERCENT,…", default="5,25,50,100", show_default=True, callback=_shares,
                     help="With --progressive: the shares of the new side."),
        click.option("--progressive", is_flag=True,
                     help="Shift requests to a new gateway, back-end or load balancer in steps; back if one fails."),
        click.option("--force-conflicts", is_flag=True, help="Take fields that other field managers own."),
        identity_option,
        click.option("--chart", "charts", metavar="NAME=PLACE", multiple=True, callback=_charts,
                     help="With --install: your copy of a chart, a folder, archive or oci:// URL; repeatable."),
        click.option("--install", is_flag=True, help="Install missing controllers with the helm on PATH."),
    ):  # fmt: skip
        command = option(command)
    return command


def _charts(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    from lockgate.deploy.planning.releases import CHARTS

    found = dict(each.partition("=")[::2] for each in texts)
    for name, place in found.items():
        if name not in CHARTS or not place:
            raise click.BadParameter(f"{name}={place} is not NAME=PLACE with a name of {', '.join(CHARTS)}")
    return found


def _shares(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(each) for each in text.split(","))
    except ValueError:
        found = ()
    if not found or found[-1] != 100 or list(found) != sorted(set(found)) or found[0] < 1:
        raise click.BadParameter(f"{text!r} are not rising whole numbers up to 100, such as 5,25,50,100")
    return found


def given_to(paths: tuple[str, ...], given: dict[str, Any]) -> tuple[Target, Manifests, Options, Wishes]:
    from lockgate.deploy.planning.plan import Wishes
    from lockgate.deploy.session import Target
    from lockgate.runtime.reading import files

    for name, parameter, needs in (("shares", "shares", "progressive"), ("pause", "pause", "progressive"),
                                   ("chart", "charts", "install")):  # fmt: skip
        source = click.get_current_context().get_parameter_source(parameter)
        if source is click.core.ParameterSource.COMMANDLINE and not given[needs]:
            raise click.UsageError(f"--{name} goes with --{needs}")

    return (
        Target(given["context"], given["profile"], given["region"]),
        files.load(paths, given["values"]),
        read_options(paths, name=given["name"]),
        Wishes(
            given.get("install", False),
            given.get("identity", ""),
            given.get("force_conflicts", False),
            given.get("adopt", False),
            given["shares"] if given.get("progressive") else (),
            given.get("pause", 0.0),
            given.get("charts", {}),
        ),
    )
