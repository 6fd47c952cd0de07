#!/usr/bin/env bash
# Runs every test there is, on a machine that has Go: installs what they need,
# then runs the JavaScript tests, the independent judges in interop/, and last
# the Go tests under the race detector. Everything runs, whatever fails.
#
# The last line is "N passed, N failed"; the exit status is 0 only if nothing
# failed. Needs no answers and no network but the package registries.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install-test-deps.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

# A test that needs the npm packages skips without them on a developer's machine;
# here they are installed, and a test that cannot find them has to fail.
export CUSTODY_TEST_ALL=1

# Debian's Node 18 has WebCrypto, but not yet under its global name.
if [[ $(node --version) == v18.* ]]; then
  export NODE_OPTIONS="${NODE_OPTIONS:-} --experimental-global-webcrypto"
fi

testreport=$work/testreport
go build -C tools -o "$testreport" ./testreport

# go_tests DIRECTORY [FLAG...] runs the tests of the module in that directory.
go_tests() {
  local dir=$1
  shift
  echo "== go test $* ./... in $dir"
  (cd "$dir" && go test -json "$@" ./...) | "$testreport" -count "$work/counts" || status=1
}

node_tests() {
  local files=(e2e/*.test.mjs)
  if [ ! -e "${files[0]}" ]; then
    return
  fi
  echo "== node --test ${files[*]}"
  node --test --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=tap --test-reporter-destination="$work/tap" "${files[@]}" || status=1
  awk '$1 == "#" { n[$2] = $3 } END { print n["pass"] + 0, n["fail"] + n["cancelled"] + 0, n["skipped"] + n["todo"] + 0 }' \
    "$work/tap" >>"$work/counts"
}

node_tests
for module in tools interop bench/peers e2e/provider; do
  if [ -e "$module/go.mod" ]; then
    go_tests "$module"
  fi
done
go_tests . -race

awk '{ passed += $1; failed += $2 } END { print passed + 0 " passed, " failed + 0 " failed"; exit failed > 0 }' \
  "$work/counts" || status=1
exit "$status"
