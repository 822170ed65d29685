"""The pieces of a load balancer's listeners: their rules. A rule that Envoy rejects is left out."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, replace

from lockgate.loadbalancer.model import Listener, LoadBalancer
from lockgate.xds.protobuf import Message, serialised
from lockgate.xds.snapshot import Piece, Source


@dataclass(frozen=True, slots=True)
class RulePieces:
    """A listener or its route configuration. `make` creates it for a listener with any subset of the rules."""

    balancer: LoadBalancer
    listener: Listener
    make: Callable[[LoadBalancer, Listener], Message]

    def all(self) -> list[Piece]:
        name, port = self.balancer.name, self.listener.port
        return [
            Piece(
                (rule.conditions, rule.transforms, rule.actions),  # without the priority, which may change
                Source(f"rule {rule.priority} of listener {name}:{port}", None, name, port, rule.priority),
            )
            for rule in self.listener.rules
        ]

    def body(self, kept: Set[int]) -> bytes:
        rules = tuple(rule for place, rule in enumerate(self.listener.rules) if place in kept)
        return self._serialised(replace(self.listener, rules=rules))

    def whole(self) -> bytes:
        return self._serialised(self.listener)

    def _serialised(self, listener: Listener) -> bytes:
        return serialised(self.make(self.balancer, listener))
