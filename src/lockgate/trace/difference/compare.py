"""Compares two edges: host by host, port by port, rule by rule, route by route."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from lockgate.edge.edge import Edge
from lockgate.gateway.compare import holds
from lockgate.gateway.model import Gateway, Present, ValueMatch, VirtualHost
from lockgate.trace.difference import gateway, hosts, load_balancer, outcomes, policies
from lockgate.trace.difference.conditions import TRUE, Normal, Path, Test
from lockgate.trace.difference.entrances import Entrance, Entrances
from lockgate.trace.difference.findings import Findings, Place
from lockgate.trace.difference.gateway import Hosts, Reached, Same, TakenRoute
from lockgate.trace.difference.load_balancer import Arrival, Taken
from lockgate.trace.difference.model import Difference
from lockgate.trace.difference.outcomes import Aspects
from lockgate.trace.difference.requests import Known
from lockgate.trace.difference.space import Cell, Space, tests_of
from lockgate.trace.difference.tree import Branch, Split, first, leaves
from lockgate.trace.difference.web_acl import named_requests
from lockgate.trace.difference.witnesses import Way

MOST_HOSTS = 1000
"""Virtual hosts that are compared in detail. Equal ones do not count, and those with equal routes count once."""

Decided = TypeVar("Decided")
_Arrivals: TypeAlias = tuple[tuple[object, ...], tuple[object, ...]]


def difference(old: Edge, new: Edge) -> Difference:
    """Which requests the edges treat differently, with those that cover most first."""
    return _Comparison(old, new).run()


@dataclass(frozen=True, slots=True)
class _Stage:
    """The load balancer's stage for one port of a group of hosts, in one edge."""

    entrance: Entrance
    branches: tuple[Branch[Taken], ...]


