"""Fills in placeholders that a team's pipeline replaces before it applies the manifests."""

from lockgate.edge.standins.fill import fill

__all__ = ["fill"]
