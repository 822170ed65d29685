"""The store as controllers use it: reads, watches, writes and what hangs on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from lockgate.controllers.kubernetes import Kubernetes
from lockgate.embedded.kubernetes.store import Store
from lockgate.embedded.kubernetes.writes import By
from lockgate.resources import core, networking
from lockgate.resources.changes import Change
from lockgate.resources.model import JsonObject, Resource
from lockgate.resources.status import AlreadyExists, ApiError, Conflict, Forbidden, Invalid, NotFound

CASES = Path(__file__).parents[2] / "cases/embedded/kubernetes"
T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 10))


def config_map(name: str, namespace: str = "default", **more: Any) -> JsonObject:
    metadata = {"name": name, "namespace": namespace, **more.pop("metadata", {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **more}


def ingress(name: str = "web", **metadata: Any) -> JsonObject:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, **metadata},
        "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}},
    }


INGRESS_CLASS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "IngressClass",
    "metadata": {"name": "alb"},
    "spec": {"controller": "ingress.k8s.aws/alb"},
}


async def take(changes: AsyncIterator[Change[Any]], count: int) -> list[tuple[str, str]]:
    """The next changes as (type, name)."""
    found: list[tuple[str, str]] = []
    while len(found) < count:
        change = await anext(changes)
        found.append((change.type, change.object.name if change.object else ""))
    return found


def test_the_store_implements_the_kubernetes_interface_of_controllers() -> None:
    kubernetes: Kubernetes = Store()  # mypy holds the shape, this line that it can be made
    assert run(kubernetes.get(core.Namespace, "default")).status.phase == "Active"


def test_a_cluster_begins_with_its_namespaces() -> None:
    names = [namespace.name for namespace in run(Store().list(core.Namespace))]
    assert names == ["default", "kube-node-lease", "kube-public", "kube-system"]


def test_created_objects_get_an_identity_of_their_own() -> None:
    async def story() -> None:
        store = Store()
        manifest = {**ingress(uid="mine", resourceVersion="5", generation=9), "status": {"loadBalancer": {}}}
        created = await store.create(manifest)
        read = await store.get(networking.Ingress, "web", "default")
        assert created["metadata"]["uid"] == read.metadata.uid != "mine"
        assert created["metadata"]["resourceVersion"] == read.metadata.resource_version
        assert (read.namespace, read.metadata.generation) == ("default", 1)
        assert "status" not in created
        with pytest.raises(AlreadyExists, match=r'ingresses\.networking\.k8s\.io "web" already exists'):
            await store.create(manifest)

    run(story())


def test_generated_names_differ() -> None:
    async def story() -> None:
        store = Store()
        manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"generateName": "tls-"}}
        names = {(await store.create(manifest))["metadata"]["name"] for _ in range(20)}
        assert len(names) == 20
        assert all(name.startswith("tls-") and len(name) == 9 for name in names)

    run(story())


def test_changes_of_a_copy_do_not_change_the_stored_object() -> None:
    async def story() -> None:
        store = Store()
        created = await store.create(config_map("one", data={"a": "1"}))
        created["data"]["a"] = "2"
        assert (await store.get(core.ConfigMap, "one", "default")).data == {"a": "1"}

    run(story())


def test_reads_of_missing_objects() -> None:
    store = Store()
    with pytest.raises(NotFound, match='secrets "no" not found'):
        run(store.get(core.Secret, "no", "default"))
    with pytest.raises(NotFound, match='namespaces "no" not found'):
        run(store.create(config_map("one", "no")))
    with pytest.raises(NotFound, match=r'no matches for kind "Widget" in version "example\.test/v1"'):
        run(store.create({"apiVersion": "example.test/v1", "kind": "Widget", "metadata": {"name": "x"}}))


def test_lists_are_sorted_and_selected() -> None:
    async def story() -> None:
        store = Store()
        await store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}})
        for name, namespace, labels in (("b", "default", {"x": "1"}), ("a", "default", {}), ("z", "a", {"x": "1"})):
            await store.create(config_map(name, namespace, metadata={"labels": labels}))
        assert [one.name for one in await store.list(core.ConfigMap)] == ["z", "a", "b"]
        assert [one.name for one in await store.list(core.ConfigMap, "default")] == ["a", "b"]
        assert [one.name for one in await store.list(core.ConfigMap, labels={"x": "1"})] == ["z", "b"]
        assert await store.list(core.ConfigMap, "nowhere") == []

    run(story())


def test_typed_values_are_made_once() -> None:
    async def story() -> None:
        store = Store()
        await store.create(config_map("one"))
        assert await store.get(core.ConfigMap, "one", "default") is (await store.list(core.ConfigMap))[0]

    run(story())


def test_a_watch_sends_existing_objects_then_changes() -> None:
    async def story() -> None:
        store = Store()
        await store.create(config_map("one"))
        changes = store.watch(core.ConfigMap)
        assert await take(changes, 2) == [("ADDED", "one"), ("SYNCED", "")]
        waiting = asyncio.create_task(take(changes, 4))
        await asyncio.sleep(0)
        await store.create(config_map("two"))
        await store.patch(core.ConfigMap, "two", "default", {"data": {"a": "1"}})
        await store.patch(core.ConfigMap, "two", "default", {"data": {"a": "1"}})  # a no-op is not reported
        await store.delete(core.ConfigMap, "one", "default")
        await store.create(config_map("one"))
        reported = [("ADDED", "two"), ("MODIFIED", "two"), ("DELETED", "one"), ("ADDED", "one")]
        assert await waiting == reported

    run(story())


def test_a_change_is_followed_once_every_watch_has_acted_on_it() -> None:
    async def work() -> None:
        store = Store()
        seen: list[str] = []

        async def follow() -> None:
            async for change in store.watch(core.ConfigMap):
                seen.append(change.type)

        assert store.followed
        watches = [asyncio.create_task(follow()) for _ in range(2)]
        while len(seen) < 2:
            await asyncio.sleep(0)
        assert store.followed
        await store.create(config_map("a"))
        assert not store.followed
        while not store.followed:
            await asyncio.sleep(0)
        assert seen.count("ADDED") == 2
        await store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}})
        assert store.followed, "nobody watches that kind"
        await store.create(config_map("b"))
        for each in watches:
            each.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
        assert store.followed, "nobody watches any more"

    run(work())


def test_a_watch_that_is_cancelled_leaves_the_others_alone() -> None:
    async def story() -> None:
        store = Store()
        one, other = store.watch(core.ConfigMap), store.watch(core.ConfigMap)
        await take(one, 1)
        await take(other, 1)
        first, second = asyncio.create_task(take(one, 1)), asyncio.create_task(take(other, 1))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await store.create(config_map("new"))
        assert await second == [("ADDED", "new")]

    run(story())


def test_a_reader_that_lags_gets_the_difference() -> None:
    async def story() -> None:
        store = Store(history=4)
        for name in ("stays", "changes", "goes"):
            await store.create(config_map(name))
        changes = store.watch(core.ConfigMap)
        await take(changes, 4)
        await store.patch(core.ConfigMap, "changes", "default", {"data": {"a": "1"}})
        await store.delete(core.ConfigMap, "goes", "default")
        for number in range(20):  # far more than the history holds
            await store.create(config_map(f"n{number:02}"))
            await store.delete(core.ConfigMap, f"n{number:02}", "default")
        await store.create(config_map("new"))
        assert await take(changes, 3) == [("MODIFIED", "changes"), ("ADDED", "new"), ("DELETED", "goes")]
        await store.delete(core.ConfigMap, "stays", "default")
        assert await take(changes, 1) == [("DELETED", "stays")]

    run(story())


def test_generation_counts_changes_of_the_spec() -> None:
    async def story() -> None:
        store = Store()
        await store.create(INGRESS_CLASS)
        await store.create(ingress())

        async def generation() -> int:
            return (await store.get(networking.Ingress, "web", "default")).metadata.generation

        await store.patch(networking.Ingress, "web", "default", {"metadata": {"labels": {"a": "b"}}})
        assert await generation() == 1
        await store.patch_status(
            networking.Ingress, "web", "default", {"loadBalancer": {"ingress": [{"hostname": "x.test"}]}}
        )
        assert await generation() == 1
        await store.patch(networking.Ingress, "web", "default", {"spec": {"ingressClassName": "alb"}})
        assert await generation() == 2

    run(story())


def test_status_and_spec_are_updated_separately() -> None:
    async def story() -> None:
        store = Store()
        await store.create(INGRESS_CLASS)
        await store.create(ingress())
        status = {"loadBalancer": {"ingress": [{"hostname": "lb.test"}]}}
        await store.patch_status(networking.Ingress, "web", "default", status)
        await store.patch(
            networking.Ingress, "web", "default", {"status": {"loadBalancer": {}}, "spec": {"ingressClassName": "alb"}}
        )
        read = await store.get(networking.Ingress, "web", "default")
        assert read.status.load_balancer.ingress[0].hostname == "lb.test"
        assert read.spec.ingress_class_name == "alb"
        before = read.metadata.resource_version
        assert (await store.patch_status(networking.Ingress, "web", "default", status))["metadata"][
            "resourceVersion"
        ] == before
        await store.apply(ingress(), manager="other")
        assert (await store.get(networking.Ingress, "web", "default")).status == read.status

    run(story())


def test_a_stale_write_is_a_conflict() -> None:
    async def story() -> None:
        store = Store()
        stale = (await store.create(config_map("one")))["metadata"]["resourceVersion"]
        await store.patch(core.ConfigMap, "one", "default", {"data": {"a": "1"}})
        with pytest.raises(Conflict) as refused:
            await store.patch(
                core.ConfigMap, "one", "default", {"metadata": {"resourceVersion": stale}, "data": {"a": "2"}}
            )
        assert refused.value.message == (
            'Operation cannot be fulfilled on configmaps "one": the object has been modified; '
            "please apply your changes to the latest version and try again"
        )

    run(story())


def test_apply_creates_changes_and_then_writes_nothing() -> None:
    async def story() -> None:
        store = Store()
        first = await store.apply(config_map("one", data={"a": "1", "b": "1"}), manager="loader")
        second = await store.apply(config_map("one", data={"a": "1"}), manager="loader")
        assert second["data"] == {"a": "1"}
        assert second["metadata"]["uid"] == first["metadata"]["uid"]
        third = await store.apply(config_map("one", data={"a": "1"}), manager="loader")
        assert third["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]

    run(story())


def test_apply_keeps_fields_of_other_managers() -> None:
    async def story() -> None:
        store = Store()
        await store.apply(ingress(annotations={"a": "1"}), manager="loader")
        finalizer = {"metadata": {"finalizers": ["ingress.k8s.aws/resources"], "annotations": {"seen": "yes"}}}
        await store.patch(networking.Ingress, "web", "default", finalizer)
        applied = await store.apply(ingress(annotations={"a": "2"}), manager="loader")
        assert applied["metadata"]["finalizers"] == ["ingress.k8s.aws/resources"]
        assert applied["metadata"]["annotations"] == {"a": "2", "seen": "yes"}

    run(story())


def test_an_object_with_finalizers_waits_for_the_last_one() -> None:
    async def story() -> None:
        store = Store()
        await store.create(ingress(finalizers=["a/b"]))
        changes = store.watch(networking.Ingress)
        await take(changes, 2)
        await store.delete(networking.Ingress, "web", "default")
        read = await store.get(networking.Ingress, "web", "default")
        assert read.metadata.deletion_timestamp is not None
        await store.delete(networking.Ingress, "web", "default")  # again: nothing new
        with pytest.raises(Invalid, match="no new finalizers can be added if the object is being deleted"):
            await store.patch(networking.Ingress, "web", "default", {"metadata": {"finalizers": ["a/b", "c/d"]}})
        await store.patch(networking.Ingress, "web", "default", {"metadata": {"finalizers": []}})
        with pytest.raises(NotFound):
            await store.get(networking.Ingress, "web", "default")
        assert await take(changes, 3) == [("MODIFIED", "web"), ("MODIFIED", "web"), ("DELETED", "web")]

    run(story())


def owned_by(owner: Resource | JsonObject, name: str) -> JsonObject:
    metadata = owner["metadata"] if isinstance(owner, dict) else owner.metadata.model_dump(by_alias=True)
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": metadata["name"], "uid": metadata["uid"]}
    return config_map(name, metadata={"ownerReferences": [reference]})


def test_dependents_are_deleted_with_their_owner() -> None:
    async def story() -> None:
        store = Store()
        owner = await store.create(config_map("owner"))
        child = await store.create(owned_by(owner, "child"))
        await store.create(owned_by(child, "grandchild"))
        other = await store.create(config_map("other"))
        shared = owned_by(owner, "shared")
        shared["metadata"]["ownerReferences"] += owned_by(other, "x")["metadata"]["ownerReferences"]
        await store.create(shared)
        await store.delete(core.ConfigMap, "owner", "default")
        left = await store.list(core.ConfigMap)
        assert [one.name for one in left] == ["other", "shared"]
        assert [owner.name for owner in left[1].metadata.owner_references] == ["other"]
        await store.create(owned_by(child, "late"))  # its owner is gone already
        assert [one.name for one in await store.list(core.ConfigMap)] == ["other", "shared"]

    run(story())


def test_a_namespace_is_deleted_with_its_content() -> None:
    async def story() -> None:
        store = Store()
        await store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        await store.create(config_map("one", "shop"))
        await store.create(ingress(namespace="shop", finalizers=["a/b"]))
        await store.delete(core.Namespace, "shop")
        namespace = await store.get(core.Namespace, "shop")
        assert namespace.status.phase == "Terminating"
        assert await store.list(core.ConfigMap, "shop") == []
        with pytest.raises(Forbidden, match="because it is being terminated"):
            await store.create(config_map("two", "shop"))
        await store.patch(networking.Ingress, "web", "shop", {"metadata": {"finalizers": None}})
        with pytest.raises(NotFound):
            await store.get(core.Namespace, "shop")
        with pytest.raises(Forbidden, match="this namespace may not be deleted"):
            await store.delete(core.Namespace, "default")

    run(story())


def test_an_invalid_object_changes_nothing() -> None:
    async def story() -> None:
        store = Store()
        created = await store.create(ingress())
        with pytest.raises(Invalid) as refused:
            await store.patch(networking.Ingress, "web", "default", {"spec": {"rules": [{"http": {"paths": "x"}}]}})
        assert 'Ingress.networking.k8s.io "web" is invalid: spec.rules[0].http.paths' in refused.value.message
        assert refused.value.details["causes"][0]["field"] == "spec.rules[0].http.paths"
        read = await store.get(networking.Ingress, "web", "default")
        assert read.metadata.resource_version == created["metadata"]["resourceVersion"]

    run(story())


@pytest.mark.parametrize("name", ["Upper", "-x", "a b", "a/b", "", "x" * 254])
def test_names_are_dns_names(name: str) -> None:
    with pytest.raises(Invalid, match=r"metadata\.name: "):
        run(Store().create(config_map(name)))


def test_a_cluster_scoped_object_has_no_namespace() -> None:
    """The guide's ClusterIssuer names one; the API server drops it."""

    async def story() -> None:
        store = Store()
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "namespace": "b"}}
        assert "namespace" not in (await store.apply(manifest, manager="x"))["metadata"]
        assert (await store.get(core.Namespace, "a", "ignored")).namespace == ""

    run(story())


