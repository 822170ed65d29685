"""The options of an edge: from a lockgate.yaml among its files, then from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lockgate.edge.options import Options

values_option = click.option(
    "--values",
    "-f",
    "values",
    multiple=True,
    metavar="FILE",
    help="Values for the Helm chart; repeatable.",
)
no_supply_option = click.option(
    "--no-supply", is_flag=True, help="Supply nothing that is missing in the manifests; fail as production would."
)


def read_options(
    paths: tuple[str, ...],
    *,
    name: str = "default",
    backends: Sequence[str] = (),
    ports: Sequence[str] = (),
    open_proxy: bool = False,
    no_supply: bool = False,
) -> Options:
    """Raises `click.UsageError`, `BadSettings`, OSError."""
    from lockgate.edge import options as reading
    from lockgate.runtime import settings

    file = settings.find(paths)
    given = settings.read(file) if file else settings.Settings()
    programs = [*given.backend_options(), *backends]
    try:
        return reading.Options(
            paths,
            name,
            backends=reading.backends(programs),
            functions=reading.functions(programs),
            ports=reading.ports([*given.port_options(), *ports]),
            open_proxy=open_proxy or given.open_proxy,
            supply=given.supply and not no_supply,
            account=given.account,
            region=given.region,
            hosted_zones=given.hosted_zones,
            user_pool_clients=given.user_pool_clients,
            quotas=given.quotas,
            opened=given.opened(file) if file else (),
        )
    except reading.BadOption as error:
        raise click.UsageError(str(error)) from None
