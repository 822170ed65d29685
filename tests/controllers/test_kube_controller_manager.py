"""Workloads roll out: ReplicaSets, Pods that are ready at once, statuses, and endpoints that name the Pods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lockgate.controllers.kube_controller_manager import KubeControllerManager
from lockgate.controllers.nodes import Nodes
from lockgate.controllers.nodes.controller import Machine
from lockgate.edge.rollout.pods import MOST_PODS
from lockgate.edge.service_pods import workload_of
from lockgate.edge.workloads import NODE_ID
from lockgate.embedded.kubernetes.store import Store
from lockgate.resources import core, workloads
from lockgate.resources.meta import condition
from lockgate.resources.model import JsonObject, ResourceT

MACHINE = Machine("node-1", "i-0123", "eu-west-1a", "eu-west-1", "172.31.0.10")


def workload(kind: str, name: str, labels: Mapping[str, str] | None = None, **spec: Any) -> JsonObject:
    labels = labels or {"app": name}
    template: JsonObject = {"metadata": {"labels": dict(labels)}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    if kind == "Job":
        template["spec"]["restartPolicy"] = "Never"
    else:
        spec = {"selector": {"matchLabels": dict(labels)}, **spec}
    return {
        "apiVersion": "batch/v1" if kind == "Job" else "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"template": template, **spec},
    }


def service(name: str, **selector: str) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": selector, "ports": [{"name": "http", "port": 80}]},
    }


class Cluster:
    def __init__(self, backends: Mapping[tuple[str, str, int], tuple[str, int]]) -> None:
        self.store = Store()
        self.echoes: list[str] = []  # the workloads that have an echo of their own
        self.nodes = Nodes(
            self.store,
            machine=MACHINE,
            echo=self._echo,
            backends=backends,
            free_port=lambda _address, wanted, _purpose: 10000 + wanted,
        )
        self.now = datetime.now(UTC)
        self.manager = KubeControllerManager(
            self.store, node=MACHINE.node, inject=self.nodes.injected, clock=lambda: self.now
        )

    async def _echo(
        self, _namespace: str, _service: str, port: int, _names: tuple[str, ...] | None, workload: str, _datagrams: bool
    ) -> tuple[str, int]:
        if workload not in self.echoes:
            self.echoes.append(workload)
        return "127.0.0.1", 20000 + 100 * self.echoes.index(workload) + port

    async def settled(self) -> None:
        async def wait() -> None:
            quiet = 0
            while quiet < 20:
                await asyncio.sleep(0)
                there = self.store.followed and self.nodes.current and self.manager.current
                quiet = quiet + 1 if there else 0

        await asyncio.wait_for(wait(), 20)

    async def get(self, kind: type[ResourceT], name: str) -> ResourceT:
        await self.settled()
        return await self.store.get(kind, name, "default")

    async def pods(self, **labels: str) -> list[core.Pod]:
        await self.settled()
        return await self.store.list(core.Pod, "default", labels)

    async def patch(self, kind: type[workloads.Workload], name: str, **spec: Any) -> None:
        await self.store.patch(kind, name, "default", {"spec": spec})

    async def endpoints(self, service: str) -> dict[str, list[tuple[str, bool | None]]]:
        """Pods and whether they are ready, by address and port."""
        await self.settled()
        found: dict[str, list[tuple[str, bool | None]]] = {}
        for each in await self.store.list(core.EndpointSlice, "default", {"kubernetes.io/service-name": service}):
            for endpoint in each.endpoints:
                pod = endpoint.target_ref.name if endpoint.target_ref else ""
                at = f"{endpoint.addresses[0]}:{each.ports[0].port}"
                found.setdefault(at, []).append((pod, endpoint.conditions.ready))
        return found


@asynccontextmanager
async def cluster(
    *manifests: JsonObject, backends: Mapping[tuple[str, str, int], tuple[str, int]] | None = None
) -> AsyncIterator[Cluster]:
    there = Cluster(backends or {})
    for manifest in manifests:
        await there.store.create(manifest)
    running = [asyncio.create_task(there.nodes.run()), asyncio.create_task(there.manager.run())]
    try:
        await there.settled()
        yield there
    finally:
        for task in running:
            task.cancel()
        for task in running:
            with suppress(asyncio.CancelledError):
                await task


def story(act: Callable[[], Any]) -> None:
    asyncio.run(act())


def held(status: JsonObject) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in status.get("conditions", ())}


def test_a_deployment_rolls_out_and_its_pods_are_ready() -> None:
    async def act() -> None:
        async with cluster(workload("Deployment", "web", replicas=2)) as there:
            deployment = await there.get(workloads.Deployment, "web")
            numbers = {name: value for name, value in deployment.status.items() if name != "conditions"}
            assert numbers == {
                "observedGeneration": 1,
                "replicas": 2,
                "updatedReplicas": 2,
                "readyReplicas": 2,
                "availableReplicas": 2,
            }
            assert held(deployment.status) == {
                "Available": ("True", "MinimumReplicasAvailable"),
                "Progressing": ("True", "NewReplicaSetAvailable"),
            }
            (set_,) = await there.store.list(workloads.ReplicaSet, "default")
            hash_ = set_.metadata.labels["pod-template-hash"]
            assert set_.name == f"web-{hash_}"
            assert set_.spec.selector.match_labels == {"app": "web", "pod-template-hash": hash_}
            assert set_.metadata.annotations["deployment.kubernetes.io/revision"] == "1"
            for pod in await there.pods(app="web"):
                assert pod.name.startswith(f"{set_.name}-")
                assert pod.metadata.labels["pod-template-hash"] == hash_
                assert (pod.status.phase, pod.status.pod_ip, pod.spec.node_name) == ("Running", "127.0.0.1", "node-1")
                ready = condition(pod.status.conditions, "Ready")
                assert ready is not None
                assert ready.status == "True"
                assert str(workload_of(pod)) == "Deployment web"
            events = [each.message for each in await there.store.list(core.Event, "default")]
            assert f"Scaled up replica set {set_.name} from 0 to 2" in events

    story(act)


def test_a_changed_template_is_a_new_revision_and_an_earlier_one_returns() -> None:
    async def act() -> None:
        async with cluster(workload("Deployment", "web")) as there:
            (first,) = await there.pods(app="web")
            template = {"metadata": {"labels": {"app": "web", "version": "v2"}}}
            await there.patch(workloads.Deployment, "web", template=template)
            (second,) = await there.pods(app="web")
            assert second.name != first.name
            deployment = await there.get(workloads.Deployment, "web")
            assert deployment.metadata.annotations["deployment.kubernetes.io/revision"] == "2"
            assert (deployment.status["replicas"], deployment.status["updatedReplicas"]) == (1, 1)
            await there.patch(workloads.Deployment, "web", template={"metadata": {"labels": {"version": None}}})
            sets = {each.name: each for each in await there.store.list(workloads.ReplicaSet, "default")}
            await there.settled()
            sets = {each.name: each for each in await there.store.list(workloads.ReplicaSet, "default")}
            assert sorted(each.spec.replicas or 0 for each in sets.values()) == [0, 1]
            (third,) = await there.pods(app="web")
            assert third.name.rpartition("-")[0] == first.name.rpartition("-")[0]
            assert sets[third.name.rpartition("-")[0]].metadata.annotations["deployment.kubernetes.io/revision"] == "3"

    story(act)


@pytest.mark.parametrize("strategy", ["RollingUpdate", "Recreate"])
def test_old_pods_stay_until_the_new_ones_are_available_unless_it_recreates(strategy: str) -> None:
    """A readiness gate holds the new Pod back."""

    async def act() -> None:
        async with cluster(workload("Deployment", "web", strategy={"type": strategy})) as there:
            gated = {"spec": {"readinessGates": [{"conditionType": "example.com/gate"}]}}
            await there.patch(workloads.Deployment, "web", template=gated)
            pods = await there.pods(app="web")
            assert len(pods) == (2 if strategy == "RollingUpdate" else 1)
            held_back = next(pod for pod in pods if pod.spec.readiness_gates)
            assert condition(held_back.status.conditions, "Ready").status == "False"  # type: ignore[union-attr]
            deployment = await there.get(workloads.Deployment, "web")
            assert held(deployment.status)["Progressing"] == ("True", "ReplicaSetUpdated")
            conditions = [each.manifest() for each in held_back.status.conditions]
            opened = [*conditions, {"type": "example.com/gate", "status": "True"}]
            await there.store.patch_status(core.Pod, held_back.name, "default", {"conditions": opened})
            assert [pod.name for pod in await there.pods(app="web")] == [held_back.name]
            deployment = await there.get(workloads.Deployment, "web")
            assert held(deployment.status)["Progressing"] == ("True", "NewReplicaSetAvailable")

    story(act)


def test_pods_follow_the_replicas_and_are_replaced() -> None:
    async def act() -> None:
        async with cluster(workload("Deployment", "web"), service("web", app="web")) as there:
            await there.patch(workloads.Deployment, "web", replicas=3)
            pods = await there.pods(app="web")
            assert len(pods) == 3
            await there.store.delete(core.Pod, pods[0].name, "default")
            replaced = await there.pods(app="web")
            assert len(replaced) == 3
            assert pods[0].name not in [pod.name for pod in replaced]
            await there.patch(workloads.Deployment, "web", replicas=0)
            assert await there.pods(app="web") == []
            assert await there.endpoints("web") == {}, "as in a cluster, nothing answers"
            await there.patch(workloads.Deployment, "web", replicas=1)
            (pod,) = await there.pods(app="web")
            assert await there.endpoints("web") == {"127.0.0.1:20080": [(pod.name, True)]}
            await there.store.delete(workloads.Deployment, "web", "default")
            assert await there.pods() == []

    story(act)


def test_each_version_behind_a_service_has_endpoints_of_its_own() -> None:
    async def act() -> None:
        one = workload("Deployment", "web-v1", {"app": "web", "version": "v1"}, replicas=2)
        two = workload("Deployment", "web-v2", {"app": "web", "version": "v2"})
        async with cluster(one, two, service("web", app="web"), service("other")) as there:
            first = [pod.name for pod in await there.pods(version="v1")]
            second = [pod.name for pod in await there.pods(version="v2")]
            found = await there.endpoints("web")
            ports = {name: 20080 + 100 * there.echoes.index(name) for name in there.echoes}
            assert found == {
                f"127.0.0.1:{ports['Deployment web-v1']}": [(name, True) for name in sorted(first)],
                f"127.0.0.1:{ports['Deployment web-v2']}": [(second[0], True)],
            }
            assert await there.endpoints("other") == {f"127.0.0.1:{ports['']}": [("", True)]}, "no workload: the echo"

    story(act)


def test_pods_say_which_program_answers_for_them() -> None:
    async def act() -> None:
        backends = {("default", "web", 80): ("127.0.0.2", 3000)}
        async with cluster(
            workload("Deployment", "web"), service("web", app="web"), workload("Deployment", "api"), backends=backends
        ) as there:
            (web,), (api,) = await there.pods(app="web"), await there.pods(app="api")
            assert web.status.pod_ip == "127.0.0.2"
            said = [condition(pod.status.conditions, "lockgate.dev/StandIn") for pod in (web, api)]
            assert [each.message for each in said if each] == [
                "Lockgate runs no containers. Your program answers: 127.0.0.2:3000 for Service default/web:80.",
                "Lockgate runs no containers. Its echo answers where a Service leads to this Pod.",
            ]
            assert await there.endpoints("web") == {"127.0.0.2:3000": [(web.name, True)]}

    story(act)


def test_a_stateful_set_has_pods_by_ordinal_and_a_daemon_set_has_one() -> None:
    async def act() -> None:
        async with cluster(
            workload("StatefulSet", "db", replicas=2, serviceName="db"), workload("DaemonSet", "agent")
        ) as there:
            assert [pod.name for pod in await there.pods(app="db")] == ["db-0", "db-1"]
            db = (await there.get(workloads.StatefulSet, "db")).status
            assert (db["readyReplicas"], db["updatedReplicas"]) == (2, 2)
            assert db["currentRevision"] == db["updateRevision"]
            agent = (await there.get(workloads.DaemonSet, "agent")).status
            assert (agent["desiredNumberScheduled"], agent["numberReady"], agent["numberAvailable"]) == (1, 1, 1)
            changed = {"metadata": {"annotations": {"again": "yes"}}}
            await there.patch(workloads.StatefulSet, "db", template=changed)
            await there.patch(workloads.DaemonSet, "agent", template=changed)
            for pod in await there.pods():
                assert pod.metadata.annotations == {"again": "yes"}
            assert len(await there.pods()) == 3
            after = (await there.get(workloads.StatefulSet, "db")).status
            assert after["currentRevision"] == after["updateRevision"] != db["updateRevision"]

    story(act)


def test_jobs_and_pods_that_are_to_end_are_completed() -> None:
    async def act() -> None:
        bare: JsonObject = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "test", "namespace": "default"},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]},
        }
        gone = workload("Job", "gone", ttlSecondsAfterFinished=0)
        async with cluster(
            workload("Job", "migrate", completions=2), workload("Job", "held", suspend=True), gone, bare
        ) as there:
            job = await there.get(workloads.Job, "migrate")
            assert job.status["succeeded"] == 2
            assert held(job.status)["Complete"] == ("True", "CompletionsReached")
            suspended = await there.get(workloads.Job, "held")
            assert held(suspended.status) == {"Suspended": ("True", "JobSuspended")}
            assert (await there.get(core.Pod, "test")).status.phase == "Succeeded"
            assert [each.name for each in await there.store.list(workloads.Job, "default")] == ["held", "migrate"]

    story(act)


def test_one_bad_workload_affects_only_itself_and_says_why() -> None:
    async def act() -> None:
        bad = workload("Deployment", "bad")
        bad["spec"]["template"]["spec"] = {"containers": [{"name": "c", "ports": [{"containerPort": "http"}]}]}
        async with cluster(bad, workload("Deployment", "good")) as there:
            good = await there.get(workloads.Deployment, "good")
            assert good.status["readyReplicas"] == 1
            conditions = (await there.get(workloads.Deployment, "bad")).status["conditions"]
            failure = next(each for each in conditions if each["type"] == "ReplicaFailure")
            assert failure["reason"] == "FailedCreate"
            assert "containerPort" in failure["message"]

    story(act)


def test_more_replicas_than_pods_fit_are_capped_and_it_says_so() -> None:
    async def act() -> None:
        async with cluster(workload("Deployment", "web", replicas=10_000)) as there:
            assert len(await there.pods()) == MOST_PODS
            deployment = await there.get(workloads.Deployment, "web")
            assert deployment.status["readyReplicas"] == MOST_PODS
            failure = next(each for each in deployment.status["conditions"] if each["type"] == "ReplicaFailure")
            assert failure["message"] == "Lockgate keeps at most 100 Pods of one workload, and 10000 are asked for"

    story(act)


def test_a_gateway_has_a_deployment_and_its_pods_the_marks_of_its_envoy() -> None:
    async def act() -> None:
        async with cluster(service("istio-ingressgateway", istio="ingressgateway")) as there:
            deployment = await there.get(workloads.Deployment, "istio-ingressgateway")
            assert deployment.status["readyReplicas"] == 1
            (pod,) = await there.pods(istio="ingressgateway")
            assert str(workload_of(pod)) == "Deployment istio-ingressgateway"
            assert pod.metadata.labels["operator.istio.io/component"] == "IngressGateways"
            assert pod.metadata.labels["service.istio.io/canonical-name"] == "istio-ingressgateway"
            assert pod.metadata.annotations[NODE_ID] == "gateway"
            assert '"containers": ["istio-proxy"]' in pod.metadata.annotations["sidecar.istio.io/status"]
            ports = [port.container_port for port in pod.spec.containers[0].ports]
            assert ports == [80, 15021, 15090]
            assert await there.endpoints("istio-ingressgateway") == {"127.0.0.1:10080": [(pod.name, True)]}
            await there.store.delete(core.Service, "istio-ingressgateway", "default")
            assert await there.pods() == []
            assert await there.store.list(workloads.Deployment, "default") == []

    story(act)


def test_a_gateways_own_deployment_stays_and_all_its_pods_have_one_envoy() -> None:
    async def act() -> None:
        own = workload("Deployment", "mine", {"istio": "ingressgateway", "team": "edge"}, replicas=2)
        async with cluster(own, service("istio-ingressgateway", istio="ingressgateway")) as there:
            pods = await there.pods(istio="ingressgateway")
            assert [each.name for each in await there.store.list(workloads.Deployment, "default")] == ["mine"]
            assert [pod.metadata.annotations[NODE_ID] for pod in pods] == ["gateway", "gateway"]
            assert [pod.metadata.labels["team"] for pod in pods] == ["edge", "edge"]
            found = await there.endpoints("istio-ingressgateway")
            assert found == {"127.0.0.1:10080": [(pod.name, True) for pod in pods]}
            await there.patch(workloads.Deployment, "mine", replicas=0)
            assert await there.endpoints("istio-ingressgateway") == {}, "as in a cluster, nothing listens"

    story(act)


def test_a_deployment_that_appears_takes_the_place_of_the_made_one() -> None:
    async def act() -> None:
        async with cluster(service("edge", istio="edge")) as there:
            (before,) = await there.pods(istio="edge")
            await there.store.create(workload("Deployment", "mine", {"istio": "edge"}))
            (after,) = await there.pods(istio="edge")
            assert after.name != before.name
            assert [each.name for each in await there.store.list(workloads.Deployment, "default")] == ["mine"]
            assert await there.endpoints("edge") == {"127.0.0.1:10080": [(after.name, True)]}

    story(act)


def test_a_cron_job_starts_jobs_and_keeps_some() -> None:
    async def act() -> None:
        template = workload("Job", "n")["spec"]["template"]
        cron_job = {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": "often", "namespace": "default"},
            "spec": {
                "schedule": "*/5 * * * *",
                "successfulJobsHistoryLimit": 2,
                "jobTemplate": {"spec": {"template": template}},
            },
        }
        async with cluster(cron_job) as there:
            for _ in range(4):
                there.now += timedelta(minutes=5)
                await there.store.patch(
                    workloads.CronJob, "often", "default", {"metadata": {"annotations": {"at": there.now.isoformat()}}}
                )
                await there.settled()
            jobs = await there.store.list(workloads.Job, "default")
            assert len(jobs) == 2
            assert all(job.metadata.owner_references[0].name == "often" for job in jobs)
            status = (await there.get(workloads.CronJob, "often")).status
            last = there.now.replace(minute=there.now.minute // 5 * 5, second=0)
            assert status["lastScheduleTime"] == last.strftime("%Y-%m-%dT%H:%M:%SZ")
            assert "lastSuccessfulTime" in status and "active" not in status
            events = [each.reason for each in await there.store.list(core.Event, "default")]
            assert "SuccessfulCreate" in events

    story(act)


@pytest.mark.parametrize("kind", [workloads.StatefulSet, workloads.DaemonSet])
def test_templates_are_kept_as_revisions(kind: type[workloads.Workload]) -> None:
    async def act() -> None:
        async with cluster(workload(kind.KIND.kind, "db")) as there:
            first = (await there.get(kind, "db")).spec.template.manifest()
            await there.patch(kind, "db", template={"metadata": {"labels": {"app": "db", "v": "2"}}})
            await there.settled()
            kept = await there.store.list(workloads.ControllerRevision, "default")
            assert sorted(each.revision for each in kept) == [1, 2]
            data = next(each.data for each in kept if each.revision == 1)
            assert data == {"spec": {"template": {**first, "$patch": "replace"}}}
            await there.patch(kind, "db", template={"metadata": {"labels": {"app": "db", "v": None}}})
            await there.settled()
            kept = await there.store.list(workloads.ControllerRevision, "default")
            assert sorted(each.revision for each in kept) == [2, 3]

    story(act)


def test_pods_are_available_after_some_seconds() -> None:
    async def act() -> None:
        async with cluster(workload("Deployment", "web", minReadySeconds=30)) as there:
            status = (await there.get(workloads.Deployment, "web")).status
            assert (status["readyReplicas"], status["unavailableReplicas"]) == (1, 1)
            assert held(status)["Available"] == ("False", "MinimumReplicasUnavailable")
            there.now += timedelta(seconds=31)
            (set_,) = await there.store.list(workloads.ReplicaSet, "default")
            await there.store.patch(
                workloads.ReplicaSet, set_.name, "default", {"metadata": {"annotations": {"a": "b"}}}
            )
            assert (await there.get(workloads.Deployment, "web")).status["availableReplicas"] == 1

    story(act)
