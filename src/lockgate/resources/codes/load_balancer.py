"""LG11xx: Ingresses, and the load balancers that the AWS Load Balancer Controller makes of them."""

from __future__ import annotations

from lockgate.resources.faults import Code, Severity

_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

UNKNOWN_ANNOTATION = Code(
    "LG1101",
    _WARNING,
    "Unknown ALB annotation",
    message="the AWS Load Balancer Controller knows no annotation {annotation} and ignores it",
    fix="docs/reference/annotations.md has those it reads",
    why="The AWS Load Balancer Controller ignores annotations that it does not know, and says nothing.",
)
MISSPELT_ANNOTATION = UNKNOWN_ANNOTATION.variant(UNKNOWN_ANNOTATION.message, "did you mean {near}?")
NOT_BUILT = Code(
    "LG1102",
    _ERROR,
    "Load balancer not built",
    message="Failed build model due to {refusal}",
    why="One faulty Ingress stops its whole group: the load balancer stays as it was, for every member.",
)
WITHOUT_EFFECT = Code(
    "LG1103",
    _INFO,
    "Annotation without effect here",
    message="{annotation}: {limits}",
    why="The setting is read as the controller reads it, and passed on or left out; locally nothing follows from it.",
)
NODE_PORTS_OPEN = Code(
    "LG1104",
    _INFO,
    "Decided on AWS or in the cluster",
    message="the cluster chooses its node ports: those shown stand in for them",
    why="Manifests alone do not say it: the controller looks at the account or the cluster to choose.",
)
SUBNETS_OPEN = NODE_PORTS_OPEN.variant("which subnets it gets, EC2 decides")
FRONTEND_SUBNETS_OPEN = NODE_PORTS_OPEN.variant("which subnets the network load balancer gets, EC2 decides")
CERTIFICATES_OPEN = NODE_PORTS_OPEN.variant("which certificates port {port} has, ACM decides")
CLASS_NOT_RESOLVED = Code(
    "LG1105",
    _WARNING,
    "Ingress class does not resolve",
    message="{refusal}",
    why="The controller passes over an Ingress whose class it cannot load.",
)
GROUP_NOT_VALID = Code(
    "LG1106",
    _ERROR,
    "Group name not valid",
    message="{refusal}",
    why="An Ingress whose group has no valid name is on no load balancer.",
)
NO_BACKEND = Code(
    "LG1107",
    _WARNING,
    "Backend does not exist",
    message="{problem}",
    why="The rule answers 503 until the Service or the action is there.",
)
UNMAPPED = Code(
    "LG1110",
    _WARNING,
    "Mapped port leads nowhere",
    message="{problem}",
    why="A port of frontend-nlb-listener-port-mapping that is none of the Ingress's own is passed over without a word.",
)
KEEPS_ITS_NAME = Code(
    "LG1111",
    _WARNING,
    "Load balancer keeps its name",
    message="load balancer {name} keeps its name: that it ought to be {wanted} changes nothing",
    fix="take the group's Ingresses away and apply them again: the new load balancer has another DNS name",
    why="The controller compares everything but the name: only a load balancer that is made anew gets another one.",
)
HOPELESS_CHECK = Code(
    "LG1112",
    _WARNING,
    "Health check that cannot pass",
    message="in front, the health check behind port {port} fails: {reason}",
    fix="set frontend-nlb-healthcheck-protocol, -port, -path or -success-codes",
    why="A load balancer is the only target of what is in front of it, and gets all traffic; its health is unhealthy.",
)
NOT_STARTED = Code(
    "LG1108",
    _ERROR,
    "Controller does not start",
    message="{problem}",
    why="With this argument the AWS Load Balancer Controller exits at once; here it is as if the flag were not set.",
)
NO_EFFECT = Code(
    "LG1109",
    _INFO,
    "Controller flags without effect here",
    message="without effect here: {flags}",
    why="They are read as the controller reads them, and nothing on this machine follows from them.",
)
ONLY_IN_CLUSTER = NO_EFFECT.variant("--{flag}: only the cluster knows {value}; it is as if the flag were not set")
SECOND_CONTROLLER = NO_EFFECT.variant("{first} is the controller: the flags of another one do not count")
