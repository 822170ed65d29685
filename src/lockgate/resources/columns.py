"""Cells of `kubectl get` that no JSONPath can express, computed as the API server's printers do.

The texts follow Kubernetes' `pkg/printers/internalversion/printers.go`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lockgate.resources.model import JsonObject

NONE = "<none>"


def service_external_ip(service: JsonObject) -> str:
    spec = service.get("spec") or {}
    external = list(spec.get("externalIPs") or ())
    match spec.get("type", "ClusterIP"):
        case "ExternalName":
            return str(spec.get("externalName", ""))
        case "LoadBalancer":
            addresses = _addresses(service)
            return ",".join(addresses + external) or "<pending>"
        case _:
            return ",".join(external) or NONE


def service_ports(service: JsonObject) -> str:
    ports = (service.get("spec") or {}).get("ports") or ()
    return ",".join(_service_port(port) for port in ports) or NONE


def _service_port(port: JsonObject) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{node_port}/{port.get('protocol', 'TCP')}"


def service_cluster_ip(service: JsonObject) -> str:
    return (service.get("spec") or {}).get("clusterIP") or NONE


def labels_at(*path: str) -> Any:
    """A cell that prints the map at `path` as a label selector."""

    def cell(manifest: JsonObject) -> str:
        value: Any = manifest
        for name in path:
            value = (value or {}).get(name)
        return ",".join(f"{key}={item}" for key, item in sorted((value or {}).items())) or NONE

    return cell


def count_of(*fields: str) -> Any:
    """A cell that counts the entries of top-level fields together (Secret's and ConfigMap's DATA)."""
    return lambda manifest: sum(len(manifest.get(field) or ()) for field in fields)


def pod_ready(pod: JsonObject) -> str:
    statuses = _status(pod).get("containerStatuses") or ()
    containers = (pod.get("spec") or {}).get("containers") or ()
    return f"{sum(1 for one in statuses if one.get('ready'))}/{len(containers)}"


def pod_status(pod: JsonObject) -> str:
    if pod.get("metadata", {}).get("deletionTimestamp"):
        return "Terminating"
    status = _status(pod)
    for container in status.get("containerStatuses") or ():
        state = container.get("state") or {}
        reason = (state.get("waiting") or state.get("terminated") or {}).get("reason")
        if reason:
            return str(reason)
    return str(status.get("reason") or status.get("phase") or "Unknown")


def pod_restarts(pod: JsonObject) -> int:
    return sum(int(one.get("restartCount", 0)) for one in _status(pod).get("containerStatuses") or ())


def pod_readiness_gates(pod: JsonObject) -> str:
    gates = [gate.get("conditionType") for gate in (pod.get("spec") or {}).get("readinessGates") or ()]
    true = {one.get("type") for one in _status(pod).get("conditions") or () if one.get("status") == "True"}
    return f"{sum(1 for gate in gates if gate in true)}/{len(gates)}" if gates else NONE


def node_status(node: JsonObject) -> str:
    ready = next((one for one in _status(node).get("conditions") or () if one.get("type") == "Ready"), None)
    word = "Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if (node.get("spec") or {}).get("unschedulable") else word


def node_roles(node: JsonObject) -> str:
    labels: dict[str, str] = node.get("metadata", {}).get("labels") or {}
    prefix = "node-role.kubernetes.io/"
    roles = {label.removeprefix(prefix) for label in labels if label.startswith(prefix) and label != prefix}
    if role := labels.get("kubernetes.io/role"):
        roles.add(role)
    return ",".join(sorted(roles)) or NONE


def node_address(type: str) -> Any:
    def cell(node: JsonObject) -> str:
        addresses = _status(node).get("addresses") or ()
        return next((str(one.get("address")) for one in addresses if one.get("type") == type), NONE)

    return cell


def workload_ready(workload: JsonObject) -> str:
    desired = (workload.get("spec") or {}).get("replicas", 1)
    return f"{_status(workload).get('readyReplicas', 0)}/{desired}"


def status_number(field: str) -> Any:
    return lambda manifest: int(_status(manifest).get(field) or 0)


def job_status(job: JsonObject) -> str:
    held = {each.get("type") for each in _status(job).get("conditions") or () if each.get("status") == "True"}
    return next((each for each in ("Complete", "Failed", "Suspended") if each in held), "Running")


def job_completions(job: JsonObject) -> str:
    spec, succeeded = job.get("spec") or {}, int(_status(job).get("succeeded") or 0)
    if spec.get("completions") is not None:
        return f"{succeeded}/{spec['completions']}"
    parallelism = int(spec.get("parallelism") or 1)
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def job_duration(job: JsonObject) -> str:
    """Of a finished Job; one that runs has no time here, because cells have no clock."""
    began, ended = (_status(job).get(name) for name in ("startTime", "completionTime"))
    if not began or not ended:
        return ""
    return f"{(datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds():.0f}s"


def time_zone(cron_job: JsonObject) -> str:
    return (cron_job.get("spec") or {}).get("timeZone") or NONE


def suspended(cron_job: JsonObject) -> str:
    return str(bool((cron_job.get("spec") or {}).get("suspend")))


def active_jobs(cron_job: JsonObject) -> int:
    return len(_status(cron_job).get("active") or ())


def controller(revision: JsonObject) -> str:
    """``statefulset.apps/web``"""
    owners = (revision.get("metadata") or {}).get("ownerReferences") or ()
    owner: JsonObject = next((each for each in owners if each.get("controller")), {})
    group = str(owner.get("apiVersion", "")).partition("/")[0]
    return f"{owner['kind'].lower()}.{group}/{owner['name']}" if owner else NONE


def containers(field: str) -> Any:
    """A cell with a field of each container of a workload's pod template."""

    def cell(workload: JsonObject) -> str:
        template = (workload.get("spec") or {}).get("template") or {}
        found = (template.get("spec") or {}).get("containers")
        listed = found if isinstance(found, list) else []
        return ",".join(str(one.get(field, "")) for one in listed if isinstance(one, dict))

    return cell


