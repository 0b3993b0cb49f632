#!/usr/bin/env bash
# Installs what the tests need and the machine lacks, from Debian's packages, crates.io and PyPI.
# Says what it installs; does nothing where nothing is missing. As root, or with sudo.
#
#   scripts/setup-test.sh         for `make test`
#   scripts/setup-test.sh build   only what a build needs
set -euo pipefail

has() { command -v "$1" >/dev/null 2>&1; }

if ! has cargo; then
    echo "setup: there is no cargo; install Rust 1.95 or newer, by rustup for example" >&2
    exit 1
fi

missing=()
has cc || missing+=(gcc libc6-dev)
if [[ ${1:-} != build ]]; then
    has git || missing+=(git)
    has sqlite3 || missing+=(sqlite3)
    has psql || missing+=(postgresql-client)
    has strace || missing+=(strace)
    has ip || missing+=(iproute2)
    has unshare || missing+=(util-linux)
    has mount || missing+=(mount)
    has script || missing+=(bsdutils)
    has promtool || missing+=(prometheus)
    has systemd-analyze || missing+=(systemd)
    # Where only root looks, by default.
    has nginx || [[ -x /usr/sbin/nginx ]] || missing+=(nginx)
    has openssl || missing+=(openssl)
    # What an archive is of, besides tar.
    has zstd || missing+=(zstd)
    # What an encrypted one is of, besides.
    has age || missing+=(age)
    # Asked what it would keep, in time zones that it reads from the machine.
    has restic || missing+=(restic)
    [[ -e /usr/share/zoneinfo/Europe/Berlin ]] || missing+=(tzdata)
    # The server's programs are not on PATH: Debian keeps one folder a version.
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || has initdb \
        || missing+=(postgresql)
fi
# The README's commands are run by a script in Python, and schemathesis is one.
if [[ ${1:-} != build ]]; then
    has python3 || missing+=(python3)
    python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
fi

if ((${#missing[@]})); then
    echo "setup: installing ${missing[*]} from the distribution's packages"
    if ! has apt-get; then
        echo "setup: there is no apt-get; install them by hand and run this again" >&2
        exit 1
    fi
    root=()
    if ((EUID != 0)); then
        if ! has sudo; then
            echo "setup: neither root nor sudo; run as root: apt-get install ${missing[*]}" >&2
            exit 1
        fi
        root=(sudo)
    fi
    export DEBIAN_FRONTEND=noninteractive
    "${root[@]}" apt-get update -qq
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null
fi

if [[ ${1:-} != build ]]; then
    # An S3-compatible server, for the tests of backups in a bucket.
    store=${CARGO_TARGET_DIR:-target}/s3-venv
    wanted=$(dirname "$0")/s3.txt
    if ! cmp -s "$wanted" "$store/installed.txt"; then
        echo "setup: installing OpenStack Swift, an S3-compatible server, from PyPI into $store"
        python3 -m venv --clear "$store"
        "$store/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$wanted"
        cp "$wanted" "$store/installed.txt"
    fi
fi

if [[ ${1:-} != build ]] && ! cargo nextest --version >/dev/null 2>&1; then
    echo "setup: installing cargo-nextest with cargo; this takes some minutes, once"
    if ! cargo install --locked --quiet cargo-nextest; then
        echo "setup: cargo-nextest could not be installed; cargo test does its work" >&2
    fi
fi
