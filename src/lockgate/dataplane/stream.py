"""The state of one ADS connection, and its next response: the delta xDS protocol without the socket.

Theory of operation. Delta xDS sends each resource by name and version, and Envoy acknowledges or rejects each response
by its nonce. `Stream` compares what this Envoy has (`_Subscription.sent`, name to version) with what it should have
(`Desired`), and derives the next response from the difference. It keeps no queue: if the snapshot changes while Envoy
is busy, the next response simply has the newer versions.

Order prevents outages ("make before break"). Additions and changes go out in `ORDER`: clusters, their endpoints,
secrets, listeners, routes. Types after endpoints wait until clusters and endpoints are acknowledged and no cluster is
warming, so that no route references a cluster that cannot serve yet. Removals come last, when nothing is
unacknowledged, and in reverse order, so that no route references a cluster that no longer exists.

Three details of Envoy matter. A running Envoy acknowledges clusters only once they are warm, which takes their
endpoints, so endpoints do not wait for that acknowledgement. A changed cluster warms again and waits for endpoints that
Envoy already has and does not request, so they are sent again. Envoy delays listeners until it has had a response for
all clusters, so an empty set of clusters is sent, too.

Once all is acknowledged, it is served. Envoy requests a listener's secrets and routes before it acknowledges the
listener, and acknowledges them after the listener uses them. So the next connection is accepted, with the new secret.

A rejection does not say which resource is at fault, so a rejected response is repeated one resource at a time. A
rejected resource keeps its last accepted version, on this connection and after a restart (see `desired`).

Source: "xDS REST and gRPC protocol" in Envoy's documentation (incremental xDS, make before break).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from lockgate.dataplane.desired import Desired, Rejection
from lockgate.dataplane.refusals import readable
from lockgate.xds.snapshot import CLUSTER, ENDPOINT, LISTENER, ORDER, Entry

WILDCARD_TYPES = (CLUSTER, LISTENER)  # subscribed with a wildcard; all other types by name


@dataclass(frozen=True, slots=True)
class Push:
    """One response: entries by name, and removed names."""

    type_url: str
    entries: Mapping[str, Entry]
    removed: tuple[str, ...] = ()


@dataclass(slots=True)
class _Subscription:
    wildcard: bool = False
    names: set[str] = field(default_factory=set)
    sent: dict[str, str] = field(default_factory=dict)  # name to version
    answered: bool = False

    def includes(self, name: str) -> bool:
        return self.wildcard or name in self.names


class Stream:
    """One connection of one Envoy. `on_rejection` is called with each resource that Envoy rejects."""

    def __init__(self, desired: Desired, on_rejection: Callable[[Rejection, Entry], None]) -> None:
        self._desired = desired
        self._on_rejection = on_rejection
        self._subscriptions: dict[str, _Subscription] = {}
        self._unacknowledged: dict[str, Push] = {}
        self._retries: list[Push] = []
        self._nonce = 0
        self.nonces: dict[str, tuple[str, str]] = {}
        """By type, the nonce of the last response, and of the last one that Envoy accepted."""

    # --- requests from Envoy -------------------------------------------------------------------------------------

    def subscribe(self, type_url: str, names: list[str], dropped: list[str], initial: Mapping[str, str]) -> None:
        """Applies a request's subscriptions. `initial` are the versions that Envoy kept from an earlier connection."""
        subscription = self._subscriptions.get(type_url)
        if subscription is None:
            subscription = self._subscriptions[type_url] = _Subscription(sent=dict(initial))
            subscription.wildcard = type_url in WILDCARD_TYPES and not names
        subscription.wildcard |= "*" in names
        for name in names:
            subscription.names.add(name)
            subscription.sent.pop(name, None)  # a repeated request gets a response, even without changes
        for name in dropped:
            subscription.names.discard(name)
            subscription.sent.pop(name, None)

    def acknowledge(self, nonce: str, error: str | None) -> None:
        push = self._unacknowledged.pop(nonce, None)
        if push is None:
            return
        if error is None:
            self.nonces[push.type_url] = (self.nonces[push.type_url][0], nonce)
            self._desired.accepted(push.type_url, push.entries)
        elif len(push.entries) > 1:
            # Envoy does not say which resource is at fault, or only in prose: send them one by one.
            self._retries += [Push(push.type_url, {name: entry}) for name, entry in push.entries.items()]
        else:
            for name, entry in push.entries.items():
                self._desired.rejected(push.type_url, name, entry)
                self._subscriptions[push.type_url].sent.pop(name, None)
                rejection = Rejection(self._desired.node, push.type_url, name, entry.source, readable(error))
                self._on_rejection(rejection, entry)

    # --- responses to Envoy --------------------------------------------------------------------------------------

    def take(self) -> Iterator[tuple[str, Push]]:
        """The responses that may be sent now, each with its nonce."""
        while push := self._next():
            self._nonce += 1
            nonce = str(self._nonce)
            self._unacknowledged[nonce] = push
            self.nonces[push.type_url] = (nonce, self.nonces.get(push.type_url, ("", ""))[1])
            yield nonce, push

    @property
    def settled(self) -> bool:
        """Envoy has acknowledged its complete configuration."""
        return (
            not self._unacknowledged
            and not self._retries
            and CLUSTER in self._subscriptions
            and LISTENER in self._subscriptions
            and not any(self._changed(type_url) for type_url in ORDER)
            and not any(self._gone(type_url) for type_url in ORDER)
            and not self._warming()
        )

    def _next(self) -> Push | None:
        if self._retries:
            if any(push.type_url != ENDPOINT for push in self._unacknowledged.values()):
                return self._addition(ENDPOINT)  # without which a cluster is not acknowledged
            return self._retries.pop(0)
        for type_url in ORDER:
            busy = self._is_busy(type_url)
            if (addition := self._addition(type_url)) is not None:
                return addition
            if self._held_back(type_url, busy):
                return None
        if self._unacknowledged:
            return None
        for type_url in reversed(ORDER):
            if gone := self._gone(type_url):
                subscription = self._subscriptions[type_url]
                for name in gone:
                    del subscription.sent[name]
                return Push(type_url, {}, tuple(gone))
        return None

    def _addition(self, type_url: str) -> Push | None:
        """What is new of a type, once Envoy has answered to what it got of it before."""
        if self._is_busy(type_url) or not ((changed := self._changed(type_url)) or self._unanswered(type_url)):
            return None
        subscription = self._subscriptions[type_url]
        subscription.answered = True
        subscription.sent.update({name: entry.version for name, entry in changed.items()})
        if type_url == CLUSTER:
            self._resend_endpoints(changed)
        return Push(type_url, changed)

    def _is_busy(self, type_url: str) -> bool:
        return any(push.type_url == type_url for push in self._unacknowledged.values())

    def _resend_endpoints(self, clusters: Mapping[str, Entry]) -> None:
        """A changed cluster warms again and waits for its endpoints, although Envoy has them and does not request
        them."""
        if (endpoints := self._subscriptions.get(ENDPOINT)) is not None:
            for name in clusters:
                endpoints.sent.pop(name, None)

    def _held_back(self, type_url: str, busy: bool) -> bool:
        """Whether later types must wait: routes and listeners for clusters, clusters for their endpoints."""
        if type_url != ENDPOINT:
            return False
        # Endpoints do not wait for acknowledged clusters: a running Envoy acknowledges clusters only once they are
        # warm, which takes their endpoints.
        pending = any(push.type_url == CLUSTER for push in self._unacknowledged.values())
        return busy or pending or self._warming()

    def _warming(self) -> bool:
        """Whether Envoy has clusters whose endpoints it has not requested yet; it requests them at once."""
        subscription = self._subscriptions.get(ENDPOINT)
        asked = subscription.names if subscription else set()
        clusters = self._subscriptions.get(CLUSTER)
        sent = clusters.sent if clusters else {}
        return any(
            name in sent and name not in asked and self._desired.entry(ENDPOINT, name)
            for name in self._desired.snapshot.resources.get(ENDPOINT, ())
        )

    def _unanswered(self, type_url: str) -> bool:
        """Whether Envoy waits for its first response for a wildcard type. It delays listeners for that, even without
        clusters."""
        subscription = self._subscriptions.get(type_url)
        return subscription is not None and subscription.wildcard and not subscription.answered

    def _changed(self, type_url: str) -> dict[str, Entry]:
        subscription = self._subscriptions.get(type_url)
        if subscription is None:
            return {}
        sent, wanted = subscription.sent, self._desired.snapshot.resources.get(type_url, {})
        changed: dict[str, Entry] = {}
        for name in [name for name, entry in wanted.items() if sent.get(name) != entry.version]:
            if not subscription.includes(name):
                continue
            entry = self._desired.entry(type_url, name)
            if entry is not None and sent.get(name) != entry.version:
                changed[name] = entry
        return dict(sorted(changed.items()))

    def _gone(self, type_url: str) -> list[str]:
        subscription = self._subscriptions.get(type_url)
        if subscription is None:
            return []
        sent, wanted = subscription.sent, self._desired.snapshot.resources.get(type_url, {})
        return sorted((sent.keys() - wanted.keys()) | (sent.keys() & self._desired.unserved(type_url)))