def test_unknown_kinds_are_stored_once_accepted() -> None:
    async def story() -> None:
        store = Store()
        widget = store.accept("example.test/v1", "Widget")
        assert (widget.KIND.plural, widget.KIND.namespaced) == ("widgets", True)
        assert store.accept("example.test/v1", "Widget") is widget
        assert store.accept("v1", "ConfigMap") is core.ConfigMap
        assert store.accept("example.test/v1", "ClusterPolicy").KIND.plural == "clusterpolicies"
        assert not store.accept("example.test/v1", "ClusterPolicy").KIND.namespaced
        body = {"apiVersion": "example.test/v1", "kind": "Widget", "metadata": {"name": "x"}, "any": {"thing": [1]}}
        assert (await store.apply(body, manager="loader"))["any"] == {"thing": [1]}
        assert [one.name for one in await store.list(widget)] == ["x"]

    run(story())


def test_revisions_outgrow_those_of_an_earlier_run() -> None:
    async def story() -> None:
        first = await Store().create(config_map("one"))
        second = await Store().create(config_map("one"))
        assert int(first["metadata"]["resourceVersion"]) <= int(second["metadata"]["resourceVersion"])

    run(story())


@pytest.mark.parametrize(
    "case",
    yaml.safe_load((CASES / "immutable.yaml").read_text()),
    ids=lambda case: f"{case['kind'][1]} {case.get('refused', 'may')[-40:]}",
)
def test_immutable_fields(case: JsonObject) -> None:
    async def story() -> None:
        store = Store()
        api_version, kind = case["kind"]
        head = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "one"}}
        model = store.model(api_version, kind)
        await store.create({**head, **case["before"]})
        key = (await store.get(model, "one", "default")).key
        after = {**head, **case["after"]}
        if "refused" in case:
            with pytest.raises(ApiError) as refused:
                store.writes.update(model, key, lambda _: after, By())
            assert refused.value.message == case["refused"]
        else:
            store.writes.update(model, key, lambda _: after, By())

    run(story())


