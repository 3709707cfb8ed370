#!/usr/bin/env bash
# Makes the generated code anew in a copy and fails on changed, missing and
# superfluous files alike.
set -euo pipefail
cd "$(dirname "$0")/.."
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- --create --ignore-failed-read 2>/dev/null | tar -x -C "$copy"
(cd "$copy" && go generate ./api ./ent)
if ! diff -r --brief api "$copy/api" || ! diff -r --brief ent "$copy/ent"; then
  echo "The generated code is not what \`make generate\` makes. Run it and commit the result." >&2
  exit 1
fi
echo "The generated code is current."
