#!/usr/bin/env bash
# Holds a server of its own against the contract, with requests that schemathesis
# makes up: scripts/fuzz.sh [--max-examples N] [--role ROLE] [option of schemathesis …]
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=tools/fuzz/requirements.txt
venv=.data/fuzz/venv
if ! cmp -s "$wanted" "$venv/installed.txt"; then
  rm -rf "$venv"
  python3 -m venv "$venv" || { echo "fuzz: Python 3.11 or newer with its venv module is needed (on Debian: apt-get install python3-venv)" >&2; exit 1; }
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted"
  cp "$wanted" "$venv/installed.txt"
fi
exec "$venv/bin/python" -B tools/fuzz/run.py "$@"
