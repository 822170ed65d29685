"""Translates an Ingress backend to actions: a Service to forward to, or an annotation's action.

Source: aws-load-balancer-controller `pkg/ingress/enhanced_backend_builder.go`, `model_build_actions.go`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import assert_never

from lockgate.ingress.actions import (
    BackendAction,
    ForwardTo,
    ToArn,
    ToName,
    ToService,
    read_action,
)
from lockgate.ingress.annotations import registry as a
from lockgate.ingress.authentication import Login, read_jwt_validation, read_login
from lockgate.ingress.conditions import read_conditions, read_transforms
from lockgate.ingress.group import Member
from lockgate.ingress.refusal import Refused, about
from lockgate.ingress.target_groups import TargetGroups
from lockgate.ingress.world import Account, Objects, Settings
from lockgate.loadbalancer.model import (
    Condition,
    FinalAction,
    FixedResponse,
    Forward,
    JwtValidation,
    PreAction,
    Redirect,
    Rewrite,
    WeightedTargetGroup,
)
from lockgate.resources import core, networking
from lockgate.resources.codes import load_balancer as codes
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.field_errors import Path


@dataclass(frozen=True, slots=True)
class Backend:
    """A path's backend, independent of the listener. `service` is the one it forwards to, for its annotations."""

    action: FinalAction
    service: core.Service | None
    conditions: tuple[Condition, ...] = ()
    transforms: tuple[Rewrite, ...] = ()


@dataclass(slots=True)
class Backends:
    """Reads the backends of one build, and each annotation once."""

    objects: Objects
    account: Account
    settings: Settings
    target_groups: TargetGroups
    report: Callable[[Fault], None]
    """Called with a fault for each missing backend, which is answered with 503."""
    _conditions: dict[tuple[str, str], tuple[Condition, ...]] = field(default_factory=dict)
    _transforms: dict[tuple[str, str], tuple[Rewrite, ...]] = field(default_factory=dict)
    _tokens: dict[str, JwtValidation | None] = field(default_factory=dict)
    _logins: dict[tuple[str, str], Login] = field(default_factory=dict)
    _pre_actions: dict[tuple[str, str], tuple[PreAction, ...]] = field(default_factory=dict)

    def read(self, member: Member, backend: networking.IngressBackend, path: Path, *, default: bool = False) -> Backend:
        """Raises `Refused`. Conditions and transforms of the `default` backend are read, but not used."""
        with about(Origin(member.ingress.key, path)):
            if backend.service is None:
                raise Refused('missing required "service" field')
            name, port = backend.service.name, backend.service.port
            conditions, transforms = self.conditions(member, name), self.transforms(member, name)
            if port.name == "use-annotation":
                action = self._annotated(member, name, path)
            else:
                action = ForwardTo((ToService(name, port.name or port.number),))
            final, service = self._resolve(member, action, path)
            self.login(member, service)
            self.token(member)
            return Backend(final, service, () if default else conditions, () if default else transforms)

    def pre_actions(self, member: Member, service: core.Service | None) -> tuple[PreAction, ...]:
        """The authentication of an HTTPS listener before the backend's action."""
        key = (member.key, service.name if service else "")
        if key not in self._pre_actions:
            self._pre_actions[key] = self._read_pre_actions(member, service)
        return self._pre_actions[key]

    def login(self, member: Member, service: core.Service | None) -> Login:
        key = (member.key, service.name if service else "")
        if key not in self._logins:
            with about(Origin(member.ingress.key, a.AUTH_TYPE.path())):
                self._logins[key] = read_login(member.ingress, service)
        return self._logins[key]

    def token(self, member: Member) -> JwtValidation | None:
        """Parsed for every backend, although only HTTPS listeners use it."""
        if member.key not in self._tokens:
            ingress = member.ingress
            with about(Origin(ingress.key, a.JWT_VALIDATION.path())):
                self._tokens[member.key] = a.JWT_VALIDATION.parse(read_jwt_validation, ingress)
        return self._tokens[member.key]

    def conditions(self, member: Member, name: str) -> tuple[Condition, ...]:
        key = (member.key, name)
        if key not in self._conditions:
            annotation = a.CONDITIONS.of(name)
            with about(Origin(member.ingress.key, annotation.path())):
                self._conditions[key] = annotation.parse(read_conditions, member.ingress) or ()
        return self._conditions[key]

    def transforms(self, member: Member, name: str) -> tuple[Rewrite, ...]:
        key = (member.key, name)
        if key not in self._transforms:
            annotation = a.TRANSFORMS.of(name)
            with about(Origin(member.ingress.key, annotation.path())):
                self._transforms[key] = annotation.parse(read_transforms, member.ingress) or ()
        return self._transforms[key]

    def _annotated(self, member: Member, name: str, path: Path) -> BackendAction:
        annotation = a.ACTIONS.of(name)
        with about(Origin(member.ingress.key, annotation.path())):
            action = annotation.parse(read_action, member.ingress)
        if action is not None:
            return action
        if self.settings.tolerate_non_existent_backend_action:
            self.report(codes.MISSING_ACTION.at(Origin(member.ingress.key, path), annotation=annotation.key))
            return _unavailable("Backend action does not exist")
        raise Refused(f"missing actions.{name} configuration")

    def _resolve(self, member: Member, action: BackendAction, path: Path) -> tuple[FinalAction, core.Service | None]:
        match action:
            case Redirect() | FixedResponse():
                return action, None
            case ForwardTo(targets, stickiness):
                found: list[WeightedTargetGroup] = []
                service: core.Service | None = None
                for target in targets:
                    match target:
                        case ToArn(arn, weight):
                            found.append(WeightedTargetGroup(arn, weight))
                        case ToName(name, weight):
                            found.append(WeightedTargetGroup(self._by_name(name), weight))
                        case ToService(name, port, weight):
                            service = self.objects.services.get((member.ingress.namespace, name))
                            if service is None:
                                if len(targets) == 1 and self.settings.tolerate_non_existent_backend_service:
                                    origin = Origin(member.ingress.key, path)
                                    shown = f"{member.ingress.namespace}/{name}"
                                    self.report(codes.MISSING_SERVICE.at(origin, service=shown))
                                    return _unavailable("Backend service does not exist"), None
                                raise Refused(f'Service "{name}" not found')
                            reference = self.target_groups.reference(member, service, port, path)
                            found.append(WeightedTargetGroup(reference, weight))
                        case _:
                            assert_never(target)
                return Forward(tuple(found), stickiness), service if len(targets) == 1 else None
            case _:
                assert_never(action)

    def _by_name(self, name: str) -> str:
        known = self.account.target_groups
        if known is None:
            return name
        if name not in known:
            missing = f"expecting a single targetGroup with query [{name}] but got 0"
            raise Refused(f"searching TargetGroup with name {name}: {missing}")
        return known[name]

    def _read_pre_actions(self, member: Member, service: core.Service | None) -> tuple[PreAction, ...]:
        ingress = member.ingress
        with about(Origin(ingress.key, a.AUTH_TYPE.path())):
            login = self.login(member, service).action(
                ingress.namespace, self.objects.secrets, self.settings.required_secrets_label
            )
        with about(Origin(ingress.key, a.JWT_VALIDATION.path())):
            token = self.token(member)
            if login and token:
                raise Refused("authentication and jwt validation can't both be configured")
        return tuple(action for action in (login, token) if action is not None)


def _unavailable(message: str) -> FixedResponse:
    return FixedResponse("503", "text/plain", message)
