"""external-dns: records in Route 53 for the hosts that Ingresses, Gateways and VirtualServices serve."""

from lockgate.controllers.external_dns.external_dns import ExternalDns

__all__ = ["ExternalDns"]
