"""Whatever is in a zone, answers keep what the RFCs promise."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.dns.answer import CHAIN, answer
from lockgate.dns.model import Alias, Data, Records, RecordSet, Zone

labels = st.lists(st.sampled_from(["a", "b", "*"]), max_size=3)
names = labels.map(lambda parts: ".".join([*parts, "z."]))
asked = st.lists(st.sampled_from(["a", "b", "c"]), max_size=4).map(lambda parts: ".".join([*parts, "z."]))
values: dict[str, st.SearchStrategy[Data]] = {
    "A": st.just(Records(60, ("192.0.2.1",))) | names.map(lambda name: Alias(name, "Z")),
    "TXT": st.just(Records(60, ('"t"',))),
    "CNAME": names.map(lambda name: Records(60, (name,))),
}
record_sets = st.sampled_from(list(values)).flatmap(
    lambda kind: st.builds(RecordSet, names, st.just(kind), values[kind])
)
SOA = RecordSet("z.", "SOA", Records(900, ("ns.z. h.z. 1 2 3 4 60",)))
zones = st.lists(record_sets, max_size=8, unique_by=lambda each: each.key).map(
    lambda sets: Zone("Z", "z.", (SOA, *sets))
)


@settings(max_examples=400, deadline=None)
@given(zone=zones, name=asked, kind=st.sampled_from(["A", "TXT", "CNAME", "ANY", "MX"]))
def test_answers_keep_their_promises(zone: Zone, name: str, kind: str) -> None:
    found = answer((zone,), name, kind, lambda _: ())
    assert found.authoritative
    chain = [record for record in found.answer if record.type == "CNAME"]
    assert len(chain) <= CHAIN
    last = chain[-1].value if chain and kind != "CNAME" else name
    exists = any(each.name == last or each.name.endswith(f".{last}") for each in zone.record_sets)
    if found.rcode == "NXDOMAIN":
        assert not exists
        assert not any(each.name == f"*.{last.partition('.')[2]}" for each in zone.record_sets)
    if not found.answer:
        assert [record.type for record in found.authority] == ["SOA"]
        assert found.authority[0].ttl == 60
    first = [record for record in found.answer if record.name == name]
    assert bool(first) == bool(found.answer), "an answer starts at the question"


@given(zone=zones, name=asked.map(lambda name: f"{name}other."))
def test_names_of_no_zone_are_refused(zone: Zone, name: str) -> None:
    found = answer((zone,), name, "A", lambda _: ())
    assert (found.rcode, found.authoritative, found.answer, found.authority) == ("REFUSED", False, (), ())
