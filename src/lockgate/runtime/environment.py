"""The variables with which programs use the edge instead of AWS, a cluster and the internet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# If set, these would override or contradict the variables below.
CLEARED = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_PROFILE", "ALL_PROXY", "all_proxy")

# curl and OpenSSL's programs, Python's requests, Node, git, and botocore.
_CA_BUNDLES = (
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
)


def environment(about: Mapping[str, Any]) -> dict[str, str]:
    """From what a supervisor says about itself (`edge.json`) to variables. No private key is among them."""
    proxy = about["addresses"]["proxy"]
    bundle = about["files"]["ca_bundle"]
    near = "127.0.0.1,localhost,::1"
    return {
        "KUBECONFIG": about["files"]["kubeconfig"],
        "KUBECACHEDIR": about["files"]["kube_cache"],
        "AWS_ENDPOINT_URL": about["addresses"]["aws"],
        "AWS_ACCESS_KEY_ID": about["aws"]["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": about["aws"]["secret_access_key"],
        "AWS_DEFAULT_REGION": about["aws"]["region"],
        "AWS_REGION": about["aws"]["region"],
        "AWS_EC2_METADATA_DISABLED": "true",
        # curl reads http_proxy in lower case only, Node and Go read either.
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), proxy),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), near),
        "NODE_USE_ENV_PROXY": "1",
        **dict.fromkeys(_CA_BUNDLES, bundle),
        "LOCKGATE_EDGE": about["name"],
    }
