"""LG7xxx: security: TLS, exposure, credentials, protection."""
