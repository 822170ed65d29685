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
    empty: bool = False,
    latency: float = 0.0,
    failures: tuple[str, ...] = (),
    external: Sequence[str] = (),
    otlp: str = "",
) -> Options:
    """Raises `click.UsageError`, `BadSettings`, OSError."""
    from lockgate.edge.options import BadOption
    from lockgate.runtime import settings

    try:
        return settings.options(
            paths,
            name=name,
            backends=backends,
            ports=ports,
            open_proxy=open_proxy,
            no_supply=no_supply,
            empty=empty,
            latency=latency,
            failures=failures,
            external=external,
            otlp=otlp,
        )
    except BadOption as error:
        raise click.UsageError(str(error)) from None


def request_headers(texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for text in texts:
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            raise click.UsageError(f"{text!r} is not 'NAME: VALUE'")
        pairs.append((name.strip(), value.strip()))
    return tuple(pairs)
