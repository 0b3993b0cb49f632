#!/usr/bin/env bash
# Shows Setpoint at work on the fixtures, in target/demo: `make demo` runs it.
set -euo pipefail

cd "$(dirname "$0")/.."
binary=$(realpath "${1:-target/debug/setpoint}")
fixtures=$PWD/fixtures
demo=$PWD/target/demo
rm -rf "$demo"
mkdir -p "$demo/bin"
ln -s "$binary" "$demo/bin/setpoint"
cp "$fixtures/visualiser/history/01.yaml" "$demo/settings.yaml"
cp "$fixtures/visualiser/dev_config.toml" "$demo/"
cd "$demo"
export PATH="$demo/bin:$PATH"
unset "${!SETPOINT_@}"

# One stream, so that what a command prints stays below it.
exec 2>&1
say() { printf '\n'; printf '# %s\n' "$@"; }
# Shows a command, runs it, and minds its exit status if it is not the one expected.
show() {
    local expected=0 status=0
    [[ $1 == expect=* ]] && expected=${1#expect=} && shift
    printf '$ %s\n' "$*"
    eval "$*" || status=$?
    if ((status != expected)); then
        echo "demo: exit status $status, and $expected was expected" >&2
        exit 1
    fi
    if ((status != 0)); then echo "(exit status $status)"; fi
}

say "Two files of a graph visualiser, and what Setpoint has to know of them."
cat > setpoint.toml <<'END'
namespace = "visualiser"

[[source]]
path = "settings.yaml"

[[source]]
path = "dev_config.toml"
prefix = "developer"
END
show "cat setpoint.toml"

say "What would happen? Nothing is written, not even a database."
show "setpoint migrate --dry-run > plan.txt; head -8 plan.txt; tail -1 plan.txt"

say "Do it: originals are copied first, then one transaction, then all is read back."
show "setpoint migrate"

say "The settings are in the database now."
show "setpoint list --prefix physics | head -6"
show "setpoint get physics.damping"
show "setpoint set physics.damping 0.85 --reason 'less wobble on stage'"

say "A new version of the file. It changes the damping too: that is a conflict." \
    "What nobody has touched follows the file; the edit stays."
show "cp ../../fixtures/visualiser/history/02.yaml settings.yaml"
show expect=2 "setpoint migrate"
show "setpoint get physics.damping"
show "setpoint explain physics.damping"

say "The file shall win after all."
show "setpoint migrate --strategy theirs"
show "setpoint history"

say "And back: as it was after revision 2. That is a new revision, nothing is erased."
show "setpoint revert --to 2"
show "setpoint diff 2"
show "setpoint verify"

say "Who differs from whom? Three values were edited here."
show expect=2 "setpoint drift"
say "The file shall say what is live: changed in place, comments stay."
show "setpoint adopt physics"

say "Look around: cd target/demo; bin/setpoint list"
