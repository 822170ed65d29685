"""Workloads, which roll out without running a container, and kinds that are only stored and listed."""

from typing import ClassVar

from pydantic import Field

from lockgate.resources import columns
from lockgate.resources.meta import AGE, LabelSelector
from lockgate.resources.model import (
    Column,
    Flag,
    Integer,
    JsonObject,
    Kind,
    Model,
    ObjectMeta,
    Resource,
    register,
)


class Stored(Resource):
    """A kind whose content is kept as written."""

    OPEN: ClassVar[bool] = True

    spec: JsonObject = Field(default_factory=dict)
    status: JsonObject = Field(default_factory=dict)


class PodTemplate(Model):
    OPEN: ClassVar[bool] = True

    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    spec: JsonObject = Field(default_factory=dict)


class WorkloadSpec(Model):
    OPEN: ClassVar[bool] = True

    replicas: Integer | None = None
    selector: LabelSelector = Field(default_factory=LabelSelector)
    template: PodTemplate = Field(default_factory=PodTemplate)


class RolloutSpec(WorkloadSpec):
    min_ready_seconds: Integer = 0


class Workload(Resource):
    OPEN: ClassVar[bool] = True

    spec: WorkloadSpec = Field(default_factory=WorkloadSpec)
    status: JsonObject = Field(default_factory=dict)

    @property
    def pod_labels(self) -> dict[str, str]:
        return self.spec.template.metadata.labels


_CONTAINERS = (
    Column("Containers", wide=True, cell=columns.containers("name")),
    Column("Images", wide=True, cell=columns.containers("image")),
    Column("Selector", wide=True, cell=columns.labels_at("spec", "selector", "matchLabels")),
)


class DeploymentStrategy(Model):
    OPEN: ClassVar[bool] = True

    type: str = "RollingUpdate"


class DeploymentSpec(RolloutSpec):
    paused: Flag = False
    strategy: DeploymentStrategy = Field(default_factory=DeploymentStrategy)
    revision_history_limit: Integer | None = None


@register
class Deployment(Workload):
    KIND: ClassVar[Kind] = Kind(
        "apps",
        ("v1",),
        "Deployment",
        "deployments",
        short_names=("deploy",),
        categories=("all",),
        columns=(
            Column("Ready", cell=columns.workload_ready),
            Column("Up-to-date", type="integer", cell=columns.status_number("updatedReplicas")),
            Column("Available", type="integer", cell=columns.status_number("availableReplicas")),
            AGE,
            *_CONTAINERS,
        ),
    )

    spec: DeploymentSpec = Field(default_factory=DeploymentSpec)


@register
class ReplicaSet(Workload):
    KIND: ClassVar[Kind] = Kind(
        "apps",
        ("v1",),
        "ReplicaSet",
        "replicasets",
        short_names=("rs",),
        categories=("all",),
        columns=(
            Column("Desired", ".spec.replicas", type="integer"),
            Column("Current", type="integer", cell=columns.status_number("replicas")),
            Column("Ready", type="integer", cell=columns.status_number("readyReplicas")),
            AGE,
            *_CONTAINERS,
        ),
    )

    spec: RolloutSpec = Field(default_factory=RolloutSpec)


class StatefulSetOrdinals(Model):
    start: Integer = 0


class RollingUpdate(Model):
    OPEN: ClassVar[bool] = True

    partition: Integer = 0


class UpdateStrategy(Model):
    OPEN: ClassVar[bool] = True

    type: str = "RollingUpdate"
    rolling_update: RollingUpdate = Field(default_factory=RollingUpdate)


class StatefulSetSpec(RolloutSpec):
    service_name: str = ""
    revision_history_limit: Integer | None = None
    ordinals: StatefulSetOrdinals = Field(default_factory=StatefulSetOrdinals)
    update_strategy: UpdateStrategy = Field(default_factory=UpdateStrategy)


@register
class StatefulSet(Workload):
    KIND: ClassVar[Kind] = Kind(
        "apps",
        ("v1",),
        "StatefulSet",
        "statefulsets",
        short_names=("sts",),
        categories=("all",),
        columns=(Column("Ready", cell=columns.workload_ready), AGE, *_CONTAINERS[:2]),
    )

    spec: StatefulSetSpec = Field(default_factory=StatefulSetSpec)


class DaemonSetSpec(RolloutSpec):
    revision_history_limit: Integer | None = None
    update_strategy: UpdateStrategy = Field(default_factory=UpdateStrategy)


@register
class DaemonSet(Workload):
    KIND: ClassVar[Kind] = Kind(
        "apps",
        ("v1",),
        "DaemonSet",
        "daemonsets",
        short_names=("ds",),
        categories=("all",),
        columns=(
            Column("Desired", type="integer", cell=columns.status_number("desiredNumberScheduled")),
            Column("Current", type="integer", cell=columns.status_number("currentNumberScheduled")),
            Column("Ready", type="integer", cell=columns.status_number("numberReady")),
            Column("Up-to-date", type="integer", cell=columns.status_number("updatedNumberScheduled")),
            Column("Available", type="integer", cell=columns.status_number("numberAvailable")),
            AGE,
            *_CONTAINERS,
        ),
    )

    spec: DaemonSetSpec = Field(default_factory=DaemonSetSpec)


