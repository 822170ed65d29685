"""Commands for a running edge: status, logs, down, env, exec."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from typing import Any

import click

from lockgate.cli.terminal import paint, print_data, print_fault, print_line, say
from lockgate.cli.up import name_option, output_option
from lockgate.edge.options import CONTROLLERS
from lockgate.resources.faults import Severity


@click.command()
@name_option
@output_option
def status(name: str, output: str) -> int:
    """Show addresses, the state of every part, what was supplied, and all faults.

    The exit code is that of `lockgate up --detach`: 0 if the edge is ready, which means that all that can be ready is;
    1 if it is starting, a part has failed, or no edge of this name runs. What is refused, has no load balancer or
    cannot be issued is listed, and makes `complete` false in JSON. Whether the manifests are right, `lockgate check`
    says.
    """
    from lockgate.runtime import commands
    from lockgate.runtime.state import Starting

    folder = folder_of(name)
    try:
        shown = commands.ask_status(folder)
    except Starting as starting:
        shown = {"name": name, "pid": folder.pid(), "ready": False, "starting": True}
        if output == "json":
            print_data(json.dumps(shown, indent=2))
        else:
            say(f" {starting} (pid {shown['pid']})")
        return 1
    print_status(shown, output)
    return 0 if shown["ready"] else 1


@click.command()
@name_option
@click.option("--follow", "-f", is_flag=True, help="Continue until the edge ends.")
@click.option("--envoy", metavar="NODE", help="That of an Envoy: alb or gateway, with a gateway's access log.")
def logs(name: str, follow: bool, envoy: str | None) -> None:
    """Print the supervisor's log."""
    from lockgate.runtime import commands

    for line in commands.read_log(folder_of(name), follow=follow, envoy=envoy):
        say(line.removesuffix("\n"))


@click.command()
@name_option
def down(name: str) -> None:
    """Stop an edge, even if it is starting or hangs, and remove everything of it."""
    from lockgate.runtime.stopping import stop

    stopped = stop(folder_of(name))
    say(f"stopped {name} (pid {stopped.pid}{', which had to be killed' if stopped.killed else ''})")


@click.command(
    epilog='\b\nExamples:\n  eval "$(lockgate env)"; curl https://HOST/\n'
    '  eval "$(lockgate env --for cert-manager)"; cert-manager "${FLAGS[@]}"'
)
@name_option
@click.option("--for", "controller", type=click.Choice(CONTROLLERS), help="With the flags of a controller, in FLAGS.")
@output_option
def env(name: str, controller: str | None, output: str) -> None:
    """Print the variables with which programs use the edge, for eval.

    With --for, FLAGS is a shell array of the flags with which you start that controller (see `up --external`).
    """
    from lockgate.runtime.environment import CLEARED, environment
    from lockgate.runtime.external import arguments
    from lockgate.runtime.external import variables as own

    about = folder_of(name).read()
    variables = {**environment(about), **own(controller or "")}
    flags = arguments(controller, about) if controller else ()
    if output == "json":
        print_data(json.dumps({"variables": variables, "flags": flags} if controller else variables, indent=2))
        return
    for variable, value in variables.items():
        print_data(f"export {variable}={shlex.quote(value)}")
    print_data(f"unset {' '.join(CLEARED)}")
    if controller:
        print_data(f"FLAGS=({' '.join(map(shlex.quote, flags))})")


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
    """Run a program that uses the edge as its network, cluster and AWS account."""
    from lockgate.runtime.environment import CLEARED, environment

    variables = environment(folder_of(name).read())
    program = shutil.which(command[0])
    if program is None:
        raise click.ClickException(f"{command[0]}: no such program on PATH")
    inherited = {key: value for key, value in os.environ.items() if key not in CLEARED}
    os.execve(program, list(command), {**inherited, **variables})  # noqa: S606  the user's own program


def print_status(shown: dict[str, Any], output: str) -> None:
    if output == "json":
        print_data(json.dumps(shown, indent=2))
        return
    from lockgate.resources.diagnostics import Diagnostic
    from lockgate.runtime.parts import Line, Readiness

    for note in shown["supplied"]:
        say(paint(" + ", "blue") + note)
    for part in shown["parts"]:
        print_line(Line(part["part"], part["name"], Readiness(part["state"]), part["detail"]))
    readiness = "ready" if shown["ready"] else "not ready"
    say(paint(f" {' · '.join((readiness, *shown['shortfall']))}", "bold"))
    say(f" {shown['name']} · pid {shown['pid']} · proxy {shown['addresses']['proxy']}")
    say(f" {shown['urls'][0]}" if shown["urls"] else " no host is served")
    for each in shown["faults"]:
        if each["severity"] != "info":
            print_fault(Diagnostic.of_json(each))
    serious = [
        each for each in map(Diagnostic.of_json, shown.get("findings", ())) if each.severity is not Severity.INFO
    ]
    if serious:
        from lockgate.runtime.parts import counted

        say(f"{paint(' ! ', 'yellow')}check finds {counted(serious)}")
        for finding in serious:
            print_fault(finding)


def folder_of(name: str) -> Any:
    from lockgate.runtime.state import BadName, StateFolder

    try:
        return StateFolder.of(name)
    except BadName as error:
        raise click.UsageError(str(error)) from None
