"""`lockgate verify`"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.shipping import given_to, identity_option, target_options
from lockgate.cli.terminal import end_on_interrupt, paint, print_data, say
from lockgate.errors import CommandError

if TYPE_CHECKING:
    from lockgate.deploy.planning.drift import Row
    from lockgate.deploy.planning.plan import Wishes
    from lockgate.deploy.session import Session, Target
    from lockgate.edge.manifests import Manifests
    from lockgate.edge.options import Options
    from lockgate.probe.target import Target as ProbeTarget

_EPILOG = """\b
Examples:
  lockgate verify k8s/
  lockgate verify k8s/ --watch
  lockgate verify k8s/ --no-probe --output json     in a pipeline without a way to the edge
"""
_PART, _NAME = 14, 46  # characters of a column
_MARKS = {"fine": ("✓", "green"), "warning": ("!", "yellow"), "drift": ("✗", "red")}


@click.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@target_options
@identity_option
@click.option("--no-probe", is_flag=True, help="Send no requests to the hosts.")
@click.option("--watch", is_flag=True, help="Again and again; print what changes.")
@click.option("--every", default=60.0, show_default=True, metavar="SECONDS", help="With --watch: how often.")
@click.option("--output", "-o", type=click.Choice(["text", "json"]), default="text", show_default=True)
def verify(paths: tuple[str, ...], no_probe: bool, watch: bool, every: float, output: str, **given: Any) -> int:
    """Compare an account and a cluster with the manifests, and send a request to every host.

    Objects, load balancers, records and certificates are compared, and what expires soon is named. Nothing is written.
    The exit code is 0 if all is as the manifests say, 1 if something differs or fails.
    """
    arguments = given_to(paths, given)
    if watch and output == "json":
        raise click.UsageError("--watch prints text")
    if watch:
        end_on_interrupt()
    with suppress(KeyboardInterrupt):
        return asyncio.run(verified(*arguments, probe=not no_probe, every=every if watch else None, output=output))
    return 130


async def verified(
    target: Target,
    manifests: Manifests,
    options: Options,
    wishes: Wishes,
    *,
    probe: bool,
    every: float | None,
    output: str,
) -> int:
    from lockgate.deploy.planning.plan import Wishes
    from lockgate.deploy.session import session

    kept = Wishes(identity=wishes.identity)  # what decides how the edge is, and not how it is brought there

    async with session(target, manifests, options, kept) as opened:
        shown: list[Row] = []
        while True:
            found = await _rows(opened, target, probe=probe)
            if output == "json":
                print_data(json.dumps([asdict(each) for each in found], indent=2))
            elif found != shown:
                _print(found, shown, watching=every is not None)
            shown = found
            if every is None:
                return int(any(each.verdict.value == "drift" for each in found))
            await asyncio.sleep(every)


async def _rows(opened: Session, target: Target, *, probe: bool) -> list[Row]:
    from lockgate.deploy.planning.drift import Row, Verdict, rows, urls

    plan = await opened.plan()
    found = list(rows(plan, datetime.now(UTC)))
    if probe:
        for url in urls(plan):
            try:
                found.append(await _probed(url, target, opened.options.name))
            except CommandError as error:
                found.append(Row("host", url, Verdict.DRIFT, str(error)))
    return found


def aimed_at(target: Target, name: str) -> ProbeTarget:
    """The edge of this machine if one runs with that name, else what the names lead to."""
    from lockgate.cli.probe import target_of
    from lockgate.cli.running import folder_of

    live = not folder_of(name).held()
    return target_of(
        name, live=live, resolver=None, context=target.context, profile=target.profile, region=target.region
    )


async def _probed(url: str, target: Target, name: str) -> Row:
    from lockgate.cli.probe import once
    from lockgate.deploy.planning.drift import Row, Verdict
    from lockgate.trace.model import Request

    result = await once(aimed_at(target, name), Request.of(url, now=time.time()), "auto", "http", name, "")
    answers = [each.status for each in result.observation.exchanges if each.status is not None]
    shown = ", ".join(str(status) for status in dict.fromkeys(answers)) or "no answer"
    if result.causes:
        cause = result.causes[0]
        verdict = Verdict.WARNING if cause.warning else Verdict.DRIFT
        return Row("host", url, verdict, f"{shown}: {cause.says}")
    return Row("host", url, Verdict.FINE, shown)


def _print(found: list[Row], before: list[Row], *, watching: bool) -> None:
    """The whole table at first; then only the rows that have changed."""
    when = f"{datetime.now():%H:%M:%S} " if watching else ""
    for row in found:
        if row not in before:
            say(when + _line(row))
    names = {(each.part, each.name) for each in found}
    for row in before:
        if (row.part, row.name) not in names:
            say(f"{when} {paint('✓', 'green')} {row.part:<{_PART}} {row.name:<{_NAME}} no longer: {row.detail}")
    if not before:
        bad = sum(each.verdict.value == "drift" for each in found)
        say(paint(f"{bad} of {len(found)} rows differ." if bad else "All is as the manifests say.", "bold"))


def _line(row: Row) -> str:
    mark, colour = _MARKS[row.verdict.value]
    name = row.name if len(row.name) <= _NAME else row.name[: _NAME - 1] + "…"
    return f" {paint(mark, colour)} {row.part:<{_PART}} {name:<{_NAME}} {row.detail}"
