"""AWS Certificate Manager's hidden half: what looks for the validation records, and issues."""

from lockgate.controllers.certificate_manager.certificate_manager import (
    CertificateManager,
    PendingCertificate,
    Platform,
)

__all__ = ["CertificateManager", "PendingCertificate", "Platform"]
