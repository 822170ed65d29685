"""Route 53's health checks: stored and listed, but not executed. DNS fails open, as in AWS without a result."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from lockgate.embedded.aws.protocol import Refusal, Result


class HealthChecks:
    def __init__(self) -> None:
        self._checks: dict[str, dict[str, Any]] = {}
        self.operations: Mapping[str, Callable[[dict[str, Any]], Result]] = {
            "CreateHealthCheck": self._create,
            "GetHealthCheck": lambda given: {"HealthCheck": self.find(given["HealthCheckId"])},
            "GetHealthCheckCount": lambda _: {"HealthCheckCount": len(self._checks)},
            "ListHealthChecks": self._list,
            "UpdateHealthCheck": self._update,
            "DeleteHealthCheck": self._delete,
        }

    def find(self, check_id: str) -> dict[str, Any]:
        if check_id not in self._checks:
            raise Refusal("NoSuchHealthCheck", f"No health check exists with the specified ID {check_id}", 404)
        return self._checks[check_id]

    def _create(self, given: dict[str, Any]) -> Result:
        for check in self._checks.values():
            if check["CallerReference"] == given["CallerReference"]:
                if check["HealthCheckConfig"] == given["HealthCheckConfig"]:
                    return self._created(check)
                raise Refusal(
                    "HealthCheckAlreadyExists",
                    "A health check with the same caller reference and other settings already exists.",
                    409,
                )
        check_id = str(uuid.uuid4())
        check = self._checks[check_id] = {
            "Id": check_id,
            "CallerReference": given["CallerReference"],
            "HealthCheckConfig": given["HealthCheckConfig"],
            "HealthCheckVersion": 1,
        }
        return self._created(check)

    def _created(self, check: dict[str, Any]) -> Result:
        return {
            "HealthCheck": check,
            "Location": f"https://route53.amazonaws.com/2013-04-01/healthcheck/{check['Id']}",
        }

    def _list(self, given: dict[str, Any]) -> Result:
        return {
            "HealthChecks": list(self._checks.values()),
            "Marker": given.get("Marker", ""),
            "IsTruncated": False,
            "MaxItems": str(given.get("MaxItems", 1000)),
        }

    def _update(self, given: dict[str, Any]) -> Result:
        check = self.find(given["HealthCheckId"])
        version = given.get("HealthCheckVersion")
        if version is not None and int(version) != check["HealthCheckVersion"]:
            raise Refusal("HealthCheckVersionMismatch", "The health check has been changed since.", 409)
        settings = {key: value for key, value in given.items() if not key.startswith("HealthCheck")}
        check["HealthCheckConfig"] = check["HealthCheckConfig"] | settings
        check["HealthCheckVersion"] += 1
        return {"HealthCheck": check}

    def _delete(self, given: dict[str, Any]) -> Result:
        del self._checks[self.find(given["HealthCheckId"])["Id"]]
        return {}
