"""Stand-ins for placeholders: what a team's pipeline would fill in before it applies the manifests."""

from lockgate.edge.standins.fill import fill

__all__ = ["fill"]