class _Comparison:
    def __init__(self, old: Edge, new: Edge) -> None:
        self._edges = old, new
        self._entrances = Entrances(old), Entrances(new)
        self._findings = Findings(old, new)
        self._same: dict[tuple[int, int], Same] = {}
        self._hosts: dict[int, Hosts] = {}
        self._connections: dict[object, Reached] = {}
        self._asked: dict[int, tuple[ValueMatch, ...]] = {}  # of the Host header, by the id of a virtual host
        self._unknown: set[str] = set()  # hosts to which neither edge leads
        self._compared: dict[object, int] = {}  # pairs of virtual hosts in detail

    def run(self) -> Difference:
        named = hosts.names(*self._edges)
        self._findings.described = named.described
        for each in named.undecided:
            self._findings.undecided(each)
        for group in hosts.groups(named, *self._entrances):
            ports = self._ports(group[0])
            if not ports:
                self._unknown.update(group)
            for scheme, port in ports:
                self._port(group, scheme, port)
        self._out_of_reach(named.described)
        return self._findings.result()

    def _out_of_reach(self, names: Mapping[str, str]) -> None:
        """Names hosts whose routes differ, but to which no request comes in either edge."""
        old, new = (edge.gateways for edge in self._edges)
        differ: set[str] = set()
        for workload in old.keys() & new.keys():
            before, after = old[workload], new[workload]
            same = self._same.setdefault((id(before), id(after)), Same(before, after))
            for routes in before.routes.keys() & after.routes.keys():
                hosts_ = Hosts(before.routes[routes]), Hosts(after.routes[routes])
                left = (each for each in names if each in self._unknown)
                differ.update(names[each] for each in left if not same(*(found.find(each) for found in hosts_)))
        if differ:
            shown = ", ".join(sorted(differ)[:3]) + (f" and {len(differ) - 3} more" if len(differ) > 3 else "")
            self._findings.undecided(f"the routes of {shown} differ, but no DNS name or load balancer leads to them")

    def _ports(self, host: str) -> list[tuple[str, int]]:
        return list(dict.fromkeys(port for each in self._entrances for port in each.ports(host)))

    def _port(self, group: tuple[str, ...], scheme: str, port: int) -> None:
        """One port of hosts that enter in the same way."""
        stages = [self._stage(index, group[0], scheme, port) for index in (0, 1)]
        place = Place(group, scheme, port)
        self._web_acls(place, stages)
        arrivals = self._alike(stages, group[0])
        if arrivals is None:
            arrivals = self._split(place, stages)
        for before, after in arrivals.values():
            self._gateways(group, scheme, port, (stages[0], stages[1]), before, after)

    def _alike(self, stages: list[_Stage], host: str) -> dict[_Arrivals, tuple[Taken, Taken]] | None:
        """What both load balancers' rules lead to, if the rules are the same; else None."""
        if len(stages[0].branches) != len(stages[1].branches):
            return None
        found: dict[_Arrivals, tuple[Taken, Taken]] = {}
        for old, new in zip(stages[0].branches, stages[1].branches, strict=True):
            taken = old.taken, new.taken
            if old.condition != new.condition or outcomes.changes(*self._aspects(stages, host, taken)):
                return None
            found |= _arrivals(taken)
        return found

    def _split(self, place: Place, stages: list[_Stage]) -> dict[_Arrivals, tuple[Taken, Taken]]:
        """Adds the requests that the load balancers treat differently, and returns what their rules lead to."""
        space = Space(_tests(stage.branches for stage in stages))

        def decide(cell: Cell) -> tuple[Taken, Taken] | Split:
            return _both(space, cell, *(stage.branches for stage in stages))

        arrivals: dict[_Arrivals, tuple[Taken, Taken]] = {}
        for cell, decided in leaves(space, space.whole, decide):
            if decided is None:
                self._findings.undecided(f"too many combinations of conditions for {place}")
                break
            before, after = decided
            aspects = self._aspects(stages, place.hosts[0], decided)
            where = before.where, after.where
            self._findings.add(space, cell, aspects, where, (Way(before.rule), Way(after.rule)))
            arrivals |= _arrivals(decided)
        self._findings.close(place, space, space.whole)
        return arrivals

    def _aspects(self, stages: list[_Stage], host: str, decided: tuple[Taken, Taken]) -> list[Aspects]:
        return [
            {**self._connection(index, stage, host), **taken.aspects, **self._arrival(index, taken)}
            for index, (stage, taken) in enumerate(zip(stages, decided, strict=True))
        ]

    def _web_acls(self, place: Place, stages: list[_Stage]) -> None:
        """Names requests to try where web ACLs differ, because what these do is not derived here."""
        old, new = (each.entrance.balancer.web_acl if each.entrance.balancer else None for each in stages)
        self._findings.examples = ()
        if (old or new) and repr(old) != repr(new):
            self._findings.examples = named_requests(old, new)
            self._findings.undecided(f"the web ACLs of {place} differ: only requests that their rules name were tried")

    def _stage(self, index: int, host: str, scheme: str, port: int) -> _Stage:
        entrance = self._entrances[index].at(host, scheme, port)
        if entrance.balancer is not None and entrance.listener is not None:
            made = load_balancer.branches(
                self._edges[index], entrance.balancer, entrance.listener, host, ("old", "new")[index]
            )
            return _Stage(entrance, tuple(made))
        arrivals = (entrance.arrival,) if entrance.arrival else ()
        return _Stage(entrance, (Branch(TRUE, Taken({}, arrivals=arrivals)),))

    def _connection(self, index: int, stage: _Stage, host: str) -> dict[str, object]:
        entrance = stage.entrance
        if entrance.balancer is None or entrance.listener is None:
            return dict(entrance.aspects)
        listener = load_balancer.listener_aspects(self._edges[index], entrance.balancer, entrance.listener, host)
        return {**entrance.aspects, **listener}

    def _arrival(self, index: int, taken: Taken) -> dict[str, object]:
        """What the first gateway that a rule leads to is like, whatever is requested."""
        return dict(self._at_gateway(index, taken.arrivals[0]).aspects) if taken.arrivals else {}

    def _at_gateway(self, index: int, arrival: Arrival) -> Reached:
        key = index, arrival.key, arrival.server_name
        if key not in self._connections:
            self._connections[key] = gateway.reached(self._edges[index], arrival)
        return self._connections[key]

    # --- gateways ------------------------------------------------------------------------------------------------

    def _gateways(
        self,
        group: tuple[str, ...],
        scheme: str,
        port: int,
        stages: tuple[_Stage, _Stage],
        before: Taken,
        after: Taken,
    ) -> None:
        """The routes of every host whose virtual hosts differ."""
        for arrival in zip(before.arrivals, after.arrivals, strict=False):
            reached = [self._at_gateway(index, each) for index, each in enumerate(arrival)]
            one, other = reached
            if one.gateway is None or other.gateway is None:
                continue
            if one.configuration is None or other.configuration is None:
                continue
            self._policies(group, scheme, port, stages, (arrival[0], arrival[1]), (one.gateway, other.gateway))
            for reason in gateway.patched(one.gateway, other.gateway):
                self._findings.undecided(reason)
            for setting in gateway.unknown_settings(one.gateway, other.gateway):
                self._findings.undecided(f"the gateways' {setting} differ, which is not compared yet")
            same = self._same.setdefault((id(one.gateway), id(other.gateway)), Same(one.gateway, other.gateway))
            found = self._known(one), self._known(other)
            known = [
                Known.of(at.gateway, came, "", scheme)
                for at, came in zip(reached, arrival, strict=True)
                if at.gateway is not None
            ]
            pairs: dict[object, tuple[list[str], VirtualHost | None, VirtualHost | None]] = {}
            for name in group:
                virtual = found[0].find(name), found[1].find(name)
                if not same(*virtual) or (known[0] != known[1] and any(map(gateway.asks_for_scheme, virtual))):
                    alike: object = _alike(*virtual), self._told_apart(virtual, Place((name,), scheme, port).authority)
                    pairs.setdefault(alike, ([], *virtual))[0].append(name)
            for key, (names, host, instead) in pairs.items():
                if not self._is_too_much(key, names):
                    place = Place(tuple(names), scheme, port)
                    self._routes(place, stages, (arrival[0], arrival[1]), (one, other), (host, instead))

    def _told_apart(self, virtual: tuple[VirtualHost | None, VirtualHost | None], authority: str) -> tuple[bool, ...]:
        """What the routes' conditions on the Host header say of one host."""
        asked: list[ValueMatch] = []
        for host in virtual:
            if id(host) not in self._asked:
                self._asked[id(host)] = gateway.asks_for_authority(host)
            asked += self._asked[id(host)]
        return tuple(isinstance(each, Present) or holds(each, authority) for each in asked)

    def _known(self, at: Reached) -> Hosts:
        assert at.configuration is not None
        return self._hosts.setdefault(id(at.configuration), Hosts(at.configuration))

    def _is_too_much(self, key: object, names: list[str]) -> bool:
        if key not in self._compared and len(self._compared) >= MOST_HOSTS:
            self._findings.left_out(names)
            return True
        self._compared[key] = 1
        return False

    def _policies(
        self,
        group: tuple[str, ...],
        scheme: str,
        port: int,
        stages: tuple[_Stage, _Stage],
        arrival: tuple[Arrival, Arrival],
        gateways: tuple[Gateway, Gateway],
    ) -> None:
        """What the gateways' policies refuse, if they may refuse different requests."""
        rules = [
            (each.filters, each.http.trusted_proxies, at.leads.port, at.appends_client)
            for each, at in zip(gateways, arrival, strict=True)
        ]
        if rules[0] == rules[1]:
            return
        before = self._findings.examples
        if policies.reads_tokens(gateways[0]) != policies.reads_tokens(gateways[1]):
            self._findings.examples = (*before, policies.INVALID_TOKEN)
            self._findings.undecided("RequestAuthentications differ: what they make of valid tokens is not compared")
        alike: dict[object, list[str]] = {}
        for name in group:
            authority = Place((name,), scheme, port).authority
            alike.setdefault(tuple(policies.authority_tests(each, authority) for each in gateways), []).append(name)
        for names in alike.values():
            place = Place(tuple(names), scheme, port)
            refusing = [
                (*_refusals(each, at, place), Branch(TRUE, TakenRoute({})))
                for each, at in zip(gateways, arrival, strict=True)
            ]
            self._behind(place, stages, arrival, (refusing[0], refusing[1]))
        self._findings.examples = before

    def _routes(
        self,
        place: Place,
        stages: tuple[_Stage, _Stage],
        arrival: tuple[Arrival, Arrival],
        reached: tuple[Reached, Reached],
        virtual: tuple[VirtualHost | None, VirtualHost | None],
    ) -> None:
        """The routes of hosts with the same virtual hosts, for the requests that reach them."""
        authority = place.authority
        routes = [
            (*_refusals(at.gateway, came, place), *gateway.branches(edge, at, came, host, authority, place.scheme))
            for edge, at, came, host in zip(self._edges, reached, arrival, virtual, strict=True)
            if at.gateway
        ]
        self._behind(place, stages, arrival, (routes[0], routes[1]), reached)

    def _behind(
        self,
        place: Place,
        stages: tuple[_Stage, _Stage],
        arrival: tuple[Arrival, Arrival],
        branches: tuple[tuple[Branch[TakenRoute], ...], tuple[Branch[TakenRoute], ...]],
        reached: tuple[Reached, Reached] | None = None,
    ) -> None:
        """What the gateways do with the requests that reach both of them. Without `reached` only policies count."""
        merges = any(each.gateway.http.merge_slashes for each in reached or () if each.gateway)
        normal = Test(Path(), Normal(keeps_slashes=not merges))
        space = Space((*_tests((stages[0].branches, stages[1].branches)), *_tests(branches), normal))
        keys = arrival[0].key, arrival[1].key

        def decide(cell: Cell) -> tuple[tuple[Taken, Taken], tuple[TakenRoute, TakenRoute] | None] | Split:
            rules = _both(space, cell, stages[0].branches, stages[1].branches)
            if isinstance(rules, Split):
                return rules
            arrives = [keys[i] in [each.key for each in rules[i].arrivals] for i in (0, 1)]
            if not all(arrives):
                return rules, None
            taken = _both(space, cell, *branches)
            return taken if isinstance(taken, Split) else (rules, taken)

        for cell, decided in leaves(space, space.whole, decide):
            if decided is None:
                self._findings.undecided(f"too many combinations of conditions for {place}")
                break
            rules, taken = decided
            if taken is None or (reached and any(each.refused for each in taken)):
                continue
            if rules[0].rewrites or rules[1].rewrites:
                self._findings.undecided(f"routes of {place} behind rules that rewrite the path or the host")
                continue
            ways = (Way(rules[0].rule, taken[0].route), Way(rules[1].rule, taken[1].route))
            where = taken[0].where, taken[1].where
            self._findings.add(space, cell, [each.aspects for each in taken], where, ways)
        self._findings.close(place, space, space.whole)


