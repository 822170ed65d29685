"""Types that kinds of several API groups share."""

from pydantic import Field

from lockgate.resources.model import Column, Integer, Model


class LabelSelectorRequirement(Model):
    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(Model):
    """All of `match_labels` and `match_expressions` must match; an empty selector matches everything."""

    match_labels: dict[str, str] = Field(default_factory=dict)
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()

    def matches(self, labels: dict[str, str]) -> bool:
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            _holds(requirement, labels) for requirement in self.match_expressions
        )


def _holds(requirement: LabelSelectorRequirement, labels: dict[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return False  # validation refuses other operators; such a selector matches nothing


class Condition(Model):
    """One entry of `status.conditions`. `status` is ``True``, ``False`` or ``Unknown``."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""
    last_probe_time: str = ""
    last_heartbeat_time: str = ""
    last_update_time: str = ""
    observed_generation: Integer = 0


def condition(conditions: tuple[Condition, ...], type: str) -> Condition | None:
    return next((one for one in conditions if one.type == type), None)


class LocalObjectReference(Model):
    """An object of the same namespace, by name."""

    name: str = ""


class ObjectReference(Model):
    """A reference to any object, as in Events and EndpointSlices."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""
    resource_version: str = ""
    field_path: str = ""


class PortStatus(Model):
    port: Integer
    protocol: str = "TCP"
    error: str | None = None


class LoadBalancerIngress(Model):
    """An address of a load balancer, in the status of a Service or an Ingress."""

    ip: str = ""
    hostname: str = ""
    ip_mode: str | None = None
    ports: tuple[PortStatus, ...] = ()


class LoadBalancerStatus(Model):
    ingress: tuple[LoadBalancerIngress, ...] = ()


AGE = Column("Age", ".metadata.creationTimestamp", type="date")
