#!/usr/bin/env bash
# Installs what the tests need and is not there yet: programs from Debian, npm
# packages under e2e/node_modules. Run it as often as you like; when nothing is
# missing it takes a moment and touches nothing.
#
# Elsewhere than on Debian it names what is missing and stops.
set -euo pipefail
cd "$(dirname "$0")/.."

# One line for each program: what is run, and the Debian packages it comes in.
# This is the only list. gcc and its headers are for the race detector, chromium
# for the tests of the console; without a font it draws no letters.
needed=(
  "git      git ca-certificates"
  "gcc      gcc libc6-dev"
  "node     nodejs"
  "npm      npm"
  "chromium chromium fonts-dejavu-core"
)

oldest_node=18

fail() {
  echo "install-test-deps: $1" >&2
  exit 1
}

missing_packages() {
  local line program packages
  for line in "${needed[@]}"; do
    read -r program packages <<<"$line"
    command -v "$program" >/dev/null || echo "$packages"
  done
}

# apt runs apt-get without questions, through sudo where it must.
apt() {
  local as=()
  if [ "$(id -u)" != 0 ]; then
    as=(sudo)
  fi
  "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" </dev/null >&2
}

install_debian_packages() {
  local packages
  packages=$(missing_packages | tr '\n' ' ')
  if [ -z "$packages" ]; then
    return
  fi
  command -v apt-get >/dev/null || fail "please install: $packages"
  echo "install-test-deps: installing $packages" >&2
  # The package index is fetched only now: with everything in place, the tests
  # do not depend on an archive.
  apt update || echo "install-test-deps: the package index could not be fetched; trying with the old one" >&2
  # shellcheck disable=SC2086 # a list of words
  apt install -y --no-install-recommends $packages || fail "could not install: $packages"
}

# npm ci removes node_modules first. It runs only when the lock file has changed
# since, so that tests in another terminal are not left without their packages.
install_npm_packages() {
  local stamp=e2e/node_modules/.installed
  if cmp -s e2e/package-lock.json "$stamp"; then
    return
  fi
  # Debian's npm 9 stops at our "overrides", so a newer one does the installing.
  local npm=(npm)
  if [ "$(npm --version | cut -d. -f1)" -lt 10 ]; then
    npm=(npm exec --yes npm@10.8.2 --)
  fi
  echo "install-test-deps: npm ci in e2e" >&2
  (cd e2e && "${npm[@]}" ci --no-audit --no-fund --no-update-notifier --loglevel=error </dev/null >&2) ||
    fail "npm ci failed"
  cp e2e/package-lock.json "$stamp"
}

command -v go >/dev/null || fail "please install Go 1.26 or newer: https://go.dev/doc/install"
install_debian_packages
node_version=$(node -p 'process.versions.node.split(".")[0]')
[ "$node_version" -ge "$oldest_node" ] || fail "node is version $node_version; the tests need $oldest_node or newer"
install_npm_packages
