"""`lockgate.yaml`, optional: names of resources, and options that would otherwise be repeated for every `up`.

    account: "123456789012"
    region: eu-west-1
    hostedZones:
      towpath.example: Z08765432TOWPATH0001
    userPoolClients:
      7k2qd7amucdgr7ajsmgb14dmmq: the secret of that client
    backends:
      shop/web:3000: http://127.0.0.1:5173
      lambda:orders: http://127.0.0.1:3001
    ports:
      443: 8443
    openProxy: false
    supply: true
    otlp: http://127.0.0.1:4318
    quotas:
      application-load-balancers: 120
    controllers:
      aws-load-balancer-controller: external
      external-dns: "off"

It is read from the folders that `up` is given, else from the current folder. The command line overrides it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from lockgate.edge import options as of_options
from lockgate.edge.options import Options
from lockgate.loadbalancer.quotas import ADJUSTABLE
from lockgate.resources import source
from lockgate.resources.arns import REGIONS
from lockgate.resources.chunks import Chunk
from lockgate.resources.faults import Position

NAME = "lockgate.yaml"


def _adjustable(name: str) -> str:
    if name not in ADJUSTABLE:
        near = get_close_matches(name, ADJUSTABLE, 1)
        meant = f", did you mean {near[0]}" if near else ""
        raise ValueError(f"not a quota that AWS adjusts{meant}; they are {', '.join(ADJUSTABLE)}")
    return name


def _region(name: str) -> str:
    if name not in REGIONS:
        near = get_close_matches(name, REGIONS, 1)
        raise ValueError(f"{name} is not a region of AWS{f', did you mean {near[0]}' if near else ''}")
    return name


def _account(text: str) -> str:
    if not re.fullmatch(r"[0-9]{12}", text):
        raise ValueError("an account is 12 digits")
    return text


def _zone_id(text: str) -> str:
    if not re.fullmatch(r"Z[A-Z0-9]{1,31}", text):
        raise ValueError("the id of a hosted zone is a Z with capitals and digits after it")
    return text


Account = Annotated[str, AfterValidator(_account)]
Region = Annotated[str, AfterValidator(_region)]
ZoneId = Annotated[str, AfterValidator(_zone_id)]
Quota = Annotated[str, AfterValidator(_adjustable)]
Port = Annotated[int, Field(gt=0, lt=65536)]


class BadSettings(ValueError):
    """The file is not valid. The message has the file, the field, and the expected value."""


class Settings(BaseModel):
    """All settings are optional."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, defer_build=True
    )

    account: Account | None = None
    region: Region | None = None
    hosted_zones: dict[str, ZoneId] = Field(default_factory=dict)
    user_pool_clients: dict[str, str] = Field(default_factory=dict, repr=False)
    backends: dict[str, str] = Field(default_factory=dict)
    ports: dict[str | int, Port] = Field(default_factory=dict)
    open_proxy: bool = False
    supply: bool = True
    otlp: str = ""
    quotas: dict[Quota, Annotated[int, Field(gt=0)]] = Field(default_factory=dict)
    controllers: dict[str, str] = Field(default_factory=dict)

    def backend_options(self) -> list[str]:
        return [f"{service}={url}" for service, url in self.backends.items()]

    def port_options(self) -> list[str]:
        return [f"{name}={port}" for name, port in self.ports.items()]

    def opened(self, file: Path) -> tuple[str, ...]:
        """One sentence for each setting that exposes or redirects something."""
        says = f"as {file} says"
        found = ["proxy: lets clients reach any host, " + says] if self.open_proxy else []
        for service, url in self.backends.items():
            kind, name = ("Lambda function", service[7:]) if service.startswith("lambda:") else ("Service", service)
            found.append(f"{kind} {name}: answered by {url}, {says}")
        for at, port in self.ports.items():
            name = str(at)
            what = f"listener {name}" if name.isdigit() else f"{name} API" if name != "proxy" else "proxy"
            found.append(f"{what}: on port {port}, {says}")
        if self.otlp:
            found.append(f"spans of all requests: sent to {self.otlp}, {says}")
        if not self.supply:
            found.append(f"nothing else is supplied, {says}")
        return tuple(found)


