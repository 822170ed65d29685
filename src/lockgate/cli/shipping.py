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


def given_to(paths: tuple[str, ...], given: dict[str, Any]) -> tuple[Target, Manifests, Options, Wishes]:
    from lockgate.deploy.planning.plan import Wishes
    from lockgate.deploy.session import Target
    from lockgate.runtime.reading import files

    return (
        Target(given["context"], given["profile"], given["region"]),
        files.load(paths, given["values"]),
        read_options(paths, name=given["name"]),
        Wishes(
            given.get("install", False),
            given.get("identity", ""),
            given.get("force_conflicts", False),
            given.get("adopt", False),
        ),
    )
