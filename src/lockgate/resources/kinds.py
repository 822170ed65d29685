"""The packages of kinds, named as upstream names them. Importing this module registers every kind."""

from __future__ import annotations

from lockgate.resources import cert_manager, core, eks, elbv2, istio, networking, workloads

PACKAGES = (core, workloads, networking, istio, cert_manager, elbv2, eks)
