"""LG005x: comments that suppress findings of `lockgate check`."""

from __future__ import annotations

from lockgate.resources.faults import Code, Severity

UNUSED_SUPPRESSION = Code(
    "LG0051",
    Severity.WARNING,
    "Suppression without effect",
    message="this comment suppresses nothing: {codes} is not found {where}",
    fix="remove it",
    what="A comment `# lockgate: ignore` names a code that is not found where the comment applies: on its own line, on "
    "the line below, or, at the head of an object, in the whole object.",
    why="What it was written for is fixed, or the comment stands on the wrong line. A later fault of the same code "
    "would be hidden by it.",
    example="""
        apiVersion: v1
        kind: Service
        metadata:
          name: web
          namespace: shop
        spec:
          type: NodePort  # lockgate: ignore LG5001 because the port is opened by hand
          selector: {app: web}
          ports: [{name: http, port: 80}]
        """,
    instead="""
        apiVersion: v1
        kind: Service
        metadata:
          name: web
          namespace: shop
        spec:
          type: NodePort
          selector: {app: web}
          ports: [{name: http, port: 80}]
        """,
)
NO_REASON = Code(
    "LG0052",
    Severity.WARNING,
    "Suppression without a reason",
    message="this comment suppresses {codes} and does not say why",
    fix="write: # lockgate: ignore {codes} because …",
    what="A comment `# lockgate: ignore` has no `because` and a reason.",
    why="Nobody can tell later whether the fault is accepted or was only silenced. With `--strict` the comment "
    "suppresses nothing.",
    example="""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          # lockgate: ignore IST0101
          gateways: [istio-system/other]
          http: [{route: [{destination: {host: web}}]}]
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          # lockgate: ignore IST0101 because the Gateway is in another repository
          gateways: [istio-system/other]
          http: [{route: [{destination: {host: web}}]}]
        """,
)
BAD_SUPPRESSION = Code(
    "LG0053",
    Severity.WARNING,
    "Comment that is no suppression",
    message="this comment suppresses nothing: {problem}",
    fix="write: # lockgate: ignore LG5001 because …",
    what="A comment begins with `lockgate:`, and is not `ignore`, codes, and `because` with a reason.",
    why="Lockgate ignores the comment, so what it was meant to suppress is still reported.",
    example="""
        apiVersion: v1
        kind: Service
        metadata:
          name: web
          namespace: shop
        spec:
          type: NodePort  # lockgate: disable LG5001
          selector: {app: web}
          ports: [{name: http, port: 80}]
        """,
    instead="""
        apiVersion: v1
        kind: Service
        metadata:
          name: web
          namespace: shop
        spec:
          type: NodePort
          selector: {app: web}
          ports: [{name: http, port: 80}]
        """,
)
