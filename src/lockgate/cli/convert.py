"""`lockgate convert`"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockgate.cli.terminal import print_data, say
from lockgate.cli.up import output_option
from lockgate.errors import CommandError
from lockgate.resources.faults import Origin

if TYPE_CHECKING:
    from lockgate.deploy.istio_operator import Conversion, Release
    from lockgate.resources.faults import Locate
    from lockgate.resources.reader import Document

_EPILOG = """\b
Examples:
  lockgate convert istio-operator istio.yaml
  lockgate convert istio-operator istio.yaml --out helm/
  helm upgrade --install istiod istio/istiod -n istio-system -f helm/istiod.yaml
"""


@click.group()
def convert() -> None:
    """Turn what is outdated into what replaces it."""


@convert.command("istio-operator", epilog=_EPILOG)
@click.argument("file", type=click.Path(exists=True, dir_okay=False), metavar="FILE")
@click.option(
    "--out", type=click.Path(file_okay=False), metavar="FOLDER", help="Write a values file per release there."
)
@output_option
def istio_operator(file: str, out: str | None, output: str) -> None:
    """Print the Helm values of an IstioOperator, and what has no equivalent.

    Istio's in-cluster operator was removed in Istio 1.24, and `istioctl manifest translate` leaves gateways out. The
    values are for the charts base, istiod and gateway of Istio's Helm repository. A release of the gateway chart is
    named as the gateway, so that its Pods have the labels that Gateways select.
    """
    from lockgate.deploy.istio_operator import convert as converted

    document, locate = _operator(file)
    conversion = converted(document.manifest)
    if output == "json":
        print_data(json.dumps(asdict(conversion), indent=2))
        return
    if out is None:
        print_data("\n".join(_text(each, conversion.version) for each in conversion.releases))
    for note in conversion.notes:
        at = locate(Origin(document.key, ("spec", *note.path))) or file
        path = ".".join(str(each) for each in ("spec", *note.path))
        say(f"{at}: {'warning' if note.lost else 'info'}: {path}: {note.why}")
    if out is not None:
        _write(Path(out), conversion)


def _operator(file: str) -> tuple[Document, Locate]:
    """The IstioOperator of a file. Raises `CommandError`."""
    from lockgate.runtime.reading.files import load

    manifests = load([file])
    for document in manifests.documents:
        if document.key.kind == "IstioOperator":
            return document, manifests.positions()
    raise NoOperator(f"{file} has no IstioOperator")


class NoOperator(CommandError):
    """The file has no IstioOperator that can be read."""

    hint = "name the file that istioctl install -f takes"


def _text(release: Release, version: str) -> str:
    import yaml

    values = yaml.safe_dump(release.values, sort_keys=False) if release.values else "{}\n"
    return f"# {_command(release, version)}\n{values}"


def _command(release: Release, version: str) -> str:
    desired = f" --version {version}" if version else ""
    place = f"-n {release.namespace}{' --create-namespace' if release.chart == 'base' else ''}"
    return f"helm upgrade --install {release.name} istio/{release.chart} {place}{desired} -f {release.name}.yaml"


def _write(folder: Path, conversion: Conversion) -> None:
    import yaml

    folder.mkdir(parents=True, exist_ok=True)
    for release in conversion.releases:
        (folder / f"{release.name}.yaml").write_text(yaml.safe_dump(release.values, sort_keys=False), encoding="utf-8")
        say(_command(release, conversion.version).replace(f"-f {release.name}", f"-f {folder / release.name}"))
