#!/usr/bin/env bash
# What the tests use beyond Go, Node and make: a real PostgreSQL, a real browser,
# and the tools a user would point at the edge. As root on Debian or Ubuntu it is
# installed; otherwise the exact line to run is printed and the tests do not start.
set -euo pipefail
missing=()
need() { # need PACKAGE TEST...
	local package=$1
	shift
	"$@" >/dev/null 2>&1 || missing+=("$package")
}
postgres() { compgen -G '/usr/lib/postgresql/*/bin/initdb' || command -v initdb; }
need postgresql postgres
need chromium command -v chromium
need libnss3-tools command -v certutil
need bind9-dnsutils command -v dig
installed() { command -v "$1" || test -x "/usr/sbin/$1"; }
need knot installed knotd
need knot-dnsutils command -v kdig
need nsd installed nsd
need ldnsutils command -v ldns-verify-zone
need bind9-utils command -v named-checkzone
need bind9 installed named
need unbound installed unbound
need gcc command -v cc
need curl command -v curl
need openssl command -v openssl
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "installing what the tests use: ${missing[*]}"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
	echo "the tests use programs that are not here; run:" >&2
	echo "  sudo apt-get install -y ${missing[*]}" >&2
	exit 1
fi
