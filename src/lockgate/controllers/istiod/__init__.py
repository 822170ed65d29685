"""istiod: Istio's resources to the configuration of every gateway workload's Envoy."""

from __future__ import annotations

from lockgate.controllers.istiod.istiod import Istiod

__all__ = ["Istiod"]
