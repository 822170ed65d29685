"""`lockgate up`"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import click

from lockgate.cli.options import no_supply_option, read_options, values_option
from lockgate.cli.reporters import Detached, JsonLines
from lockgate.cli.terminal import Terminal, end_on_interrupt, print_fault

if TYPE_CHECKING:
    from lockgate.edge.options import Options
    from lockgate.embedded.asgi import Application
    from lockgate.runtime.parts import Reporter
    from lockgate.runtime.state import StateFolder
    from lockgate.runtime.watching import Watched

_EPILOG = """\b
Examples:
  lockgate up examples/edge
  lockgate up k8s/ --backend shop/web:8080=http://127.0.0.1:3000
  lockgate up k8s/ --backend lambda:orders=http://127.0.0.1:3001   # sam local start-lambda
  lockgate up k8s/ --detach --name review && lockgate exec --name review -- pytest
  kustomize build overlays/prod | lockgate up -
  lockgate up --empty k8s/ --latency 50 --fail 'acm:*=ThrottlingException%20'   # to try `lockgate apply` on
"""

name_option = click.option(
    "--name", "-n", default="default", show_default=True, envvar="LOCKGATE_EDGE", help="Which edge, where several run."
)
output_option = click.option(
    "--output", "-o", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print."
)


@click.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, metavar="PATH…")
@name_option
@click.option("--detach", "-d", is_flag=True, help="Run in the background, and return with the outcome.")
@click.option("--backend", "backends", multiple=True, metavar="NS/SERVICE:PORT=URL",
              help="Your own program for a Service, instead of the echo; or lambda:NAME=URL, a function.")  # fmt: skip
@click.option("--port", "ports", multiple=True, metavar="NAME=PORT",
              help="Where: kubernetes, aws, acme, dns, proxy, metrics, console, or a listener (443=…).")  # fmt: skip
@click.option("--open-proxy", is_flag=True, help="Let the proxy reach hosts that are not the edge's.")
@no_supply_option
@click.option("--external", multiple=True, metavar="NAME[=URL]",
              help="A controller that you run yourself: cert-manager, istiod=grpcs://…; repeatable.")  # fmt: skip
@click.option("--empty", is_flag=True, help="Start with what there is before PATH is applied; PATH may be left out.")
@click.option(
    "--otlp",
    default="",
    metavar="URL",
    help="Send a span of each hop of each request to this OpenTelemetry collector, as in "
    "http://127.0.0.1:4318 or grpc://127.0.0.1:4317.",
)
@click.option("--latency", default=0, metavar="MS", type=click.IntRange(0, 60_000),
              help="Answer each call of the AWS and Kubernetes APIs so much later.")  # fmt: skip
@click.option("--fail", "rules", multiple=True, metavar="RULE",
              help="Fail calls: SERVICE:OPERATION=ERROR[*TIMES][%PERCENT]; or slow:S, stale:S, rate:N.")  # fmt: skip
@values_option
@click.option("--timeout", default=60.0, show_default=True, metavar="SECONDS", help="When to report unready parts.")
@output_option
@click.pass_obj
def up(
    began: float,
    paths: tuple[str, ...],
    name: str,
    detach: bool,
    backends: tuple[str, ...],
    ports: tuple[str, ...],
    open_proxy: bool,
    no_supply: bool,
    external: tuple[str, ...],
    empty: bool,
    otlp: str,
    latency: int,
    rules: tuple[str, ...],
    values: tuple[str, ...],
    timeout: float,
    output: str,
) -> int:
    """Run the edge that manifests describe.

    PATH is a file, a folder (with all subfolders), or - for standard input. Kustomizations and Helm charts are rendered
    with the kustomize, kubectl or helm on PATH; --values are for the chart. Files are watched: a saved change is
    served; a broken file is reported, and the last good state stays served. A lockgate.yaml among them holds options.

    The edge is ready when all parts that can be ready are. An object that is refused, or a host that no load balancer
    serves, is reported, but not waited for. With --detach the exit code is 0 if the edge is ready. It is 1, with the
    reasons, if something fails or takes longer than --timeout; the edge keeps running and serves the rest. `lockgate
    status` returns the same codes.

    With --external NAME a controller of the edge does not run, and yours does its work: aws-load-balancer-controller,
    cert-manager, external-dns, istiod or reflector. `lockgate env --for NAME` prints what it is started with.

    With --empty the edge is an account and a cluster with running controllers, to which nothing has been applied. Of
    PATH only what a team has before is there: hosted zones, access keys, namespaces, and what IstioOperators install.
    """
    from lockgate.embedded.faults import BadRule, rule
    from lockgate.runtime import detached
    from lockgate.runtime.state import BadName, StateFolder

    try:
        folder = StateFolder.of(name)
    except BadName as error:
        raise click.UsageError(str(error)) from None
    if not (paths or empty):
        raise click.UsageError("Missing argument 'PATH…'.")
    try:
        list(map(rule, rules))
    except BadRule as error:
        raise click.UsageError(str(error)) from None
    parent = detached.parent(os.environ)
    if detach and parent is None:
        _unwind_on(signal.SIGTERM)
        return detached.detach(folder, sys.argv[1:], patience=timeout)
    _unwind_on(signal.SIGTERM, signal.SIGHUP)
    end_on_interrupt()
    with folder.hold(parent.lock if parent else None):
        options = read_options(
            paths,
            name=name,
            backends=backends,
            ports=ports,
            open_proxy=open_proxy,
            no_supply=no_supply,
            empty=empty,
            latency=latency / 1000,
            failures=rules,
            external=external,
            otlp=otlp,
        )
        stops = "^C stops" if parent is None else f"lockgate down --name {name} stops"
        reporter: Reporter = Terminal(stops=stops) if output == "text" else JsonLines()
        if parent is not None:
            reporter = Detached(reporter, parent)
        return _run(options, values, folder, reporter, began, timeout)


def _run(
    options: Options,
    values: tuple[str, ...],
    folder: StateFolder,
    reporter: Reporter,
    began: float,
    timeout: float,
) -> int:
    from lockgate.edge.manifests import NOTHING
    from lockgate.edge.plan import filled
    from lockgate.runtime.reading import files
    from lockgate.runtime.running import Progress
    from lockgate.runtime.supervisor import Supervisor

    sources = files.Sources(options.paths, values)
    manifests = sources.load() if options.paths else NOTHING
    seen = manifests if manifests.usable else filled(manifests, options)
    if not (seen.usable or options.empty):
        from lockgate.resources.diagnostics import diagnose

        locate = seen.positions()
        for fault in seen.faults:
            print_fault(diagnose(fault, locate))
        raise files.NoManifests(f"nothing in {', '.join(options.paths)} can be served")
    return Supervisor(
        options,
        folder,
        manifests,
        reporter=reporter,
        progress=Progress(began),
        sources=sources,
        patience=timeout,
        console=_console,
    ).run()


def _console(watched: Watched) -> Application:
    """Imported when it is first asked."""
    from lockgate.console.live import Live
    from lockgate.console.server import application

    return application(Live(watched), token=watched.edge.places.console_token)


def _unwind_on(*numbers: signal.Signals) -> None:
    """Until the supervisor has its handlers, a signal ends the start like an exception, and everything is cleaned up.

    An ignored SIGHUP stays ignored, as `nohup` requires.
    """
    for number in numbers:
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda received, _frame: sys.exit(128 + received))
