"""A pytest plugin: tests that send requests through an edge made of your manifests.

    @pytest.mark.manifests("k8s/")
    def test_api(edge):
        assert edge.get("https://towpath.example/api/orders").status_code == 200

pytest imports this module in every run, so it imports nothing that pytest has not imported already. The edge starts
with the first test that uses it, as a child process (`process`), and ends with the last. The report of a failed test
has what `lockgate trace` predicts for the requests that the test sent (`report`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lockgate.pytest.edge import Edge

__all__ = ["Edge"]

_RUNNING = pytest.StashKey["list[Edge]"]()
_HOW = (
    "no manifests: set lockgate_manifests in pytest's configuration, pass --lockgate-manifests PATH, or mark the test "
    'with @pytest.mark.manifests("PATH")'
)


def __getattr__(name: str) -> Any:
    if name == "Edge":
        from lockgate.pytest.edge import Edge

        return Edge
    raise AttributeError(name)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lockgate", "Lockgate")
    group.addoption(
        "--lockgate-manifests",
        action="append",
        default=[],
        metavar="PATH",
        help="Manifests of the fixture `edge`: a file or folder; repeatable.",
    )
    parser.addini("lockgate_manifests", "Manifests of the fixture `edge`: files and folders.", type="args")
    parser.addini("lockgate_options", "More options of `lockgate up` for the fixture `edge`.", type="args")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "manifests(path, ...): the manifests of the fixture `edge`, from Lockgate.")


# --- the fixtures ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def lockgate_options(pytestconfig: pytest.Config) -> Sequence[str]:
    """More options of `lockgate up`, from the configuration. Define it in conftest.py to compute them."""
    options: list[str] = pytestconfig.getini("lockgate_options")
    return options


@pytest.fixture(scope="session")
def edge(
    request: pytest.FixtureRequest, lockgate_options: Sequence[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Edge]:
    """An edge made of your manifests: edge.get(url), edge.trace(url), edge.exec("curl", …)."""
    from lockgate.pytest import process

    paths = _paths(getattr(request, "param", ()) or _configured(request.config))
    if not paths:
        pytest.fail(_HOW, pytrace=False)
    home = tmp_path_factory.mktemp("lockgate")
    running = request.session.stash.setdefault(_RUNNING, [])
    try:
        with process.run(paths, lockgate_options, home=home, cwd=request.config.rootpath) as edge:
            running.append(edge)
            yield edge
            running.remove(edge)
    except process.NotReady as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The marker is a parameter of the fixture. So pytest runs tests with the same manifests one after the other, and
    one edge at a time."""
    if "edge" not in metafunc.fixturenames or not _is_ours(metafunc) or _is_parametrized(metafunc):
        return
    marker = metafunc.definition.get_closest_marker("manifests")
    paths = marker.args if marker else _configured(metafunc.config)
    hidden = getattr(pytest, "HIDDEN_PARAM", None)  # since pytest 8.4; before, the test's id ends in [edge0]
    metafunc.parametrize("edge", [tuple(paths)], indirect=True, ids=[hidden], scope="session")


def _is_ours(metafunc: pytest.Metafunc) -> bool:
    """Whether the test's `edge` is this module's: the name is common enough to be taken."""
    definitions = getattr(metafunc, "_arg2fixturedefs", {}).get("edge", ())
    return bool(definitions) and getattr(definitions[-1].func, "__module__", "") == __name__


def _is_parametrized(metafunc: pytest.Metafunc) -> bool:
    names = (mark.args[0] for mark in metafunc.definition.iter_markers("parametrize") if mark.args)
    return any("edge" in (each.replace(",", " ").split() if isinstance(each, str) else each) for each in names)


def _configured(config: pytest.Config) -> Sequence[str]:
    paths: Sequence[str] = config.getoption("--lockgate-manifests") or config.getini("lockgate_manifests")
    return paths


def _paths(given: Any) -> tuple[str, ...]:
    return tuple(str(each) for each in ([given] if isinstance(given, str) or not hasattr(given, "__iter__") else given))


# --- failures ----------------------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for each in item.session.stash.get(_RUNNING, ()):
        each.forget()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and call.when != "teardown":
        for each in item.session.stash.get(_RUNNING, ()):
            from lockgate.pytest.report import section

            if text := section(each):
                _add(report, "lockgate", text)
    return report


def _add(report: pytest.TestReport, title: str, text: str) -> None:
    """To the failure itself, where possible: other sections are left out with --show-capture=no, and of JUnit XML."""
    add = getattr(report.longrepr, "addsection", None)
    if add is not None:
        add(title, text)
    else:
        report.sections.append((title, text))
