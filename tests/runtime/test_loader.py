"""Files against the Kubernetes API: who wins when both have something to say about an object."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from copy import deepcopy
from typing import Any

import pytest

from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.edge.plan import Plan, plan
from lockgate.embedded.kubernetes.store import Store
from lockgate.resources import core, istio
from lockgate.resources.model import JsonObject, ObjectKey
from lockgate.resources.reader import read
from lockgate.resources.status import NotFound
from lockgate.runtime import pace
from lockgate.runtime.loader import Loaded, Loader, describe

WEB = ObjectKey("", "Service", "default", "web")
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n"
CHANGED = SERVICE.replace("app: web", "app: saved")
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\ntype: example.com/a\nstringData: {a: b}\n"
ROUTES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: routes}
spec: {hosts: [a.example], gateways: [edge], http: [{route: [{destination: {host: elsewhere, port: {number: 80}}}]}]}
"""


def planned(**files: str) -> Plan:
    readings = {file: read(text, file) for file, text in files.items()}
    documents = tuple(document for reading in readings.values() for document in reading.documents)
    return plan(Manifests(documents, (), tuple(files), frozenset(), {}), Options(("x",), "x"))


class Lab:
    """A loader, and kubectl in the hands of a user."""

    def __init__(self) -> None:
        self.store = Store()
        self.loader = Loader(self.store)

    async def save(self, *, saved: str = "", **files: str) -> Loaded:
        """Load the files; those named in `saved` were written, the others are as they were."""
        made = planned(**files)
        return await self.loader.load(made.manifests, made.supply.objects, frozenset(saved.split()))

    async def kubectl_patch(self, patch: JsonObject) -> None:
        await self.store.patch(core.Service, "web", "default", patch)

    async def kubectl_delete(self) -> None:
        await self.store.delete(core.Service, "web", "default")

    async def app(self) -> str:
        return (await self.store.get(core.Service, "web", "default")).spec.selector["app"]


def story(scenario: Callable[[Lab], Awaitable[None]]) -> None:
    async def run() -> None:
        await scenario(Lab())

    asyncio.run(run())


def test_what_is_new_changed_and_gone() -> None:
    async def scenario(lab: Lab) -> None:
        assert describe(await lab.save(a=SERVICE)) == "created Service default/web"
        assert not (await lab.save(a=SERVICE, saved="a")).anything
        assert describe(await lab.save(a=CHANGED, saved="a")) == "changed Service default/web"
        assert describe(await lab.save(a="", saved="a")) == "removed Service default/web"
        with pytest.raises(NotFound):
            await lab.app()

    story(scenario)


def test_an_edit_stays_until_the_text_of_the_object_changes() -> None:
    async def scenario(lab: Lab) -> None:
        await lab.save(a=SERVICE)
        await lab.kubectl_patch({"spec": {"selector": {"app": "edited"}}})
        assert not (await lab.save(a=SERVICE, b=ROUTES, saved="a b")).changed
        assert await lab.app() == "edited"
        await lab.save(a=CHANGED, b=ROUTES, saved="a")
        assert await lab.app() == "saved"

    story(scenario)


def test_fields_that_no_file_has_stay() -> None:
    async def scenario(lab: Lab) -> None:
        await lab.save(a=SERVICE)
        await lab.kubectl_patch({"metadata": {"labels": {"team": "red"}}})
        await lab.save(a=CHANGED, saved="a")
        assert (await lab.store.get(core.Service, "web", "default")).metadata.labels == {"team": "red"}

    story(scenario)


def test_a_deleted_object_is_restored_when_its_file_is_saved() -> None:
    async def scenario(lab: Lab) -> None:
        await lab.save(a=SERVICE, b=ROUTES)
        await lab.kubectl_delete()
        assert not (await lab.save(a=SERVICE, b=ROUTES, saved="b")).anything
        assert WEB in lab.loader.applied, "status reports it as deleted, not as refused"
        assert describe(await lab.save(a=SERVICE, b=ROUTES, saved="a")) == "restored Service default/web"
        assert await lab.app() == "web"

    story(scenario)


def test_what_is_supplied_is_restored_when_any_file_is_saved() -> None:
    async def scenario(lab: Lab) -> None:
        await lab.save(a=ROUTES)
        await lab.store.delete(core.Service, "elsewhere", "default")
        assert not (await lab.save(a=ROUTES)).anything
        assert describe(await lab.save(a=ROUTES, saved="a")) == "restored Service default/elsewhere"

    story(scenario)


