"""`lockgate show`: the results of manifests, without running anything."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from lockgate.cli.options import no_supply_option, read_options, values_option
from lockgate.cli.show_gateway import envoy, gateway
from lockgate.cli.terminal import paint, print_data, print_fault, print_note, say
from lockgate.resources.faults import Severity


@click.group()
def show() -> None:
    """Show the results of manifests, without running anything."""


show.add_command(gateway)
show.add_command(envoy)


@show.command("load-balancer", epilog="\b\nExample:\n  lockgate show load-balancer k8s/ --output yaml")
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option("--output", "-o", type=click.Choice(["text", "json", "yaml"]), default="text", show_default=True)
@no_supply_option
@values_option
def load_balancer(paths: tuple[str, ...], output: str, no_supply: bool, values: tuple[str, ...]) -> int:
    """The load balancers of Ingresses and Services: listeners, rules, target groups, bindings, each with its line.

    The exit code is 1 if something is refused or cannot be built, or if nothing is left.
    """
    from lockgate.edge.plan import load_balancers, plan
    from lockgate.edge.without_effect import without_effect
    from lockgate.ingress.show import stack_json
    from lockgate.resources.diagnostics import diagnose
    from lockgate.runtime.reading import files

    manifests = files.load(paths, values)
    planned = plan(manifests, read_options(paths, no_supply=no_supply))
    made = load_balancers(planned)
    locate = planned.manifests.positions()
    shown = [stack_json(stack, locate) for stack in made.stacks]
    match output:
        case "json":
            print_data(json.dumps(shown, indent=2))
        case "yaml":
            import yaml

            print_data(yaml.safe_dump(shown, sort_keys=False), end="")
        case _:
            for stack in shown:
                for line in _lines(stack):
                    say(line)
            if not shown:
                say("no Ingress or Service here is the AWS Load Balancer Controller's")
    if output == "text":
        for note in planned.supply.notes:
            print_note(note)
    ignored = without_effect(planned.manifests.documents, planned.resources, made.foreign)
    faults = (*planned.manifests.faults, *made.faults, *ignored)
    for fault in faults:
        if fault.severity is not Severity.INFO or output == "text":
            print_fault(diagnose(fault, locate))
    return int(not planned.manifests.usable or any(fault.severity is Severity.ERROR for fault in faults))


def _lines(stack: Mapping[str, Any]) -> Iterator[str]:
    balancer = stack.get("LoadBalancer") or stack.get("NetworkLoadBalancer", {})
    owner = f"Service {stack['Service']}" if "Service" in stack else f"group {stack['IngressGroup']}"
    yield paint(balancer.get("LoadBalancerName", "no load balancer"), "bold") + (
        f"  {balancer.get('Scheme', '')}  {owner}{_origin(balancer)}"
    )
    for listener in stack.get("Listeners", ()):
        yield _listener(listener)
        for rule in listener.get("Rules", ()):
            conditions = " and ".join(_condition(each) for each in rule["Conditions"])
            yield f"│   {rule['Priority']:>5}  {conditions}  →  {_actions(rule['Actions'])}{_origin(rule)}"
        yield f"│ default  →  {_actions(listener['DefaultActions'])}"
    for listener in balancer.get("Listeners", ()):
        yield f"{_listener(listener)}  →  {_actions(listener['DefaultActions'])}"
    if in_front := stack.get("FrontendNlb"):
        yield f"├ in front: {in_front['LoadBalancerName']}  {in_front['Scheme']}{_origin(in_front)}"
        for listener in in_front["Listeners"]:
            yield f"│   TCP {listener['Port']}  →  {_actions(listener['DefaultActions'])}{_origin(listener)}"
    for group in stack.get("TargetGroups", ()):
        check = " ".join(
            str(group[key]) for key in ("HealthCheckProtocol", "HealthCheckPort", "HealthCheckPath") if key in group
        )
        yield (
            f"└ {group['TargetGroupName']}  {group['TargetType']}  {group['Protocol']} {group['Port']}  check {check}"
            + (_origin(group))
        )


def _listener(listener: Mapping[str, Any]) -> str:
    certificates = [each["CertificateArn"] for each in listener.get("Certificates", ())]
    return f"├ {listener['Protocol']} {listener['Port']}  {' '.join(certificates)}{_origin(listener)}"


def _condition(condition: Mapping[str, Any]) -> str:
    config = next((value for key, value in condition.items() if key.endswith("Config")), condition)
    values = config.get("Values") or config.get("RegexValues") or ()
    shown = [f"{each.get('Key', '*')}={each['Value']}" if isinstance(each, Mapping) else str(each) for each in values]
    name = f" {config['HttpHeaderName']}" if "HttpHeaderName" in config else ""
    return f"{condition['Field']}{name} {' | '.join(shown)}"


def _actions(actions: Sequence[Mapping[str, Any]]) -> str:
    return ", then ".join(_action(action) for action in actions)


def _action(action: Mapping[str, Any]) -> str:
    match action["Type"]:
        case "forward":
            groups = action["ForwardConfig"]["TargetGroups"]
            weighted = len(groups) > 1
            return "forward to " + ", ".join(
                each["TargetGroupArn"] + (f" ({each.get('Weight', 1)})" if weighted else "") for each in groups
            )
        case "redirect":
            config = action["RedirectConfig"]
            kept = ("#{protocol}", "#{host}", "#{port}", "/#{path}")
            parts = " ".join(
                f"{key.lower()} {config[key]}"
                for key in ("Protocol", "Host", "Port", "Path")
                if config.get(key, kept[0]) not in kept
            )
            return f"{config['StatusCode'].removeprefix('HTTP_')} to {parts}"
        case "fixed-response":
            return f"answer {action['FixedResponseConfig']['StatusCode']}"
        case other:
            return str(other)


def _origin(part: Mapping[str, Any]) -> str:
    where = part.get("From")
    return paint(f"  {where}", "dim") if where else ""
