"""`lockgate show gateway` and `lockgate show envoy`, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from lockgate.cli.main import lockgate

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "edge")
GATEWAY = "istio-system/istio-ingressgateway"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(lockgate, ["show", *arguments], standalone_mode=False)


def shown(*arguments: str) -> Any:
    done = run(*arguments)
    assert done.return_value == 0, done.stderr
    return json.loads(done.stdout)


def test_a_gateway_is_shown_with_its_lines() -> None:
    (gateway,) = shown("gateway", EXAMPLE, "-o", "json")
    (listener,) = gateway["listeners"]
    assert (listener["name"], listener["chains"][0]["credentials"]) == ("0.0.0.0_8443", ["kubernetes://towpath-tls"])
    (configuration,) = gateway["routes"]
    (host,) = configuration["virtualHosts"]
    api, rest = host["routes"]
    assert api["match"] == "path begins with /api/"
    assert api["clusters"] == [{"name": "outbound|8080||api.shop.svc.cluster.local"}]
    assert api["from"].startswith(f"{EXAMPLE}/50-routes.yaml:")
    assert rest["match"] == "path begins with /"
    assert {each["name"]: each["type"] for each in gateway["clusters"]} == {
        "outbound|8080||api.shop.svc.cluster.local": "EDS",
        "outbound|3000||web.shop.svc.cluster.local": "EDS",
    }


def test_text_is_a_line_a_route() -> None:
    lines = run("gateway", EXAMPLE).stdout.splitlines()
    (line,) = (each for each in lines if "/api/" in each)
    assert "path begins with /api/  →  outbound|8080||api.shop.svc.cluster.local" in line
    assert f"{EXAMPLE}/50-routes.yaml:" in line


def test_yaml_says_the_same_as_json() -> None:
    assert yaml.safe_load(run("gateway", EXAMPLE, "-o", "yaml").stdout) == shown("gateway", EXAMPLE, "-o", "json")


def test_envoys_configuration_of_a_gateway() -> None:
    found = shown("envoy", "gateway", EXAMPLE)[GATEWAY]
    names = {section: [each.get("name") or each["cluster_name"] for each in found[section]] for section in found}
    assert names["listeners"] == ["0.0.0.0_8443", "readiness"]
    assert names["routes"] == ["https.443.https.edge.istio-system"]
    assert names["clusters"] == names["endpoints"]
    manager = found["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    assert manager["server_name"] == "istio-envoy"


def test_envoys_configuration_of_the_load_balancers_has_no_keys() -> None:
    found = shown("envoy", "alb", EXAMPLE)["alb"]
    assert len(found["listeners"]) == 2
    assert found["secrets"]
    assert all(list(each) == ["name"] for each in found["secrets"])


@pytest.mark.parametrize(
    ("filters", "sections"),
    [
        (["clusters"], {"clusters": 2}),
        (["clusters/*api*", "routes"], {"routes": 1, "clusters": 1}),
        (["clusters/none"], {}),
    ],
)
def test_filters(filters: list[str], sections: dict[str, int]) -> None:
    options = [part for each in filters for part in ("--filter", each)]
    found = shown("envoy", "gateway", *options, EXAMPLE)[GATEWAY]
    assert {section: len(parts) for section, parts in found.items()} == sections


def test_a_section_that_envoy_has_not() -> None:
    done = CliRunner().invoke(lockgate, ["show", "envoy", "gateway", "--filter", "cluster", EXAMPLE])
    assert done.exit_code == 2
    assert "unknown section" in done.output


def test_what_is_refused_is_reported(tmp_path: Path) -> None:
    text = (Path(EXAMPLE) / "50-routes.yaml").read_text().replace("uri:", "urn:")
    (tmp_path / "routes.yaml").write_text(text + "---\n" + text.replace("VirtualService", "Nonsense: ["))
    done = run("gateway", str(tmp_path))
    assert done.return_value == 1
