#!/usr/bin/env bash
# Installs Lockgate as it is at the action's version, into an environment of its own.
set -euo pipefail
environment=${RUNNER_TEMP:?}/lockgate
[ -x "$environment/bin/lockgate" ] && exit 0
echo "::group::Install Lockgate"
python3 -m venv "$environment"
"$environment/bin/python" -m pip install -q --disable-pip-version-check "$GITHUB_ACTION_PATH"
echo "::endgroup::"
"$environment/bin/lockgate" --version
