"""`lockgate trace`"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.noted import noted
from lockgate.cli.options import no_supply_option, read_options, request_headers, values_option
from lockgate.cli.terminal import print_data, say, style
from lockgate.cli.up import name_option

if TYPE_CHECKING:
    from lockgate.edge.edge import Edge
    from lockgate.edge.manifests import Manifests
    from lockgate.resources.faults import Locate
    from lockgate.trace.model import Request

_CLIENT, _SENDER = "203.0.113.10", "127.0.0.1"
_EPILOG = """\b
Examples:
  lockgate trace https://towpath.example/api/orders examples/edge
  lockgate trace http://towpath.example/ k8s/ --follow
  lockgate trace --all k8s/
  lockgate trace --cases routes.yaml k8s/ --output junit > routes.xml
  lockgate trace https://HOST/ k8s/ -X POST -H 'x-canary: always' --output json
"""


@click.command(epilog=_EPILOG)
@click.argument("arguments", nargs=-1, metavar="[URL] [PATH…]")
@click.option("--method", "-X", default="GET", show_default=True, metavar="METHOD")
@click.option("--header", "-H", "headers", multiple=True, metavar="'NAME: VALUE'", help="A request header; repeatable.")
@click.option("--from", "source", metavar="IP",
              help=f"The client's address.  [default: {_CLIENT}; with --against {_SENDER}]")  # fmt: skip
@click.option("--http2", is_flag=True, help="The client speaks HTTP/2.")
@click.option("--follow", "-L", is_flag=True, help="Follow redirects.")
@click.option("--against", type=click.Choice(["running"]), help="Predict from the running edge, send, and compare.")
@click.option("--all", "everything", is_flag=True, help="Print the route table, with unreachable rules and routes.")
@click.option("--cases", type=click.Path(exists=True, dir_okay=False), help="Run a table of requests and expectations.")
@click.option("--verbose", "-v", is_flag=True, help="Show every rule and route that does not match.")
@click.option("--output", "-o", type=click.Choice(["text", "json", "mermaid", "svg", "junit"]), default="text",
              show_default=True, help="How to print; junit goes with --cases.")  # fmt: skip
@no_supply_option
@values_option
@name_option
def trace(
    arguments: tuple[str, ...],
    method: str,
    headers: tuple[str, ...],
    source: str | None,
    http2: bool,
    follow: bool,
    against: str | None,
    everything: bool,
    cases: str | None,
    verbose: bool,
    output: str,
    no_supply: bool,
    values: tuple[str, ...],
    name: str,
) -> int:
    """Predict, hop by hop, what happens to a request, with the manifest line that decides each hop.

    Nothing runs and nothing is sent, except with --against running: then the prediction uses the running edge's APIs,
    the request is sent, and the exit code is 1 if the two differ. PATH is as for `up`, by default the current folder.
    The exit code is also 1 if the request ends in an error, --all finds unreachable rules or routes, or a case fails.
    """
    from lockgate.trace.model import BadUrl, Request

    if everything or cases:
        edge, manifests = _read(arguments, values, no_supply=no_supply)
        return _print_table(edge, manifests.positions(), output) if everything else _run_cases(edge, str(cases), output)
    if not arguments:
        raise click.UsageError("Missing argument 'URL'; --all and --cases need none.")
    url, *paths = arguments
    source = source or (_SENDER if against else _CLIENT)
    try:
        request = Request.of(
            url, method=method, headers=request_headers(headers), source=_address(source), http2=http2, now=time.time()
        )
    except BadUrl as error:
        raise click.UsageError(str(error)) from None
    if against:
        if paths or no_supply:
            raise click.UsageError(
                "--against running takes no PATH and no --no-supply: the running edge has its own files and options"
            )
        return _compare(name, request, follow=follow, verbose=verbose, output=output)
    edge, manifests = _read(tuple(paths), values, no_supply=no_supply)
    return _print_trace(edge, manifests, request, follow=follow, verbose=verbose, output=output)


def _read(paths: tuple[str, ...], values: tuple[str, ...], *, no_supply: bool) -> tuple[Edge, Manifests]:
    from lockgate.edge.from_manifests import from_manifests
    from lockgate.runtime.reading import files

    paths = paths or (".",)
    manifests = files.load(paths, values)
    return from_manifests(manifests, read_options(paths, no_supply=no_supply)), manifests


def _print_trace(
    edge: Edge, manifests: Manifests, request: Request, *, follow: bool, verbose: bool, output: str
) -> int:
    from lockgate.trace import text
    from lockgate.trace.walk import trace as walk

    found = walk(edge, request, follow=follow)
    locate = manifests.positions()
    match output:
        case "json":
            print_data(json.dumps(text.as_json(found, locate, noted(edge, manifests)), indent=2))
        case "mermaid":
            from lockgate.trace import picture

            for line in picture.mermaid(found).splitlines():
                say(line)
        case "svg":
            from lockgate.trace import picture

            print_data(picture.svg(found), end="")
        case "junit":
            raise click.UsageError("--output junit goes with --cases")
        case _:
            for line in text.lines(text.as_json(found, locate, noted(edge, manifests)), style, verbose=verbose):
                say(line)
    return int(found.last.ending.is_error)


def _print_table(edge: Edge, locate: Locate, output: str) -> int:
    from lockgate.trace import text
    from lockgate.trace.table import tables

    found = text.table_json(tables(edge), locate)
    if output == "json":
        print_data(json.dumps(found, indent=2))
    elif output == "text":
        for line in text.table_lines(found, style):
            say(line)
    else:
        raise click.UsageError("--all prints text or json")
    return int(not all(row["reachable"] for table in found for row in table["rows"]))


def _compare(name: str, request: Request, *, follow: bool, verbose: bool, output: str) -> int:
    """Predicts from the running edge's APIs, sends the request, and reports differences."""
    from lockgate.cli.running import folder_of
    from lockgate.runtime import commands, replay
    from lockgate.trace import text

    folder = folder_of(name)
    about = folder.read()
    predicted = commands.ask_trace(folder, request, follow=follow)
    steps = list(_steps(predicted))
    observed = [replay.send(_request_of(step, request), about) for step in steps]
    differ = [each for step, seen in zip(steps, observed, strict=True) for each in replay.differences(step, seen)]
    if output == "json":
        shown = {"predicted": predicted, "observed": [asdict(each) for each in observed], "differences": differ}
        print_data(json.dumps(shown, indent=2))
        return int(bool(differ))
    for line in text.lines(predicted, style, verbose=verbose):
        say(line)
    for each in observed:
        seen = each.error if each.status is None else f"{each.status} {each.backend or each.location}".rstrip()
        say(f" {style('=', 'fail' if differ else 'pass')} observed      {seen}")
    for difference in differ:
        say(f" {style('✗', 'fail')} {difference}")
    return int(bool(differ))


