"""`lockgate show load-balancer`, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from click.testing import CliRunner

from lockgate.cli.main import lockgate

ROOT = Path(__file__).parents[2]
GUIDE = str(ROOT / "tests" / "edge" / "guide")


def test_the_stack_is_shown_with_the_lines_it_comes_from() -> None:
    done = CliRunner().invoke(lockgate, ["show", "load-balancer", GUIDE, "--output", "json"], standalone_mode=False)
    assert done.return_value == 0
    (stack,) = json.loads(done.stdout)
    assert [(each["Port"], each["Protocol"]) for each in stack["Listeners"]] == [(80, "HTTP"), (443, "HTTPS")]
    http, https = ([rule["Actions"][0]["Type"] for rule in each["Rules"]] for each in stack["Listeners"])
    assert (http, https) == (["redirect"], ["forward"])  # the redirect to itself is dropped on 443
    (group,) = stack["TargetGroups"]
    assert (group["Protocol"], group["HealthCheckPath"]) == ("HTTPS", "/healthz/ready")
    assert group["From"].startswith(f"{GUIDE}/ingress.yaml:")


def test_yaml_says_the_same() -> None:
    run = CliRunner().invoke
    as_json = run(lockgate, ["show", "load-balancer", GUIDE, "-o", "json"], standalone_mode=False).stdout
    as_yaml = run(lockgate, ["show", "load-balancer", GUIDE, "-o", "yaml"], standalone_mode=False).stdout
    assert yaml.safe_load(as_yaml) == json.loads(as_json)


def test_text_is_a_line_a_rule() -> None:
    done = CliRunner().invoke(lockgate, ["show", "load-balancer", GUIDE], standalone_mode=False)
    assert "1  path-pattern /*  →  301 to protocol HTTPS port 443" in done.stdout
    assert "1  path-pattern /*  →  forward to istio-system/quay-istio-ingressgateway:443" in done.stdout


def test_a_group_that_cannot_be_built_is_reported_with_its_line(tmp_path: Path) -> None:
    text = (Path(GUIDE) / "ingress.yaml").read_text().replace("scheme: internet-facing", "scheme: outward")
    (tmp_path / "ingress.yaml").write_text(text)
    done = CliRunner().invoke(lockgate, ["show", "load-balancer", str(tmp_path)], standalone_mode=False)
    assert done.return_value == 1
    line = next(line for line in done.stderr.splitlines() if "unknown scheme: outward" in line)
    assert line.startswith(f"{tmp_path}/ingress.yaml:")
