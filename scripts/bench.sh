#!/usr/bin/env bash
# Prints the figures of docs/performance.md: one table, a row for each part of
# the way of an event. Takes about ten minutes; with -quick less than two.
#
#   scripts/bench.sh -quick
#   scripts/bench.sh -only 'HTTP|verify'
#
# Run it on a machine that does nothing else, and look at the last column: it
# says how much of the machine other programs used meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."

exec go run ./bench "$@"
