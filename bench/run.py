"""Times whole processes of setpoint and sqlite3 in turn, pair by pair, and writes results.md.

The peer of an import is `sqlite3 .import` of the rows that the import makes, into a table of the
same definition, with WAL and synchronous FULL. Times are wall-clock seconds of the process;
ratios are medians of the pairs, since a machine's speed drifts between them.
"""

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import serve
from common import ROOT, run, setpoint, write_yaml

PAIRS = int(sys.argv[1]) if len(sys.argv) > 1 else 7
TABLE = """CREATE TABLE setting (namespace text NOT NULL, layer text NOT NULL, key text NOT NULL,
value text NOT NULL, value_type text NOT NULL, format text, revision bigint NOT NULL,
created_at text NOT NULL, updated_at text NOT NULL, updated_by text NOT NULL,
PRIMARY KEY (namespace, layer, key)) WITHOUT ROWID"""


def pairs(ours, theirs, before=lambda: None):
    """Runs both in turn, `PAIRS` times after a warm-up, with `before` before each."""
    measured = []
    for turn in range(PAIRS + 1):
        before()
        a = ours()
        before()
        b = theirs()
        if turn:
            measured.append((a, b))
    return measured


def row(name, measured, limit):
    ours = statistics.median(a[0] for a, _ in measured)
    peer = statistics.median(b[0] for _, b in measured)
    ratios = sorted(a[0] / b[0] for a, b in measured)
    memory = max(a[1] for a, _ in measured)
    line = (
        f"| {name} | {ours * 1000:.1f} ms | {peer * 1000:.1f} ms "
        f"| {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) "
        f"| {limit} | {memory:.0f} MiB |"
    )
    print(line, flush=True)
    return line


def imports(folder, count):
    source = folder / "settings.yaml"
    write_yaml(source, count)
    clean = folder / "clean"

    def wipe():
        shutil.rmtree(clean, ignore_errors=True)
        clean.mkdir()

    def first():
        command, environment = setpoint(clean, "migrate", str(source))
        return run(command, env=environment)

    wipe()
    first()
    rows = f"{folder}/rows.csv"
    dump = ["sqlite3", "-csv", str(clean / "bench.db"), f".output {rows}", "SELECT * FROM setting"]
    subprocess.run(dump, check=True)
    ask = ["sqlite3", str(clean / "bench.db"), "SELECT count(*) FROM setting"]
    found = int(subprocess.run(ask, check=True, capture_output=True, text=True).stdout)
    assert found == count, f"{found} of {count} settings"
    script = folder / "import.sql"
    script.write_text(
        "PRAGMA journal_mode=WAL;\nPRAGMA synchronous=FULL;\n"
        f"{TABLE};\n.mode csv\n.import {rows} setting\n"
    )

    def peer():
        with open(script) as text:
            return run(["sqlite3", str(clean / "peer.db")], stdin=text)

    lines = [row(f"first import of {count:,} settings (YAML)", pairs(first, peer, wipe), "5")]
    wipe()
    first()

    def again():
        command, environment = setpoint(clean, "migrate", str(source))
        return run(command, env=environment)

    def peer_again():
        (clean / "peer.db").unlink(missing_ok=True)
        return peer()

    lines.append(row(f"re-import of {count:,}, file unchanged", pairs(again, peer_again), "1"))

    def reformat():
        with open(source, "a") as file:
            file.write(f"# {time.time_ns()}\n")

    lines.append(
        row(f"re-import of {count:,}, a comment changed", pairs(again, peer_again, reformat), "1")
    )
    key = "chapter0000.section042.value3"

    def get():
        command, environment = setpoint(clean, "get", key)
        return run(command, env=environment)

    def select():
        sql = f"SELECT value FROM setting WHERE namespace='default' AND layer='base' AND key='{key}'"
        return run(["sqlite3", str(clean / "bench.db"), sql])

    global PAIRS
    PAIRS, kept = PAIRS * 10, PAIRS
    lines.append(row("get, whole process", pairs(get, select), "4"))
    PAIRS = kept
    return lines


def drifts(folder, count):
    """`drift` beside `validate`, which reads the same file and does nothing else."""
    place = folder / "drift"
    place.mkdir()
    source = place / "settings.yaml"
    write_yaml(source, count)
    configuration = place / "setpoint.toml"
    configuration.write_text('[[source]]\npath = "settings.yaml"\n')

    def timed(verb, expected=0):
        def measured():
            command, environment = setpoint(place, verb, "--config", str(configuration))
            return run(command, expected, env=environment)

        return measured

    def drift(differs):
        return timed("drift", expected=2 if differs else 0)

    timed("migrate")()
    read = timed("validate")
    lines = [row(f"drift over {count:,}, file unchanged", pairs(drift(False), read), "2")]

    def reformat():
        with open(source, "a") as file:
            file.write(f"# {time.time_ns()}\n")

    lines.append(
        row(f"drift over {count:,}, a comment changed", pairs(drift(False), read, reformat), "2")
    )
    sql = "UPDATE setting SET value = '\"edited\"' WHERE value_type = 'string' AND key LIKE '%7.value3'"
    subprocess.run(["sqlite3", str(place / "bench.db"), sql], check=True)
    edited = pairs(drift(True), read)
    lines.append(row(f"drift over {count:,}, one in a hundred edited here", edited, "2"))
    subprocess.run(["sed", "-i", "s/number 1/the number 1/", str(source)], check=True)
    both = pairs(drift(True), read)
    lines.append(row(f"drift over {count:,}, and one in fifty changed in the file", both, "2"))
    shutil.rmtree(place)
    return lines