@pytest.mark.parametrize(
    "case", yaml.safe_load((CASES / "service_addresses.yaml").read_text()), ids=lambda case: case["name"]
)
def test_service_addresses(case: JsonObject) -> None:
    async def story() -> None:
        store = Store()
        for name, service in zip(("one", "two"), case["services"], strict=False):
            manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": service["spec"]}
            if "error" in service:
                with pytest.raises(ApiError) as refused:
                    await store.create(manifest)
                assert refused.value.message == service["error"]
                continue
            await store.create(manifest)
            read = (await store.get(core.Service, name, "default")).spec
            ports = [port.node_port for port in read.ports if port.node_port]
            in_range = ip_network("10.100.0.0/16")
            shown_ip = "ip" if read.cluster_ip not in ("", "None") and ip_address(read.cluster_ip) in in_range else ""
            expected = service["address"]
            assert expected.get("clusterIP", "") in (read.cluster_ip, shown_ip)
            assert len(ports) == len(expected["nodePorts"])
            for port, wanted in zip(ports, expected["nodePorts"], strict=True):
                assert port == wanted or (wanted == "port" and 30000 <= port <= 32767)
            health = expected.get("healthCheckNodePort", 0)
            assert read.health_check_node_port == health or (health == "port" and read.health_check_node_port >= 30000)

    run(story())


