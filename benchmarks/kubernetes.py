"""A running edge's Kubernetes API, as a client reaches it: over HTTPS, with the token of its kubeconfig."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import httpx
import yaml

from benchmarks.running import Running
from lockgate.resources.model import JsonObject

_PATHS = {
    "Namespace": "/api/v1/namespaces",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Service": "/api/v1/namespaces/{}/services",
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/{}/ingresses",
    "VirtualService": "/apis/networking.istio.io/v1/namespaces/{}/virtualservices",
    "Certificate": "/apis/cert-manager.io/v1/namespaces/{}/certificates",
}
_MERGE = {"Content-Type": "application/merge-patch+json"}


class KubernetesClient:
    """All objects are in one namespace. Raises `httpx.HTTPStatusError` for what the API refuses."""

    def __init__(self, running: Running, namespace: str) -> None:
        about = running.about()
        config = yaml.safe_load(Path(about["files"]["kubeconfig"]).read_text())
        token = config["users"][0]["user"]["token"]
        self._namespace = namespace
        self._client = httpx.Client(
            base_url=about["addresses"]["kubernetes"],
            verify=about["files"]["ca_bundle"],
            headers={"Authorization": f"Bearer {token}"},
            timeout=120.0,
        )

    def __enter__(self) -> KubernetesClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def version(self) -> None:
        self._client.get("/version").raise_for_status()

    def create(self, body: JsonObject) -> None:
        metadata = {**body["metadata"], "namespace": self._namespace}
        sent = body if body["kind"] == "Namespace" else {**body, "metadata": metadata}
        self._client.post(self.path(body["kind"]), json=sent).raise_for_status()

    def get(self, kind: str, name: str) -> JsonObject | None:
        answer = self._client.get(self.path(kind, name))
        if answer.status_code == 404:
            return None
        found = answer.raise_for_status().json()
        assert isinstance(found, dict)
        return found

    def read(self, path: str, headers: Mapping[str, str] | None = None) -> None:
        self._client.get(path, headers=headers).raise_for_status()

    def patch(self, kind: str, name: str, patch: JsonObject) -> None:
        self._client.patch(self.path(kind, name), content=json.dumps(patch), headers=_MERGE).raise_for_status()

    def delete(self, kind: str, name: str) -> None:
        self._client.delete(self.path(kind, name)).raise_for_status()

    def path(self, kind: str, name: str = "") -> str:
        return _PATHS[kind].format(self._namespace) + (f"/{name}" if name else "")
