"""`lockgate trace`"""

from __future__ import annotations

import json
import sys

import click

_EPILOG = """\b
Examples:
  lockgate trace https://towpath.example/api/orders examples/edge
  lockgate trace http://towpath.example/ k8s/ --follow
  lockgate trace https://HOST/ k8s/ -X POST -H 'x-canary: always' --output json
"""


@click.command(epilog=_EPILOG)
@click.argument("url")
@click.argument("paths", nargs=-1, metavar="[PATH…]")
@click.option("--method", "-X", default="GET", show_default=True, metavar="METHOD")
@click.option("--header", "-H", "headers", multiple=True, metavar="'NAME: VALUE'", help="A request header; repeatable.")
@click.option("--from", "source", default="203.0.113.10", show_default=True, metavar="IP", help="The client's address.")
@click.option("--http2", is_flag=True, help="The client speaks HTTP/2.")
@click.option("--follow", "-L", is_flag=True, help="Follow redirects.")
@click.option("--verbose", "-v", is_flag=True, help="Show every rule and route that does not match.")
@click.option("--output", "-o", type=click.Choice(["text", "json"]), default="text", show_default=True)
def trace(
    url: str,
    paths: tuple[str, ...],
    method: str,
    headers: tuple[str, ...],
    source: str,
    http2: bool,
    follow: bool,
    verbose: bool,
    output: str,
) -> int:
    """Say, hop by hop, what would happen to a request, and which line of the manifests decides.

    Nothing runs and nothing is sent. PATH is as for `up`; without one, the current folder. The exit code is 1 when
    the request ends in an error.
    """
    from lockgate.edge.from_manifests import from_manifests
    from lockgate.edge.options import Options
    from lockgate.gateway.model import Origin
    from lockgate.resources.finding import Position
    from lockgate.runtime import files
    from lockgate.trace import text
    from lockgate.trace.model import BadUrl, Request
    from lockgate.trace.walk import trace as walk

    try:
        request = Request.of(url, method=method, headers=_headers(headers), source=source, http2=http2)
    except BadUrl as error:
        raise click.UsageError(str(error)) from None
    paths = paths or (".",)
    stdin = sys.stdin.read() if files.STDIN in paths else None
    manifests = files.load(paths, stdin=stdin)
    edge = from_manifests(manifests, Options(paths))
    documents = {each.resource.key: each for each in manifests.documents if each.resource}

    def locate(origin: Origin) -> Position | None:
        document = documents.get(origin.key)
        return document.at(*origin.path) if document else None

    found = walk(edge, request, follow=follow)
    if output == "json":
        click.echo(json.dumps(text.as_json(found, locate), indent=2))
    else:
        for line in text.lines(found, locate, _style, verbose=verbose):
            click.echo(line)
    return int(found.last.ending.is_error)


def _headers(texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for text in texts:
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            raise click.UsageError(f"{text!r} is not 'NAME: VALUE'")
        pairs.append((name.strip(), value.strip()))
    return tuple(pairs)


def _style(text: str, role: str) -> str:
    match role:
        case "bold":
            return click.style(text, bold=True)
        case "dim":
            return click.style(text, dim=True)
        case "pass":
            return click.style(text, fg="green")
        case "fail":
            return click.style(text, fg="red")
        case _:
            return click.style(text, fg="yellow")
