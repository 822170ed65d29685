#!/usr/bin/env bash
# Says in a comment of the pull request which requests it changes, and in the job's summary. A comment from before is
# replaced; where nothing changes, and there is none, none is made.
set -euo pipefail
lockgate=${LOCKGATE:-${RUNNER_TEMP:-}/lockgate/bin/lockgate}
mark='<!-- lockgate diff -->'

git cat-file -e "$LOCKGATE_BASE^{commit}" 2>/dev/null || git fetch -q --depth=1 origin "$LOCKGATE_BASE"
base=$(git rev-parse --short=12 "$LOCKGATE_BASE")
comment=$(mktemp)
echo "$mark" >"$comment"
differs=0
while IFS= read -r path; do
  [ -n "$path" ] || continue
  code=0
  "$lockgate" diff "git:$base" "$path" --output markdown >>"$comment" || code=$?
  [ "$code" -le 1 ] || exit "$code"
  [ "$code" = 0 ] || differs=1
done <<<"${LOCKGATE_PATH:-.}"
echo "differs=$differs" >>"${GITHUB_OUTPUT:-/dev/null}"
cat "$comment" >>"${GITHUB_STEP_SUMMARY:-/dev/null}"

# GitHub takes 65,536 characters.
[ "$(wc -c <"$comment")" -le 60000 ] || {
  head -c 59000 "$comment" >"$comment.short"
  printf '\n\n… the rest is in the summary of the job.\n' >>"$comment.short"
  mv "$comment.short" "$comment"
}

if [ -z "${GH_TOKEN:-}" ] || ! command -v gh >/dev/null; then
  echo "::notice title=Lockgate::The changed requests are in the summary of the job: there is no token, or no gh."
  exit 0
fi
comments=repos/$GITHUB_REPOSITORY/issues/$LOCKGATE_PULL_REQUEST/comments
{
  before=$(gh api --paginate "$comments" --jq ".[] | select(.body | startswith(\"$mark\")) | .id" | head -n 1)
  if [ -n "$before" ]; then
    gh api --silent --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$before" --field "body=@$comment"
  elif [ "$differs" = 1 ]; then
    gh api --silent --method POST "$comments" --field "body=@$comment"
  fi
} || echo "::notice title=Lockgate::The changed requests are in the summary of the job: the token may not write comments."