def _steps(predicted: dict[str, Any]) -> Iterator[dict[str, Any]]:
    step: dict[str, Any] | None = predicted
    while step is not None:
        yield step
        step = step["followed"]


def _request_of(step: dict[str, Any], first: Request) -> Request:
    from lockgate.trace.model import Request

    asked = step["request"]
    headers = tuple((name, value) for name, value in asked["headers"])
    http2 = first.protocol == "HTTP/2"
    return Request.of(asked["url"], method=asked["method"], headers=headers, source=asked["source"], http2=http2)


def _run_cases(edge: Edge, file: str, output: str) -> int:
    from lockgate.runtime.reading.contents import limited
    from lockgate.trace import cases

    with Path(file).open("rb") as stream:
        data = limited(stream)
    results = [cases.run(edge, case) for case in cases.cases(data, file)]
    failed = [each for each in results if not each.passed]
    match output:
        case "junit":
            print_data(cases.junit(results, file), end="")
        case "json":
            shown = [
                {"name": each.case.name, "passed": each.passed, "differences": each.differences} for each in results
            ]
            print_data(json.dumps(shown, indent=2))
        case _:
            for each in results:
                say(f" {style('✓', 'pass') if each.passed else style('✗', 'fail')} {each.case.name}")
                for difference in each.differences:
                    say(f"     {difference}")
            say(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return int(bool(failed))


def _address(text: str) -> str:
    from ipaddress import ip_address

    try:
        return str(ip_address(text))
    except ValueError:
        raise click.UsageError(f"--from: {text!r} is not an IP address") from None
