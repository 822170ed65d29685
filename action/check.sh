#!/usr/bin/env bash
# Annotates the lines with findings, and writes all of them into the job's summary.
set -euo pipefail
lockgate=${LOCKGATE:-${RUNNER_TEMP:-}/lockgate/bin/lockgate}
paths=()
while IFS= read -r path; do
  [ -z "$path" ] || paths+=("$path")
done <<<"${LOCKGATE_PATH:-.}"
read -ra options <<<"${LOCKGATE_OPTIONS:-} --fail-on ${LOCKGATE_FAIL_ON:-error}"

code=0
annotations=$("$lockgate" check "${options[@]}" --output github -- "${paths[@]}") || code=$?
[ -z "$annotations" ] || printf '%s\n' "$annotations"
[ "$code" -le 1 ] || exit "$code"
echo "findings=$(grep -c '^::' <<<"$annotations" || true)" >>"${GITHUB_OUTPUT:-/dev/null}"
{
  printf '### lockgate check\n```\n'
  "$lockgate" check "${options[@]}" -- "${paths[@]}" || true
  printf '```\n'
} >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
exit "$code"