def _arrivals(decided: tuple[Taken, Taken]) -> dict[_Arrivals, tuple[Taken, Taken]]:
    """A pair whose both sides lead to gateways, by these."""
    before, after = (tuple(each.key for each in taken.arrivals) for taken in decided)
    return {(before, after): decided} if before and after else {}


def _refusals(at: Gateway, arrival: Arrival, place: Place) -> Iterator[Branch[TakenRoute]]:
    """The policies of a gateway as branches."""
    known = Known.of(at, arrival, place.authority, place.scheme)
    for each in policies.refusals(at, arrival, known):
        answer = gateway.REFUSED[each.status]
        yield Branch(each.condition, TakenRoute({"answer": answer}, where=each.where, refused=True))


def _both(
    space: Space, cell: Cell, old: tuple[Branch[Decided], ...], new: tuple[Branch[Decided], ...]
) -> tuple[Decided, Decided] | Split:
    before = first(space, old, cell)
    if isinstance(before, Split):
        return before
    after = first(space, new, cell)
    return after if isinstance(after, Split) else (before, after)


def _tests(stages: Iterable[tuple[Branch[Decided], ...]]) -> Iterator[Test]:
    for branches in stages:
        for branch in branches:
            yield from tests_of(branch.condition)


def _alike(old: VirtualHost | None, new: VirtualHost | None) -> object:
    """Equal for pairs of virtual hosts with equal routes."""
    return tuple((each.routes, each.require_tls) if each else None for each in (old, new))
