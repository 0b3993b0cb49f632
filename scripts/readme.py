#!/usr/bin/env python3
"""Runs the commands of README.md and compares what they print with what it shows.

    scripts/readme.py --check [BINARY]    fails on a difference
    scripts/readme.py --write [BINARY]    writes what they print into README.md

Every fenced ```console block counts, in order, as one session of one shell: a line `$ …` is a
command, lines `> …` after it go on with it, and the rest, up to the next command, is what it
prints to stdout and stderr together. A command that fails fails the check: where the README
means it to, the command itself shows the status, as in `…; echo "exit status $?"`.

The session starts in a temporary folder that holds copies of fixtures/ and examples/, with
`setpoint` on PATH, `ana` as the actor, and a new PostgreSQL cluster behind the PG* variables.

What differs from run to run is shown, and compared, in one fixed form:
    times           2026-05-01T12:00:00.000Z and, in names, 20260501T120000.000Z
    sha256 hashes   sha256:…
    epochs          "epoch": "…"
"""

import difflib
import glob
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
MASKS = [
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "2026-05-01T12:00:00.000Z"),
    (re.compile(r"\d{8}T\d{6}\.\d{3}Z"), "20260501T120000.000Z"),
    (re.compile(r"sha256:[0-9a-f]{64}"), "sha256:…"),
    (re.compile(r'"epoch": "[0-9a-f]{32}"'), '"epoch": "…"'),
]
TIMEOUT_SECONDS = 120


class Command:
    def __init__(self, shown, text, expected):
        self.shown, self.text, self.expected = shown, text, expected


def masked(text):
    for pattern, form in MASKS:
        text = pattern.sub(form, text)
    return [line.rstrip() for line in text.splitlines()]


def parse(text):
    """The parts of the README: lines of prose, and lists of commands."""
    parts, commands = [], None
    for line in text.splitlines():
        if commands is None:
            parts.append(line)
            if line == "```console":
                commands = []
                parts.append(commands)
        elif line == "```":
            commands = None
            parts.append(line)
        elif line.startswith("$ "):
            commands.append(Command([line], line[2:], []))
        elif re.match(">( |$)", line) and commands and not commands[-1].expected:
            commands[-1].shown.append(line)
            commands[-1].text += "\n" + line[2:]
        elif commands:
            commands[-1].expected.append(line.rstrip())
        else:
            sys.exit(f"readme: a console block starts with no command: {line!r}")
    return parts


def session(commands, folder, environment):
    """What each of `commands` prints, and its status, all in one shell."""
    mark = "@@ readme %d"
    script = "".join(
        f"{command.text}\nprintf '\\n{mark % at} %d\\n' $?\n" for at, command in enumerate(commands)
    )
    shell = subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        printed = shell.communicate(timeout=TIMEOUT_SECONDS)[0].decode()
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGKILL)
        printed = shell.communicate()[0].decode()
    results = []
    for at, command in enumerate(commands):
        output, found, printed = printed.partition(f"\n{mark % at} ")
        if not found:
            sys.exit(f"readme: {command.text!r} did not end:\n{output}")
        status, _, printed = printed.partition("\n")
        results.append((masked(output), int(status)))
    return results


class Postgres:
    """A cluster that nobody else sees, gone with its folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        initdb = shutil.which("initdb")
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=version_of)
        if not found and not initdb:
            sys.exit("readme: there is no initdb; scripts/setup-test.sh installs PostgreSQL")
        self.programs = pathlib.Path(found[-1] if found else initdb).parent
        self.data = self.folder / "data"

    def start(self):
        """Starts it. Returns the variables that clients find it by."""
        if os.geteuid() == 0:
            # The server refuses to run as root.
            shutil.chown(self.folder, "postgres", "postgres")
        self.run("initdb", "-D", self.data, "-U", "ana", "-A", "trust", "--no-sync", "-E", "UTF8",
                 "--locale=C.UTF-8")
        options = f"-F -c listen_addresses='' -k {self.folder}"
        self.run("pg_ctl", "-D", self.data, "-w", "-l", self.folder / "log", "-o", options, "start")
        return {"PGHOST": str(self.folder), "PGUSER": "ana"}

    def stop(self):
        if (self.data / "postmaster.pid").exists():
            self.run("pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")

    def run(self, program, *arguments):
        command = [self.programs / program, *arguments]
        if os.geteuid() == 0:
            as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
            command = as_postgres + command
        done = subprocess.run(command, cwd=self.folder, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            sys.exit(f"readme: {program} failed:\n{done.stdout.decode()}")


def version_of(path):
    return int(path.split("/")[4]) if path.split("/")[4].isdigit() else 0


def run(commands, binary):
    with tempfile.TemporaryDirectory(prefix="setpoint-readme-") as temporary:
        folder = pathlib.Path(temporary)
        folder.chmod(0o755)
        work, programs, cluster = folder / "work", folder / "bin", folder / "postgres"
        for made in [work, programs, cluster]:
            made.mkdir()
        for name in ["fixtures", "examples"]:
            shutil.copytree(ROOT / name, work / name)
        (programs / "setpoint").symlink_to(binary)
        postgres = Postgres(cluster)
        try:
            environment = {
                "PATH": f"{programs}:{postgres.programs}:{os.environ['PATH']}",
                "HOME": str(folder),
                "SETPOINT_ACTOR": "ana",
                "LANG": "C.UTF-8",
                "TZ": "UTC",
                **postgres.start(),
            }
            return session(commands, work, environment)
        finally:
            postgres.stop()


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in ("--check", "--write"):
        sys.exit(__doc__)
    write = sys.argv[1] == "--write"
    binary = ROOT / (sys.argv[2] if len(sys.argv) == 3 else "target/debug/setpoint")
    if not binary.exists():
        sys.exit(f"readme: there is no {binary}; `cargo build` makes it")
    parts = parse(README.read_text())
    commands = [command for part in parts if isinstance(part, list) for command in part]

    failed = 0
    for command, (printed, status) in zip(commands, run(commands, binary)):
        expected = command.expected
        command.expected = printed
        if status != 0:
            failed += 1
            print(f"\n$ {command.text}\nended with status {status}:", *printed, sep="\n")
        elif not write and masked("\n".join(expected)) != printed:
            failed += 1
            print(f"\n$ {command.text}\nprints something else:")
            print(*difflib.unified_diff(expected, printed, "README", "printed", lineterm=""),
                  sep="\n")

    if write and not failed:
        lines = []
        for part in parts:
            if isinstance(part, str):
                lines.append(part)
                continue
            for command in part:
                lines += command.shown + command.expected
        README.write_text("\n".join(lines) + "\n")
    elif failed:
        print("\nreadme: where the README is to follow, `make readme` rewrites it")
    print(f"readme: {len(commands) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
