"""What all tests share: no proxies from outside, and in CI no test that is skipped."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

# Tests of clients that `make peers` builds with Go, and that are not there without it.
PEERS = {"tally": "edge/test_controller_runtime.py", "clientgo": "embedded/kubernetes/test_kubernetes_client_go.py"}
collect_ignore = [module for peer, module in PEERS.items() if not (Path(sys.prefix) / "peers" / peer).exists()]

# A proxy or CA bundle of the machine's own would stand between the tests and what they start.
for _variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "SSL_CERT_DIR"):
    os.environ.pop(_variable, None)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and os.environ.get("LOCKGATE_NO_SKIPS") and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line("a test was skipped: here every peer must be there", red=True)
