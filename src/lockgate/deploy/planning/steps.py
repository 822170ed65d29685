"""The steps from what is there to the edge, as a graph of values.

A step says what must be done before it. `applying` performs each step once those are done, in parallel where the graph
allows it. What a step needs and nobody knows yet, such as the name of a load balancer that is still to be made, makes
it `deferred`: it becomes known when the plan is made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from lockgate.deploy.planning.certificates import Choice
from lockgate.deploy.planning.identity import Bearer, Role
from lockgate.deploy.planning.objects import Action as Verb
from lockgate.deploy.planning.objects import ObjectChange
from lockgate.deploy.planning.releases import Release
from lockgate.deploy.planning.shifting import ObjectShift, RecordShift
from lockgate.dns.plan import Change as RecordChange
from lockgate.resources.model import ObjectKey


class State(StrEnum):
    DONE = "done"
    TODO = "todo"


@dataclass(frozen=True, slots=True)
class CreateZone:
    name: str


@dataclass(frozen=True, slots=True)
class RequestCertificate:
    choice: Choice


@dataclass(frozen=True, slots=True)
class ValidateCertificate:
    """Writes the validation records that ACM asks for."""

    choice: Choice


@dataclass(frozen=True, slots=True)
class AwaitIssued:
    choice: Choice


@dataclass(frozen=True, slots=True)
class CreateNamespace:
    name: str


@dataclass(frozen=True, slots=True)
class InstallRelease:
    release: Release


@dataclass(frozen=True, slots=True)
class CreateProvider:
    """Creates the IAM OIDC provider of the cluster."""

    url: str


@dataclass(frozen=True, slots=True)
class PutRole:
    """Creates the IAM role of cert-manager, or changes it."""

    role: Role


@dataclass(frozen=True, slots=True)
class Associate:
    """Lets cert-manager use an IAM role by EKS Pod Identity. `association` is the ID of one with another role."""

    namespace: str
    service_account: str
    role: str
    association: str = ""


@dataclass(frozen=True, slots=True)
class Annotate:
    """Lets cert-manager use an IAM role by its service account's annotation."""

    bearer: Bearer
    role: str


@dataclass(frozen=True, slots=True)
class RestartPods:
    """Pods get the role when they are created. `annotated` says by which of the two ways."""

    deployment: ObjectKey
    role: str
    annotated: bool


@dataclass(frozen=True, slots=True)
class ApplyObject:
    change: ObjectChange


@dataclass(frozen=True, slots=True)
class ShiftRequests:
    """Moves the requests from the old side to the new one in steps, and back on the first failed probe."""

    shift: ObjectShift | RecordShift


@dataclass(frozen=True, slots=True)
class DeleteObject:
    """Deletes an object of this edge that is no longer in its manifests."""

    key: ObjectKey


@dataclass(frozen=True, slots=True)
class AwaitCertificate:
    key: ObjectKey


@dataclass(frozen=True, slots=True)
class AwaitLoadBalancer:
    """Waits until the controller has published a load balancer in an Ingress's status, and AWS has made it."""

    key: ObjectKey


@dataclass(frozen=True, slots=True)
class AwaitTargets:
    """Waits until a target of each target group is healthy."""

    key: ObjectKey


@dataclass(frozen=True, slots=True)
class WriteRecords:
    zone: str
    changes: tuple[RecordChange, ...]


Action: TypeAlias = (
    CreateZone
    | RequestCertificate
    | ValidateCertificate
    | AwaitIssued
    | CreateNamespace
    | InstallRelease
    | CreateProvider
    | PutRole
    | Associate
    | Annotate
    | RestartPods
    | ApplyObject
    | ShiftRequests
    | DeleteObject
    | AwaitCertificate
    | AwaitLoadBalancer
    | AwaitTargets
    | WriteRecords
)


@dataclass(frozen=True, slots=True)
class Step:
    """`minutes` is how long it usually takes, at least and at most."""

    id: str
    title: str
    action: Action
    after: tuple[str, ...] = ()
    state: State = State.TODO
    minutes: tuple[float, float] = (0, 0.1)
    deferred: bool = False

    @property
    def writes(self) -> bool:
        """Whether it changes anything, and does not only wait."""
        return not isinstance(self.action, AwaitIssued | AwaitCertificate | AwaitLoadBalancer | AwaitTargets)


