#!/usr/bin/env bash
# Installs what this project needs and the machine lacks, or says exactly what to
# install. Quick when everything is there.
#
#   scripts/setup.sh run     Go, PostgreSQL with PostGIS
#   scripts/setup.sh test    the same, and redis-server and a C compiler for the race detector
#   scripts/setup.sh clients the same as run, and Node with npm, a JDK and Maven
#   scripts/setup.sh contract the same as run, and redis-server, Node with npm, curl, jq and Chromium
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=${1:-run}

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# make puts the binary there; after a run by root an ordinary user can't replace it.
check_bin() {
  local path
  for path in bin bin/picaspot; do
    if [ -e "$path" ] && [ ! -w "$path" ]; then
      die "$path belongs to $(stat -c %U "$path" 2>/dev/null || stat -f %Su "$path"), and make has to replace it: take it over with \`sudo chown -R $(id -un) bin\`"
    fi
  done
}

check_go() {
  command -v go >/dev/null || die "Go is needed: https://go.dev/dl/"
  local wanted have
  wanted=$(awk '$1 == "go" {print $2}' go.mod)
  have=$(GOTOOLCHAIN=local go env GOVERSION | sed 's/^go//; s/[^0-9.].*//')
  # Newer Go versions are fine; older ones fetch the wanted one unless told not to.
  if [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" != "$wanted" ] && [ "$(go env GOTOOLCHAIN)" = local ]; then
    die "Go $wanted or newer is needed, Go $have is installed: https://go.dev/dl/"
  fi
}

postgis_is_there() {
  [ -n "${PICASPOT_PG_BIN:-}" ] && return 0
  local control
  for control in /usr/share/postgresql/*/extension/postgis.control; do
    [ -e "$control" ] && [ -x "/usr/lib/postgresql/$(basename "$(dirname "$(dirname "$control")")")/bin/initdb" ] && return 0
  done
  for control in /opt/homebrew/share/postgresql*/extension/postgis.control /usr/local/share/postgresql*/extension/postgis.control \
    /Applications/Postgres.app/Contents/Versions/latest/share/postgresql/extension/postgis.control; do
    [ -e "$control" ] && return 0
  done
  # Other systems: packages of postgresql.org, and what is on the PATH.
  for control in /usr/pgsql-*/share/extension/postgis.control; do
    [ -e "$control" ] && return 0
  done
  if command -v initdb >/dev/null && command -v pg_config >/dev/null; then
    [ -e "$(pg_config --sharedir)/extension/postgis.control" ] && return 0
  fi
  return 1
}

install_debian() {
  local sudo=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null || die "please install (root is needed): apt-get install $*"
    sudo=(sudo)
  fi
  say "installing: $*"
  # The packages would start servers of their own, which nobody asked for.
  if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    "${sudo[@]}" mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' | "${sudo[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
  fi
  local try
  for try in 1 2 3; do
    if "${sudo[@]}" apt-get update -qq >&2 &&
      "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "$@" >&2; then
      return 0
    fi
    say "apt-get failed, trying again"
    sleep "$((try * 3))"
  done
  die "apt-get could not install: $*"
}

missing=()
check_bin
check_go
if ! postgis_is_there; then missing+=(postgis); fi
if [ "$purpose" = test ] || [ "$purpose" = contract ]; then
  command -v redis-server >/dev/null || missing+=(redis)
fi
if [ "$purpose" = test ] && [ "$(uname)" = Linux ]; then
  # The server takes HEIC and AVIF where it finds it.
  command -v heif-dec >/dev/null || command -v heif-convert >/dev/null || missing+=(heif)
fi
if [ "$purpose" = test ]; then
  command -v cc >/dev/null || command -v gcc >/dev/null || missing+=(cc)
fi
if [ "$purpose" = clients ] || [ "$purpose" = contract ]; then
  # Node 20 or newer is enough for both.
  if ! command -v node >/dev/null || [ "$(node --version | sed 's/^v//; s/[.].*//')" -lt 20 ] || ! command -v npm >/dev/null; then missing+=(node); fi
fi
if [ "$purpose" = clients ]; then
  # The clients are built with a JDK of 17 or newer.
  command -v javac >/dev/null || missing+=(jdk)
  command -v mvn >/dev/null || missing+=(maven)
fi
if [ "$purpose" = contract ]; then
  command -v curl >/dev/null || missing+=(curl)
  command -v jq >/dev/null || missing+=(jq)
  [ -n "${CHROMIUM:-}" ] || command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
    [ -d "/Applications/Google Chrome.app" ] || missing+=(chromium)
fi
[ ${#missing[@]} = 0 ] && exit 0

if command -v apt-get >/dev/null; then
  packages=()
  for what in "${missing[@]}"; do
    case $what in
    postgis)
      # The PostgreSQL that is installed, else the distribution's own.
      newest=$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sed 's|.*/postgresql/\([0-9]*\)/.*|\1|' | sort -n | tail -n 1 || true)
      if [ -z "$newest" ]; then
        newest=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/.*postgresql-\([0-9][0-9]*\).*/\1/p' | head -n 1 || true)
      fi
      if [ -z "$newest" ]; then
        if [ "$(id -u)" = 0 ]; then apt-get update -qq >&2 || true; else sudo -n apt-get update -qq >&2 || true; fi
        newest=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/.*postgresql-\([0-9][0-9]*\).*/\1/p' | head -n 1 || true)
      fi
      [ -n "$newest" ] || die "please install PostgreSQL with PostGIS"
      packages+=("postgresql-$newest" "postgresql-$newest-postgis-3")
      ;;
    redis) packages+=(redis-server) ;;
    cc) packages+=(gcc libc6-dev) ;;
    heif) packages+=(libheif-examples) ;;
    node) die "Node 20 or newer is needed: https://nodejs.org/" ;;
    jdk) packages+=(default-jdk-headless) ;;
    maven) packages+=(maven) ;;
    curl | jq | chromium) packages+=("$what") ;;
    esac
  done
  install_debian "${packages[@]}"
elif [ "$(uname)" = Darwin ]; then
  packages=()
  for what in "${missing[@]}"; do
    case $what in
    postgis) packages+=(postgresql@17 postgis) ;;
    redis) packages+=(redis) ;;
    cc) die "a C compiler is needed: xcode-select --install" ;;
    node) packages+=(node) ;;
    jdk) packages+=(openjdk@21) ;;
    maven) packages+=(maven) ;;
    curl | jq) packages+=("$what") ;;
    chromium) die "Chrome is needed: brew install --cask google-chrome" ;;
    esac
  done
  command -v brew >/dev/null || die "please install: ${packages[*]} (with Homebrew: brew install ${packages[*]})"
  say "installing: ${packages[*]}"
  brew install "${packages[@]}" >&2
else
  die "please install: ${missing[*]} (PostgreSQL 15 or newer with PostGIS, redis-server, a C compiler, libheif's heif-dec or heif-convert, Node 20 or newer, a JDK 17 or newer, Maven, curl, jq, Chromium are what this project may need)"
fi
