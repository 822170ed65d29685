"""The resource that a part of Envoy's configuration was made from, where istioctl and Kiali look for it.

Source: istio/istio `pilot/pkg/networking/util/util.go` (BuildConfigInfoMetadata).
"""

from __future__ import annotations

import re

from envoy.config.core.v3.base_pb2 import Metadata

from lockgate.resources.model import ObjectKey
from lockgate.xds.protobuf import Message

NAMESPACE, CONFIG = "istio", "config"
_VERSION = "v1"  # of Istio's API, whatever version the manifest has


def made_from(key: ObjectKey) -> Message:
    message = Metadata()
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", key.kind).lower()
    path = f"/apis/{key.group}/{_VERSION}/namespaces/{key.namespace}/{kind}/{key.name}"
    message.filter_metadata[NAMESPACE].fields[CONFIG].string_value = path
    return message
