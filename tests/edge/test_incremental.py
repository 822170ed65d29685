"""An incremental build equals a full one, after any sequence of edits; and it does only what hangs on the edit."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

import pytest

from lockgate.edge.edge import Edge
from lockgate.edge.from_manifests import from_manifests
from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.edge.plan import Plan, load_balancers, plan
from lockgate.edge.without_effect import without_effect
from lockgate.ingress.manifests import Stacks
from lockgate.resources.memo import Memo
from lockgate.resources.reader import Reading, read
from lockgate.xds.gateway import snapshot

OPTIONS = Options(("edge",))
SEEDS, EDITS = 12, 25

BASE = {
    "cluster.yaml": """
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: {name: edge, namespace: istio-system}
spec: {components: {ingressGateways: [{name: istio-ingressgateway, enabled: true, k8s: {service: {type: NodePort}}}]}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: towpath-tls}}
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: letsencrypt}
spec:
  acme:
    server: https://acme-v02.api.letsencrypt.org/directory
    privateKeySecretRef: {name: account}
    solvers: [{dns01: {route53: {region: eu-west-1, hostedZoneID: Z1}}}]
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: towpath, namespace: istio-system}
spec: {secretName: towpath-tls, dnsNames: ["*.towpath.example"], issuerRef: {kind: ClusterIssuer, name: letsencrypt}}
""",
    "ingress.yaml": """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: edge
  namespace: istio-system
  annotations: {kubernetes.io/ingress.class: alb, alb.ingress.kubernetes.io/target-type: instance}
spec:
  rules:
  - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: istio-ingressgateway, port: {number: 443}}}}]}
""",
}


@dataclass
class Folder:
    """Files by name, each of some documents, which edits change."""

    documents: dict[str, list[str]]
    names: int = 0
    readings: dict[str, tuple[bytes, Reading]] = field(default_factory=dict)

    def manifests(self, *, incrementally: bool) -> Manifests:
        found = {}
        for file, documents in self.documents.items():
            before = self.readings.get(file) if incrementally else None
            text = "---\n".join(documents)
            if before and before[0] == text.encode():
                found[file] = before
            else:
                found[file] = (text.encode(), read(text, file, before[1] if before else None))
        if incrementally:
            self.readings = found
        readings = [reading for _, reading in found.values()]
        broken = frozenset(file for file, (_, reading) in found.items() if not reading.whole)
        return Manifests(
            tuple(each for reading in readings for each in reading.documents),
            tuple(each for reading in readings for each in reading.faults),
            tuple(found),
            broken,
            found,
        )


def a_folder() -> Folder:
    folder = Folder({file: text.split("---\n") for file, text in BASE.items()})
    for number in range(4):
        folder.documents[f"team-{number}.yaml"] = [service(number), *(route(number * 3 + each) for each in range(3))]
    return folder


def service(number: int, port: int = 8080, kind: str = "ClusterIP") -> str:
    return f"""apiVersion: v1
kind: Service
metadata: {{name: backend-{number}, namespace: shop}}
spec: {{type: {kind}, selector: {{app: backend-{number}}}, ports: [{{name: http, port: {port}}}]}}
"""


def route(number: int, *, host: str = "", backend: int = -1, status: int = 200, extra: str = "") -> str:
    backend = backend if backend >= 0 else number // 3
    return f"""apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: app-{number}, namespace: shop}}
spec:
  hosts: ["{host or f"app-{number}.towpath.example"}"]
  gateways: [istio-system/edge]
  http:
  - match: [{{uri: {{exact: /status}}}}]
    directResponse: {{status: {status}}}
  - route: [{{destination: {{host: backend-{backend}, port: {{number: 8080}}}}}}]{extra}
"""


# --- edits ---------------------------------------------------------------------------------------------------------


def change_a_route(folder: Folder, rng: random.Random) -> None:
    put(folder, rng, route(rng.randrange(12), status=rng.randrange(200, 500)))


def change_a_host(folder: Folder, rng: random.Random) -> None:
    put(
        folder, rng, route(rng.randrange(12), host=rng.choice(["a.towpath.example", "b.other.example", "app.internal"]))
    )


def change_a_destination(folder: Folder, rng: random.Random) -> None:
    put(folder, rng, route(rng.randrange(12), backend=rng.randrange(8)))


def break_a_route(folder: Folder, rng: random.Random) -> None:
    put(folder, rng, route(rng.randrange(12), status=rng.choice([7, 9999])))


def leave_a_placeholder(folder: Folder, rng: random.Random) -> None:
    put(folder, rng, route(rng.randrange(12), host="app.<your-domain>"))


def change_a_service(folder: Folder, rng: random.Random) -> None:
    kind = rng.choice(["ClusterIP", "NodePort", "LoadBalancer", "LoadBalancer, loadBalancerClass: service.k8s.aws/nlb"])
    put(folder, rng, service(rng.randrange(6), rng.choice([80, 8080]), kind))


def set_the_webhook(folder: Folder, rng: random.Random) -> None:
    """New Services without a class get one, or no longer."""
    put(
        folder,
        rng,
        f"""apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {{name: aws-load-balancer-webhook}}
