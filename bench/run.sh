#!/usr/bin/env bash
# Measures Setpoint, built as it is shipped, beside sqlite3, nginx and etcd in one run and writes bench/results.md.
# It asserts nothing: a noisy machine is no failure.
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in sqlite3 python3 wrk nginx etcd:etcd-server; do
    command -v "${tool%:*}" >/dev/null || PATH+=:/usr/sbin
    command -v "${tool%:*}" >/dev/null || {
        echo "bench needs ${tool%:*}: apt-get install ${tool#*:}" >&2
        exit 1
    }
done
cargo build --profile dist --quiet
exec python3 bench/run.py "$@"
