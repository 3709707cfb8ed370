#!/usr/bin/env bash
# Runs all tests once, on the servers that testenv names, and writes their
# coverage: scripts/test.sh PROFILE. The packages that are built on goroutines and
# locks run with the race detector, the others without (decision 0034).
set -euo pipefail
cd "$(dirname "$0")/.."
profile=$1 go=${GO:-go}
raced=(authz batch cache compress idempotency imports mailbox metrics middleware operation password photo ratelimit
  redisconn session storage store token unlock upload)

module=$("$go" list -m)
with=("${raced[@]/#/$module/internal/}")
"$go" list "${with[@]}" >/dev/null # A name that is wrong must not pass as no package.
without=$("$go" list ./... | grep -vxF "$(printf '%s\n' "${with[@]}")")

coverage=(-covermode atomic -coverpkg ./...)
status=0
"$go" test -timeout 20m "${coverage[@]}" -coverprofile "$profile" $without || status=$?
# Also after a failure: one run names all that fail.
"$go" test -race -timeout 20m "${coverage[@]}" -coverprofile "$profile.race" "${with[@]}" || status=$?
if [[ $status -eq 0 ]]; then
  tail -n +2 "$profile.race" >>"$profile"
fi
rm -f "$profile.race"
exit "$status"
