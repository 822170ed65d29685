"""`lockgate.yaml`, optional: names what is filled in otherwise, and holds options that would be typed at every `up`.

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
    quotas:
      application-load-balancers: 120

It is looked for in the folders that `up` is given, then in the current one. The command line goes before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from lockgate.embedded.aws.elbv2.quotas import ADJUSTABLE
from lockgate.resources.arns import REGIONS

NAME = "lockgate.yaml"


def _adjustable(name: str) -> str:
    if name not in ADJUSTABLE:
        near = get_close_matches(name, ADJUSTABLE, 1)
        raise ValueError(
            f"no quota that AWS adjusts{f', did you mean {near[0]}' if near else ''}; they are {', '.join(ADJUSTABLE)}"
        )
    return name


def _region(name: str) -> str:
    if name not in REGIONS:
        near = get_close_matches(name, REGIONS, 1)
        raise ValueError(f"{name} is not a region of AWS{f', did you mean {near[0]}' if near else ''}")
    return name


Account = Annotated[str, StringConstraints(pattern=r"^\d{12}$")]
Region = Annotated[str, AfterValidator(_region)]
ZoneId = Annotated[str, StringConstraints(pattern=r"^Z[A-Z0-9]{1,31}$")]
Quota = Annotated[str, AfterValidator(_adjustable)]
Port = Annotated[int, Field(gt=0, lt=65536)]


class BadSettings(ValueError):
    """The file is not what it should be. The message has the file, the field, and what is expected there."""


class Settings(BaseModel):
    """Everything is optional."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    account: Account | None = None
    region: Region | None = None
    hosted_zones: dict[str, ZoneId] = Field(default_factory=dict)
    user_pool_clients: dict[str, str] = Field(default_factory=dict, repr=False)
    backends: dict[str, str] = Field(default_factory=dict)
    ports: dict[str | int, Port] = Field(default_factory=dict)
    open_proxy: bool = False
    supply: bool = True
    quotas: dict[Quota, Annotated[int, Field(gt=0)]] = Field(default_factory=dict)

    def backend_options(self) -> list[str]:
        return [f"{service}={url}" for service, url in self.backends.items()]

    def port_options(self) -> list[str]:
        return [f"{name}={port}" for name, port in self.ports.items()]

    def opened(self, file: Path) -> tuple[str, ...]:
        """What the file opens or leads elsewhere, a sentence each."""
        says = f"as {file} says"
        found = ["proxy: lets clients reach any host, " + says] if self.open_proxy else []
        for service, url in self.backends.items():
            kind, name = ("Lambda function", service[7:]) if service.startswith("lambda:") else ("Service", service)
            found.append(f"{kind} {name}: answered by {url}, {says}")
        for at, port in self.ports.items():
            name = str(at)
            what = f"listener {name}" if name.isdigit() else f"{name} API" if name != "proxy" else "proxy"
            found.append(f"{what}: on port {port}, {says}")
        if not self.supply:
            found.append(f"nothing else is supplied, {says}")
        return tuple(found)


def find(paths: Sequence[str]) -> Path | None:
    folders = [Path(path) for path in paths if Path(path).is_dir()]
    return next((file for folder in (*folders, Path()) if (file := folder / NAME).is_file()), None)


def read(file: Path) -> Settings:
    """Raises `BadSettings`, OSError."""
    try:
        content: Any = yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = getattr(error, "problem_mark", None)
        where = f"{file}:{place.line + 1}:{place.column + 1}" if place else str(file)
        raise BadSettings(f"{where}: not YAML: {getattr(error, 'problem', None) or error}") from None
    except RecursionError:
        raise BadSettings(f"{file}: not YAML: too deep to be read") from None
    try:
        return Settings.model_validate({} if content is None else content)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        problems = "; ".join(_problem(each["loc"], each["msg"]) for each in faults)
        raise BadSettings(f"{file}: {problems}") from None


def _problem(place: tuple[int | str, ...], why: str) -> str:
    """Of a fault, without pydantic's own words."""
    return f"{'.'.join(str(part) for part in place if part != '[key]')}: {why.removeprefix('Value error, ')}"
