"""The embedded ACME CA: small and strict. Its state lasts for one run. RFC 8555, RFC 9773."""

from lockgate.embedded.acme.issuance import PROFILES, Profile
from lockgate.embedded.acme.limits import Limit, Limits
from lockgate.embedded.acme.server import AcmeServer

__all__ = ["PROFILES", "AcmeServer", "Limit", "Limits", "Profile"]
