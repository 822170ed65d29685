"""The Kubernetes API's errors, as one exception tree that both back ends of the client raise.

ApiError
├── NotFound        404
├── AlreadyExists   409
├── Conflict        409
├── Invalid         422
├── BadRequest      400
├── Forbidden       403
└── Expired         410
"""

from __future__ import annotations

from lockgate.resources.model import JsonObject


class ApiError(Exception):
    """A `Status` of the Kubernetes API: `reason` is the API's, `code` the HTTP status. `path` is the faulty field of
    the object, if any; clients do not receive it."""

    reason = "InternalError"
    code = 500
    path: tuple[str | int, ...] = ()

    def __init__(self, message: str, *, details: JsonObject | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details or {}

    def status(self) -> JsonObject:
        """The `Status` object that clients receive."""
        told = {"reason": self.reason, "details": self.details}
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            **{name: value for name, value in told.items() if value},
            "code": self.code,
        }


class NotFound(ApiError):
    reason, code = "NotFound", 404


class AlreadyExists(ApiError):
    reason, code = "AlreadyExists", 409


class Conflict(ApiError):
    reason, code = "Conflict", 409


class Invalid(ApiError):
    reason, code = "Invalid", 422


class BadRequest(ApiError):
    reason, code = "BadRequest", 400


class Forbidden(ApiError):
    reason, code = "Forbidden", 403


class Expired(ApiError):
    reason, code = "Expired", 410


class Unclassified(ApiError):
    """An error that the API server does not expect: 500 without a reason."""

    reason = ""
