"""Reads a line of a load balancer's access log: the reverse of `access_log`.

Source: "Access logs for your Application Load Balancer", "Syntax".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_FIELD: Final = re.compile(r'"([^"]*)"|(\S+)')
_NAMES: Final = (
    "type",
    "time",
    "elb",
    "client",
    "target",
    "request_processing_time",
    "target_processing_time",
    "response_processing_time",
    "elb_status_code",
    "target_status_code",
    "received_bytes",
    "sent_bytes",
    "request",
    "user_agent",
    "ssl_cipher",
    "ssl_protocol",
    "target_group_arn",
    "trace_id",
    "domain_name",
    "chosen_cert_arn",
    "matched_rule_priority",
    "request_creation_time",
    "actions_executed",
    "redirect_url",
    "error_reason",
    "target_list",
    "target_status_code_list",
    "classification",
    "classification_reason",
    "conn_trace_id",
)


def fields(line: str) -> Mapping[str, str]:
    """The fields that AWS had in 2024, by name. Newer ones come after them and are left out."""
    found = (quoted or plain for quoted, plain in _FIELD.findall(line))
    return dict(zip(_NAMES, found, strict=False))
