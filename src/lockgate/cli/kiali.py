"""`lockgate kiali`"""

from __future__ import annotations

import os

import click

from lockgate.cli.running import folder_of
from lockgate.cli.terminal import say
from lockgate.cli.up import name_option

_EPILOG = """\b
Examples:
  lockgate kiali
  lockgate kiali --with-alb
"""


@click.command(epilog=_EPILOG)
@name_option
@click.option("--port", type=click.IntRange(1, 65535), default=20001, show_default=True, help="Of Kiali's pages.")
@click.option("--with-alb", is_flag=True, help="Show the load balancer before the gateway, which Kiali shows nowhere.")
def kiali(name: str, port: int, with_alb: bool) -> None:
    """Run Kiali for a running edge.

    Writes Kiali's configuration, and runs the `kiali` on PATH until Ctrl-C. Without one, it prints the command that
    runs Kiali in a container.

    The graph is what Kiali shows of the same edge on EKS. With --with-alb, Lockgate adds metrics, a Service and a
    Deployment for the load balancer, until the edge stops. They are Lockgate's: on EKS, Kiali knows no load balancer.
    """
    from lockgate.runtime.environment import CLEARED
    from lockgate.runtime.kiali import container, prepare, program

    folder = folder_of(name)
    about = folder.read()
    if with_alb:
        from lockgate.runtime.commands import show_load_balancers

        show_load_balancers(folder)
    file, kubeconfig = prepare(folder, about, port), about["files"]["kubeconfig"]
    say(f" kiali  http://127.0.0.1:{port}/  configuration {file}")
    command = program(file, kubeconfig)
    if command is None:
        say(" no `kiali` is on PATH; in a container:")
        say(f" {container(file, kubeconfig)}")
        return
    kept = {key: value for key, value in os.environ.items() if key not in CLEARED}
    os.execve(command[0], command, kept)  # noqa: S606  the user's own program
