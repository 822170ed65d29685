"""Envoy as a process: its configuration stream, its supervisor, its health checks and logs."""