def ingress_class(ingress: JsonObject) -> str:
    annotations = ingress.get("metadata", {}).get("annotations") or {}
    name = (ingress.get("spec") or {}).get("ingressClassName") or annotations.get("kubernetes.io/ingress.class")
    return str(name or NONE)


def ingress_hosts(ingress: JsonObject) -> str:
    hosts = [rule.get("host") for rule in (ingress.get("spec") or {}).get("rules") or () if rule.get("host")]
    if len(hosts) > 3:
        return f"{','.join(hosts[:3])} + {len(hosts) - 3} more..."
    return ",".join(hosts) or "*"


def ingress_address(ingress: JsonObject) -> str:
    return ",".join(_addresses(ingress))


def ingress_ports(ingress: JsonObject) -> str:
    return "80, 443" if (ingress.get("spec") or {}).get("tls") else "80"


def ingress_class_parameters(ingress_class: JsonObject) -> str:
    parameters = (ingress_class.get("spec") or {}).get("parameters")
    if not parameters:
        return NONE
    group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") else ""
    return f"{parameters.get('kind', '')}{group}/{parameters.get('name', '')}"


def slice_ports(slice: JsonObject) -> str:
    return _first_of([str(port.get("port", "*")) for port in slice.get("ports") or ()]) or "<unset>"


def slice_endpoints(slice: JsonObject) -> str:
    endpoints = slice.get("endpoints") or ()
    return _first_of([address for one in endpoints for address in one.get("addresses") or ()]) or "<unset>"


def endpoints_addresses(endpoints: JsonObject) -> str:
    pairs = [
        f"{address.get('ip')}:{port.get('port')}" if port else str(address.get("ip"))
        for subset in endpoints.get("subsets") or ()
        for port in subset.get("ports") or (None,)
        for address in subset.get("addresses") or ()
    ]
    return _first_of(pairs) or NONE


def event_object(event: JsonObject) -> str:
    involved = event.get("involvedObject") or {}
    return f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}"


def event_source(event: JsonObject) -> str:
    source = event.get("source") or {}
    names = [source.get("component") or event.get("reportingComponent"), source.get("host")]
    return ", ".join(name for name in names if name)


def event_first_seen(event: JsonObject) -> str:
    """Of events.k8s.io, an event has only the time of its one occurrence, and a series for further ones."""
    return str(event.get("firstTimestamp") or event.get("eventTime") or "")


def event_last_seen(event: JsonObject) -> str:
    of_series = (event.get("series") or {}).get("lastObservedTime")
    return str(of_series or event.get("lastTimestamp") or event_first_seen(event))


def event_count(event: JsonObject) -> int:
    return int((event.get("series") or {}).get("count") or event.get("count") or 1)


def role_reference(binding: JsonObject) -> str:
    reference = binding.get("roleRef") or {}
    return f"{reference.get('kind', '')}/{reference.get('name', '')}"


def _status(manifest: JsonObject) -> JsonObject:
    return manifest.get("status") or {}


def _addresses(manifest: JsonObject) -> list[str]:
    ingress = (_status(manifest).get("loadBalancer") or {}).get("ingress") or ()
    return [one.get("ip") or one.get("hostname") or "" for one in ingress]


def _first_of(values: list[str]) -> str:
    return ",".join(values[:3]) + (f" + {len(values) - 3} more..." if len(values) > 3 else "")
