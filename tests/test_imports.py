"""How modules import each other: no circles, and nothing heavy before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Set
from pathlib import Path

import click

import lockgate
from lockgate.cli.main import lockgate as commands

SOURCE = Path(lockgate.__file__).parent


def test_no_module_imports_itself_through_others() -> None:
    """Imports in functions count too, as they would only hide a circle. Those under `if TYPE_CHECKING` do not."""
    modules = {_name(file): ast.parse(file.read_text()) for file in SOURCE.rglob("*.py")}
    graph = {name: set(_imported(tree, modules.keys())) - {name} for name, tree in modules.items()}
    assert len(graph) > 300
    assert _circles(graph) == []


def test_the_test_sees_circles() -> None:
    assert _circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]
    assert _circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    tree = ast.parse("if TYPE_CHECKING:\n import p.x\nelse:\n from p import y\ndef f():\n import p.z")
    assert list(_imported(tree, {"p", "p.x", "p.y", "p.z"})) == ["p.y", "p.z"]


def test_moto_is_behind_one_wall() -> None:
    """`protocol` uses its parsers and serialisers for every service, the others its state. Nothing else knows it."""
    users = {_name(file) for file in SOURCE.rglob("*.py") if "moto" in _packages(ast.parse(file.read_text()))}
    aws = (
        "ec2",
        "moto_import",
        "moto_services",
        "protocol",
        "roles",
        "security_groups",
        "shield",
        "user_pools",
        "web_acls",
    )
    assert users == {f"lockgate.embedded.aws.{name}" for name in aws}


def test_what_takes_long_is_not_imported_with_the_edge() -> None:
    """An edge imports moto and boto3 on threads while its other parts start, and `trace` and `check` never do."""
    heavy = ("moto", "boto3", "botocore", "grpc", "acme")
    code = f"import sys, lockgate.runtime.running, lockgate.cli.main; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_trace_imports_no_more_than_it_needs() -> None:
    """A short command imports neither the other commands nor what only a running edge needs."""
    heavy = (
        *("asyncio", "ssl", "cryptography", "importlib.metadata"),
        *("lockgate.embedded", "lockgate.controllers", "lockgate.cli.explain"),
    )
    code = "import sys; from lockgate.cli.main import main; main()"
    asked = ("trace", "https://towpath.example/", str(SOURCE.parents[1] / "examples" / "edge"))
    # The command ends at once, without what is registered for the exit.
    said = f"print([m for m in {heavy} if m in sys.modules], flush=True)"
    show = f"import os, sys; end = os._exit; os._exit = lambda code: ({said}, end(code)); {code}"
    done = subprocess.run([sys.executable, "-c", show, *asked], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_pytest_plugin_costs_a_run_without_edges_nothing() -> None:
    """pytest imports it in every run of an environment that Lockgate is installed in."""
    code = "import pytest, sys; before = {*sys.modules}; import lockgate.pytest; print(sorted({*sys.modules} - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['lockgate', 'lockgate.pytest']"


def test_a_test_that_uses_an_edge_imports_little() -> None:
    """pytest rewrites the assertions of every module of a plugin's distribution, which takes longer than a test."""
    modules = ("lockgate.pytest.process", "lockgate.pytest.report", "lockgate.trace.text", "lockgate.runtime.replay")
    code = f"import sys, {', '.join(modules)}; print(sum(m.startswith('lockgate') for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 40


def test_every_command_is_found_by_its_name() -> None:
    context = click.Context(commands)
    found = {name: commands.get_command(context, name) for name in commands.list_commands(context)}
    assert all(command is not None and command.name == name for name, command in found.items())


def _name(file: Path) -> str:
    parts = file.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(tree: ast.Module, modules: Set[str]) -> Iterator[str]:
    """The modules that a module imports. `from package import module` is an import of that module."""
    for statement in _statements(tree):
        match statement:
            case ast.Import(names=names):
                yield from (each.name for each in names if each.name in modules)
            case ast.ImportFrom(module=str(source), names=names):
                for each in names:
                    inner = f"{source}.{each.name}"
                    if inner in modules:
                        yield inner
                    elif source in modules:
                        yield source


def _packages(tree: ast.Module) -> set[str]:
    """The first names of all that a module imports."""
    found: set[str] = set()
    for statement in _statements(tree):
        match statement:
            case ast.Import(names=names):
                found |= {each.name.partition(".")[0] for each in names}
            case ast.ImportFrom(module=str(source)):
                found.add(source.partition(".")[0])
    return found


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=otherwise):
                for statement in otherwise:
                    yield from (statement, *_statements(statement))
            case _:
                yield from (child, *_statements(child))


def _circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of more than one module (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found
