"""The kubeconfig for clients of the API."""

from __future__ import annotations

import base64
import json


def kubeconfig(url: str, ca_pem: str | bytes, token: str, *, name: str = "lockgate", namespace: str = "default") -> str:
    """A kubeconfig as text (JSON, which is YAML). It contains the token: write it with mode 0600."""
    pem = ca_pem.encode() if isinstance(ca_pem, str) else ca_pem
    cluster: dict[str, str] = {"server": url}
    if pem:
        cluster["certificate-authority-data"] = base64.b64encode(pem).decode()
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
            "current-context": name,
            "preferences": {},
        },
        indent=2,
    )
