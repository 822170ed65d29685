"""The reference page of annotations and flags, generated from the registries. Run the module to print it."""

from __future__ import annotations

import sys

from lockgate.ingress.annotations.registry import REGISTRY
from lockgate.ingress.annotations.services import SERVICES
from lockgate.ingress.annotations.spec import PREFIX, SERVICE_PREFIX, AnyAnnotation
from lockgate.ingress.flags import FLAGS
from lockgate.ingress.world import GATES, Settings

DEFAULT_CLASS = Settings().load_balancer_class

_HEAD = f"""# Annotations

Every annotation `{PREFIX}…` that Lockgate reads, as the AWS Load Balancer Controller v3.5 reads it. This page is
generated from the registry in `src/lockgate/ingress/annotations/registry.py` by
`python -m lockgate.ingress.annotations.document`.

- **On** lists the kinds that may carry it; if both do, the first one wins. *Class* is the field of
  IngressClassParams.spec that overrides the annotation.
- **In a group** says what happens if several members of an IngressGroup set it. A conflict stops the whole group, with
  the event `FailedBuildModel`.
- Text is used as written, including the newline at the end of a YAML block scalar. Only lists, maps and JSON are
  trimmed.
- The controller ignores unknown names; `up` and `show` warn about them and suggest the nearest valid name.

| Annotation | Type | Default | On | Class | In a group | What it does | Sets |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""

_SERVICES = f"""
## Services with a Network Load Balancer

Every annotation `{SERVICE_PREFIX}…` that Lockgate reads from a Service, as the controller reads it. The registry is
`src/lockgate/ingress/annotations/services.py`. The controller makes a load balancer for a Service of its class
(`spec.loadBalancerClass: {DEFAULT_CLASS}`, or another with the flag `--load-balancer-class`). Without a class, the
annotations `aws-load-balancer-type` and `aws-load-balancer-nlb-target-type` decide.

| Annotation | Type | Default | What it does | Sets |
| --- | --- | --- | --- | --- |
"""

_LIMITS = """
## Limits

These annotations have no effect on this machine, or are omitted. They are still validated.

| Annotation | Effect here |
| --- | --- |
"""


_FLAGS = """
## Flags of the controller

If the manifests contain the controller's Deployment (a container whose image is `…/aws-load-balancer-controller`), `up`
and `show` use its `command` and `args`. Values of its Helm chart count only once rendered. An argument with which the
controller would not start is reported (`LG1108`) and ignored. Without a Deployment, the cluster's name is `lockgate`
and all other flags have their defaults.

These flags have an effect:

{counting}

These flags are read and reported (`LG1109`), and have no effect here:

| Why | Flags |
| --- | --- |
{others}
These feature gates have an effect: {gates}. `LG1109` reports the others.
"""


def page() -> str:
    """The whole of docs/reference/annotations.md."""
    rows = "".join(_row(annotation) for annotation in REGISTRY.values())
    services = "".join(_service_row(annotation) for annotation in SERVICES.values())
    every = (*REGISTRY.values(), *SERVICES.values())
    limits = "".join(f"| `{item.name}` | {item.limits} |\n" for item in every if item.limits)
    whys = dict.fromkeys(flag.why for flag in FLAGS.values() if flag.why)
    flags = _FLAGS.format(
        counting=", ".join(f"`--{flag.name}`" for flag in FLAGS.values() if flag.setting),
        others="".join(
            f"| {why} | {', '.join(f'`--{flag.name}`' for flag in FLAGS.values() if flag.why == why)} |\n"
            for why in whys
        ),
        gates=", ".join(f"`{name}`" for name, gate in GATES.items() if gate.counts),
    )
    return _HEAD + rows + _SERVICES + services + _LIMITS + limits + flags


def _row(item: AnyAnnotation) -> str:
    shape = ", ".join(f"`{value}`" for value in item.values) or item.type.shape
    cells = (
        f"`{item.name}`",
        shape.replace("|", "\\|"),
        item.default or "–",
        ", ".join(item.scope),
        f"`{item.params}`" if item.params else "–",
        item.merge.value,
        item.effect,
        item.fields or "–",
    )
    return f"| {' | '.join(cells)} |\n"


def _service_row(item: AnyAnnotation) -> str:
    shape = ", ".join(f"`{value}`" for value in item.values) or item.type.shape
    cells = (f"`{item.name}`", shape.replace("|", "\\|"), item.default or "–", item.effect or "–", item.fields or "–")
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
