"""AdmissionReview: what a webhook is sent, and what its answer means.

Source: kube-apiserver `pkg/admission/plugin/webhook/{mutating,validating}/dispatcher.go`, `request/admissionreview.go`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lockgate.embedded.kubernetes.admitting.configurations import Webhook, Write
from lockgate.embedded.kubernetes.refusals import Denied
from lockgate.resources.model import JsonObject
from lockgate.resources.status import ApiError, BadRequest

_API = "admission.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A webhook's answer. `patch` is a JSON patch, `refusal` the error that the client gets."""

    patch: tuple[JsonObject, ...] = ()
    warnings: tuple[str, ...] = ()
    refusal: ApiError | None = None


class BadAnswer(ValueError):
    """The webhook's answer is not an AdmissionReview that fits the question."""


def review(write: Write, uid: str, user: Mapping[str, Any], options: Mapping[str, Any]) -> JsonObject:
    kind, resource = write.kind, {"group": write.kind.group, "version": write.version, "resource": write.kind.plural}
    gvk = {"group": kind.group, "version": write.version, "kind": kind.kind}
    request: JsonObject = {
        "uid": uid,
        "kind": gvk,
        "resource": resource,
        "requestKind": gvk,
        "requestResource": resource,
        "name": write.name,
        "operation": write.operation,
        "userInfo": dict(user),
        "object": write.body,
        "oldObject": write.before,
        "dryRun": write.dry_run,
        "options": dict(options) or None,
    }
    if write.subresource:
        request |= {"subResource": write.subresource, "requestSubResource": write.subresource}
    if write.namespace:
        request["namespace"] = write.namespace
    return {"kind": "AdmissionReview", "apiVersion": _API, "request": request}


def verdict(webhook: Webhook, uid: str, answer: object) -> Verdict:
    """Raises `BadAnswer`."""
    if not isinstance(answer, dict) or answer.get("kind") != "AdmissionReview" or answer.get("apiVersion") != _API:
        raise BadAnswer(f"expected webhook response of {_API}, Kind=AdmissionReview")
    response = answer.get("response")
    if not isinstance(response, dict):
        raise BadAnswer("webhook response has no response")
    if response.get("uid") != uid:
        raise BadAnswer(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    warnings = tuple(str(each) for each in response.get("warnings") or ())
    if not response.get("allowed"):
        return Verdict(warnings=warnings, refusal=_refusal(webhook, response.get("status")))
    if not response.get("patch"):
        return Verdict(warnings=warnings)
    if webhook.step == "Validating":
        raise BadAnswer("webhook response.patch is not allowed for validating webhooks")
    if response.get("patchType") != "JSONPatch":
        raise BadAnswer('webhook returned response.patch but not response.patchType="JSONPatch"')
    return Verdict(_patch(response["patch"]), warnings)


def _patch(text: object) -> tuple[JsonObject, ...]:
    try:
        found = json.loads(base64.b64decode(str(text), validate=True))
    except (binascii.Error, ValueError) as error:
        raise BadAnswer(f"the patch is not base64 of JSON: {error}") from None
    if not isinstance(found, Sequence) or not all(isinstance(each, dict) for each in found):
        raise BadAnswer("the patch is not a list of operations")
    return tuple(found)


def _refusal(webhook: Webhook, status: object) -> ApiError:
    """As `ToStatusErr`: a code outside 4xx and 5xx becomes 400, and a missing message is said to be so."""
    found = status if isinstance(status, dict) else {}
    message, reason, code = found.get("message"), found.get("reason"), found.get("code")
    start = f'admission webhook "{webhook.name}" denied the request'
    text = f"{start}: {message}" if message else f"{start}: {reason}" if reason else f"{start} without explanation"
    number = code if isinstance(code, int) and 400 <= code < 600 else 400
    return Denied(text, str(reason or ""), number)


def dry_run_refused(webhook: Webhook) -> ApiError:
    return BadRequest(f'admission webhook "{webhook.name}" does not support dry run')
