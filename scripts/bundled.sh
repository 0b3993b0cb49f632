#!/usr/bin/env bash
# Proves that seeds can be compiled into the program: builds it with those of fixtures/seeds and
# runs it where there is no file. `make test` runs it last, as it replaces the built program for
# a moment.
set -euo pipefail

cd "$(dirname "$0")/.."
debug=${CARGO_TARGET_DIR:-target}/debug
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset "${!SETPOINT_@}"
export SETPOINT_ACTOR=ana

# The seeds of this program, and a newer version of them.
cp -r fixtures/seeds "$work/newer"
sed -i 's/^version = .*/version = "1.5"/' "$work/newer/seeds.toml"
sed -i 's/white/cream/' "$work/newer/clock.toml"

# Builds the program with the seeds in the folder $1, as $2. The plain one is put back at once.
build() {
    [[ -e $debug/setpoint ]] && cp -p "$debug/setpoint" "$debug/setpoint.plain"
    SETPOINT_SEEDS_DIR=$1 cargo build --quiet --locked --features bundled-seeds
    ln -f "$debug/setpoint" "$debug/setpoint.bundled"
    [[ -e $debug/setpoint.plain ]] && mv "$debug/setpoint.plain" "$debug/setpoint"
    mv "$debug/setpoint.bundled" "$2"
}

passed=0 failed=0
# `check WHAT STATUS TEXT COMMAND…`: the command ends so, and what it prints has that text.
check() {
    local what=$1 status=$2 text=$3 printed ended=0
    shift 3
    printed=$("$@" 2>&1) || ended=$?
    if [[ $ended == "$status" && $printed == *"$text"* ]]; then
        passed=$((passed + 1))
        return
    fi
    failed=$((failed + 1))
    echo "bundled: $what"
    echo "  \$ ${*/#"$work"\//}"
    printf '%s\n' "$printed" | sed 's/^/  /'
    echo "  exit status $ended; expected was $status, and the text: $text"
}

build "$PWD/fixtures/seeds" "$work/setpoint"
build "$work/newer" "$work/setpoint-newer"
old=$work/setpoint new=$work/setpoint-newer
# No seeds but those inside: the folder that the newer ones came from is gone.
rm -r "$work/newer"
mkdir "$work/empty"
cd "$work/empty"

check "a key has its value on first use" 0 "white" "$old" get clock.colour
check "the history names the version" 0 "seeds 1.4 (sha256:" "$old" history --json
check "there was one import" 0 '"revision": 1' "$old" list --json
check "a second run imports nothing" 0 "up to date" "$old" reseed --check
check "an edit stays" 0 "revision 2" "$old" set clock.hands 3
check "a newer program changes nothing by itself" 0 "white" "$new" get clock.colour
check "it says that there is an update" 2 "update available" "$new" reseed --check
check "it takes the update on purpose" 0 "1 updated, 1 kept" "$new" reseed
check "the history names the newer version" 0 "seeds 1.5 (sha256:" "$new" history --json
check "the newer value is live" 0 "cream" "$new" get clock.colour
check "the edit is still there" 0 "3" "$new" get clock.hands
check "then there is no update" 0 "up to date" "$new" reseed --check
check "everything adds up" 0 "all right" "$new" verify

[[ $(ls) == setpoint.db ]] || {
    failed=$((failed + 1))
    echo "bundled: files were left behind:" *
}
echo "bundled: $passed passed, $failed failed"
exit $((failed > 0))
