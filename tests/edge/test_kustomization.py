"""Which of several kustomizations are rendered, and what they are made of."""

from __future__ import annotations

import pytest
import yaml

from lockgate.edge.kustomization import Kustomization, choose


def known(**parts: str) -> dict[str, Kustomization]:
    """Kustomizations by folder (`_` for `/`), each with what it builds on."""
    return {
        folder: Kustomization.of(
            folder,
            f"{folder}/kustomization.yaml",
            {"resources": text.removeprefix("component ").split(), "kind": text.split(" ")[0].capitalize()},
        )
        for name, text in parts.items()
        for folder in (name.replace("_", "/"),)
    }


@pytest.mark.parametrize(
    ("parts", "rendered", "variants"),
    [
        ({"base": "a.yaml"}, ("base",), {}),
        ({"base": "a.yaml", "prod": "../base"}, ("prod",), {}),
        ({"base": "a.yaml", "mid": "../base", "prod": "../mid"}, ("prod",), {}),
        ({"a": "x.yaml", "b": "y.yaml"}, ("a", "b"), {}),
        ({"base": "a.yaml", "dev": "../base", "prod": "../base"}, ("base",), {"dev": ("base",), "prod": ("base",)}),
        (
            {"base": "a.yaml", "mid": "../base", "dev": "../mid", "prod": "../mid", "other": "b.yaml"},
            ("other", "mid"),
            {"dev": ("mid",), "prod": ("mid",)},
        ),
        ({"base": "a.yaml", "extra": "component b.yaml", "prod": "../base ../extra"}, ("prod",), {}),
        ({"extra": "component b.yaml"}, (), {}),
        ({"dev": "../a.yaml", "prod": "../a.yaml"}, (), {"dev": (), "prod": ()}),
        (
            {"x": "a.yaml", "y": "b.yaml", "one": "../x", "two": "../x ../y", "three": "../y"},
            ("x", "y"),
            {"one": ("x", "y"), "two": ("x", "y"), "three": ("x", "y")},
        ),
        ({"a": "../b", "b": "../a"}, (), {}),
        ({"a": "."}, ("a",), {}),
        ({"deploy_base": "a.yaml", "deploy_overlays_prod": "../../base"}, ("deploy/overlays/prod",), {}),
    ],
)
def test_what_is_rendered(
    parts: dict[str, str], rendered: tuple[str, ...], variants: dict[str, tuple[str, ...]]
) -> None:
    found = known(**parts)
    choice = choose(found, found)
    assert (sorted(choice.rendered), choice.variants) == (sorted(rendered), variants)


def test_what_it_is_made_of() -> None:
    content = yaml.safe_load("""
        resources: [a.yaml, ../base, "https://github.com/x/y//base?ref=v1", "github.com/x/y//base"]
        bases: [../old]
        components: [../part]
        patches:
          - path: patch.yaml
          - patch: |-
              kind: Ingress
              metadata: {name: a}
        patchesStrategicMerge: [old.yaml, "kind: Ingress\\nmetadata: {name: a}"]
        configMapGenerator:
          - {name: a, files: [app.properties, key=sub/other.txt], envs: [.env], literals: [a=b]}
        replacements: [{path: r.yaml}, {source: {}}]
        helmCharts: [{name: web, valuesFile: values.yaml}]
        openapi: {path: schema.json}
        transformers: [t.yaml]
    """)
    made = Kustomization.of("k8s/prod", "k8s/prod/kustomization.yaml", content)
    assert made.parts == ("k8s/prod/a.yaml", "k8s/base", "k8s/old", "k8s/part")
    assert set(made.inputs) == {
        f"k8s/prod/{name}"
        for name in ("patch.yaml", "old.yaml", "app.properties", "sub/other.txt", ".env", "r.yaml", "values.yaml",
                     "schema.json", "t.yaml")
    }  # fmt: skip


@pytest.mark.parametrize("content", [None, [], "text", {"resources": 3, "patches": [1, {"path": 2}], "openapi": "x"}])
def test_any_content_is_a_kustomization(content: object) -> None:
    assert Kustomization.of("a", "a/kustomization.yaml", content).parts == ()
