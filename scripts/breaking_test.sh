#!/usr/bin/env bash
# Tests breaking.sh on a copy of the contract that is changed in several ways.
set -euo pipefail
cd "$(dirname "$0")/.."
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir "$copy/scripts" "$copy/tools"
cp go.mod go.sum "$copy"
cp tools/go.mod tools/go.sum "$copy/tools"
cp scripts/breaking.sh "$copy/scripts"
git init --quiet "$copy"

# expect CODE WHAT [ARGUMENTS]: what breaking.sh exits with.
expect() {
  local code=0
  "$copy/scripts/breaking.sh" "${@:3}" >"$copy/said" 2>&1 || code=$?
  if [ "$code" != "$1" ]; then
    echo "breaking.sh: $2: exits with $code, not with $1" >&2
    cat "$copy/said" >&2
    exit 1
  fi
}

# changed ARGUMENTS: the contract with lines changed by sed, which has to find them.
changed() {
  sed "$@" openapi.yaml >"$copy/openapi.yaml"
  if cmp -s openapi.yaml "$copy/openapi.yaml"; then
    echo "breaking_test.sh: $*: finds nothing to change" >&2
    exit 1
  fi
}
removed='/^    Area:$/,/^    AreaCreate:$/{/^        is_verified: /d; s/is_verified, //}'

cp openapi.yaml "$copy"
expect 0 "nothing was released"
expect 1 "a release without its contract" --released
expect 0 "the first release" --release
expect 0 "a release with its contract" --released
expect 0 "no change"
changed 's/^  version: .*/  version: 9.0.0/'
expect 1 "a release with another contract" --released
changed "$removed"
expect 1 "a field of an answer is gone"
changed -e "$removed" -e 's/^  version: \([0-9]*\.[0-9]*\)\..*/  version: \1.99/'
expect 1 "a field is gone, and the version says that it fixes something"
changed -e "$removed" -e 's/^  version: .*/  version: 9.0.0/'
expect 0 "a field is gone, and the version says so"
changed -e 's/^openapi: .*/openapi: [/' -e 's/^  version: .*/  version: 9.0.0/'
expect 102 "a contract that can't be read"
rm "$copy/docs/contract/released.yaml"
git -C "$copy" -c user.name=test -c user.email=test@example.org commit --quiet --allow-empty --message release
git -C "$copy" tag v0.1.0
expect 1 "what was released is missing"
echo "breaking.sh finds what breaks."
