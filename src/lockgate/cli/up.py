"""`lockgate up`"""

from __future__ import annotations

import gc
import json
import sys

import click

from lockgate.cli.terminal import Terminal, print_fault

_EPILOG = """\b
Examples:
  lockgate up examples/edge
  lockgate up k8s/ --backend shop/web:8080=http://127.0.0.1:3000
  lockgate up k8s/ --backend lambda:orders=http://127.0.0.1:3001   # sam local start-lambda
  lockgate up k8s/ --detach --name review && lockgate exec --name review -- pytest
  kustomize build overlays/prod | lockgate up -
"""

name_option = click.option(
    "--name", "-n", default="default", show_default=True, envvar="LOCKGATE_EDGE", help="Which edge, where several run."
)
output_option = click.option(
    "--output", "-o", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print."
)


@click.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@name_option
@click.option("--detach", "-d", is_flag=True, help="Run in the background, and return when the edge is ready.")
@click.option("--backend", "backends", multiple=True, metavar="NS/SERVICE:PORT=URL",
              help="Your own program for a Service, instead of the echo; or lambda:NAME=URL, a function.")  # fmt: skip
@click.option("--port", "ports", multiple=True, metavar="NAME=PORT",
              help="Where to listen: kubernetes, aws, acme, dns, proxy, metrics, or a listener (443=…).")  # fmt: skip
@click.option("--open-proxy", is_flag=True, help="Let the proxy reach hosts that are not the edge's.")
@click.option("--timeout", default=60.0, show_default=True, metavar="SECONDS", help="How long to wait for ready.")
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
    timeout: float,
    output: str,
) -> int:
    """Run the edge that manifests describe.

    PATH is a file, a folder (with all below it), or - for standard input. Files are followed: a saved change is
    served; a broken file is reported, and the last good state goes on. A lockgate.yaml among them holds options.
    """
    from lockgate.edge import options as reading
    from lockgate.runtime import settings
    from lockgate.runtime.state import BadName, StateFolder

    try:
        folder = StateFolder.of(name)
        file = settings.find(paths)
        given = settings.read(file) if file else settings.Settings()
        programs = [*given.backend_options(), *backends]
        options = reading.Options(
            paths,
            name,
            reading.backends(programs),
            reading.functions(programs),
            reading.ports([*given.port_options(), *ports]),
            open_proxy or given.open_proxy,
            given.account,
            given.region,
            given.hosted_zones,
            given.user_pool_clients,
            given.quotas,
        )
    except (reading.BadOption, BadName) as error:
        raise click.UsageError(str(error)) from None
    if detach:
        return _detach(folder, timeout, output)
    return _run(options, folder, began, timeout, output)


def _run(options: object, folder: object, began: float, timeout: float, output: str) -> int:
    # Imports make what lives for ever: looking through it for garbage again and again is a tenth of the start.
    gc.disable()
    from lockgate.edge.options import Options
    from lockgate.edge.plan import filled
    from lockgate.runtime import files
    from lockgate.runtime.running import Progress
    from lockgate.runtime.state import StateFolder
    from lockgate.runtime.supervisor import Supervisor

    assert isinstance(options, Options)
    assert isinstance(folder, StateFolder)
    stdin = sys.stdin.read() if files.STDIN in options.paths else None
    manifests = files.load(options.paths, stdin=stdin)
    seen = filled(manifests, options)
    if not seen.usable:
        from lockgate.resources.diagnostics import diagnose

        locate = seen.positions()
        for fault in seen.faults:
            print_fault(diagnose(fault, locate))
        raise files.NoManifests(f"nothing in {', '.join(options.paths)} can be served")
    reporter = Terminal() if output == "text" else JsonLines()
    with folder.hold():
        return Supervisor(
            options,
            folder,
            manifests,
            reporter=reporter,
            progress=Progress(began),
            stdin=stdin,
            patience=timeout,
        ).run()


class JsonLines(Terminal):
    """A `Reporter` for programs: one JSON object when the edge is ready; what is wrong goes to standard error."""

    def __init__(self) -> None:
        super().__init__(quiet=True)

    def ready(self, report: object, seconds: float, proxy: str) -> None:
        from lockgate.runtime.parts import Report

        assert isinstance(report, Report)
        told = {"ready": True, "seconds": round(seconds, 3), "proxy": proxy, "urls": list(report.urls)}
        click.echo(json.dumps(told))
        sys.stdout.flush()


def _detach(folder: object, timeout: float, output: str) -> int:
    from lockgate.cli.running import print_status
    from lockgate.runtime import commands
    from lockgate.runtime.state import StateFolder

    assert isinstance(folder, StateFolder)
    arguments = [each for each in sys.argv[1:] if each not in ("--detach", "-d")]
    process, said = commands.detach(arguments, folder)
    try:
        status = commands.wait_until_ready(process, folder, said, timeout)
    except KeyboardInterrupt:
        process.terminate()
        raise
    print_status(status, output)
    return 0
