"""The commands that talk to a running edge: status, logs, down, env, exec."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from typing import Any

import click

from lockgate.cli.up import name_option, output_option


@click.command()
@name_option
@output_option
def status(name: str, output: str) -> int:
    """What runs: addresses, every part with its state, and what is wrong.

    The exit code is 0 when all of it is ready.
    """
    from lockgate.runtime import commands

    told = commands.ask_status(folder_of(name))
    print_status(told, output)
    return 0 if told["ready"] else 1


@click.command()
@name_option
@click.option("--follow", "-f", is_flag=True, help="Go on until the edge ends.")
def logs(name: str, follow: bool) -> None:
    """What the edge's supervisor has logged."""
    from lockgate.runtime import commands

    for line in commands.read_log(folder_of(name), follow=follow):
        click.echo(line, nl=False)


@click.command()
@name_option
def down(name: str) -> None:
    """Stop an edge; nothing of it is left."""
    from lockgate.runtime import commands

    pid = commands.stop(folder_of(name))
    click.echo(f"stopped {name} (pid {pid})")


@click.command(epilog='\b\nExample:\n  eval "$(lockgate env)"; curl https://HOST/')
@name_option
@output_option
def env(name: str, output: str) -> None:
    """Print the variables with which programs meet the edge, for eval."""
    from lockgate.runtime.environment import CLEARED, environment

    variables = environment(folder_of(name).read())
    if output == "json":
        click.echo(json.dumps(variables, indent=2))
        return
    for variable, value in variables.items():
        click.echo(f"export {variable}={shlex.quote(value)}")
    click.echo(f"unset {' '.join(CLEARED)}")


@click.command(
    "exec",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="\b\nExamples:\n"
    "  lockgate exec -- curl -s https://HOST/path\n"
    "  lockgate exec -- kubectl get certificate,ingress -A\n"
    "  lockgate exec -- aws elbv2 describe-load-balancers",
)
@name_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="CMD…")
def exec_(name: str, command: tuple[str, ...]) -> None:
    """Run a program with the edge for its network, its cluster and its AWS account."""
    from lockgate.runtime.environment import CLEARED, environment

    variables = environment(folder_of(name).read())
    program = shutil.which(command[0])
    if program is None:
        raise click.ClickException(f"{command[0]}: no such program on PATH")
    inherited = {key: value for key, value in os.environ.items() if key not in CLEARED}
    os.execve(program, list(command), {**inherited, **variables})  # noqa: S606  the user's own program


def print_status(told: dict[str, Any], output: str) -> None:
    if output == "json":
        click.echo(json.dumps(told, indent=2))
        return
    from lockgate.cli.terminal import Terminal
    from lockgate.resources.diagnostics import Diagnostic
    from lockgate.runtime.parts import Line, Readiness

    terminal = Terminal()
    for part in told["parts"]:
        line = Line(part["part"], part["name"], Readiness(part["state"]), part["detail"])
        if line.state is Readiness.WAITING:
            click.echo(click.style(" … ", fg="yellow") + f"{line.part:<15} {line.name:<31} {line.detail}")
        else:
            terminal.line(line)
    click.echo(f" {told['name']} · pid {told['pid']} · proxy {told['addresses']['proxy']}")
    click.echo(f" {told['urls'][0]}" if told["urls"] else " no host is served")
    terminal.faults(tuple(Diagnostic.of_json(each) for each in told["faults"]))


def folder_of(name: str) -> Any:
    from lockgate.runtime.state import BadName, StateFolder

    try:
        return StateFolder.of(name)
    except BadName as error:
        raise click.UsageError(str(error)) from None
