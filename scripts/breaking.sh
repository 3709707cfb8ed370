#!/usr/bin/env bash
# Compares openapi.yaml with the contract of the last release, docs/contract/released.yaml,
# and fails on a change that breaks clients, unless info.version says so: by its major
# number, or by its minor one while that is 0 (semver.org). Warnings count too.
#
#   scripts/breaking.sh              check
#   scripts/breaking.sh --release    openapi.yaml is released: it is what later ones are held to
#   scripts/breaking.sh --released   fail unless openapi.yaml is what later ones are held to
set -euo pipefail
cd "$(dirname "$0")/.."
released=docs/contract/released.yaml

case ${1:-} in
--release)
  mkdir -p "$(dirname "$released")"
  cp openapi.yaml "$released"
  exit
  ;;
--released)
  cmp -s openapi.yaml "$released" && exit
  echo "openapi.yaml is not $released: run scripts/breaking.sh --release before a release." >&2
  exit 1
  ;;
esac
if [ ! -e "$released" ]; then
  if [ -n "$(git tag --list 'v*' 2>/dev/null)" ]; then
    echo "There are releases, and no $released to hold openapi.yaml to." >&2
    exit 1
  fi
  echo "Nothing was released yet: any change is fine."
  exit
fi

# The part of the version that has to change with a breaking change.
compatible() { sed -n '/^info:/,/^[a-z]/s/^  version: *//p' "$1" | tr -d "'\"" | awk -F. '{print ($1 == "0") ? $1 "." $2 : $1}'; }

code=0
go tool -modfile=tools/go.mod oasdiff breaking --fail-on WARN "$released" openapi.yaml || code=$?
[ "$code" = 0 ] && exit
if [ "$code" != 1 ]; then
  echo "The contracts could not be compared." >&2
  exit "$code"
fi
before=$(compatible "$released") after=$(compatible openapi.yaml)
if [ "$before" != "$after" ]; then
  echo "Clients break, and the version says so ($before to $after)."
  exit
fi
echo "Clients of the last release would break. Keep what they rely on, or raise info.version beyond $before." >&2
exit 1
