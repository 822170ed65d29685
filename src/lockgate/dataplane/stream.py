"""What one Envoy has, and what to send it next: the delta xDS protocol without the socket.

Additions go out in the order in which Envoy needs them, each step acknowledged before the next; removals last and in
reverse. So a route never points at a cluster that is not there yet, or no longer. A resource that Envoy rejects is
put back to its last accepted form, for this connection and for those that follow a restart (see `desired`).

Source: "xDS REST and gRPC protocol" in Envoy's documentation (incremental xDS, make before break).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from lockgate.dataplane.desired import Desired, Rejection
from lockgate.dataplane.refusals import readable
from lockgate.xds.snapshot import CLUSTER, ENDPOINT, LISTENER, ORDER, Entry

WILDCARD_TYPES = (CLUSTER, LISTENER)  # asked for as a whole; all other types are asked for by name


@dataclass(frozen=True, slots=True)
class Push:
    """One response: entries by name, names that are gone."""

    type_url: str
    entries: Mapping[str, Entry]
    removed: tuple[str, ...] = ()


@dataclass(slots=True)
class _Subscription:
    wildcard: bool = False
    names: set[str] = field(default_factory=set)
    sent: dict[str, str] = field(default_factory=dict)  # name to version
    answered: bool = False

    def wants(self, name: str) -> bool:
        return self.wildcard or name in self.names


class Stream:
    """One connection of one Envoy. `on_rejection` hears of each resource that Envoy refuses, and what it was."""

    def __init__(self, desired: Desired, on_rejection: Callable[[Rejection, Entry], None]) -> None:
        self._desired = desired
        self._on_rejection = on_rejection
        self._subscriptions: dict[str, _Subscription] = {}
        self._unacknowledged: dict[str, Push] = {}
        self._retries: list[Push] = []
        self._nonce = 0

    # --- what Envoy says -----------------------------------------------------------------------------------------

    def subscribe(self, type_url: str, names: list[str], dropped: list[str], initial: Mapping[str, str]) -> None:
        """A request's subscriptions. `initial` are versions that Envoy has kept from an earlier connection."""
        subscription = self._subscriptions.get(type_url)
        if subscription is None:
            subscription = self._subscriptions[type_url] = _Subscription(sent=dict(initial))
            subscription.wildcard = type_url in WILDCARD_TYPES and not names
        subscription.wildcard |= "*" in names
        for name in names:
            subscription.names.add(name)
            subscription.sent.pop(name, None)  # asked anew is answered anew, even when nothing changed
        for name in dropped:
            subscription.names.discard(name)
            subscription.sent.pop(name, None)

    def acknowledge(self, nonce: str, error: str | None) -> None:
        push = self._unacknowledged.pop(nonce, None)
        if push is None:
            return
        if error is None:
            self._desired.accepted(push.type_url, push.entries)
        elif len(push.entries) > 1:
            # Which of them is at fault is not said, or only in prose: ask again one by one.
            self._retries += [Push(push.type_url, {name: entry}) for name, entry in push.entries.items()]
        else:
            for name, entry in push.entries.items():
                self._desired.rejected(push.type_url, name, entry)
                self._subscriptions[push.type_url].sent.pop(name, None)
                rejection = Rejection(self._desired.node, push.type_url, name, entry.source, readable(error))
                self._on_rejection(rejection, entry)

    # --- what to say next ----------------------------------------------------------------------------------------

    def take(self) -> Iterator[tuple[str, Push]]:
        """The pushes that may go out now, each with its nonce."""
        while push := self._next():
            self._nonce += 1
            nonce = str(self._nonce)
            self._unacknowledged[nonce] = push
            yield nonce, push

    @property
    def settled(self) -> bool:
        """Envoy has answered to everything that it ought to have."""
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
            return None if self._unacknowledged else self._retries.pop(0)
        for type_url in ORDER:
            busy = any(push.type_url == type_url for push in self._unacknowledged.values())
            if not busy and ((changed := self._changed(type_url)) or self._unanswered(type_url)):
                subscription = self._subscriptions[type_url]
                subscription.answered = True
                subscription.sent.update({name: entry.version for name, entry in changed.items()})
                if type_url == CLUSTER:
                    self._resend_endpoints(changed)
                return Push(type_url, changed)
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

    def _resend_endpoints(self, clusters: Mapping[str, Entry]) -> None:
        """A changed cluster warms up anew and waits for its endpoints, although Envoy has them and does not ask."""
        if (endpoints := self._subscriptions.get(ENDPOINT)) is not None:
            for name in clusters:
                endpoints.sent.pop(name, None)

    def _held_back(self, type_url: str, busy: bool) -> bool:
        """Whether later types wait: routes and listeners for clusters, clusters for their endpoints."""
        if type_url != ENDPOINT:
            return False
        # Endpoints do not wait for clusters to be acknowledged: once it runs, Envoy acknowledges clusters only when
        # they are warm, which takes their endpoints.
        pending = any(push.type_url == CLUSTER for push in self._unacknowledged.values())
        return busy or pending or self._warming()

    def _warming(self) -> bool:
        """Envoy has been given clusters whose endpoints it has not asked for yet: it will, at once."""
        subscription = self._subscriptions.get(ENDPOINT)
        asked = subscription.names if subscription else set()
        clusters = self._subscriptions.get(CLUSTER)
        sent = clusters.sent if clusters else {}
        return any(
            name in sent and name not in asked and self._desired.entry(ENDPOINT, name)
            for name in self._desired.snapshot.names(ENDPOINT)
        )

    def _unanswered(self, type_url: str) -> bool:
        """Envoy holds back listeners until it knows all clusters, were it that there are none."""
        subscription = self._subscriptions.get(type_url)
        return subscription is not None and subscription.wildcard and not subscription.answered

    def _changed(self, type_url: str) -> dict[str, Entry]:
        subscription = self._subscriptions.get(type_url)
        if subscription is None:
            return {}
        changed: dict[str, Entry] = {}
        for name in self._desired.snapshot.names(type_url):
            if not subscription.wants(name):
                continue
            entry = self._desired.entry(type_url, name)
            if entry is not None and subscription.sent.get(name) != entry.version:
                changed[name] = entry
        return dict(sorted(changed.items()))

    def _gone(self, type_url: str) -> list[str]:
        subscription = self._subscriptions.get(type_url)
        if subscription is None:
            return []
        return sorted(name for name in subscription.sent if self._desired.entry(type_url, name) is None)
