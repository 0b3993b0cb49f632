#!/usr/bin/env bash
# Holds the service to its OpenAPI document: starts it over a small database, sends what the
# document allows and what it does not, and fails on any answer that is not in it. The same seed
# each time, so the same requests.
#
#   scripts/schemathesis.sh [PROGRAM]
set -euo pipefail

cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
program=$(realpath "${1:-$target/debug/setpoint}")
configuration=$PWD/scripts/schemathesis.toml
version=4.32.5
tools=$target/schemathesis-venv
seed=20261121 examples=${SETPOINT_SCHEMATHESIS_EXAMPLES:-25}

if [[ ! -x $tools/bin/schemathesis ]] \
    || ! "$tools/bin/schemathesis" --version | grep -qF "$version"; then
    echo "schemathesis: installing $version from PyPI into $tools"
    python3 -m venv --clear "$tools" || {
        echo "schemathesis: python3 has no venv; install python3-venv and run this again" >&2
        exit 1
    }
    "$tools/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version"
fi
tools=$(realpath "$tools")

work=$(mktemp -d)
service=
stop() {
    [[ -z $service ]] || { kill "$service" 2>/dev/null && wait "$service" || true; }
    rm -rf "$work"
}
trap stop EXIT
unset "${!SETPOINT_@}"
export SETPOINT_ACTOR=ana
cd "$work"
cat >app.yaml <<'APP'
# Of every type one.
http:
  port: 8080  # listen
  host: localhost
physics:
  damping: 0.5
  is_on: true
list: [1, 2]
APP
cat >setpoint.toml <<'CONFIGURATION'
[[source]]
path = "app.yaml"

[namespaces.default]
layers = ["site"]

[[job]]
name = "audit"
cron = "0 3 1 1 *"
verb = "audit-verify"

[[job]]
name = "drift"
cron = "0 3 1 1 *"
verb = "drift"
CONFIGURATION
"$program" migrate 2>/dev/null >&2
"$program" set http.port 9090 2>/dev/null >&2
token=$("$program" token create tester --role admin 2>/dev/null)
"$program" token create spare --role viewer 2>/dev/null >&2
"$program" backup create first 2>/dev/null >&2

: >service.log
"$program" serve --listen 127.0.0.1:0 2>>service.log &
service=$!
for _ in {1..100}; do
    url=$(sed -n 's/^listening on //p' service.log)
    [[ -z $url ]] || break
    kill -0 "$service" 2>/dev/null || break
    sleep 0.1
done
[[ -n $url ]] || { echo "schemathesis: the service does not start" >&2; cat service.log >&2; exit 1; }

# One worker, so that the requests come in the same order each time.
if ! NO_COLOR=1 timeout 170 "$tools/bin/schemathesis" --config-file "$configuration" \
    run "$url/api/openapi.json" \
    --header "Authorization: Bearer $token" \
    --max-examples "$examples" --seed "$seed" --workers 1 --continue-on-failure \
    --warnings off >report.txt 2>&1; then
    cat report.txt
    echo "schemathesis: the service does something that is not in its document; the log says:"
    tail -20 service.log
    exit 1
fi
# The token is good to the end: it was not a series of 401.
"$tools/bin/python" - "$url" "$token" <<'PYTHON'
import sys, urllib.request
request = urllib.request.Request(sys.argv[1] + "/api/tokens")
request.add_header("Authorization", "Bearer " + sys.argv[2])
assert urllib.request.urlopen(request).status == 200
PYTHON
"$program" verify >/dev/null
echo "schemathesis: $(sed -n 's/^ *\([0-9]* generated.*\)/\1/p' report.txt)"