webhooks: [{{name: {rng.choice(["mservice", "mpod"])}.elbv2.k8s.aws}}]
""",
    )


def set_a_rule(folder: Folder, rng: random.Random) -> None:
    host = f"backend-{rng.randrange(6)}.shop.svc.cluster.local"
    put(
        folder,
        rng,
        f"""apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: rule-{rng.randrange(3)}, namespace: shop}}
spec: {{host: {host}, trafficPolicy: {{connectionPool: {{tcp: {{maxConnections: {rng.randrange(1, 9)}}}}}}}}}
""",
    )


def set_endpoints(folder: Folder, rng: random.Random) -> None:
    number = rng.randrange(6)
    addresses = "\n".join(f"- {{addresses: [10.0.0.{each}]}}" for each in rng.sample(range(1, 20), rng.randrange(1, 4)))
    put(
        folder,
        rng,
        f"""apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: backend-{number}-x, namespace: shop, labels: {{kubernetes.io/service-name: backend-{number}}}}}
addressType: IPv4
ports: [{{name: http, port: 8080, protocol: TCP}}]
endpoints:
{addresses}
""",
    )


def set_a_policy(folder: Folder, rng: random.Random) -> None:
    put(
        folder,
        rng,
        f"""apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: peers, namespace: {rng.choice(["shop", "istio-system"])}}}
