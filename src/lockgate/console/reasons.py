"""Why a request failed, in a sentence, from what Envoy logs.

Source: Envoy's "Response flags" and "Response code details"; AWS's "Troubleshoot your Application Load Balancers".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

FLAGS: Final = {
    "DC": "the client closed the connection",
    "DF": "the destination's name does not resolve",
    "DI": "a fault delays it (fault.delay)",
    "DPE": "the client's request is not valid HTTP",
    "FI": "a fault answers it (fault.abort)",
    "IH": "a header is not valid",
    "LR": "the connection was reset here",
    "NC": "the route's destination does not exist",
    "NFCF": "no filter configuration was found",
    "NR": "no route matches",
    "OM": "the proxy is out of memory",
    "RL": "a rate limit is exceeded",
    "SI": "nothing was sent for as long as the idle timeout",
    "UAEX": "the external authorization refused it",
    "UC": "the connection to the endpoint ended before it answered",
    "UF": "no connection to an endpoint",
    "UH": "no endpoint is healthy",
    "UMSDR": "the stream lasted longer than it may",
    "UO": "a limit of connections or requests is exceeded (connectionPool)",
    "UPE": "the endpoint's answer is not valid HTTP",
    "UR": "the endpoint reset the request",
    "URX": "all retries failed",
    "UT": "the endpoint did not answer within the timeout",
}

OWN: Final = {
    "400": "the request is malformed",
    "414": "the URL or a header is too long",
    "463": "X-Forwarded-For has more than 30 addresses",
    "464": "the protocol version of the request does not fit that of the target group",
    "500": "an internal error",
    "505": "the HTTP version is not supported",
}
"""What a load balancer's own status means, where its script answers."""


def gateway_reason(record: Mapping[str, Any], by: str) -> str:
    status = record.get("response_code") or 0
    if by == "service":
        return f"The service answered {status}."
    details = str(record.get("response_code_details") or "")
    if details.startswith("rbac_access_denied"):
        policy = details.partition("[")[2].removesuffix("]")
        return f"An AuthorizationPolicy denies it{f' ({policy})' if policy not in ('', 'none') else ''}."
    if details.startswith(("jwt_authn", "ext_authz")):
        return (
            f"Its JWT is refused: {details}." if details.startswith("jwt") else f"An authorizer refused it: {details}."
        )
    because = _because(str(record.get("response_flags") or ""))
    failure = str(record.get("upstream_transport_failure_reason") or "").strip("-").replace("_", " ")
    more = f": {failure}" if failure else ""
    answers = f"The gateway answers {status}" if status else "The gateway gives no answer"
    return f"{answers}: {because}{more}." if because else f"{answers}{f' ({details})' if details else ''}."


def load_balancer_reason(record: Mapping[str, Any], by: str) -> str:
    status = str(record.get("status") or 0)
    if by == "target":
        return f"The target answered {status}."
    if str(record.get("error_reason") or "-") != "-":
        return f"The load balancer answers {status}: {record['error_reason']}."
    details = str(record.get("details") or "")
    rule = str(record.get("rule") or "-")
    if details == "direct_response":
        return f"{'The default rule' if rule in ('0', '-') else f'Rule {rule}'} answers {status}."
    if details == "lua_response" and status in OWN:
        return f"The load balancer answers {status}: {OWN[status]}."
    because = _because(str(record.get("flags") or ""))
    if status == "0":
        return f"The client got no answer: {because or details}."
    inner = details.partition("{")[2].rstrip("}").replace("|", ": ").replace("_", " ")
    text = f"{because}{f' ({inner})' if inner else ''}" if because else details.replace("_", " ")
    return f"The load balancer answers {status}{f': {text}' if text else ''}."


def _because(flags: str) -> str:
    return " and ".join(FLAGS[flag] for flag in flags.split(",") if flag in FLAGS)