def backups(folder, count, rounds):
    """`backup create` beside `.backup` and `integrity_check`, where every key has changed often."""
    place = folder / "backup"
    place.mkdir()
    source = place / "settings.yaml"
    write_yaml(source, count)
    command, environment = setpoint(place, "migrate", str(source))
    run(command, env=environment)
    database = place / "bench.db"
    for turn in range(rounds):
        # As an import would: one revision with every key, and no trigger.
        script = f"""
BEGIN IMMEDIATE;
UPDATE head SET applying = revision + 1;
INSERT INTO revision (id, at, actor, channel, kind)
SELECT applying, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), 'bench', 'cli', 'edit' FROM head;
INSERT INTO change (namespace, layer, key, revision, action, before, before_format, after, after_format)
SELECT namespace, layer, key, (SELECT applying FROM head), 'update', value, format,
       CASE value_type WHEN 'string' THEN '"round {turn} of ' || substr(key, 1, 20) || '"'
       WHEN 'boolean' THEN CASE value WHEN 'true' THEN 'false' ELSE 'true' END
       WHEN 'integer' THEN CAST(CAST(value AS INTEGER) + 1 AS TEXT) ELSE '{turn}.25' END, format
FROM setting;
UPDATE setting SET revision = (SELECT applying FROM head), value =
    (SELECT after FROM change c WHERE c.namespace = setting.namespace AND c.layer = setting.layer
     AND c.key = setting.key AND c.revision = (SELECT applying FROM head));
UPDATE head SET revision = applying, applying = NULL;
COMMIT;
"""
        subprocess.run(["sqlite3", str(database)], input=script, text=True, check=True)
    copy = place / "copy.db"

    def create():
        name = f"b{time.time_ns()}"
        command, environment = setpoint(place, "backup", "create", name)
        measured = run(command, env=environment)
        (place / f"backups/{name}.setpoint.tar").unlink()
        return measured

    def peer():
        copy.unlink(missing_ok=True)
        script = f"sqlite3 {database} '.backup {copy}' && sqlite3 {copy} 'PRAGMA integrity_check'"
        return run(["sh", "-c", script])

    changes = count * (rounds + 1)
    name = f"backup of {count:,} settings with {changes:,} changes, read back"
    lines = [row(name, pairs(create, peer), "2.5")]
    shutil.rmtree(place)
    return lines


def planning(folder):
    """Dry runs against a database that has every setting, in a file that changes one in ten."""
    lines = []
    for count in (1_000, 10_000, 100_000, 1_000_000):
        place = folder / f"plan{count}"
        place.mkdir()
        source = place / "settings.yaml"
        write_yaml(source, count)
        command, environment = setpoint(place, "migrate", str(source))
        run(command, env=environment)
        subprocess.run(["sed", "-i", "s/number 1/the number 1/", str(source)], check=True)
        command, environment = setpoint(place, "migrate", "--dry-run", str(source))
        seconds, memory = min(run(command, env=environment) for _ in range(3))
        line = (
            f"| {count:,} | {seconds * 1000:.0f} ms | {seconds / count * 1e6:.2f} µs | {memory:.0f} MiB |"
        )
        print(line, flush=True)
        lines.append(line)
        shutil.rmtree(place)
    return lines


def machine():
    model = next(
        (line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line), "?"
    )
    peer = subprocess.run(["sqlite3", "--version"], capture_output=True, text=True).stdout.split()[0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT
    ).stdout.strip()
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}, "
        f"sqlite3 {peer}, commit {revision}, {PAIRS} pairs"
    )


def main():
    with tempfile.TemporaryDirectory(prefix="setpoint-bench-") as name:
        folder = Path(name)
        facts = machine()
        measured = imports(folder, 100_000)
        drifted = drifts(folder, 100_000)
        saved = backups(folder, 100_000, 9)
        planned = planning(folder)
        compared, figures = serve.measure(folder, PAIRS)
    text = f"""# Measured

By `make bench`, which writes this file: {facts}.

Whole processes, setpoint and sqlite3 in turn; the ratio is the median of the pairs, with the
lowest and the highest. The peer of an import is `sqlite3 .import` of the same rows into a table
of the same definition, WAL and synchronous FULL; of get, `sqlite3 db 'SELECT …'`.

| what | setpoint | sqlite3 | ratio | wanted below | peak memory |
|---|---|---|---|---|---|
{chr(10).join(measured)}

The peer of drift is `setpoint validate`, which reads the same file and needs no database:

| what | drift | validate | ratio | wanted below | peak memory |
|---|---|---|---|---|---|
{chr(10).join(drifted)}

The peer of a backup is `.backup` by sqlite3 and `PRAGMA integrity_check` of the copy:

| what | setpoint | sqlite3 | ratio | wanted below | peak memory |
|---|---|---|---|---|---|
{chr(10).join(saved)}

A dry run of a file that changes one setting in fifty, against a database that has them all:

| settings | time | a setting | peak memory |
|---|---|---|---|
{chr(10).join(planned)}

The service beside nginx and etcd, 64 connections of wrk, each server {serve.SECONDS} s in turn; wrk has
its share of the same cores. The writes are on the disk when they are answered, of both:

| what | setpoint | peer | ratio | wanted |
|---|---|---|---|---|
{chr(10).join(compared)}

| what | measured | wanted |
|---|---|---|
{chr(10).join(figures)}
"""
    (ROOT / "bench/results.md").write_text(text)


if __name__ == "__main__":
    main()
