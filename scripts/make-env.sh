#!/usr/bin/env bash
# Writes .env for docker compose, with random secrets. An .env that exists stays as it is.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/make-env.sh [--domain NAME] [--public-url URL] [--output FILE]

  --domain NAME     serve https://NAME with a certificate that is renewed by itself (profile tls);
                    NAME has to point to this host, and ports 80 and 443 have to be reachable
  --public-url URL  where people reach the installation, behind a proxy of your own
  --output FILE     the file to write (.env beside docker-compose.yml)
TEXT
}

output="$(cd "$(dirname "$0")/.." && pwd)/.env"
domain=""
public_url=http://localhost:8080
while [ $# -gt 0 ]; do
  case "$1" in
    --domain | --public-url | --output)
      [ $# -ge 2 ] || { usage >&2; exit 2; }
      case "$1" in
        --domain) domain=$2 public_url="https://$2" ;;
        --public-url) public_url=$2 ;;
        --output) output=$2 ;;
      esac
      shift 2 ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done
if [ -n "$domain" ] && ! [[ $domain =~ ^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$ ]]; then
  echo "make-env: --domain: $domain is not the name of a host" >&2
  exit 2
fi
if ! [[ $public_url =~ ^https?://[^[:space:]\'\"\$]+$ ]]; then
  echo "make-env: --public-url: a URL that begins with http:// or https:// is expected" >&2
  exit 2
fi
if [ -e "$output" ]; then
  echo "make-env: $output exists and stays as it is" >&2
  exit 1
fi

# 256 bits in hexadecimal: no character of it means anything to a shell, a URL or Compose.
secret() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

umask 077
temporary=$(mktemp "$output.XXXXXX")
trap 'rm -f "$temporary"' EXIT
{
  echo "# Written by scripts/make-env.sh; .env.example says what else can be set."
  echo "PICASPOT_SECRET_KEY=$(secret)"
  echo "POSTGRES_PASSWORD=$(secret)"
  echo "S3_SECRET_KEY=$(secret)"
  echo "PICASPOT_PUBLIC_URL=$public_url"
  if [ -n "$domain" ]; then
    echo "COMPOSE_PROFILES=tls"
    echo "PICASPOT_DOMAIN=$domain"
  fi
} >"$temporary"
# ln fails where the file came to be meanwhile, so that secrets in use are never replaced.
ln "$temporary" "$output"
echo "make-env: wrote $output"
