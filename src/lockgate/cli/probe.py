"""`lockgate probe`"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.options import request_headers
from lockgate.cli.running import folder_of
from lockgate.cli.terminal import end_on_interrupt, print_data, say, style
from lockgate.cli.up import name_option, output_option

if TYPE_CHECKING:
    from lockgate.deploy.cluster import Cluster
    from lockgate.probe.probing import Result
    from lockgate.probe.target import Target
    from lockgate.trace.model import Request

_EPILOG = """\b
Examples:
  lockgate probe https://towpath.example/api/orders
  lockgate probe https://towpath.example/ --live --profile production
  lockgate probe https://towpath.example/ --alb k8s-edge-new --wait-logs
  lockgate probe https://towpath.example/chat --websocket
  lockgate probe https://towpath.example/ --every 1s --until-fails
"""


@click.command(epilog=_EPILOG)
@click.argument("url")
@click.option("--method", "-X", default="GET", show_default=True, metavar="METHOD")
@click.option("--header", "-H", "headers", multiple=True, metavar="'NAME: VALUE'", help="A request header; repeatable.")
@click.option("--http", "protocol", type=click.Choice(["auto", "1.1", "2", "3"]), default="auto", show_default=True,
              help="The version of HTTP; by default the server chooses.")  # fmt: skip
@click.option("--tls-max", type=click.Choice(["1.2", "1.3"]), help="The newest version of TLS that the client offers.")
@click.option("--websocket", is_flag=True, help="Open a WebSocket instead.")
@click.option("--grpc", is_flag=True, help="Call a gRPC method, /package.Service/Method, with an empty message.")
@click.option("--live", is_flag=True, help="Probe the internet and AWS, even if an edge runs here.")
@click.option("--alb", metavar="NAME", default="", help="Connect to this load balancer, wherever the records lead.")
@click.option("--wait-logs", is_flag=False, flag_value="7m", metavar="[DURATION]",
              help="Wait for the load balancer's access log in S3: AWS writes it every 5 minutes.")  # fmt: skip
@click.option("--resolver", metavar="IP[:PORT]", help="The DNS resolver to ask instead of the system's.")
@click.option("--context", metavar="NAME", help="The kubeconfig's context of the cluster, for the evidence.")
@click.option("--profile", metavar="NAME", help="AWS profile, for the evidence.")
@click.option("--region", metavar="REGION", help="AWS region, for the evidence.")
@click.option("--every", metavar="SECONDS", help="Repeat, such as 1s or 500ms, and print percentiles at the end.")
@click.option("--until-fails", is_flag=True, help="With --every: stop at the first answer that fails, and explain it.")
@click.option("--count", type=click.IntRange(1, 100_000), help="With --every: stop after so many requests.")
@click.option("--verbose", "-v", is_flag=True, help="Show all headers of the answer.")
@output_option
@name_option
def probe(
    url: str,
    method: str,
    headers: tuple[str, ...],
    protocol: str,
    tls_max: str | None,
    websocket: bool,
    grpc: bool,
    live: bool,
    alb: str,
    wait_logs: str | None,
    resolver: str | None,
    context: str | None,
    profile: str | None,
    region: str | None,
    every: str | None,
    until_fails: bool,
    count: int | None,
    verbose: bool,
    output: str,
    name: str,
) -> int:
    """Send a real request to a live edge, and say who answered and why.

    The edge is the one that `lockgate up` runs here, or else what the URL's host leads to on the internet. Names are
    asked at every authoritative server, each address is connected to, and both the answer and the APIs of AWS tell the
    cause of a failure. Without credentials it says what it could not see. The exit code is 1 if something is wrong.
    """
    from lockgate.trace.model import BadUrl, Request

    if protocol == "3":
        raise click.UsageError("an Application Load Balancer serves no HTTP/3: use --http 2")
    if websocket and grpc:
        raise click.UsageError("--websocket and --grpc exclude each other")
    if not every and (until_fails or count):
        raise click.UsageError("--until-fails and --count go with --every")
    if every and wait_logs and not until_fails:
        raise click.UsageError("--wait-logs is about one request: with --every it needs --until-fails")
    try:
        request = Request.of(
            url, method=method, headers=request_headers(headers), http2=protocol == "2", now=time.time()
        )
    except BadUrl as error:
        raise click.UsageError(str(error)) from None
    kind = "websocket" if websocket else "grpc" if grpc else "http"
    interval = _seconds("--every", every, 0.01, 3600) if every else None
    within = _seconds("--wait-logs", wait_logs, 1, 3600) if wait_logs else 0.0
    target = target_of(name, live=live, resolver=resolver, context=context, profile=profile, region=region)
    if alb:
        target = asyncio.run(_through(target, alb))
    if interval is None:
        result = asyncio.run(once(target, request, protocol, kind, name, tls_max or "", within))
        _print(result, verbose=verbose, output=output)
        return int(result.failed)
    from lockgate.probe import repeat

    end_on_interrupt()
    series = repeat.Series(count, until_fails=until_fails)
    with suppress(KeyboardInterrupt):
        asyncio.run(
            repeat.run(target.place, request, protocol, kind, interval, series, _tell(output), newest_tls=tls_max or "")
        )
    failed = series.failed
    if output == "json":
        print_data(json.dumps(series.as_json(), indent=2))
    else:
        for line in series.lines():
            say(line)
    if failed and until_fails:
        explained = asyncio.run(once(target, request, protocol, kind, name, tls_max or "", within))
        _print(explained, verbose=verbose, output="text")
    return int(failed)


async def _through(target: Target, balancer: str) -> Target:
    """Aimed at the DNS name of a load balancer. Raises `NoSuchLoadBalancer`."""
    from lockgate.probe.reading import dns_name_of

    if target.aws is None:
        raise click.UsageError("--alb needs credentials of AWS and a region, to find the load balancer")
    place = replace(target.place, entrance=await dns_name_of(target.aws, balancer))
    return replace(target, place=place, balancer=balancer)


async def once(
    target: Target, request: Request, protocol: str, kind: str, name: str, newest_tls: str, logs_within: float = 0.0
) -> Result:
    from lockgate.probe import probing
    from lockgate.probe.observing import asked
    from lockgate.runtime import commands

    async def predict(sent: Request) -> Any:
        if target.running:
            return commands.ask_trace(folder_of(name), sent)
        return await _predicted(target, cluster, sent) if cluster is not None else None

    sent = asked(request, protocol=protocol, kind=kind, now=time.time(), newest_tls=newest_tls)
    async with _cluster(target) as cluster:
        return await probing.probe(
            target.place,
            request,
            sent,
            aws=target.aws,
            cluster=cluster,
            predict=predict,
            balancer=target.balancer,
            logs_within=logs_within,
        )


async def _predicted(target: Target, cluster: Cluster, request: Request) -> Any:
    """From what the cluster and the account hold. Raises `CommandError` where they may not be read."""
    from lockgate.deploy.account import Account
    from lockgate.deploy.live import live_edge
    from lockgate.trace.text import as_json
    from lockgate.trace.walk import trace

    if target.aws is None:
        return None
    account = Account(region=target.aws.region, profile=target.profile)
    try:
        return as_json(trace(await live_edge(cluster, account, request.host), request), lambda origin: None)
    finally:
        account.close()


@asynccontextmanager
async def _cluster(target: Target) -> AsyncIterator[Cluster | None]:
    from lockgate.deploy.cluster import Cluster
    from lockgate.deploy.kubeconfig import NoCluster, context

    try:
        found = context(target.context, target.kubeconfig)
    except NoCluster:
        if target.context:
            raise
        yield None
        return
    async with Cluster(found) as cluster:
        yield cluster


def target_of(
    name: str,
    *,
    live: bool,
    resolver: str | None,
    context: str | None,
    profile: str | None,
    region: str | None,
) -> Target:
    """The edge that runs here, if one does and nothing else is asked for."""
    from lockgate.probe import target
    from lockgate.runtime.state import NotRunning, StateFolder

    folder: StateFolder = folder_of(name)
    if not (live or resolver or context or profile):
        try:
            return target.running(folder.read())
        except NotRunning:
            if name != "default":
                raise
    try:
        return target.live(resolver, context=context, profile=profile, region=region)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _seconds(option: str, text: str, least: float, most: float) -> float:
    from lockgate.resources.durations import nanoseconds

    found = nanoseconds(text)
    if found is None or not least <= found / 10**9 <= most:
        raise click.UsageError(f"{option}: {text!r} is not a duration from {least:g} s to {most:g} s, such as 1s")
    return found / 10**9


def _tell(output: str) -> Any:
    return (lambda _: None) if output == "json" else say


def _print(result: Result, *, verbose: bool, output: str) -> None:
    from lockgate.probe import report

    now = datetime.now(UTC)
    if output == "json":
        print_data(json.dumps(report.as_json(result, now), indent=2))
        return
    for line in report.lines(result, style, now, verbose=verbose):
        say(line)