@register
class ControllerRevision(Resource):
    OPEN: ClassVar[bool] = True
    KIND: ClassVar[Kind] = Kind(
        "apps",
        ("v1",),
        "ControllerRevision",
        "controllerrevisions",
        has_status=False,
        columns=(
            Column("Controller", cell=columns.controller),
            Column("Revision", ".revision", type="integer"),
            AGE,
        ),
    )

    data: JsonObject = Field(default_factory=dict)
    revision: Integer = 0


class JobSpec(WorkloadSpec):
    completions: Integer | None = None
    parallelism: Integer = 1
    suspend: Flag = False
    ttl_seconds_after_finished: Integer | None = None


@register
class Job(Workload):
    KIND: ClassVar[Kind] = Kind(
        "batch",
        ("v1",),
        "Job",
        "jobs",
        categories=("all",),
        columns=(
            Column("Status", cell=columns.job_status),
            Column("Completions", cell=columns.job_completions),
            Column("Duration", cell=columns.job_duration),
            AGE,
            *_CONTAINERS,
        ),
    )

    spec: JobSpec = Field(default_factory=JobSpec)


class CronJobSpec(Model):
    OPEN: ClassVar[bool] = True

    schedule: str = ""
    time_zone: str = ""
    suspend: Flag = False
    concurrency_policy: str = "Allow"
    starting_deadline_seconds: Integer | None = None
    successful_jobs_history_limit: Integer = 3
    failed_jobs_history_limit: Integer = 1
    job_template: JsonObject = Field(default_factory=dict)


@register
class CronJob(Resource):
    OPEN: ClassVar[bool] = True
    KIND: ClassVar[Kind] = Kind(
        "batch",
        ("v1",),
        "CronJob",
        "cronjobs",
        short_names=("cj",),
        categories=("all",),
        columns=(
            Column("Schedule", ".spec.schedule"),
            Column("Timezone", cell=columns.time_zone),
            Column("Suspend", cell=columns.suspended),
            Column("Active", type="integer", cell=columns.active_jobs),
            Column("Last Schedule", ".status.lastScheduleTime", type="date"),
            AGE,
        ),
    )

    spec: CronJobSpec = Field(default_factory=CronJobSpec)
    status: JsonObject = Field(default_factory=dict)


@register
class HorizontalPodAutoscaler(Stored):
    KIND: ClassVar[Kind] = Kind(
        "autoscaling",
        ("v2", "v1"),
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        short_names=("hpa",),
        categories=("all",),
        columns=(
            Column("MinPods", ".spec.minReplicas"),
            Column("MaxPods", ".spec.maxReplicas", type="integer"),
            Column("Replicas", ".status.currentReplicas", type="integer"),
            AGE,
        ),
    )


@register
class PodDisruptionBudget(Stored):
    KIND: ClassVar[Kind] = Kind(
        "policy",
        ("v1",),
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        short_names=("pdb",),
        columns=(
            Column("Min Available", ".spec.minAvailable"),
            Column("Max Unavailable", ".spec.maxUnavailable"),
            Column("Allowed Disruptions", ".status.disruptionsAllowed", type="integer"),
            AGE,
        ),
    )


@register
class NetworkPolicy(Stored):
    KIND: ClassVar[Kind] = Kind(
        "networking.k8s.io",
        ("v1",),
        "NetworkPolicy",
        "networkpolicies",
        short_names=("netpol",),
        has_status=False,
        columns=(Column("Pod-Selector", cell=columns.labels_at("spec", "podSelector", "matchLabels")), AGE),
    )


@register
class Lease(Stored):
    KIND: ClassVar[Kind] = Kind(
        "coordination.k8s.io",
        ("v1",),
        "Lease",
        "leases",
        has_status=False,
        columns=(Column("Holder", ".spec.holderIdentity"), AGE),
    )


@register
class Role(Stored):
    KIND: ClassVar[Kind] = Kind(
        "rbac.authorization.k8s.io",
        ("v1",),
        "Role",
        "roles",
        has_status=False,
        columns=(Column("Created At", ".metadata.creationTimestamp"),),
    )


@register
class ClusterRole(Stored):
    KIND: ClassVar[Kind] = Kind(
        "rbac.authorization.k8s.io",
        ("v1",),
        "ClusterRole",
        "clusterroles",
        namespaced=False,
        has_status=False,
        columns=(Column("Created At", ".metadata.creationTimestamp"),),
    )


@register
class RoleBinding(Stored):
    KIND: ClassVar[Kind] = Kind(
        "rbac.authorization.k8s.io",
        ("v1",),
        "RoleBinding",
        "rolebindings",
        has_status=False,
        columns=(Column("Role", cell=columns.role_reference), AGE),
    )


@register
class ClusterRoleBinding(Stored):
    KIND: ClassVar[Kind] = Kind(
        "rbac.authorization.k8s.io",
        ("v1",),
        "ClusterRoleBinding",
        "clusterrolebindings",
        namespaced=False,
        has_status=False,
        columns=(Column("Role", cell=columns.role_reference), AGE),
    )


@register
class CustomResourceDefinition(Stored):
    KIND: ClassVar[Kind] = Kind(
        "apiextensions.k8s.io",
        ("v1",),
        "CustomResourceDefinition",
        "customresourcedefinitions",
        namespaced=False,
        short_names=("crd", "crds"),
        categories=("api-extensions",),
        columns=(Column("Created At", ".metadata.creationTimestamp"),),
    )
