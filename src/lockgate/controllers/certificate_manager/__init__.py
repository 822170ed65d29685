"""AWS Certificate Manager's internal part: checks validation records, and issues certificates."""

from lockgate.controllers.certificate_manager.certificate_manager import (
    CertificateManager,
    PendingCertificate,
    Platform,
)

__all__ = ["CertificateManager", "PendingCertificate", "Platform"]
