"""The `lockgate` command: its subcommands, and the conversion of errors to one line and an exit code."""

from __future__ import annotations

import errno
import gc
import io
import os
import sys
from importlib import import_module
from typing import NoReturn

import click

from lockgate import __version__
from lockgate.cli import BEGAN, lazy_dataclasses, without_plugins
from lockgate.cli.terminal import paint, say
from lockgate.errors import CommandError

_HELP = """Run an AWS load balancer in front of an Istio ingress gateway on this machine, from your manifests.

\b
  lockgate up examples/edge                      run the edge; Ctrl-C stops it
  lockgate exec -- curl https://HOST/            any program, with the edge for its network
  lockgate exec -- kubectl describe certificate  and for its cluster and AWS account
"""

# The module of each command. `--help` imports them all; else only the one that runs is imported.
_MODULES = {
    "up": "up",
    "status": "running",
    "console": "console",
    "kiali": "kiali",
    "logs": "running",
    "down": "running",
    "env": "running",
    "exec": "running",
    "show": "show",
    "check": "check",
    "trace": "trace",
    "probe": "probe",
    "diff": "diff",
    "explain": "explain",
    "convert": "convert",
    "plan": "deploy",
    "apply": "deploy",
    "adopt": "deploy",
    "destroy": "deploy",
    "verify": "verify",
    "lsp": "lsp",
}

_READING = ("check", "convert", "diff", "plan", "show", "trace")
"""Commands that only read and print: when they are done, nothing is left to close."""


class _Commands(click.Group):
    """`commands` has the names only, for lists and suggestions."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return None
        module = import_module(f"lockgate.cli.{_MODULES[cmd_name]}")
        command: click.Command = getattr(module, "exec_" if cmd_name == "exec" else cmd_name)
        return command


@click.group(
    cls=_Commands,
    commands=[click.Command(name) for name in _MODULES],
    help=_HELP,
    epilog='Shell completion: eval "$(_LOCKGATE_COMPLETE=bash_source lockgate)", likewise zsh_source, fish_source.',
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "--version", message="lockgate %(version)s")
@click.option("--debug", is_flag=True, help="Show tracebacks of internal errors; may stand anywhere.")
@click.pass_context
def lockgate(context: click.Context, debug: bool) -> None:
    del debug  # `main` removes it from the arguments
    context.obj = BEGAN


def main() -> None:
    # Imports and manifests are permanent objects: collecting garbage among them takes a tenth of a command's time. The
    # commands end soon, and `up` enables it when the edge is ready.
    gc.disable()
    lazy_dataclasses.install()
    without_plugins.install()
    arguments, debug = _without_debug(sys.argv[1:])
    try:
        code = lockgate(arguments, standalone_mode=False)
    except click.exceptions.Abort:
        _fail("interrupted", 130)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        for line in shown.getvalue().removesuffix("\n").split("\n"):
            say(line, err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader closed our output
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if debug:
            import traceback

            traceback.print_exc()
        _fail(explained(error), 1)
    status = code if isinstance(code, int) else 0
    if arguments[:1] and arguments[0] in _READING:
        _leave(status)
    sys.exit(status)


def _leave(code: int) -> NoReturn:
    """Ends the process at once. To free the objects of 10,000 manifests one by one would take a second."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = 1
    os._exit(code)


def _without_debug(arguments: list[str]) -> tuple[list[str], bool]:
    """--debug may be anywhere before `--`; arguments after it belong to another program."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    ours = [each for each in arguments[:end] if each != "--debug"]
    return ours + arguments[end:], len(ours) < end


def explained(error: BaseException) -> str:
    """One line with the error, and its fix if known."""
    match error:
        case CommandError():
            return f"{error} — {error.hint}" if error.hint else str(error)
        case OSError(errno=errno.ENOSPC):
            return f"the disk is full: {error.filename or 'cannot write'} — free some space, or set LOCKGATE_HOME"
        case PermissionError():
            where = f"{error.filename}: " if error.filename else ""
            return f"{where}{error.strerror or error} — fix the permissions, or set LOCKGATE_HOME to a folder of yours"
        case OSError() if error.strerror:
            return f"{error.filename + ': ' if error.filename else ''}{error.strerror}"
    if type(error).__module__.startswith("lockgate."):
        return str(error)
    return f"a fault of Lockgate's own: {type(error).__name__}: {error}; --debug shows where"


def _fail(text: str, code: int) -> None:
    say(f"{paint('lockgate:', 'red')} {text}", err=True)
    sys.exit(code)
