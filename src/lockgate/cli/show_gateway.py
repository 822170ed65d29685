"""`lockgate show gateway` and `lockgate show envoy`: what the manifests lead to, without running anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.options import no_supply_option, read_options, values_option
from lockgate.cli.terminal import paint, print_data, print_fault, print_note, say
from lockgate.resources.faults import Severity

if TYPE_CHECKING:
    from lockgate.edge.edge import Edge
    from lockgate.loadbalancer.network import AnyLoadBalancer
    from lockgate.xds.snapshot import Snapshot


@click.command("gateway", epilog="\b\nExample:\n  lockgate show gateway k8s/ --output json")
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option("--output", "-o", type=click.Choice(["text", "json", "yaml"]), default="text", show_default=True)
@no_supply_option
@values_option
def gateway(paths: tuple[str, ...], output: str, no_supply: bool, values: tuple[str, ...]) -> int:
    """The ingress gateways: listeners, filter chains, virtual hosts, routes and clusters, each with its line.

    The exit code is 1 if something is refused or cannot be built, or if nothing is left.
    """
    from lockgate.trace.gateway_view import gateway_json, lines

    edge, locate, usable = _edge(paths, no_supply, values, output)
    shown = [gateway_json(each, locate) for each in edge.gateways.values()]
    if output == "text":
        for each in shown:
            for text, where in lines(each):
                say(text + (paint(f"  {where}", "dim") if where else ""))
        if not shown:
            say("no Gateway here has a workload")
    else:
        _print(shown, output)
    return int(not usable)


@click.command("envoy", epilog="""\b
Examples:
  lockgate show envoy gateway k8s/
  lockgate show envoy alb --filter listeners k8s/
  lockgate show envoy gateway --filter 'clusters/*orders*' --filter 'endpoints/*orders*' k8s/
""")  # fmt: skip
@click.argument("which", type=click.Choice(["alb", "gateway"]))
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option("--filter", "filters", multiple=True, metavar="SECTION[/NAME]",
              help="Only this section, such as routes, and names that the glob matches; repeatable.")  # fmt: skip
@click.option("--output", "-o", type=click.Choice(["json", "yaml"]), default="json", show_default=True)
@no_supply_option
@values_option
def envoy(
    which: str, paths: tuple[str, ...], filters: tuple[str, ...], output: str, no_supply: bool, values: tuple[str, ...]
) -> int:
    """The exact configuration of Envoy for the load balancers or for each gateway, in Envoy's own JSON.

    Addresses are those that Istio and AWS would use; `up` binds ports of this machine instead. Keys are not shown.
    """
    from lockgate.xds.view import SECTIONS, snapshot_json

    if unknown := next((each for each in filters if each.partition("/")[0] not in SECTIONS), None):
        raise click.UsageError(f"unknown section in --filter {unknown}; use one of {', '.join(SECTIONS)}")
    edge, _, usable = _edge(paths, no_supply, values, output)
    found = {"alb": _of_load_balancers(edge)} if which == "alb" else dict(_of_gateways(edge))
    _print({name: snapshot_json(each, filters) for name, each in found.items()}, output)
    return int(not usable)


def _edge(paths: tuple[str, ...], no_supply: bool, values: tuple[str, ...], output: str) -> tuple[Edge, Any, bool]:
    """The edge, its positions, and whether it is without errors, which are printed as the other commands do."""
    from lockgate.edge.from_manifests import from_plan
    from lockgate.edge.plan import plan
    from lockgate.resources.diagnostics import diagnose
    from lockgate.runtime.reading import files

    planned = plan(files.load(paths, values), read_options(paths, no_supply=no_supply))
    edge = from_plan(planned)
    locate = planned.manifests.positions()
    for fault in edge.faults:
        if fault.severity is not Severity.INFO or output == "text":
            print_fault(diagnose(fault, locate))
    if output == "text":
        for note in planned.supply.notes:
            print_note(note)
    usable = planned.manifests.usable and not any(fault.severity is Severity.ERROR for fault in edge.faults)
    return edge, locate, usable


def _of_gateways(edge: Edge) -> Any:
    """Each gateway's Envoy, as istiod would send it: on Istio's ports, without the material of credentials."""
    from lockgate.xds.gateway import snapshot

    for name, each in edge.gateways.items():
        ports = {listener.port for listener in each.listeners} | {each.status_port}
        yield name, snapshot(each, binds={port: ("0.0.0.0", port) for port in sorted(ports)}, credentials={})  # noqa: S104


def _of_load_balancers(edge: Edge) -> Snapshot:
    """The one Envoy of all load balancers. Sockets, certificates and targets stand for those that `up` makes."""
    from lockgate.xds.loadbalancer import Endpoint, Material, Socket, TrustStore, snapshot

    return snapshot(
        edge.load_balancers,
        sockets={
            (balancer.arn, listener.port): Socket("0.0.0.0", listener.port)  # noqa: S104
            for balancer in edge.load_balancers
            for listener in balancer.listeners
        },
        certificates={arn: Material("", "") for arn in _certificates(edge.load_balancers)},
        endpoints={
            reference: [Endpoint(target.id, target.port) for target in sorted(group.targets)]
            for balancer in edge.load_balancers
            for reference, group in balancer.target_groups.items()
        },
        trust_stores={arn: TrustStore("") for arn in _trust_stores(edge.load_balancers)},
        authentication=Socket("127.0.0.1", 0),
        waf_socket="waf.sock",
    )


def _certificates(balancers: tuple[AnyLoadBalancer, ...]) -> set[str]:
    return {
        arn
        for balancer in balancers
        for listener in balancer.listeners
        for arn in getattr(listener, "certificates", ())
    }


def _trust_stores(balancers: tuple[AnyLoadBalancer, ...]) -> set[str]:
    found = (
        getattr(getattr(listener, "mutual_authentication", None), "trust_store", "")
        for balancer in balancers
        for listener in balancer.listeners
    )
    return {arn for arn in found if arn}


def _print(shown: object, output: str) -> None:
    if output == "json":
        print_data(json.dumps(shown, indent=2))
        return
    import yaml

    print_data(yaml.safe_dump(shown, sort_keys=False), end="")
