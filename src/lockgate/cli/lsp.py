"""`lockgate lsp`"""

from __future__ import annotations

import logging
import sys

import click

_EPILOG = """\b
Examples:
  lockgate lsp                  an editor starts it so, in the folder that it has open
  lockgate lsp k8s overlays     only these folders have manifests

docs/editors.md has the configuration of VS Code, Neovim, Helix and others.
"""


@click.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, metavar="[PATH…]")
@click.option("--verbose", "-v", is_flag=True, help="Log the protocol on standard error.")
def lsp(paths: tuple[str, ...], verbose: bool) -> None:
    """Serve an editor: findings as you type, traces on hover, and fixes.

    It speaks the Language Server Protocol on standard input and output. PATH is relative to the editor's workspace, by
    default all of it. What is typed counts before it is saved.
    """
    from lockgate.lsp.server import Server
    from lockgate.runtime import garbage

    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
    )
    garbage.leave_out_what_is()
    Server(paths).start_io()
