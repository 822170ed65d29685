"""Follows workloads and their Pods, and performs what `edge.rollout` decides."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lockgate.controllers.cache import Mirror
from lockgate.controllers.kubernetes import Kubernetes
from lockgate.controllers.runtime import EventRecorder, Queue
from lockgate.edge.rollout import cron, deployment, revisions
from lockgate.edge.rollout.changes import Change, Create, Delete, Patch, SetStatus
from lockgate.edge.rollout.pods import completions, desired_pods, limit, lives, status, until_available
from lockgate.resources import core, workloads
from lockgate.resources.model import JsonObject, ObjectKey, Resource
from lockgate.resources.status import AlreadyExists, ApiError, Forbidden, NotFound

COMPONENT: Final = "kube-controller-manager"
_AFTER_TIME: Final = 0.1  # s after a time of a schedule, so that it has come
_RETRY_SECONDS: Final = 30.0  # after a Pod was refused: its namespace or a webhook may change
_KINDS: Final[tuple[type[workloads.Workload], ...]] = (
    workloads.Deployment,
    workloads.ReplicaSet,
    workloads.StatefulSet,
    workloads.DaemonSet,
    workloads.Job,
)
_MADE: Final[dict[str, type[Resource]]] = {
    kind.KIND.kind: kind for kind in (core.Pod, workloads.ReplicaSet, workloads.Job, workloads.ControllerRevision)
}


class KubeControllerManager:
    """`node` is the name of the node on which all Pods run. `inject` and `identify` complete the manifest of
    each new Pod."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        *,
        node: str,
        inject: Callable[[JsonObject], JsonObject] = lambda pod: pod,
        identify: Callable[[JsonObject], Awaitable[JsonObject]] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clock = clock
        self._kubernetes = kubernetes
        self._node = node
        self._inject = inject
        self._identify = identify
        self._events = EventRecorder(kubernetes, COMPONENT)
        self._queue: Queue[ObjectKey] = Queue()
        self._mirrors: Mapping[str, Mirror[Any]] = {kind.KIND.kind: Mirror(kind, self._changed) for kind in _KINDS}
        self._cron_jobs = Mirror(workloads.CronJob, self._cron_job_changed)
        self._revisions = Mirror(workloads.ControllerRevision, self._revision_changed)
        self._history: dict[str, dict[str, workloads.ControllerRevision]] = {}  # by the uid of the controller
        self._pods = Mirror(core.Pod, self._dependent_changed)
        self._namespaces = Mirror(core.Namespace, self._namespace_changed)
        # Dependents by the uid of their controller, and by name. Writes of this controller are entered at once, because
        # the watch reports them later.
        self._owned: dict[str, dict[str, Any]] = {}

    async def run(self) -> None:
        """Runs until cancelled."""
        mirrors = (*self._mirrors.values(), self._cron_jobs, self._revisions, self._pods, self._namespaces)
        async with asyncio.TaskGroup() as tasks:
            for mirror in mirrors:
                tasks.create_task(mirror.run(self._kubernetes))
            for mirror in mirrors:
                await mirror.synced.wait()
            tasks.create_task(self._queue.run(self._reconcile, name=COMPONENT))

    @property
    def current(self) -> bool:
        return self._queue.idle

    # --- observe -------------------------------------------------------------------------------------------------

    def _changed(self, before: workloads.Workload | None, current: workloads.Workload | None) -> None:
        workload = current or before
        assert workload is not None
        if isinstance(workload, workloads.ReplicaSet | workloads.Job):
            self._dependent_changed(before, current)
        if current is not None:
            self._queue.add(current.key)

    def _cron_job_changed(self, before: workloads.CronJob | None, current: workloads.CronJob | None) -> None:
        if current is not None:
            self._queue.add(current.key)

    def _revision_changed(
        self, before: workloads.ControllerRevision | None, current: workloads.ControllerRevision | None
    ) -> None:
        revision = current or before
        assert revision is not None
        for owner in revision.metadata.owner_references:
            there = self._history.setdefault(owner.uid, {})
            if current is not None:
                there[current.name] = current
            else:
                there.pop(revision.name, None)
            if not there:
                del self._history[owner.uid]

    def _namespace_changed(self, before: core.Namespace | None, current: core.Namespace | None) -> None:
        if before is None and current is not None:
            self._queue.add(current.key)

    def _dependent_changed(self, before: Resource | None, current: Resource | None) -> None:
        dependent = current or before
        assert dependent is not None
        for owner in dependent.metadata.owner_references:
            if owner.controller:
                self._enter(owner.uid, dependent, gone=current is None)
                group = owner.api_version.rpartition("/")[0]
                self._queue.add(ObjectKey(group, owner.kind, dependent.namespace, owner.name))

    def _enter(self, uid: str, dependent: Resource, *, gone: bool) -> None:
        owned = self._owned.setdefault(uid, {})
        if not gone:
            owned[dependent.name] = dependent
        elif (there := owned.get(dependent.name)) and there.metadata.uid == dependent.metadata.uid:
            del owned[dependent.name]
        if not owned:
            del self._owned[uid]

    # --- act -----------------------------------------------------------------------------------------------------

    async def _reconcile(self, key: ObjectKey) -> None:
        if key.kind == "Namespace":
            await self._create_account(key.name)
            return
        if key.kind == workloads.CronJob.KIND.kind:
            await self._run_on_schedule(key)
            return
        mirror = self._mirrors.get(key.kind)
        workload = mirror.objects.get((key.namespace, key.name)) if mirror else None
        if workload is None or workload.metadata.deletion_timestamp:
            return  # its dependents go with it
        dependents = list(self._owned.get(workload.metadata.uid, {}).values())
        if isinstance(workload, workloads.Deployment):
            await self._perform(workload, deployment.rolled_out(workload, dependents, self._now()))
            return
        if isinstance(workload, workloads.StatefulSet | workloads.DaemonSet):
            known = list(self._history.get(workload.metadata.uid, {}).values())
            await self._perform(workload, revisions.kept(workload, known, dependents))
        failure = await self._scale(workload, dependents)
        pods = list(self._owned.get(workload.metadata.uid, {}).values())
        await self._perform(workload, [SetStatus(workload, status(workload, pods, failure, self._now()))])
        if (rest := until_available(workload, pods, self._now())) is not None:
            self._queue.add_after(workload.key, rest)
        if isinstance(workload, workloads.Job):
            await self._expire(workload)

    async def _run_on_schedule(self, key: ObjectKey) -> None:
        cron_job = self._cron_jobs.objects.get((key.namespace, key.name))
        if cron_job is None or cron_job.metadata.deletion_timestamp:
            return
        now = self._clock()
        try:
            local = now.astimezone(ZoneInfo(cron_job.spec.time_zone) if cron_job.spec.time_zone else UTC)
        except (ValueError, OSError, ZoneInfoNotFoundError) as error:
            zone = f'invalid timeZone: "{cron_job.spec.time_zone}": {error}'
            await self._events.event(cron_job, "Warning", "UnknownTimeZone", zone)
            return
        jobs = list(self._owned.get(cron_job.metadata.uid, {}).values())
        made = cron.run(cron_job, jobs, local)
        await self._perform(cron_job, made.changes)
        for type_, reason, message in made.events:
            await self._events.event(cron_job, type_, reason, message)
        if made.next is not None:
            self._queue.add_after(key, max((made.next - now).total_seconds(), 0.0) + _AFTER_TIME)

    async def _create_account(self, namespace: str) -> None:
        """Every namespace has the ServiceAccount ``default``."""
        metadata = {"name": "default", "namespace": namespace}
        with suppress(AlreadyExists, NotFound, Forbidden):  # the namespace may be going
            await self._kubernetes.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})

    async def _scale(self, workload: workloads.Workload, pods: list[core.Pod]) -> str:
        """Returns why Pods are missing, "" if none are."""
        most = limit(sum(map(lives, self._pods.objects.values())) - len(pods))
        desired = completions(workload) if isinstance(workload, workloads.Job) else workload.spec.replicas or 0
        try:
            await self._perform(workload, desired_pods(workload, pods, self._node, most.pods))
        except ApiError as error:
            await self._events.event(workload, "Warning", "FailedCreate", f"Error creating: {error.message}")
            self._queue.add_after(workload.key, _RETRY_SECONDS)
            return error.message
        if desired > most.pods:
            failure = f"{most.why}, and {desired} are asked for"
            await self._events.event(workload, "Warning", "FailedCreate", failure)
            return failure
        return ""

    async def _perform(self, about: Resource, changes: Iterable[Change]) -> None:
        for change in changes:
            if isinstance(change, Create):
                await self._create(about, change.manifest)
                continue
            with suppress(NotFound):  # it was deleted meanwhile
                await self._change(about, change)

    async def _create(self, about: Resource, manifest: JsonObject) -> None:
        kind = _MADE[manifest["kind"]]
        if kind in (workloads.Job, workloads.ControllerRevision):  # whose names say what they are of
            with suppress(AlreadyExists):
                self._entered(about, kind.model_validate(await self._kubernetes.create(manifest)))
            return
        if kind is core.Pod:
            manifest = self._inject(manifest)
            manifest = await self._identify(manifest) if self._identify is not None else manifest
        made = await self._kubernetes.create(manifest)
        created = kind.model_validate(made)
        self._entered(about, created)
        if isinstance(created, workloads.ReplicaSet):
            message = f"Scaled up replica set {created.name} from 0 to {created.spec.replicas}"
            await self._events.event(about, "Normal", "ScalingReplicaSet", message)
        else:
            await self._events.event(about, "Normal", "SuccessfulCreate", f"Created pod: {created.name}")

    def _entered(self, about: Resource, created: Resource) -> None:
        if isinstance(created, workloads.ControllerRevision):
            self._revision_changed(None, created)
        else:
            self._enter(about.metadata.uid, created, gone=False)

    async def _change(self, about: Resource, change: Patch | SetStatus | Delete) -> None:
        of = change.of
        match change:
            case Delete():
                self._enter(about.metadata.uid, of, gone=True)
                await self._kubernetes.delete(type(of), of.name, of.namespace)
                if isinstance(of, core.Pod):
                    await self._events.event(about, "Normal", "SuccessfulDelete", f"Deleted pod: {of.name}")
            case Patch(patch=patch):
                await self._kubernetes.patch(type(of), of.name, of.namespace, patch)
                if isinstance(of, workloads.ReplicaSet) and "replicas" in patch.get("spec", {}):
                    before, after = of.spec.replicas or 0, patch["spec"]["replicas"]
                    way = "up" if after > before else "down"
                    message = f"Scaled {way} replica set {of.name} from {before} to {after}"
                    await self._events.event(about, "Normal", "ScalingReplicaSet", message)
            case SetStatus(status=status):
                await self._kubernetes.patch_status(type(of), of.name, of.namespace, status)

    async def _expire(self, job: workloads.Job) -> None:
        """Deletes a finished Job after its `ttlSecondsAfterFinished`."""
        finished, seconds = job.status.get("completionTime"), job.spec.ttl_seconds_after_finished
        if not finished or seconds is None:
            return
        rest = seconds - (self._clock() - datetime.fromisoformat(finished)).total_seconds()
        if rest > 0:
            self._queue.add_after(job.key, rest)
        else:
            await self._perform(job, [Delete(job)])

    def _now(self) -> str:
        return self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")
