"""Host sets against the plain definition: every pair compared."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lockgate.resources.rules.host_sets import HostSet, first_overlaps

_HOSTS = st.lists(
    st.builds(
        "{}{}".format,
        st.sampled_from(["", "*", "*.", "*-a.", "."]),
        st.sampled_from(["", "a", "b.a", "a.b.a", "aa", "*a"]),
    ),
    max_size=12,
)


def _matches(pattern: str, host: str) -> bool:
    if pattern.startswith("*"):
        return len(host) >= len(pattern) and host.endswith(pattern[1:])
    return pattern == host


@given(_HOSTS)
def test_the_first_overlap_is_that_of_all_pairs(hosts: list[str]) -> None:
    expected = {}
    for index, host in enumerate(hosts):
        earlier = [n for n, other in enumerate(hosts[:index]) if _matches(host, other) or _matches(other, host)]
        if earlier:
            expected[index] = earlier[0]
    assert first_overlaps(hosts) == expected


@given(_HOSTS, _HOSTS)
def test_a_set_covers_what_one_of_it_matches(hosts: list[str], others: list[str]) -> None:
    covered = HostSet(hosts)
    for other in others:
        assert covered.covers(other) == any(_matches(host, other) for host in hosts)
