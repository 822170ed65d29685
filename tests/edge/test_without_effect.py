"""What is warned of because nothing here does it: manifests in, lines out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.edge.without_effect import without_effect
from lockgate.gateway.install import install
from lockgate.ingress.manifests import stack_from_manifests
from lockgate.resources import core, istio
from lockgate.resources.diagnostics import diagnose
from lockgate.resources.positions import Positions
from lockgate.resources.reader import read

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "edge" / "without_effect.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_without_effect(case: dict[str, Any]) -> None:
    documents = read(case["manifests"], "a.yaml").documents
    locate = Positions(documents)
    resources = [document.resource for document in documents if document.resource]
    operators = [each for each in resources if isinstance(each, istio.IstioOperator)]
    resources += [
        core.Service.model_validate(gateway.service) for one in operators for gateway in install(one).gateways
    ]
    found = without_effect(documents, resources, stack_from_manifests(resources).foreign)
    assert [str(diagnose(fault, locate)) for fault in found] == case["lines"]
