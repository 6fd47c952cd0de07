#!/usr/bin/env bash
# Checks the types, style and format of the JavaScript and CSS we wrote: the
# tests in e2e/, the console's, and the receipt verifier's. With --write, formats
# it instead.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install-test-deps.sh
cd e2e

places=(.)
for place in ../internal/console/static ../docs; do
  if [ -d "$place" ]; then
    places+=("$place")
  fi
done
mapfile -t files < <(find "${places[@]}" -name node_modules -prune -o \
  \( -name '*.js' -o -name '*.mjs' -o -name '*.css' \) -print | sort)

node_modules/.bin/biome check --error-on-warnings "$@" "${files[@]}"
node_modules/.bin/tsc -p tsconfig.node.json
if compgen -G '../internal/console/static/*.js' >/dev/null; then
  node_modules/.bin/tsc -p tsconfig.json
fi
