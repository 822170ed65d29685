"""ingress-shim: Certificates for the TLS entries of annotated Ingresses."""

from __future__ import annotations

from dataclasses import dataclass

from lockgate.certificates.ingress_shim import BadConfig, shim
from lockgate.controllers.cert_manager.environment import Environment
from lockgate.resources import cert_manager as cm
from lockgate.resources import networking
from lockgate.resources.model import ObjectKey
from lockgate.resources.status import NotFound

_COMPONENT = "ingress-shim"
_MANAGER = "cert-manager-ingress-shim"


@dataclass(frozen=True, slots=True)
class IngressShim:
    environment: Environment

    async def reconcile(self, key: ObjectKey) -> None:
        kubernetes, event = self.environment.kubernetes, self.environment.event
        try:
            ingress = await kubernetes.get(networking.Ingress, key.name, key.namespace)
        except NotFound:
            return
        try:
            changes = shim(ingress, await kubernetes.list(cm.Certificate, key.namespace))
        except BadConfig as problem:  # cert-manager itself only logs an annotation that it cannot read
            await event(_COMPONENT, ingress, "Warning", "BadConfig", str(problem))
            return
        for message in changes.skipped:
            await event(_COMPONENT, ingress, "Warning", "BadConfig", message)
        for manifest in changes.create:
            await kubernetes.apply(manifest, manager=_MANAGER)
            name = manifest["metadata"]["name"]
            await event(
                _COMPONENT, ingress, "Normal", "CreateCertificate", f'Successfully created Certificate "{name}"'
            )
        for manifest in changes.update:
            await kubernetes.apply(manifest, manager=_MANAGER)
            name = manifest["metadata"]["name"]
            await event(
                _COMPONENT, ingress, "Normal", "UpdateCertificate", f'Successfully updated Certificate "{name}"'
            )
        for name in changes.delete:
            try:
                await kubernetes.delete(cm.Certificate, name, key.namespace)
            except NotFound:
                continue
            message = f'Successfully deleted unrequired Certificate "{name}"'
            await event(_COMPONENT, ingress, "Normal", "DeleteCertificate", message)