@dataclass(frozen=True, slots=True)
class Readiness:
    """What waits are over: certificates of cert-manager, Ingresses with a load balancer, and those with healthy
    targets."""

    certificates: frozenset[ObjectKey] = frozenset()
    balancers: frozenset[ObjectKey] = frozenset()
    healthy: frozenset[ObjectKey] = frozenset()


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the steps are made of. `validated` are the references of certificates whose records are written."""

    choices: Sequence[Choice]
    objects: Sequence[ObjectChange]
    new_zones: Sequence[str] = ()
    namespaces: Sequence[str] = ()
    releases: Sequence[Release] = ()
    identity: Sequence[CreateProvider | PutRole | Associate] = ()
    binding: Sequence[Annotate | RestartPods] = ()
    """What gives cert-manager a role, before and after it is installed."""
    validated: frozenset[str] = frozenset()
    readiness: Readiness = Readiness()
    records: Sequence[tuple[str, str, tuple[RecordChange, ...]]] = ()
    """Of each zone its name, its ID and the changes."""
    records_known: bool = True
    shifts: Sequence[ObjectShift] = ()
    record_shift: RecordShift | None = None
    percent: Sequence[int] = ()
    waited_certificates: Sequence[ObjectKey] = ()
    waited_ingresses: Sequence[ObjectKey] = ()


def steps(given: Inputs) -> tuple[Step, ...]:
    """In an order in which they can be performed one after the other."""
    zones = [Step(f"zone {name}", f"create the hosted zone {name}", CreateZone(name)) for name in given.new_zones]
    issuing = [step for choice in given.choices for step in _certificate(choice, given, [each.id for each in zones])]
    cluster = list(_cluster(given, [each.id for each in issuing if isinstance(each.action, AwaitIssued)]))
    waits = list(_waits(given, {each.id for each in cluster}))
    last = [each.id for each in waits] or [each.id for each in cluster]
    records = list(_records(given, [*(each.id for each in zones), *last]))
    deleted = list(_deletions(given, [each.id for each in (*cluster, *records)]))
    return (*zones, *issuing, *cluster, *waits, *records, *deleted)


def _certificate(choice: Choice, given: Inputs, zones: Sequence[str]) -> Iterator[Step]:
    names = ", ".join(choice.names)
    request = f"certificate {choice.reference}"
    found = State.DONE if choice.found else State.TODO
    verb = f"use {choice.arn} of ACM" if choice.found else "request a certificate of ACM"
    yield Step(request, f"{verb} for {names}", RequestCertificate(choice), tuple(zones), found)
    if choice.issued:
        return
    written = State.DONE if choice.reference in given.validated else State.TODO
    validation = f"validation {choice.reference}"
    yield Step(
        validation, f"write its validation records for {names}", ValidateCertificate(choice), (request,), written
    )
    yield Step(
        f"issued {choice.reference}",
        f"wait until ACM has issued it for {names}",
        AwaitIssued(choice),
        (validation,),
        minutes=(1, 5),
    )


def _cluster(given: Inputs, issued: Sequence[str]) -> Iterator[Step]:
    before: list[str] = []
    for name in given.namespaces:
        step = Step(f"namespace {name}", f"create the namespace {name}", CreateNamespace(name))
        before.append(step.id)
        yield step
    for each in given.identity:
        step = _identity(each, before)
        before = [step.id]
        yield step
    for release in given.releases:
        step = Step(
            f"release {release.name}",
            f"install {release.place or f'{release.chart} (newest)'} as {release.namespace}/{release.name}",
            InstallRelease(release),
            tuple(before),
            minutes=(0.5, 3),
        )
        before = [step.id]
        yield step
    for binding in given.binding:
        step = _identity(binding, before)
        before = [step.id]
        yield step
    shifted = {each.key: each for each in given.shifts}
    applied = [each for each in given.objects if each.action is not Verb.DELETE]
    for level in _levels([each for each in applied if each.key not in shifted]):
        after = [*before, *issued] if any(each.fronted for each in level) else before
        made = [_applied(change, after) for change in level]
        yield from made
        before = [each.id for each in made] or before
    for change in applied:  # one after the other, so that a failed probe has one cause
        if (shift := shifted.get(change.key)) is not None:
            step = _shifted(f"shift {change.key}", str(change.key), shift, given, [*before, *issued])
            yield step
            done = _applied(change, [step.id])
            yield done
            before = [done.id]


def _identity(action: CreateProvider | PutRole | Associate | Annotate | RestartPods, after: Sequence[str]) -> Step:
    match action:
        case CreateProvider(url):
            title = f"create the IAM OIDC provider {url}"
        case PutRole(role):
            title = f"write the IAM role {role.name}"
        case Associate(namespace, account, role_arn):
            title = f"let {namespace}/{account} use the role {role_arn}"
        case Annotate(bearer, role_arn):
            title = f"let {bearer} use the role {role_arn}"
        case RestartPods(deployment):
            title = f"restart the Pods of {deployment}, which have no role yet"
    minutes = (0.2, 1) if isinstance(action, RestartPods) else (0, 0.1)
    return Step(title, title, action, tuple(after), minutes=minutes)


def _shifted(name: str, what: str, shift: ObjectShift | RecordShift, given: Inputs, after: Sequence[str]) -> Step:
    shares = ", ".join(str(each) for each in given.percent if each >= shift.weight)
    title = f"shift {what} from {shift.title}: {shares} %"
    return Step(name, title, ShiftRequests(shift), tuple(after), minutes=(1, 10))


def _deletions(given: Inputs, after: Sequence[str]) -> Iterator[Step]:
    """Last of all: a name leads to a load balancer until its records are written."""
    for change in given.objects:
        if change.action is Verb.DELETE:
            title = f"delete {change.key}, which is no longer in the manifests"
            yield Step(f"delete {change.key}", title, DeleteObject(change.key), tuple(after))


def _levels(objects: Sequence[ObjectChange]) -> Iterator[list[ObjectChange]]:
    """Objects of one level are applied in parallel."""
    level: list[ObjectChange] = []
    for each in objects:
        if level and each.level != level[0].level:
            yield level
            level = []
        level.append(each)
    if level:
        yield level


def _applied(change: ObjectChange, after: Sequence[str]) -> Step:
    done = change.action is Verb.NONE
    verb = "create" if change.action is Verb.CREATE else "keep" if done else "change"
    state = State.DONE if done else State.TODO
    return Step(f"object {change.key}", f"{verb} {change.key}", ApplyObject(change), tuple(after), state)


def _waits(given: Inputs, applied: set[str]) -> Iterator[Step]:
    ready: list[str] = []
    for key in given.waited_certificates:
        after = (f"object {key}",) if f"object {key}" in applied else ()
        state = _state(key in given.readiness.certificates)
        step = Step(f"ready {key}", f"wait until {key} is ready", AwaitCertificate(key), after, state, (2, 4))
        ready.append(step.id)
        yield step
    for key in given.waited_ingresses:
        after = (f"object {key}",) if f"object {key}" in applied else ()
        made = Step(
            f"balancer {key}",
            f"wait for the load balancer of {key}",
            AwaitLoadBalancer(key),
            after,
            _state(key in given.readiness.balancers),
            (2, 4),
        )
        yield made
        yield Step(
            f"healthy {key}",
            f"wait until the targets of {key} are healthy",
            AwaitTargets(key),
            (made.id, *ready),
            _state(key in given.readiness.healthy),
            (0.3, 1),
        )


def _records(given: Inputs, after: Sequence[str]) -> Iterator[Step]:
    if given.record_shift is not None:
        step = _shifted("shift records", "the records", given.record_shift, given, after)
        yield step
        after = [step.id]
    for name, zone, changes in given.records:
        if not changes:
            continue
        verbs: dict[str, dict[str, None]] = {}
        for each in changes:
            if each.record_set.type != "TXT":
                verb = "delete" if each.action == "DELETE" else "write"
                verbs.setdefault(verb, {})[each.record_set.name.rstrip(".")] = None
        done = " and ".join(f"{verb} the records of {', '.join(hosts)}" for verb, hosts in verbs.items())
        yield Step(
            f"records {name}",
            f"{done} in {name.rstrip('.')}",
            WriteRecords(zone, changes),
            tuple(after),
            minutes=(0.2, 1),
            deferred=not given.records_known,
        )


def _state(done: bool) -> State:
    return State.DONE if done else State.TODO


def minutes(every: Sequence[Step]) -> tuple[float, float]:
    """How long what is to do usually takes: the longest way through the graph."""
    ends: dict[str, tuple[float, float]] = {}
    for step in every:
        begins = [ends.get(each, (0.0, 0.0)) for each in step.after]
        low, high = (0.0, 0.0) if step.state is State.DONE else step.minutes
        ends[step.id] = (
            low + max((each[0] for each in begins), default=0.0),
            high + max((each[1] for each in begins), default=0.0),
        )
    return max((each[0] for each in ends.values()), default=0), max((each[1] for each in ends.values()), default=0)
