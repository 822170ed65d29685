"""cert-manager: issues Certificates into Secrets, through ACME, a private CA, or self-signed."""

from lockgate.controllers.cert_manager.acme_client import preload
from lockgate.controllers.cert_manager.cert_manager import CertManager
from lockgate.controllers.cert_manager.environment import AcmeEndpoint, Pace, Route53Access

__all__ = ["AcmeEndpoint", "CertManager", "Pace", "Route53Access", "preload"]
