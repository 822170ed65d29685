"""The key pairs of a supply, created once: a saved file must not change a gateway's certificate."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import replace

from lockgate.edge.supply import KeyPair, Object
from lockgate.edge.supply.pieces import LABEL
from lockgate.runtime.trust import Trust


class KeyPairs:
    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._made: dict[KeyPair, Object] = {}

    def secrets(self, pairs: Iterable[KeyPair]) -> tuple[Object, ...]:
        return tuple(self._secret(pair) for pair in pairs)

    def _secret(self, pair: KeyPair) -> Object:
        same = replace(pair, why="")
        if same not in self._made:
            chain, key = self._trust.authority(pair.name) if pair.authority else self._trust.key_pair(pair.names)
            files = {"tls.crt": chain, "tls.key": key, "ca.crt": self._trust.root.root_pem}
            manifest = {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kubernetes.io/tls",
                "metadata": {"name": pair.name, "namespace": pair.namespace, "labels": {LABEL: "true"}},
                "data": {name: b64encode(pem.encode()).decode() for name, pem in files.items()},
            }
            self._made[same] = Object(manifest, "")
        return self._made[same]
