"""A client's request for a served kind."""

from __future__ import annotations

from dataclasses import dataclass

from lockgate.embedded.kubernetes import request_options
from lockgate.embedded.kubernetes.admitting.admission import Admission
from lockgate.embedded.kubernetes.custom.conversion_webhooks import Conversion
from lockgate.embedded.kubernetes.exchange import Request
from lockgate.embedded.kubernetes.targets import Target
from lockgate.embedded.kubernetes.writes import By
from lockgate.resources.model import Kind, ObjectKey, Resource


@dataclass(frozen=True, slots=True)
class Call:
    """A request for a served kind."""

    request: Request
    target: Target
    model: type[Resource]
    admission: Admission | None = None
    conversion: Conversion | None = None

    @property
    def key(self) -> ObjectKey:
        kind = self.model.KIND
        namespace = self.target.namespace if kind.namespaced else ""
        return ObjectKey(kind.group, kind.kind, namespace, self.target.name)

    @property
    def options(self) -> Kind:
        """The kind of the query's parameters, in errors."""
        names = {"POST": "CreateOptions", "PATCH": "PatchOptions", "DELETE": "DeleteOptions"}
        name = names.get(self.request.method, "UpdateOptions")
        return Kind("meta.k8s.io", ("v1",), name, name.lower())

    @property
    def by(self) -> By:
        query = self.request.query
        request_options.check_write(self.request)
        agent = self.request.headers.get("user-agent", "unknown").partition("/")[0]
        return By(
            manager=(query.get("fieldManager") or agent)[:128],
            api_version=self.model.KIND.api_version if self.conversion else self.target.api_version,
            subresource=self.target.subresource,
            dry_run=query.get("dryRun") == "All",
            outside=True,
            requested=True,
            admission=self.admission,
        )
