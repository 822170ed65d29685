"""Reads the values of patches, and merges them into messages, as istiod does.

Source: istio/istio `pkg/config/xds/filter_types.go`, `pkg/proto/merge/merge.go`, `pilot/pkg/networking/util`.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from envoy.annotations.deprecation_pb2 import disallowed_by_default, disallowed_by_default_enum
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain, ListenerFilter
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.wrappers_pb2 import StringValue

from lockgate.gateway.patches import Patch
from lockgate.resources.istio.filter_names import name_today
from lockgate.xds.protobuf import TYPE, Message, pack

_KINDS: Final = {
    "LISTENER": Listener,
    "FILTER_CHAIN": FilterChain,
    "NETWORK_FILTER": Filter,
    "HTTP_FILTER": HttpFilter,
    "LISTENER_FILTER": ListenerFilter,
    "ROUTE_CONFIGURATION": RouteConfiguration,
    "VIRTUAL_HOST": VirtualHost,
    "HTTP_ROUTE": Route,
    "CLUSTER": Cluster,
    "EXTENSION_CONFIG": TypedExtensionConfig,
}
_UNKNOWN: Final = "lockgate unknown type "


class Unreadable(Exception):
    """The value is not such a part of Envoy's configuration."""


@lru_cache(maxsize=1024)
def value_of(patch: Patch) -> Message:
    """A patch's value, which callers copy before they change it. Raises `Unreadable`.

    A value of a type that is not known here stays empty: Envoy says whether it knows the type.
    """
    written = json.loads(patch.value or "{}")
    try:
        found = json_format.ParseDict(_known(written), _KINDS[patch.apply_to](), ignore_unknown_fields=True)
    except (json_format.ParseError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise Unreadable(str(error)) from error
    _name_unknown(found)
    return found


def _known(value: Any) -> Any:
    """JSON whose messages of unknown types are texts that name them."""
    if isinstance(value, list):
        return [_known(each) for each in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("@type")
    if isinstance(kind, str) and not _has_type(kind.rpartition("/")[2]):
        return {"@type": f"{TYPE}google.protobuf.StringValue", "value": _UNKNOWN + kind}
    return {name: _known(each) for name, each in value.items()}


def _name_unknown(message: Message) -> None:
    """Gives unknown messages their types again."""
    if isinstance(message, AnyMessage):
        text = StringValue()
        if message.Is(text.DESCRIPTOR) and message.Unpack(text) and text.value.startswith(_UNKNOWN):
            message.CopyFrom(AnyMessage(type_url=text.value.removeprefix(_UNKNOWN)))
        return
    for found, value in message.ListFields():
        if found.message_type is None or found.message_type.GetOptions().map_entry:
            continue
        for each in value if found.is_repeated else (value,):
            _name_unknown(each)


@lru_cache(maxsize=1024)
def removed(patch: Patch) -> str | None:
    """A field or value of a readable patch that Envoy refuses by default. It is not asked to look for those itself, in
    each route of each change: see `dataplane.envoy`."""
    return next(_removed(value_of(patch)), None)


def _removed(message: Message) -> Iterator[str]:
    if isinstance(message, AnyMessage):
        if _has_type(name := message.type_url.rpartition("/")[2]):
            packed = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))()
            if message.Unpack(packed):
                yield from _removed(packed)
        return
    for found in message.DESCRIPTOR.fields:
        if found.enum_type and not found.is_repeated:  # its default may be refused, too
            value = found.enum_type.values_by_number.get(getattr(message, found.name))
            if value and value.GetOptions().Extensions[disallowed_by_default_enum]:
                yield f"{value.name} of {found.full_name}"
    for found, value in message.ListFields():
        if found.GetOptions().Extensions[disallowed_by_default]:
            yield f"the field {found.full_name}"
        if found.message_type is not None:
            is_map = found.message_type.GetOptions().map_entry
            for each in value.values() if is_map else value if found.is_repeated else (value,):
                if hasattr(each, "DESCRIPTOR"):  # and no scalar of a map
                    yield from _removed(each)


@lru_cache(maxsize=1024)
def _has_type(name: str) -> bool:
    """Types are known once their modules are imported, which are in the folder of their package."""
    pool = descriptor_pool.Default()
    for loads in (False, True):
        if loads:
            _import(name)
        try:
            pool.FindMessageTypeByName(name)
        except KeyError:
            continue
        return True
    return False


def _import(name: str) -> None:
    package = name.rpartition(".")[0]
    if not package.startswith(("envoy.", "xds.", "udpa.", "google.protobuf")):
        return
    try:
        folder = importlib.import_module(package)
    except ImportError:
        return
    for module in pkgutil.iter_modules(getattr(folder, "__path__", ())):
        if module.name.endswith("_pb2"):
            importlib.import_module(f"{package}.{module.name}")


# --- merging -----------------------------------------------------------------------------------------------------


def merge(into: Message, other: Message) -> None:
    """As protobuf merges: lists are joined and entries of maps replaced. A duration is replaced as a whole."""
    for found, value in other.ListFields():
        single = found.message_type is not None and not found.is_repeated
        if single and found.message_type.full_name != "google.protobuf.Duration":
            merge(getattr(into, found.name), value)
            getattr(into, found.name).SetInParent()
        elif single:
            getattr(into, found.name).CopyFrom(value)
        elif not found.is_repeated:
            setattr(into, found.name, value)
        elif found.message_type is not None and found.message_type.GetOptions().map_entry:
            part = type(other)()
            getattr(part, found.name).MergeFrom(value)
            into.MergeFrom(part)
        else:
            getattr(into, found.name).extend(value)


def merged(config: Message, other: Message) -> Message:
    """Two packed messages of one type, merged; the first alone if the types differ."""
    name = config.type_url.rpartition("/")[2]
    if config.type_url != other.type_url or not _has_type(name):
        return config
    kind = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))
    into, added = kind(), kind()
    config.Unpack(into)
    other.Unpack(added)
    merge(into, added)
    return pack(into)


def merge_filter(into: Message, other: Message) -> None:
    """Merges an extension with a name and a packed configuration."""
    if not into.HasField("typed_config"):
        return
    if other.HasField("typed_config"):
        into.typed_config.CopyFrom(merged(into.typed_config, other.typed_config))
    if other.name:
        into.name = name_today(other.name)
