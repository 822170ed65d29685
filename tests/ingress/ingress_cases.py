"""Ingress in, load balancer out: how the tables in `tests/cases/ingress` are read.

Unless a row says otherwise, its Ingress is `default/web` of class alb with one path `/` (Prefix) to port 80 of Service
`default/web`, a NodePort Service with ports 80 `http` (targetPort 8080, nodePort 30080) and 15021 `status-port`
(nodePort 30021). Keys of a row:

    ingress / service   annotations, without the prefix
    group               several Ingresses a, b, c of group `shared`, each by its annotations
    paths               paths of the Ingress, as `Prefix a.example/shop web 80`: type (Exact, Prefix, Any), host and
                        path, Service and port; those of one host, one after another, are one rule
    spec, service_spec  another spec of the Ingress or Service
    params              spec of the IngressClassParams of the Ingress's class
    auto                the same for EKS Auto Mode; without fields, a class without parameters
    manifests           more objects, whole
    aws                 what AWS was seen to have: subnets, certificates, security_groups, …
    flags               the controller's arguments
    then                expected values, by their place in what `lockgate show load-balancer` prints
    rules               expected rules of each port, in words: `path /a, /a/* -> forward web:80`
    refused             the controller's error
    none                true where nothing is made of the Ingress
    action              of actions.yaml: `actions.act` on a backend `act` of path /
    conditions, transforms  of conditions.yaml: on the backend `web` of `a.example/a`
    faults              the codes of all faults but of what is left open
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lockgate.ingress.flags import read_arguments
from lockgate.ingress.manifests import Stacks, stack_from_manifests
from lockgate.ingress.show import stack_json
from lockgate.ingress.subnets import Subnet
from lockgate.ingress.world import Account, Certificate, ExistingLoadBalancer, Settings
from lockgate.resources import kinds as _kinds  # noqa: F401  registers them
from lockgate.resources.codes import load_balancer as codes
from lockgate.resources.faults import Code
from lockgate.resources.model import JsonObject, Resource, kinds

CASES = Path(__file__).parents[1] / "cases" / "ingress"
_NOT_BUILT = "Failed build model due to "
_WORDS = frozenset(
    [
        "name",
        "ingress",
        "service",
        "group",
        "paths",
        "spec",
        "service_spec",
        "params",
        "auto",
        "manifests",
        "aws",
        "flags",
        "then",
        "rules",
        "refused",
        "none",
        "action",
        "conditions",
        "transforms",
        "faults",
    ]
)
PREFIX = "alb.ingress.kubernetes.io/"


@dataclass(frozen=True)
class Row:
    file: str
    data: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.file}: {self.data['name']}"

    @classmethod
    def of(cls, file: str, data: dict[str, Any]) -> Row:
        """A row with the short forms of its table written out."""
        assert data.keys() <= _WORDS, f"words that this table does not know: {data.keys() - _WORDS}"
        if "action" in data:
            data = data | {"ingress": {"actions.act": data["action"]}, "paths": ["Prefix / act use-annotation"]}
        for kind in ("conditions", "transforms"):
            if kind in data:
                data = data | {"ingress": {f"{kind}.web": data[kind]}, "paths": ["Prefix a.example/a web 80"]}
        return cls(file, data)

    def build(self) -> Stacks:
        objects = [_typed(manifest) for manifest in _manifests(self.data)]
        flags = read_arguments(["--cluster-name=lockgate", *self.data.get("flags", ())], Settings())
        assert not flags.faults, flags.faults
        return stack_from_manifests(objects, settings=flags.settings, account=account(self.data.get("aws", {})))

    def check(self) -> None:
        """Raises AssertionError, with what is and what ought to be."""
        outcome = self.build()
        errors = [f.message.removeprefix(_NOT_BUILT) for f in outcome.faults if _is_error(f.code)]
        _equal(errors, [self.data["refused"]] if "refused" in self.data else [], "errors")
        _equal([f.message for f in outcome.faults if not f.subject], [], "faults about nothing")
        if "faults" in self.data:
            found = [f.code.id for f in outcome.faults if f.code.id != codes.NODE_PORTS_OPEN.id]
            _equal(found, self.data["faults"], "faults")
        shown = [stack_json(stack, lambda origin: None) for stack in outcome.stacks]
        _equal(len(shown), 0 if "refused" in self.data or self.data.get("none") else 1, "number of groups")
        for place, expected in self.data.get("then", {}).items():
            _equal(at(shown[0], place), expected, place)
        if "rules" in self.data:
            rules = {item["Port"]: [rule_words(rule) for rule in item["Rules"]] for item in shown[0]["Listeners"]}
            _equal(rules, self.data["rules"], "rules")


def _equal(actual: object, expected: object, what: str) -> None:
    if actual != expected:
        raise AssertionError(f"{what}\n is:       {actual!r}\n ought to: {expected!r}")


def load(*files: str) -> list[Row]:
    return [Row.of(file, row) for file in files for row in yaml.safe_load((CASES / f"{file}.yaml").read_text())]


def at(value: Any, place: str) -> Any:
    """`Listeners[0].Rules[0].Actions[1].Type`; `Tags{team}` is the Value of an item by its Key; `#` counts."""
    for name, index, key, count in re.findall(r"([A-Za-z0-9]+)|\[(\d+)\]|\{([^}]*)\}|(#)", place):
        if name:
            value = value.get(name)
        elif index:
            value = value[int(index)]
        elif count:
            value = len(value)
        else:
            value = {item["Key"]: item["Value"] for item in value}.get(key)
        if value is None:
            return None
    return value


def rule_words(rule: JsonObject) -> str:
    conditions = "; ".join(_condition_words(condition) for condition in rule["Conditions"])
    actions = " + ".join(_action_words(action) for action in rule["Actions"])
    return f"{conditions} -> {actions}"


def _condition_words(condition: JsonObject) -> str:
    config = next(value for key, value in condition.items() if key.endswith("Config"))
    regex = "~" if "RegexValues" in config else ""
    values = config.get("RegexValues") or config["Values"]
    shown = [f"{v.get('Key', '')}={v['Value']}" if isinstance(v, dict) else v for v in values]
    field = (
        condition["Field"].removesuffix("-header").removesuffix("-pattern")
        if not config.get("HttpHeaderName")
        else "header"
    )
    name = f" {config['HttpHeaderName']}" if config.get("HttpHeaderName") else ""
    return f"{field}{name} {regex}{', '.join(shown)}"


def _action_words(action: JsonObject) -> str:
    match action["Type"]:
        case "forward":
            config = action["ForwardConfig"]
            groups = [g["TargetGroupArn"].rpartition("/")[2] for g in config["TargetGroups"]]
            weights = [f"*{g['Weight']}" if len(groups) > 1 else "" for g in config["TargetGroups"]]
            sticky = config.get("TargetGroupStickinessConfig", {}).get("DurationSeconds")
            words = ", ".join(group + weight for group, weight in zip(groups, weights, strict=True))
            return f"forward {words}" + (f" sticky {sticky}" if sticky is not None else "")
        case "redirect":
            config = action["RedirectConfig"]
            url = f"{config['Protocol']}://{config['Host']}:{config['Port']}{config['Path']}?{config['Query']}"
            return f"redirect {config['StatusCode'][-3:]} {url}"
        case "fixed-response":
            config = action["FixedResponseConfig"]
            return f"respond {config['StatusCode']} {config.get('MessageBody', '')}".rstrip()
        case other:
            return str(other)


def _is_error(code: Code) -> bool:
    return code.id in {each.id for each in (codes.NOT_BUILT, codes.GROUP_NOT_VALID, codes.CLASS_NOT_RESOLVED)}


_CONTROLLER = ("elbv2.k8s.aws", "ingress.k8s.aws/alb")


def _manifests(row: dict[str, Any]) -> list[JsonObject]:
    found: list[JsonObject] = list(row.get("manifests", ()))
    params = row.get("params", row.get("auto"))
    if params is not None:
        group, controller = ("eks.amazonaws.com", "eks.amazonaws.com/alb") if "auto" in row else _CONTROLLER
        spec: JsonObject = {"controller": controller}
        if params or "auto" not in row:
            spec["parameters"] = {"apiGroup": group, "kind": "IngressClassParams", "name": "alb"}
            version = "v1" if "auto" in row else "v1beta1"
            found.append(_manifest(f"{group}/{version}", "IngressClassParams", "alb", params))
        found.append(_manifest("networking.k8s.io/v1", "IngressClass", "alb", spec))
    if not any(m["kind"] == "Service" and m["metadata"]["name"] == "web" for m in found):
        found.append(_service(row.get("service", {}), row.get("service_spec", {})))
    if "group" in row:
        for letter, annotations in zip("abcdefgh", row["group"], strict=False):
            found.append(
                _ingress(letter, {"group.name": "shared", **annotations}, _spec(row), params is not None, f"/{letter}")
            )
    elif not any(m["kind"] == "Ingress" for m in found):
        found.append(_ingress("web", row.get("ingress", {}), _spec(row), params is not None, "/"))
    return found


def _ingress(name: str, annotations: dict[str, str], spec: Any, by_class: bool, path: str) -> JsonObject:
    default = {
        "rules": [
            {
                "http": {
                    "paths": [
                        {
                            "path": path,
                            "pathType": "Prefix",
                            "backend": {"service": {"name": "web", "port": {"number": 80}}},
                        }
                    ]
                }
            }
        ]
    }
    manifest = _manifest("networking.k8s.io/v1", "Ingress", name, dict(spec) if spec is not None else default)
    written = {PREFIX + key: value for key, value in annotations.items()}
    if by_class:
        manifest["spec"]["ingressClassName"] = "alb"
    else:
        written = {"kubernetes.io/ingress.class": "alb", **written}
    manifest["metadata"]["annotations"] = written
    return manifest


def _spec(row: dict[str, Any]) -> Any:
    if "paths" not in row:
        return row.get("spec")
    rules: list[JsonObject] = []
    for text in row["paths"]:
        kind, where, service, port = text.split(" ")
        host, slash, path = where.partition("/")
        if not rules or rules[-1].get("host", "") != host:
            rules.append({"host": host, "http": {"paths": []}})
        rules[-1]["http"]["paths"].append(
            {
                "path": slash + path,
                "pathType": "ImplementationSpecific" if kind == "Any" else kind,
                "backend": {
                    "service": {"name": service, "port": {"number": int(port)} if port.isdigit() else {"name": port}}
                },
            }
        )
    return {"rules": rules} | row.get("spec", {})


def _service(annotations: dict[str, str], spec: JsonObject) -> JsonObject:
    default: JsonObject = {
        "type": "NodePort",
        "ports": [
            {"name": "http", "port": 80, "targetPort": 8080, "nodePort": 30080},
            {"name": "status-port", "port": 15021, "nodePort": 30021},
        ],
    }
    manifest = _manifest("v1", "Service", "web", default | spec)
    manifest["metadata"]["annotations"] = {PREFIX + key: value for key, value in annotations.items()}
    return manifest


def _manifest(api_version: str, kind: str, name: str, spec: JsonObject) -> JsonObject:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def _typed(manifest: JsonObject) -> Resource:
    group = manifest["apiVersion"].rpartition("/")[0]
    model = kinds()[(group, manifest["kind"])]
    if not model.KIND.namespaced:
        manifest = manifest | {
            "metadata": {key: value for key, value in manifest["metadata"].items() if key != "namespace"}
        }
    else:
        manifest = manifest | {"metadata": {"namespace": "default", **manifest["metadata"]}}
    return model.model_validate(manifest)


def account(aws: dict[str, Any]) -> Account:
    subnets = aws.get("subnets")
    certificates = aws.get("certificates")
    existing = aws.get("existing")
    groups = aws.get("security_groups")
    return Account(
        vpc_id="vpc-1",
        vpc_blocks=aws.get("vpc_blocks"),
        subnets=tuple(Subnet(**{**subnet, "blocks": tuple(subnet.get("blocks", ()))}) for subnet in subnets)
        if subnets is not None
        else None,
        certificates=tuple(Certificate(arn, tuple(names)) for arn, names in certificates.items())
        if certificates is not None
        else None,
        security_groups={key: tuple(ids) for key, ids in groups.items()} if groups is not None else None,
        trust_stores=aws.get("trust_stores"),
        target_groups=aws.get("target_groups"),
        web_acls=aws.get("web_acls"),
        existing=ExistingLoadBalancer(
            existing["scheme"], tuple(existing["subnets"]), tuple(existing.get("security_groups", ()))
        )
        if existing
        else None,
    )
