"""Registers the endpoints of a binding's Service in its target group, and deregisters them.

Source: aws-load-balancer-controller `controllers/elbv2/targetgroupbinding_controller.go`,
`pkg/targetgroupbinding/resource_manager.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from lockgate.controllers.aws import AwsError
from lockgate.controllers.aws_load_balancer.account import vpc_blocks
from lockgate.controllers.aws_load_balancer.finalizers import add_finalizer, remove_finalizer
from lockgate.controllers.aws_load_balancer.gates import Gates
from lockgate.controllers.aws_load_balancer.node_rules import NodeRules
from lockgate.controllers.aws_load_balancer.site import MANAGER, Site, sdk_message
from lockgate.controllers.runtime import EventRecorder
from lockgate.ingress.refusal import Refused
from lockgate.ingress.stack import GroupId, ServiceId
from lockgate.ingress.targets import (
    find_service_port,
    instance_targets,
    pod_targets,
    registration,
    within,
)
from lockgate.loadbalancer.model import Target
from lockgate.resources import core, elbv2
from lockgate.resources.status import ApiError

FINALIZER: Final = "elbv2.k8s.aws/resources"
_CHUNK: Final = 200  # targets per call
_GONE: Final = frozenset({"TargetGroupNotFound", "ValidationError", "InvalidTarget"})

Json = Mapping[str, Any]


class Bindings:
    """Reconciles one TargetGroupBinding at a time."""

    def __init__(self, site: Site, events: EventRecorder) -> None:
        self._site = site
        self._events = events
        self._gates = Gates(site)
        self._node_rules = NodeRules(site)
        self._blocks: dict[str, tuple[str, ...]] = {}  # by VPC: they rarely change

    async def reconcile(self, name: tuple[str, str]) -> float | None:
        """Returns the seconds until the next reconciliation; None to wait for a change."""
        binding = self._site.cluster.bindings.get(name)
        if binding is None:
            return None
        if binding.metadata.deletion_timestamp:
            if FINALIZER in binding.metadata.finalizers:
                await self._clean_up(binding)
            return None
        try:
            await add_finalizer(self._site.kubernetes, binding, FINALIZER)
        except ApiError as error:
            await self._warn(binding, "FailedAddFinalizer", f"Failed add finalizer due to {error.message}")
            raise
        try:
            return await self._reconcile(binding)
        except (AwsError, ApiError, Refused) as error:
            await self._warn(binding, "FailedReconcile", sdk_message(error))
            raise

    async def _reconcile(self, binding: elbv2.TargetGroupBinding) -> float | None:
        site = self._site
        cluster = site.cluster
        if await self._complete(binding):
            return None  # the binding has changed, and will be reconciled again
        arn = await self._target_group(binding)
        health = await self._health(arn)
        service = cluster.services.get((binding.namespace, binding.spec.service_ref.name))
        port = find_service_port(service, binding.spec.service_ref.port) if service else None
        if service is None or port is None:
            missing = (
                f'Service "{binding.spec.service_ref.name}" not found'
                if service is None
                else f"unable to find port {binding.spec.service_ref.port} on service "
                f"{service.namespace}/{service.name}"
            )
            await self._warn(binding, "BackendNotFound", f"backend not found: {missing}")
            await self._deregister(arn, _current(health))
            return None
        pods: dict[Target, core.Pod | None] = {}
        fail_open = "EndpointsFailOpen" in site.settings.gates
        match binding.spec.target_type:
            case "instance":
                targets = instance_targets(
                    service, port, cluster.nodes.values(), binding.spec.node_selector, fail_open=fail_open
                )
            case "ip":
                family = binding.spec.ip_address_type or "ipv4"
                slices = cluster.slices.get((service.namespace, service.name), {}).values()
                found = pod_targets(port, slices, cluster.pods, cluster.nodes, ip_family=family, fail_open=fail_open)
                pods = {item.target: item.pod for item in found}
                targets = tuple(pods)
            case _:
                raise Refused(f"targetType is not specified: {binding.namespace}/{binding.name}")
        await self._open(binding)
        owned = await self._owned(binding) if binding.spec.multi_cluster_target_group else None
        plan = registration(targets, _current(health), _draining(health), owned=owned, most=site.settings.max_targets)
        if binding.spec.multi_cluster_target_group:
            await self._own(binding, targets)
        await self._deregister(arn, plan.deregister)
        for chunk in _chunks(plan.register):
            shapes = [_shape(target) for target in chunk]
            if binding.spec.target_type == "ip":
                blocks = await self._blocks_of(binding.spec.vpc_id or site.vpc_id)
                shapes = [
                    shape | ({} if within(shape["Id"], blocks) else {"AvailabilityZone": "all"}) for shape in shapes
                ]
            await site.aws.call("elbv2", "register_targets", TargetGroupArn=arn, Targets=shapes)
        waiting = await self._gates.report(binding, pods, health, plan.register)
        await self._observed(binding)
        if plan.deregister or plan.register:
            await self._events.event(binding, "Normal", "SuccessfullyReconciled", "Successfully reconciled")
        return site.settings.requeue_seconds if waiting else None

    async def _blocks_of(self, vpc_id: str) -> tuple[str, ...]:
        """The VPC's address blocks. Targets outside of them need the zone `all`."""
        if vpc_id not in self._blocks:
            self._blocks[vpc_id] = await vpc_blocks(self._site.aws, vpc_id)
        return self._blocks[vpc_id]

    async def _complete(self, binding: elbv2.TargetGroupBinding) -> bool:
        """Sets a binding's omitted fields from the target group; returns whether there were any. Raises `Refused` if a
        field differs from the target group.

        Upstream's webhooks do this before a binding is stored (`webhooks/elbv2/targetgroupbinding_mutator.go`,
        `targetgroupbinding_validator.go`), but admission cannot call AWS here.
        """
        spec = binding.spec
        complete = (
            spec.target_type
            and spec.ip_address_type
            and spec.vpc_id
            and spec.target_group_protocol
            and spec.target_group_arn
        )
        known_good = binding.status.observed_generation is not None or _is_ours(binding)
        if complete and known_good:
            return False
        by = (
            {"TargetGroupArns": [spec.target_group_arn]}
            if spec.target_group_arn
            else {"Names": [spec.target_group_name]}
        )
        group = (await self._site.aws.call("elbv2", "describe_target_groups", **by))["TargetGroups"][0]
        if group["TargetType"] not in ("instance", "ip"):
            raise Refused(f"unsupported TargetType: {group['TargetType']}")
        known = {
            "targetGroupARN": group["TargetGroupArn"],
            "targetType": group["TargetType"],
            "ipAddressType": group.get("IpAddressType", "ipv4"),
            "vpcID": group.get("VpcId", ""),
            "targetGroupProtocol": group["Protocol"],
        }
        if not known_good:
            _check(binding, known)
        given = spec.model_dump(by_alias=True)
        missing = {key: value for key, value in known.items() if value and not given.get(key)}
        if missing:
            kubernetes = self._site.kubernetes
            await kubernetes.patch(elbv2.TargetGroupBinding, binding.name, binding.namespace, {"spec": missing})
        return bool(missing)

    async def _clean_up(self, binding: elbv2.TargetGroupBinding) -> None:
        """Deregisters all targets; of a shared target group, only those that this cluster registered."""
        site = self._site
        try:
            try:
                arn = await self._target_group(binding)
                targets = _current(await self._health(arn))
                if binding.spec.multi_cluster_target_group:
                    owned = await self._owned(binding) or frozenset()
                    targets = [target for target in targets if (target.id, target.port) in owned]
                await self._deregister(arn, targets)
            except AwsError as error:
                if error.code not in _GONE:
                    raise
            if binding.spec.multi_cluster_target_group:
                await self._disown(binding)
            await self._open(binding)
            await self._gates.release(binding)
        except (AwsError, ApiError) as error:
            await self._warn(binding, "FailedCleanup", f"Failed cleanup due to {sdk_message(error)}")
            await self._not_ready(binding, "FailedCleanup", sdk_message(error))
            raise
        try:
            await remove_finalizer(site.kubernetes, binding, FINALIZER)
        except ApiError as error:
            await self._warn(binding, "FailedRemoveFinalizer", f"Failed remove finalizer due to {error.message}")
            raise

    async def _target_group(self, binding: elbv2.TargetGroupBinding) -> str:
        if binding.spec.target_group_arn:
            return binding.spec.target_group_arn
        names = [binding.spec.target_group_name]
        answer = await self._site.aws.call("elbv2", "describe_target_groups", Names=names)
        arn: str = answer["TargetGroups"][0]["TargetGroupArn"]
        return arn

    async def _health(self, arn: str) -> list[Json]:
        answer = await self._site.aws.call("elbv2", "describe_target_health", TargetGroupArn=arn)
        found: list[Json] = answer["TargetHealthDescriptions"]
        return found

    async def _deregister(self, arn: str, targets: Iterable[Target]) -> None:
        for chunk in _chunks(tuple(targets)):
            shapes = [_shape(target) for target in chunk]
            await self._site.aws.call("elbv2", "deregister_targets", TargetGroupArn=arn, Targets=shapes)

    async def _open(self, binding: elbv2.TargetGroupBinding) -> None:
        """As upstream, ip targets are registered even if the security group rules for them failed."""
        try:
            await self._node_rules.ensure()
        except (AwsError, Refused) as error:
            await self._warn(binding, "FailedNetworkReconcile", sdk_message(error))
            if binding.spec.target_type != "ip" and not binding.metadata.deletion_timestamp:
                raise

    async def _observed(self, binding: elbv2.TargetGroupBinding) -> None:
        if binding.status.observed_generation != binding.metadata.generation:
            status = {"observedGeneration": binding.metadata.generation}
            try:
                await self._site.kubernetes.patch_status(
                    elbv2.TargetGroupBinding, binding.name, binding.namespace, status
                )
            except ApiError as error:
                await self._warn(binding, "FailedUpdateStatus", f"Failed update status due to {error.message}")
                raise

    async def _not_ready(self, binding: elbv2.TargetGroupBinding, reason: str, message: str) -> None:
        """Also sets a condition, for users who wait for the object's deletion."""
        condition = {"type": "Ready", "status": "False", "reason": reason, "message": message}
        condition["lastTransitionTime"] = self._site.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        before = next((item for item in binding.status.conditions if item.type == "Ready"), None)
        if before is None or (before.status, before.message) != ("False", message):
            status = {"conditions": [condition]}
            await self._site.kubernetes.patch_status(elbv2.TargetGroupBinding, binding.name, binding.namespace, status)

    async def _warn(self, binding: elbv2.TargetGroupBinding, reason: str, message: str) -> None:
        await self._events.event(binding, "Warning", reason, message)

    # --- target groups that several clusters share: a ConfigMap records which targets are ours -------------------

    async def _owned(self, binding: elbv2.TargetGroupBinding) -> frozenset[tuple[str, int]]:
        try:
            kept = await self._site.kubernetes.get(core.ConfigMap, _map_name(binding), binding.namespace)
        except ApiError as error:
            if error.code != 404:
                raise
            return frozenset()
        pairs = (item.rpartition(":") for item in kept.data.get("targets", "").split(",") if item)
        return frozenset((identifier, int(port)) for identifier, _, port in pairs)

    async def _own(self, binding: elbv2.TargetGroupBinding, targets: Sequence[Target]) -> None:
        text = ",".join(f"{target.id}:{target.port}" for target in targets)
        metadata = {"name": _map_name(binding), "namespace": binding.namespace}
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"targets": text}}
        await self._site.kubernetes.apply(manifest, manager=MANAGER)

    async def _disown(self, binding: elbv2.TargetGroupBinding) -> None:
        try:
            await self._site.kubernetes.delete(core.ConfigMap, _map_name(binding), binding.namespace)
        except ApiError as error:
            if error.code != 404:
                raise


