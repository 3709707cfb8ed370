#!/usr/bin/env bash
# Prints the coverage of hand-written code, by package and in total, and fails
# below a goal: scripts/coverage.sh PROFILE GOAL
set -euo pipefail
profile=$1 goal=$2
# Left out: what is generated, main packages (run as processes of their own),
# benchmarks and the fixtures of tests.
awk -v goal="$goal" '
  NR == 1 { next }
  {
    split($1, at, ":"); file = at[1]
    if (file ~ /\.gen\.go$/ || file ~ /\/cmd\// || file ~ /\/(apptest|bench)\// ) next
    if (file ~ /\/ent\// && file !~ /\/ent\/(schema|mixin)\//) next
    # A block is there once for each test binary; it is covered if one covers it.
    statements[$1] = $2
    if ($3 > 0) covered[$1] = 1
  }
  END {
    for (block in statements) {
      split(block, at, ":"); package = at[1]; sub(/\/[^\/]*$/, "", package); sub(/^github.com\/picaspot\/picaspot\/?/, "", package)
      if (package == "") package = "."
      all[package] += statements[block]; total += statements[block]
      if (block in covered) { hit[package] += statements[block]; totalHit += statements[block] }
    }
    for (package in all) printf "  %-24s %5.1f %%\n", package, 100 * hit[package] / all[package] | "sort"
    close("sort")
    printf "coverage of hand-written code: %.1f %% of %d statements (goal: %d %%)\n", 100 * totalHit / total, total, goal
    exit 100 * totalHit / total < goal
  }' "$profile"
