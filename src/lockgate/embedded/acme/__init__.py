"""The embedded ACME CA: small, strict, and with no state but its run's. RFC 8555, RFC 9773."""

from lockgate.embedded.acme.issuance import PROFILES, Profile
from lockgate.embedded.acme.limits import Limit, Limits
from lockgate.embedded.acme.server import AcmeServer

__all__ = ["PROFILES", "AcmeServer", "Limit", "Limits", "Profile"]