def _is_ours(binding: elbv2.TargetGroupBinding) -> bool:
    """Whether the controller created the binding. Its fields then match the target group."""
    prefixes = (GroupId.STACK_TAG, ServiceId.STACK_TAG)
    return any(label.startswith(prefixes) for label in binding.metadata.labels)


def _check(binding: elbv2.TargetGroupBinding, known: Mapping[str, str]) -> None:
    spec, arn = binding.spec, known["targetGroupARN"]
    if spec.ip_address_type and spec.ip_address_type != known["ipAddressType"]:
        raise Refused(f"invalid IP address type {known['ipAddressType']} for TargetGroup {arn}")
    if spec.vpc_id and spec.vpc_id != known["vpcID"]:
        raise Refused(f"invalid VpcID {spec.vpc_id} doesnt match VpcID from TargetGroup {arn}")
    if spec.target_group_protocol and spec.target_group_protocol != known["targetGroupProtocol"]:
        got, expected = spec.target_group_protocol, known["targetGroupProtocol"]
        raise Refused(f"TargetGroup {arn} protocol differs (got {got}, expected {expected})")


def _map_name(binding: elbv2.TargetGroupBinding) -> str:
    return f"aws-lbc-targets-{binding.name}"


def _current(health: Iterable[Json]) -> list[Target]:
    return [_target(item) for item in health]


def _draining(health: Iterable[Json]) -> list[Target]:
    return [_target(item) for item in health if item["TargetHealth"].get("State") == "draining"]


def _target(item: Json) -> Target:
    return Target(item["Target"]["Id"], int(item["Target"].get("Port") or 0))


def _shape(target: Target) -> dict[str, Any]:
    shape: dict[str, Any] = {"Id": target.id, "Port": target.port}
    return shape | ({"AvailabilityZone": target.availability_zone} if target.availability_zone else {})


def _chunks(targets: Sequence[Target]) -> Iterable[Sequence[Target]]:
    return (targets[start : start + _CHUNK] for start in range(0, len(targets), _CHUNK))
