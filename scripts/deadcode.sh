#!/usr/bin/env bash
# Says which functions of cmd/ and internal/ the program can never reach.
#
# The public packages are for others to call, so nothing is said about them; and
# the disk for tests (internal/disk/mem*.go) is reached only from tests.
set -euo pipefail
cd "$(dirname "$0")/.."

module=$(go list -m)
all=$(go tool -modfile=tools/go.mod deadcode -filter "^$module/(cmd|internal)/" ./cmd/custody)
found=$(grep -v '^internal/disk/mem' <<<"$all" || true)
if [ -n "$found" ]; then
  echo "$found"
  echo "check: nothing reaches these from cmd/custody"
  exit 1
fi