def find(paths: Sequence[str]) -> Path | None:
    folders = [Path(path) for path in paths if Path(path).is_dir()]
    return next((file for folder in (*folders, Path()) if (file := folder / NAME).is_file()), None)


def options(
    paths: tuple[str, ...],
    *,
    name: str = "default",
    backends: Sequence[str] = (),
    ports: Sequence[str] = (),
    open_proxy: bool = False,
    no_supply: bool = False,
    empty: bool = False,
    latency: float = 0.0,
    failures: tuple[str, ...] = (),
    external: Sequence[str] = (),
    otlp: str = "",
) -> Options:
    """The options of an edge: those given, over those of the file. Raises `BadOption`, `BadSettings`, OSError."""
    file = find(paths)
    given = read(file) if file else Settings()
    programs = [*given.backend_options(), *backends]
    return Options(
        paths,
        name,
        backends=of_options.backends(programs),
        functions=of_options.functions(programs),
        ports=of_options.ports([*given.port_options(), *ports]),
        open_proxy=open_proxy or given.open_proxy,
        supply=given.supply and not no_supply,
        account=given.account,
        region=given.region,
        hosted_zones=given.hosted_zones,
        user_pool_clients=given.user_pool_clients,
        quotas=given.quotas,
        controllers=of_options.controllers(given.controllers, external),
        empty=empty,
        latency=latency,
        failures=failures,
        collector=of_options.collector(otlp or given.otlp),
        opened=given.opened(file) if file else (),
    )


def read(file: Path) -> Settings:
    """Raises `BadSettings`, OSError."""
    with file.open("rb") as stream:
        data = stream.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise BadSettings(f"{file}: larger than {_LARGEST} bytes")
    try:
        chunk = Chunk(str(file), 0, data.decode("utf-8-sig"))
        content = source.load(chunk, [])
    except UnicodeDecodeError:
        raise BadSettings(f"{file}: not UTF-8 text") from None
    except source.Unreadable as error:
        raise BadSettings(f"{error.in_syntax.origin}: {error.in_syntax.message}") from None
    try:
        return Settings.model_validate({} if content is None else content)
    except ValidationError as error:
        first = min((_located(chunk, each) for each in error.errors(include_url=False)), key=lambda each: each[0])
        raise BadSettings(": ".join(map(str, first))) from None


def _located(chunk: Chunk, error: ErrorDetails) -> tuple[Position, str]:
    """The place of an invalid setting, and why. Its value is not repeated, because it may be a secret."""
    unknown = error["type"] == "extra_forbidden"
    path = tuple(part for part in error["loc"] if part != "[key]")
    place = source.locate(chunk, tuple(map(str, path)), key=unknown or "[key]" in error["loc"])
    setting = ".".join(map(str, path))
    return place, f"{setting}: {_reason(error)}" if setting else _reason(error)


def _reason(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            near = get_close_matches(str(error["loc"][-1]), [str(each.alias) for each in _FIELDS], 1)
            return f"no such setting{f', did you mean {near[0]}?' if near else ''}"
        case "value_error":
            return str(context["error"])
        case "greater_than":
            return f"must be greater than {context['gt']}"
        case "less_than":
            return f"must be less than {context['lt']}"
        case kind:
            return next((f"must be {words}" for sign, words in _TYPES.items() if kind.startswith(sign)), "is not valid")


_LARGEST = 1024 * 1024  # bytes
_FIELDS = Settings.model_fields.values()
# By prefix of pydantic's error types.
_TYPES = {
    "string": "text: put it in quotes",
    "int": "a whole number",
    "bool": "true or false",
    "dict": "a map",
    "model": "a map of settings",
}
