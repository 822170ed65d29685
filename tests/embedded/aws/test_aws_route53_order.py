"""A zone stays in the order of listings, whatever batches change it."""

from __future__ import annotations

import random

from lockgate.dns.model import Records, RecordSet, Zone
from lockgate.embedded.aws.route53.changes import Change, apply
from lockgate.embedded.aws.route53.records import listing_order

_VALUES = {"A": "192.0.2.1", "AAAA": "2001:db8::1", "TXT": '"text"'}
_NAMES = ("a", "b", "*", "a-a", "a.b", "c.b", "*.b")


def test_batches_keep_the_order_of_listings() -> None:
    rng = random.Random(1)
    zone = Zone("Z", "t.example.", (RecordSet("t.example.", "NS", Records(1, ("ns.example.",))),))
    expected = {each.key: each for each in zone.record_sets}
    for _ in range(300):
        batch: dict[tuple[str, str, str], Change] = {}
        for _ in range(rng.randrange(1, 8)):
            kind = rng.choice(list(_VALUES))
            new = RecordSet(f"{rng.choice(_NAMES)}.t.example.", kind, Records(1, (_VALUES[kind],)))
            deleted = new.key in expected and rng.random() < 0.5
            batch[new.key] = Change("DELETE" if deleted else "UPSERT", new)
        zone, faults = apply(zone, list(batch.values()), lambda _: None)
        assert not faults
        for key, change in batch.items():
            if change.action == "DELETE":
                del expected[key]
            else:
                expected[key] = change.record_set
        assert zone.record_sets == tuple(sorted(expected.values(), key=listing_order))