def test_the_same_service_gets_the_same_addresses_in_every_run() -> None:
    def addresses() -> list[Any]:
        store = Store()
        spec = {"type": "NodePort", "ports": [{"name": "https", "port": 443}, {"name": "http", "port": 80}]}
        created = [
            run(store.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}))
            for name in ("one", "two")
        ]
        return [(one["spec"]["clusterIP"], [port["nodePort"] for port in one["spec"]["ports"]]) for one in created]

    first = addresses()
    assert first == addresses()
    assert first[0] != first[1]


def test_preferred_node_ports_go_to_their_services_while_they_are_free() -> None:
    store = Store()
    store.writes.addresses.preferred_ports = {("default", "web", 80): 30080, ("default", "other", 80): 30080}
    spec = {"type": "NodePort", "ports": [{"name": "http", "port": 80}, {"name": "https", "port": 443}]}
    first, second = (
        run(store.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}))
        for name in ("web", "other")
    )
    assert first["spec"]["ports"][0]["nodePort"] == 30080
    assert 30080 not in {port["nodePort"] for port in (*first["spec"]["ports"][1:], *second["spec"]["ports"])}


def test_a_service_keeps_its_addresses_and_gives_them_back() -> None:
    async def story() -> None:
        store = Store()
        spec = {"type": "NodePort", "ports": [{"port": 80}]}
        manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}
        first = (await store.apply(manifest, manager="loader"))["spec"]
        changed = {**manifest, "spec": {**spec, "selector": {"app": "web"}}}
        second = (await store.apply(changed, manager="loader"))["spec"]
        assert (second["clusterIP"], second["ports"]) == (first["clusterIP"], first["ports"])
        with pytest.raises(Invalid, match="may not change once set"):
            await store.patch(core.Service, "web", "default", {"spec": {"clusterIP": "10.100.9.9"}})
        taken = first["ports"][0]["nodePort"]
        other = {**manifest, "metadata": {"name": "other"}}
        other["spec"] = {"type": "NodePort", "ports": [{"port": 80, "nodePort": taken}]}
        with pytest.raises(Invalid, match="provided port is already allocated"):
            await store.create(other)
        await store.delete(core.Service, "web", "default")
        await store.create(other)

    run(story())