spec: {{mtls: {{mode: STRICT}}}}
""",
    )


def change_the_ingress(folder: Folder, rng: random.Random) -> None:
    scheme = rng.choice(["internal", "internet-facing", "<scheme>", "odd"])
    for index, text in enumerate(folder.documents["ingress.yaml"]):
        plain = text.partition(", alb.ingress.kubernetes.io/scheme")
        head = plain[0].replace("target-type: instance}", "target-type: instance")
        rest = text.split("}\nspec:", 1)[1] if "}\nspec:" in text else ""
        folder.documents["ingress.yaml"][index] = f"{head.split('target-type: instance')[0]}target-type: instance" + (
            f', alb.ingress.kubernetes.io/scheme: "{scheme}"}}\nspec:{rest}'
        )


def remove_a_document(folder: Folder, rng: random.Random) -> None:
    file = rng.choice([each for each in folder.documents if each.startswith("team")])
    if len(folder.documents[file]) > 1:
        folder.documents[file].pop(rng.randrange(len(folder.documents[file])))


def add_a_document(folder: Folder, rng: random.Random) -> None:
    file = rng.choice([each for each in folder.documents if each.startswith("team")])
    folder.names += 1
    place = rng.randrange(len(folder.documents[file]) + 1)
    folder.documents[file].insert(place, route(100 + folder.names, backend=rng.randrange(6)))


def repeat_a_document(folder: Folder, rng: random.Random) -> None:
    file = rng.choice([each for each in folder.documents if each.startswith("team")])
    folder.documents[file].append(rng.choice(folder.documents[file]))


def move_documents(folder: Folder, rng: random.Random) -> None:
    rng.shuffle(folder.documents[rng.choice([each for each in folder.documents if each.startswith("team")])])


def remove_a_file(folder: Folder, rng: random.Random) -> None:
    file = rng.choice(list(folder.documents))
    if file.startswith("team") and len(folder.documents) > 4:
        del folder.documents[file]


def put(folder: Folder, rng: random.Random, text: str) -> None:
    """Replaces the document of the same name, or adds it somewhere."""
    head = text.partition("spec:")[0].partition("addressType:")[0].partition("webhooks:")[0]
    for documents in folder.documents.values():
        for index, before in enumerate(documents):
            if before.startswith(head):
                documents[index] = text
                return
    folder.documents[rng.choice([each for each in folder.documents if each.startswith("team")])].append(text)


ALL_EDITS: tuple[Callable[[Folder, random.Random], None], ...] = (
    change_a_route,
    change_a_host,
    change_a_destination,
    break_a_route,
    leave_a_placeholder,
    change_a_service,
    set_the_webhook,
    set_a_rule,
    set_endpoints,
    set_a_policy,
    change_the_ingress,
    remove_a_document,
    add_a_document,
    repeat_a_document,
    move_documents,
    remove_a_file,
)


# --- what is compared ----------------------------------------------------------------------------------------------


@dataclass
class Built:
    planned: Plan
    stacks: Stacks
    edge: Edge


def build(manifests: Manifests, earlier: Built | None = None) -> Built:
    planned = plan(manifests, OPTIONS, secret_access_key="x", earlier=earlier.planned if earlier else None)
    stacks = load_balancers(planned, earlier.stacks if earlier else None)
    return Built(planned, stacks, from_manifests(manifests, OPTIONS, earlier.edge if earlier else None))


def compare(built: Built, fresh: Built) -> None:
    one, other = built.planned, fresh.planned
    assert one.manifests == other.manifests
    assert one.resources == other.resources
    assert list(one.documents.items()) == list(other.documents.items())
    assert list(one.objects) == list(other.objects)
    assert [list(view.named) for view in one.objects.views().values()] == [
        list(view.named) for view in other.objects.views().values()
    ]
    assert one.supply == other.supply
    assert built.stacks == fresh.stacks
    found = without_effect(one.manifests.documents, one.objects, built.stacks.foreign, one.memo)
    assert found == without_effect(other.manifests.documents, other.objects, fresh.stacks.foreign)
    assert list(built.edge.objects) == list(fresh.edge.objects)
    for part in ("zones", "load_balancers", "network", "certificates", "faults", "unseen", "fronts"):
        assert getattr(built.edge, part) == getattr(fresh.edge, part), part
    for name, gateway in built.edge.gateways.items():
        again = fresh.edge.gateways[name]  # its settings of HTTP are compared by identity
        assert replace(gateway, http=again.http) == again


@pytest.mark.parametrize("seed", range(SEEDS))
def test_an_incremental_build_equals_a_full_one(seed: int) -> None:
    rng, folder = random.Random(seed), a_folder()
    built, memo = build(folder.manifests(incrementally=True)), Memo()
    for _ in range(EDITS):
        edit = rng.choice(ALL_EDITS)
        edit(folder, rng)
        built = build(folder.manifests(incrementally=True), built)
        fresh = build(folder.manifests(incrementally=False))
        compare(built, fresh)
        for name, gateway in built.edge.gateways.items():
            binds = {8443: ("127.0.0.1", 8443), 8080: ("127.0.0.1", 8080)}
            made = snapshot(gateway, binds=binds, credentials={}, memo=memo)
            assert made == snapshot(fresh.edge.gateways[name], binds=binds, credentials={}), edit.__name__


# --- how much is done ----------------------------------------------------------------------------------------------


def calls(work: Callable[[], object]) -> Counter[str]:
    """The Python functions that `work` calls. Not seconds: a busy machine is no reason to fail."""
    found: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            found[f"{Path(frame.f_code.co_filename).name}:{frame.f_code.co_name}"] += 1

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return found


def of_a_changed_route(teams: int) -> Counter[str]:
    """What one changed route of ten a team makes the edge and its Envoy's configuration do."""
    folder = a_folder()
    for team in range(teams):
        documents = [service(100 + team), *(route(1000 + team * 10 + each, backend=100 + team) for each in range(10))]
        folder.documents[f"team-{team}.yaml"] = documents
    memo, built = Memo(), build(folder.manifests(incrementally=True))
    counted: Counter[str] = Counter()

    def again() -> None:
        nonlocal built
        built = build(manifests, built)
        planned, edge = built.planned, built.edge
        without_effect(planned.manifests.documents, planned.objects, built.stacks.foreign, planned.memo)
        for gateway in edge.gateways.values():
            snapshot(gateway, binds={8443: ("127.0.0.1", 8443)}, credentials={}, memo=memo)

    for status in (201, 202, 203):  # the first has nothing to go on with
        folder.documents["team-1.yaml"][3] = route(1012, backend=101, status=status)
        manifests = folder.manifests(incrementally=True)
        counted = calls(again)
    return counted


def test_a_changed_route_costs_the_same_among_few_and_among_many() -> None:
    few, many = of_a_changed_route(5), of_a_changed_route(50)
    more = {name: (few[name], count) for name, count in many.items() if count > few[name] + 5}
    # Services and target groups are few: what looks at each of them is allowed to.
    assert sum(many.values()) < sum(few.values()) + 10 * 50, more
    for once in (
        "routes.py:translate",
        "routes.py:virtual_host",
        "routed.py:routed",
        "endpoints.py:_of_virtual_service",
    ):
        assert many[once] <= 2, (once, many[once])
