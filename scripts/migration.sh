#!/usr/bin/env bash
# Writes the next migration, on an empty database of its own on the test server.
set -euo pipefail
cd "$(dirname "$0")/.."
database="migration_$$"
psql "$PICASPOT_TEST_DATABASE_URL" -qc "CREATE DATABASE $database"
trap 'psql "$PICASPOT_TEST_DATABASE_URL" -qc "DROP DATABASE $database WITH (FORCE)"' EXIT
PICASPOT_DATABASE_URL=$(sed "s|/[^/?]*?|/$database?|" <<<"$PICASPOT_TEST_DATABASE_URL") go run ./ent/migrate/cmd/diff "$1"
