"""What the benchmarks share: settings, the program, processes."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SETPOINT = ROOT / "target/dist/setpoint"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def settings(count):
    """Pairs of key and value: ten values a section, a hundred sections a chapter."""
    kinds = [
        lambda i: "true" if i % 2 else "false",
        lambda i: str(i),
        lambda i: f"{i}.5",
        lambda i: f'"#{i % 0xFFFFFF:06x}"',
        lambda i: f'"a text that says a little about number {i}"',
    ]
    for i in range(count):
        yield f"chapter{i // 1000:04}", f"section{i // 10 % 100:03}", f"value{i % 10}", kinds[i % 5](i)


def write_yaml(path, count):
    chapter = section = None
    with open(path, "w") as file:
        for one, two, name, value in settings(count):
            if one != chapter:
                file.write(f"{one}:\n")
                chapter, section = one, None
            if two != section:
                file.write(f"  {two}:\n")
                section = two
            file.write(f"    {name}: {value}\n")


def run(command, expected=0, **options):
    """Seconds and peak memory in MiB of one process, which ends with the status `expected`."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    if os.waitstatus_to_exitcode(status) != expected:
        sys.exit(f"{command} failed with {status}")
    return seconds, usage.ru_maxrss / 1024


def setpoint(folder, *arguments):
    environment = {**os.environ, "SETPOINT_LIMITS__FILE_SIZE_BYTES": str(1 << 30)}
    command = [str(SETPOINT), "--database", f"{folder}/bench.db", "--actor", "bench", *arguments]
    return command, environment
