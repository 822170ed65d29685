"""The reference page of annotations and flags, written from the registries; run as a module, it prints it."""

from __future__ import annotations

import sys

from lockgate.ingress.annotations.registry import REGISTRY
from lockgate.ingress.annotations.spec import PREFIX, AnyAnnotation
from lockgate.ingress.flags import FLAGS
from lockgate.ingress.world import GATES

_HEAD = f"""# Annotations

Every annotation `{PREFIX}…` that is read, as the AWS Load Balancer Controller v3.5 reads it. This page is written
from the registry in `src/lockgate/loadbalancer/annotations.py` by
`python -m lockgate.ingress.annotations.document`.

- **On** lists the kinds that may carry it; of two, the first wins as a whole. *Class* is the field of
  IngressClassParams.spec that goes before it.
- **In a group** says what happens when several members of an IngressGroup set it. What must be equal and is not stops
  the whole group: the event is `FailedBuildModel`.
- Text is taken as written: the newline at the end of a YAML block scalar belongs to it. Only lists, maps and JSON
  are trimmed.
- An unknown name is ignored by the controller; `up` and `show` warn of it and name the nearest known one.

| Annotation | Type | Default | On | Class | In a group | What it does | Sets |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""

_LIMITS = """
## Limits

What these ask for has no effect on this machine, or is left out; the annotation is checked all the same.

| Annotation | What becomes of it |
| --- | --- |
"""


_FLAGS = """
## Flags of the controller

Where the manifests hold the controller's Deployment (a container whose image is `…/aws-load-balancer-controller`), its
`command` and `args` count in `up` and `show`; values of its Helm chart do not, only what it renders. What the
controller would not start with is reported (`LG1108`) and is as if it were not there. Without a Deployment the name
of the cluster is `lockgate`, and all else is as by default.

These count:

{counting}

These are read, reported (`LG1109`), and change nothing here:

| Why | Flags |
| --- | --- |
{others}
Of the feature gates these count: {gates}. The others may be set; `LG1109` reports that they change nothing here.
"""


def page() -> str:
    """The whole of docs/reference/annotations.md."""
    rows = "".join(_row(annotation) for annotation in REGISTRY.values())
    limits = "".join(f"| `{item.name}` | {item.limits} |\n" for item in REGISTRY.values() if item.limits)
    whys = dict.fromkeys(flag.why for flag in FLAGS.values() if flag.why)
    flags = _FLAGS.format(
        counting=", ".join(f"`--{flag.name}`" for flag in FLAGS.values() if flag.setting),
        others="".join(
            f"| {why} | {', '.join(f'`--{flag.name}`' for flag in FLAGS.values() if flag.why == why)} |\n"
            for why in whys
        ),
        gates=", ".join(f"`{name}`" for name, gate in GATES.items() if gate.counts),
    )
    return _HEAD + rows + _LIMITS + limits + flags


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


if __name__ == "__main__":
    sys.stdout.write(page())
