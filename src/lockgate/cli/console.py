"""`lockgate console`"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from pathlib import Path

import click

from lockgate.cli.running import folder_of
from lockgate.cli.terminal import end_on_interrupt, say
from lockgate.cli.up import name_option

_EPILOG = """\b
Examples:
  lockgate console
  lockgate console --export edge.html
  lockgate console --record edge.jsonl      # Ctrl-C ends it
  lockgate console --replay edge.jsonl --speed 10
"""


@click.command(epilog=_EPILOG)
@name_option
@click.option("--export", type=click.Path(dir_okay=False, path_type=Path), help="Write the page as one HTML file.")
@click.option("--record", type=click.Path(dir_okay=False, path_type=Path), help="Write what happens, until Ctrl-C.")
@click.option("--replay", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Show a recording.")
@click.option("--speed", type=click.FloatRange(0.01, 1000), default=1.0, show_default=True, help="Of a replay.")
def console(name: str, export: Path | None, record: Path | None, replay: Path | None, speed: float) -> None:
    """Print the address of a running edge's console, or export, record or replay it.

    The console is a page on loopback that shows the path of requests live. Its address has a secret of the edge, which
    the page needs once. A recording needs no running edge.
    """
    if sum(each is not None for each in (export, record, replay)) > 1:
        raise click.UsageError("--export, --record and --replay exclude each other")
    if replay is not None or record is not None:
        end_on_interrupt()
    if replay is not None:
        with suppress(KeyboardInterrupt):
            asyncio.run(_replay(replay, speed))
        return
    about = folder_of(name).read()
    url, token = about["addresses"]["console"], about["console_token"]
    if export is not None:
        from lockgate.console.recording import fetch_export

        export.write_text(fetch_export(url, token))
        say(f" {export}")
    elif record is not None:
        _record(record, url, token)
    else:
        say(f"{url}?token={token}")


def _record(path: Path, url: str, token: str) -> None:
    from lockgate.console.recording import record

    count = 0
    with path.open("w") as file, suppress(KeyboardInterrupt):
        say(f" recording to {path} · ^C ends it")
        for count in record(url, token, file):  # noqa: B007  also read when it is interrupted
            pass
    say(f" {count} messages")


async def _replay(path: Path, speed: float) -> None:
    from lockgate.console.recording import Replay, read
    from lockgate.console.server import application
    from lockgate.embedded.http import serve

    token = secrets.token_urlsafe(12)
    server = await serve(application(Replay(read(path), speed), token=token))
    say(f" {path} at http://{server.host}:{server.port}/?token={token} · ^C stops")
    try:
        await asyncio.Event().wait()
    finally:
        await server.stop()
