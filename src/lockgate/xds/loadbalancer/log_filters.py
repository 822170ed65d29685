"""Conditions on completed requests, for access loggers and response mappers."""

from __future__ import annotations

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLogFilter, ExtensionFilter
from envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter

from lockgate.xds.protobuf import Message, boolean, pack


def flagged(*flags: str) -> Message:
    """The request has one of these Envoy response flags."""
    return AccessLogFilter(response_flag_filter={"flags": list(flags)})


def status_is(number: int, comparison: str = "EQ") -> Message:
    """`comparison` is ``EQ`` or ``GE``."""
    return AccessLogFilter(
        status_code_filter={
            "comparison": {"op": comparison, "value": {"default_value": number, "runtime_key": "lockgate.none"}}
        }
    )


def expression(text: str) -> Message:
    """A CEL expression."""
    return AccessLogFilter(
        extension_filter=ExtensionFilter(
            name="envoy.access_loggers.extension_filters.cel",
            typed_config=pack(ExpressionFilter(expression=text)),
        )
    )


def noted(namespace: str, key: str) -> Message:
    """The dynamic metadata has this key."""
    matcher = {"filter": namespace, "path": [{"key": key}], "value": {"present_match": True}}
    return AccessLogFilter(metadata_filter={"matcher": matcher, "match_if_key_not_found": boolean(False)})


def all_of(*filters: Message) -> Message:
    """All conditions, in this order; evaluation stops at the first that does not hold."""
    return AccessLogFilter(and_filter={"filters": filters})


def any_of(*filters: Message) -> Message:
    return AccessLogFilter(or_filter={"filters": filters})