def test_an_object_that_is_deleted_and_leaves_its_file_is_no_fault() -> None:
    async def scenario(lab: Lab) -> None:
        await lab.save(a=SERVICE)
        await lab.kubectl_delete()
        assert describe(await lab.save(a="", saved="a")) == "removed Service default/web"

    story(scenario)


def test_an_object_that_the_api_refuses_stays_as_it_was_and_is_reported_each_time() -> None:
    async def scenario(lab: Lab) -> None:
        await lab.save(a=SECRET)
        for _ in range(2):
            loaded = await lab.save(a=SECRET.replace("example.com/a", "example.com/b"), saved="a")
            assert [fault.code.id for fault in loaded.faults] == ["LG9002"]
            assert not loaded.anything
        assert (await lab.store.get(core.Secret, "key", "default")).type == "example.com/a"
        assert not (await lab.save(a=SECRET, saved="a")).faults

    story(scenario)


def test_lines_above_an_object_move_it_and_write_nothing() -> None:
    async def scenario(lab: Lab) -> None:
        await lab.save(a=SERVICE)
        revision = lab.store.storage.revision
        assert not (await lab.save(a=f"# one\n# two\n{SERVICE}", saved="a")).anything
        assert lab.loader.documents[WEB].position.line == 3
        assert lab.store.storage.revision == revision

    story(scenario)


def test_a_long_load_lets_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "SLICE", 0.0)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def scenario(lab: Lab) -> None:
        task = asyncio.create_task(others())
        await lab.save(a="---\n".join(SERVICE.replace("web", f"web-{number}") for number in range(50)))
        assert turns >= 50
        before = turns
        await lab.save(a="", saved="a")
        assert turns >= before + 50
        task.cancel()

    story(scenario)


def test_an_object_shares_its_documents_spec_and_leaves_it_alone() -> None:
    async def scenario(lab: Lab) -> None:
        made = planned(a=ROUTES)
        document = next(each for each in made.manifests.documents if each.key.name == "routes")
        before = deepcopy(document.manifest)
        await lab.loader.load(made.manifests, made.supply.objects)
        stored = lab.store.storage.get(document.key)
        assert stored is not None
        assert stored.json["spec"] is document.manifest["spec"]
        routes = await lab.store.get(istio.VirtualService, "routes", "default")
        assert isinstance(document.resource, istio.VirtualService)
        assert routes.spec == document.resource.spec
        patch = {"spec": {"hosts": ["b.example"], "http": [{"directResponse": {"status": 503}}]}}
        await lab.store.patch(istio.VirtualService, "routes", "default", patch)
        await lab.store.patch_status(istio.VirtualService, "routes", "default", {"observedGeneration": 2})
        assert (await lab.store.get(istio.VirtualService, "routes", "default")).spec.hosts == ("b.example",)
        assert document.manifest == before

    story(scenario)


def test_a_saved_file_costs_one_write_of_thousands() -> None:
    async def scenario(lab: Lab) -> None:
        files = {f"f{number}": ROUTES.replace("name: routes", f"name: routes-{number}") for number in range(50)}
        await lab.save(**files)
        written: list[str] = []
        load = lab.store.load

        async def counted(manifest: JsonObject, *how: Any, **named: Any) -> tuple[str, ...]:
            written.append(manifest["metadata"]["name"])
            return await load(manifest, *how, **named)

        lab.store.load = counted  # type: ignore[method-assign]
        files["f7"] = files["f7"].replace("a.example", "b.example")
        await lab.save(saved="f7", **files)
        assert written == ["routes-7"]

    story(scenario)


POLICY = """\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: teams}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [services]}]
  validations: [{expression: "has(object.metadata.labels) && 'team' in object.metadata.labels", message: no team}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: teams}
spec: {policyName: teams, validationActions: [ACTION]}
"""


@pytest.mark.parametrize(
    ("action", "code", "text"),
    [("Deny", "LG9002", "with binding 'teams' denied request: no team"), ("Warn", "LG9009", "Validation failed for ")],
)
def test_admission_policies_of_the_files_decide_about_the_files(action: str, code: str, text: str) -> None:
    async def scenario(lab: Lab) -> None:
        loaded = await lab.save(a=SERVICE, b=POLICY.replace("ACTION", action))
        assert [fault.code.id for fault in loaded.faults] == [code]
        assert text in loaded.faults[0].message
        assert (WEB in lab.loader.applied) is (action == "Warn")
        labelled = SERVICE.replace("{name: web}", "{name: web, labels: {team: a}}")
        assert not (await lab.save(saved="a", a=labelled, b=POLICY.replace("ACTION", action))).faults

    story(scenario)
