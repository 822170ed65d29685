"""Recognises documents that are not Kubernetes manifests, since repositories contain many other YAML and JSON files.

A document is a manifest if it has at least two of ``apiVersion``, ``kind`` and ``metadata``, and an API group that
clusters serve. Other documents are described by their API group, file name or keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from lockgate.resources.field_errors import json_type


@dataclass(frozen=True, slots=True)
class Other:
    """What a document is instead of a manifest (`name` completes "this is …"), and a hint."""

    name: str
    hint: str = "name only the manifests to leave it out"


def recognize(file: str, value: object) -> Other | None:
    """What a document is if it is not a manifest; None if it is one, even a broken one."""
    match value:
        case dict():
            return _configuration(value) if _claims_to_be_an_object(value) else _by_name(file) or _by_keys(value)
        case list():
            return _by_name(file) or _list(value)
        case _:
            return _by_name(file) or _value(value)


def recognize_text(file: str, text: str) -> Other | None:
    """The same for text that cannot be parsed."""
    if _MANIFEST_KEY.search(text):
        return None
    return _by_name(file) or Other("text that is neither YAML nor JSON")


_MANIFEST_KEY = re.compile(r"""^[ \t{]*["']?(?:apiVersion|kind)["']?[ \t]*:""", re.MULTILINE)


def _claims_to_be_an_object(value: dict[str, Any]) -> bool:
    return sum(bool(value.get(name)) for name in ("apiVersion", "kind", "metadata")) >= 2


def _configuration(value: dict[str, Any]) -> Other | None:
    """Configuration of command-line tools that looks like an object; no cluster has these kinds."""
    version, kind = value.get("apiVersion"), value.get("kind")
    if not isinstance(version, str):
        return None
    if (version, kind) == ("v1", "Config"):
        return Other("a kubeconfig")
    return _GROUPS.get(version.partition("/")[0])


def _by_name(file: str) -> Other | None:
    name = PurePath(file).name.lower()
    return _NAMES.get(name) or next((other for pattern, other in _PATTERNS if pattern.fullmatch(name)), None)


def _by_keys(value: dict[str, Any]) -> Other:
    return next(
        (other for keys, other in _KEYS if keys <= value.keys()),
        NO_HEADER,
    )


def _list(value: list[Any]) -> Other:
    entries = [entry for entry in value if isinstance(entry, dict)]
    if any(_claims_to_be_an_object(entry) for entry in entries):
        return Other("a bare list", "put `---` between the objects, or wrap them in a `kind: List`")
    if any("hosts" in entry or "import_playbook" in entry for entry in entries):
        return Other("an Ansible playbook")
    return Other("a list", "every object begins with apiVersion, kind and metadata")


def _value(value: object) -> Other:
    what = {"string": "text", "integer": "an integer"}.get(json_type(value), f"a {json_type(value)}")
    return Other(what, "every object begins with apiVersion, kind and metadata")


NO_HEADER = Other("it has no apiVersion and kind", "every object begins with apiVersion, kind and metadata")
_KUSTOMIZATION = Other("a kustomization", "render it: kubectl kustomize FOLDER | lockgate up -")
_CHART = Other("a Helm chart", "render it: helm template CHART | lockgate up -")
_VALUES = Other("values for a Helm chart", "render the chart: helm template CHART --values FILE | lockgate up -")
_COMPOSE = Other("a Compose file", "run its programs, and name them with --backend NAMESPACE/SERVICE:PORT=URL")
_WORKFLOW = Other("a CI configuration")
_OPENAPI = Other("an API description (OpenAPI)")
_CLOUDFORMATION = Other("a CloudFormation template")

_GROUPS = {
    "kustomize.config.k8s.io": _KUSTOMIZATION,
    "skaffold": Other("Skaffold's configuration", "render it: skaffold render | lockgate up -"),
    "eksctl.io": Other("eksctl's configuration"),
    "kind.x-k8s.io": Other("kind's configuration"),
    "k3d.io": Other("k3d's configuration"),
    "ctlptl.dev": Other("ctlptl's configuration"),
    "backstage.io": Other("an entry of Backstage's catalog"),
    "kubeadm.k8s.io": Other("kubeadm's configuration"),
    "kubelet.config.k8s.io": Other("the kubelet's configuration"),
    "kubeproxy.config.k8s.io": Other("kube-proxy's configuration"),
    "kubescheduler.config.k8s.io": Other("the scheduler's configuration"),
    "apiserver.config.k8s.io": Other("the API server's configuration"),
    "audit.k8s.io": Other("the API server's audit configuration"),
    "controller-runtime.sigs.k8s.io": Other("a controller's configuration"),
    "client.authentication.k8s.io": Other("an answer of a credential plugin"),
}
_NAMES = {
    "kustomization.yaml": _KUSTOMIZATION,
    "kustomization.yml": _KUSTOMIZATION,
    "chart.yaml": _CHART,
    "chart.yml": _CHART,
    "values.schema.json": Other("a Helm chart's schema of its values"),
    "package.json": Other("npm's package.json"),
    "package-lock.json": Other("npm's lock file"),
    "composer.json": Other("Composer's package file"),
    "pnpm-lock.yaml": Other("pnpm's lock file"),
    "pnpm-workspace.yaml": Other("pnpm's workspace file"),
    "skaffold.yaml": Other("Skaffold's configuration", "render it: skaffold render | lockgate up -"),
    "helmfile.yaml": Other("a helmfile", "render it: helmfile template | lockgate up -"),
    "mkdocs.yml": Other("MkDocs' configuration"),
    "azure-pipelines.yml": _WORKFLOW,
    "bitbucket-pipelines.yml": _WORKFLOW,
    "cloudbuild.yaml": _WORKFLOW,
    "buildspec.yml": _WORKFLOW,
    "appveyor.yml": _WORKFLOW,
    "codecov.yml": Other("Codecov's configuration"),
    "serverless.yml": Other("the Serverless Framework's configuration"),
    "taskfile.yml": Other("a Taskfile"),
    "renovate.json": Other("Renovate's configuration"),
}
_PATTERNS = (
    (re.compile(r"(.+[-_.])?values([-_.].+)?\.ya?ml"), _VALUES),
    (re.compile(r"(docker-)?compose([-_.].+)?\.ya?ml"), _COMPOSE),
    (re.compile(r"tsconfig([-_.].+)?\.json"), Other("TypeScript's configuration")),
)
# Keys that identify a kind of file; more specific ones come first.
_KEYS: tuple[tuple[frozenset[str], Other], ...] = tuple(
    (frozenset(keys.split()), other)
    for keys, other in (
        ("openapi info", _OPENAPI),
        ("swagger info", _OPENAPI),
        ("asyncapi info", Other("an API description (AsyncAPI)")),
        ("AWSTemplateFormatVersion", _CLOUDFORMATION),
        ("Resources", _CLOUDFORMATION),
        ("Version Statement", Other("an IAM policy")),
        ("$schema", Other("a JSON Schema, or a file that names one")),
        ("terraform_version", Other("Terraform's state")),
        ("compilerOptions", Other("TypeScript's configuration")),
        ("lockfileVersion", Other("a package manager's lock file")),
        ("scrape_configs", Other("Prometheus' configuration")),
        ("receivers route", Other("Alertmanager's configuration")),
        ("static_resources", Other("Envoy's configuration")),
        (
            "findings version",
            Other("a baseline of `lockgate check`", "begin its name with a dot: .lockgate-baseline.json"),
        ),
        ("panels schemaVersion", Other("a Grafana dashboard")),
        ("groups", Other("Prometheus' rules")),
        ("name version dependencies", Other("a package file")),
        ("name version", Other("a package file")),
        ("jobs true", _WORKFLOW),  # YAML 1.1 reads the key `on` of a GitHub workflow as a boolean
        ("jobs on", _WORKFLOW),
        ("pipeline", _WORKFLOW),
        ("stages", _WORKFLOW),
        ("steps", _WORKFLOW),
        ("jobs version", _WORKFLOW),
        ("resources namePrefix", _KUSTOMIZATION),
        ("resources patches", _KUSTOMIZATION),
        ("resources images", _KUSTOMIZATION),
        ("services networks", _COMPOSE),
        ("services version", _COMPOSE),
        ("services volumes", _COMPOSE),
        ("releases", Other("a helmfile", "render it: helmfile template | lockgate up -")),
    )
)
