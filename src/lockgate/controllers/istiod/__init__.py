"""istiod: builds the Envoy configuration of every gateway workload from Istio's resources."""

from __future__ import annotations

from lockgate.controllers.istiod.istiod import Istiod

__all__ = ["Istiod"]
