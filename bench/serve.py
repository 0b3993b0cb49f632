"""Measures the service beside nginx and etcd, on the same machine with the same client (wrk).

Every figure is of a run of its own, peers in turn, and ratios are medians of the pairs. Clients
run beside the servers and take their share of the cores, of all servers the same.
"""

import base64
import contextlib
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from common import SETPOINT, free_port, setpoint, write_yaml

SECONDS = int(os.environ.get("BENCH_SECONDS", "5"))
KEY = "chapter0000.section005.value3"


class Server:
    """A process that serves, until it is stopped."""

    def __init__(self, command, port, **options):
        self.port = port
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options
        )

    def wait(self, path):
        """Seconds from the start until `path` answers with 200."""
        while True:
            if self.process.poll() is not None:
                sys.exit(f"{self.process.args} has ended with {self.process.returncode}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as it:
                    if it.status == 200:
                        return time.perf_counter() - self.started
            except OSError as error:
                if time.perf_counter() - self.started > 60:
                    sys.exit(f"{self.process.args} does not serve {path}: {error}")
                time.sleep(0.0005)

    def memory_mib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def stop(self):
        self.process.terminate()
        self.process.wait()


def serve(folder):
    port = free_port()
    command, environment = setpoint(folder, "serve", "--listen", f"127.0.0.1:{port}")
    return Server(command, port, env=environment)


def nginx(folder, name, body):
    root = folder / "www"
    root.mkdir(exist_ok=True)
    (root / name).write_bytes(body)
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"""user root; daemon off; worker_processes 2; pid {folder}/nginx.pid; error_log /dev/null;
events {{ worker_connections 1024; }}
http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
        open_file_cache max=1000; default_type application/json;
        client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
        uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
        server {{ listen 127.0.0.1:{port}; root {root}; }} }}
"""
    )
    server = Server(["nginx", "-c", str(configuration)], port)
    server.wait(f"/{name}")
    return server


def etcd(folder):
    port, peer = free_port(), free_port()
    data = folder / "etcd"
    shutil.rmtree(data, ignore_errors=True)
    url, peer_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    command = [
        "etcd", "--data-dir", str(data), "--listen-client-urls", url, "--advertise-client-urls", url,
        "--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url,
        "--initial-cluster", f"default={peer_url}", "--log-level", "error",
    ]  # fmt: skip
    server = Server(command, port)
    server.wait("/health")
    return server


def wrk(url, script=None, connections=64):
    """Requests a second, and how many of them failed."""
    command = ["wrk", "-t2", f"-c{connections}", f"-d{SECONDS}s", "--latency"]
    command += ["-s", str(script)] if script else []
    said = subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    if failed:
        sys.exit(f"{failed[1]} requests to {url} failed")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])


def compare(name, ours, peer, wanted, pairs):
    """Both in turn, after a warm-up; more is better."""
    measured = [(ours(), peer()) for _ in range(pairs + 1)][1:]
    ratios = sorted(a / b for a, b in measured)
    line = (
        f"| {name} | {statistics.median(a for a, _ in measured):,.0f}/s "
        f"| {statistics.median(b for _, b in measured):,.0f}/s "
        f"| {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) | {wanted} |"
    )
    print(line, flush=True)
    return line


def reads_and_writes(folder, pairs):
    place = folder / "serve"
    place.mkdir()
    write_yaml(place / "settings.yaml", 541)
    command, environment = setpoint(place, "migrate", str(place / "settings.yaml"))
    subprocess.run(command, env=environment, check=True, capture_output=True)

    ours = serve(place)
    ours.wait("/ready")
    url = f"http://127.0.0.1:{ours.port}/api/settings/{KEY}"
    with urllib.request.urlopen(url) as answer:
        body = answer.read()
    static = nginx(folder, "setting.json", body)
    gateway = etcd(folder)

    encoded = lambda text: base64.b64encode(text.encode()).decode()
    read = folder / "etcd-read.lua"
    read.write_text(
        f"""wrk.method = "POST"
wrk.body = '{{"key": "{encoded(KEY)}"}}'
wrk.headers["Content-Type"] = "application/json"
"""
    )
    put = json.dumps({"key": encoded(KEY), "value": base64.b64encode(body).decode()}).encode()
    for_put = urllib.request.Request(f"http://127.0.0.1:{gateway.port}/v3/kv/put", data=put)
    urllib.request.urlopen(for_put).read()

    lines = [
        compare(
            "GET of one setting, beside nginx with a file of the same bytes",
            lambda: wrk(url),
            lambda: wrk(f"http://127.0.0.1:{static.port}/setting.json"),
            "at least 0.6",
            pairs,
        ),
        compare(
            "GET of one setting, beside etcd's JSON gateway",
            lambda: wrk(url),
            lambda: wrk(f"http://127.0.0.1:{gateway.port}/v3/kv/range", read),
            "at least 15",
            pairs,
        ),
    ]

    # Each client writes other values to keys of its own, so every request is a change.
    ours_put = folder / "put.lua"
    ours_put.write_text(
        """local thread = 0
function setup(it) it:set("id", thread); thread = thread + 1 end
local n = 0
function request()
  n = n + 1
  return wrk.format("PUT", string.format("/api/settings/bench.t%d.k%d", id, n % 100),
    {["Content-Type"] = "application/json"}, string.format('{"value": %d}', n))
end
"""
    )
    theirs_put = folder / "etcd-put.lua"
    theirs_put.write_text(
        """local keys = {}
local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local function base64(text)
  return ((text:gsub(".", function(c)
    local r, b = "", c:byte()
    for i = 8, 1, -1 do r = r .. (b % 2 ^ i - b % 2 ^ (i - 1) > 0 and "1" or "0") end
    return r
  end) .. "0000"):gsub("%d%d%d?%d?%d?%d?", function(c)
    if #c < 6 then return "" end
    local n = 0
    for i = 1, 6 do n = n + (c:sub(i, i) == "1" and 2 ^ (6 - i) or 0) end
    return alphabet:sub(n + 1, n + 1)
  end) .. ({"", "==", "="})[#text % 3 + 1])
end
local thread = 0
function setup(it) it:set("id", thread); thread = thread + 1 end
local n = 0
function request()
  n = n + 1
  local k = n % 100
  keys[k] = keys[k] or base64(string.format("bench.t%d.k%d", id, k))
  return wrk.format("POST", "/v3/kv/put", {["Content-Type"] = "application/json"},
    string.format('{"key": "%s", "value": "%s"}', keys[k], base64(tostring(n))))
end
"""
    )
    lines.append(
        compare(
            "durable writes of 64 clients, beside etcd's JSON gateway",
            lambda: wrk(f"http://127.0.0.1:{ours.port}", ours_put),
            lambda: wrk(f"http://127.0.0.1:{gateway.port}", theirs_put),
            "at least 1, aiming at 2",
            pairs,
        )
    )
    for server in (ours, static, gateway):
        server.stop()
    return lines


def figure(name, value, wanted):
    line = f"| {name} | {value} | {wanted} |"
    print(line, flush=True)
    return line


def migrated(folder, count):
    """A folder with a database of so many settings."""
    place = folder / f"start{count}"
    place.mkdir()
    write_yaml(place / "settings.yaml", count)
    command, environment = setpoint(place, "migrate", str(place / "settings.yaml"))
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return place


def starting(folder, count, ready_limit, memory_limit):
    place = migrated(folder, count)
    times, memory = [], 0
    for _ in range(5):
        server = serve(place)
        times.append(server.wait("/ready"))
        memory = server.memory_mib()
        if _ < 4:
            server.stop()
    lines = [
        figure(
            f"{count:,} settings: from start to ready, median of 5",
            f"{statistics.median(times) * 1000:.0f} ms",
            ready_limit,
        )
    ]
    if memory_limit:
        lines.append(figure(f"{count:,} settings: memory", f"{memory:.0f} MiB", memory_limit))
    return server, lines


def searching(server):
    """Seconds of searches, by one client on one connection."""
    queries = ["value3", "section042", "ch section 7 value", "number 77", "zzzz", "v", "chsec", "e"]
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    times = []
    for turn in range(400):
        query = urllib.request.quote(queries[turn % len(queries)])
        begin = time.perf_counter()
        connection.request("GET", f"/api/settings/search?q={query}&limit=20")
        answer = connection.getresponse()
        body = answer.read()
        times.append(time.perf_counter() - begin)
        assert answer.status == 200, body
    times.sort()
    p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
    return figure(
        "search over 100,000 settings: p99 (p50)",
        f"{p99 * 1000:.1f} ms ({p50 * 1000:.1f} ms)",
        "under 10 ms",
    )


@contextlib.contextmanager
def backing_up(server):
    """One backup of the service after the other, the last until it is done; says how many."""
    stop, count = threading.Event(), [0]

    def work():
        connection = http.client.HTTPConnection("127.0.0.1", server.port)

        def ask(method, path, body=None, expected=201):
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != expected:
                sys.exit(f"{method} {path}: {answer.status} {text}")

        while not stop.is_set():
            count[0] += 1
            name = f"beside-{time.time_ns()}"
            ask("POST", "/api/backups", json.dumps({"name": name}))
            ask("DELETE", f"/api/backups/{name}", expected=204)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield count
    finally:
        stop.set()
        thread.join()


def writing(server):
    """Seconds of writes, 100 a second."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    times, due = [], time.perf_counter()
    for turn in range(SECONDS * 100):
        due += 0.01
        time.sleep(max(0, due - time.perf_counter()))
        begin = time.perf_counter()
        body = json.dumps({"value": turn})
        connection.request("PUT", "/api/settings/beside.backups", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        times.append(time.perf_counter() - begin)
        assert answer.status == 200, text
    return sorted(times)


def beside_backups(server, pairs):
    """Reads and writes while one backup of 100,000 settings follows the other, and without."""
    url = f"http://127.0.0.1:{server.port}/api/settings/{KEY}"
    ratios, drifts, taken = [], [], 0
    before = wrk(url, connections=16)
    for _ in range(pairs * 2):
        with backing_up(server) as count:
            beside = wrk(url, connections=16)
        after = wrk(url, connections=16)
        # Machines get faster and slower by themselves: compared with before and after.
        ratios.append(1 - beside * 2 / (before + after))
        drifts.append(abs(1 - after / before))
        taken += count[0]
        before = after
    ratios.sort()
    return [
        figure(
            f"reads are slower beside backups, one after the other ({taken} in all)",
            f"{statistics.median(ratios):.1%} ({ratios[0]:.1%} to {ratios[-1]:.1%}; "
            f"without any they changed by {statistics.median(drifts):.1%} from turn to turn)",
            "under 5 %",
        ),
        blocking("longest of 100 writes/s beside backups (without)", server),
    ]


def beside_backups_in_memory():
    """Writes beside backups where no disk takes part: what is left are locks and processors."""
    if not Path("/dev/shm").is_dir():
        return []
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        server = serve(migrated(Path(name), 100_000))
        server.wait("/ready")
        row = blocking("the same on a file system in memory", server)
        server.stop()
    return [row]


def blocking(name, server):
    alone = writing(server)
    with backing_up(server):
        beside = writing(server)
    said = lambda times: f"{times[-1] * 1000:.0f} ms, p99 {times[int(len(times) * 0.99)] * 1000:.1f}"
    return figure(name, f"{said(beside)} ({said(alone)})", "no more than 50 ms longer")


HANDSHAKE = (
    "GET /api/settings/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
).encode()


def text_frame(text):
    """A short text of a client, masked with zeros."""
    body = text.encode()
    assert len(body) < 126
    return bytes([0x81, 0x80 | len(body), 0, 0, 0, 0]) + body


def listening(server, count):
    """`count` WebSockets that hear of one key, each of them welcomed."""
    sockets = []
    for _ in range(count):
        one = socket.create_connection(("127.0.0.1", server.port))
        one.sendall(HANDSHAKE + text_frame('{"type":"Hello","patterns":["fan.out"]}'))
        sockets.append(one)
    for one in sockets:
        heard(one, b"SettingsReloaded")
    return sockets


def heard(one, word):
    """Reads until `word` has come."""
    seen = b""
    while word not in seen:
        more = one.recv(65536)
        if not more:
            sys.exit("a WebSocket was closed")
        seen = seen[-64:] + more
    return seen


def put(server, key, value):
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    body = json.dumps({"value": value})
    connection.request("PUT", f"/api/settings/{key}", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    answer.read()


def fanning_out(folder):
    place = folder / "fan"
    place.mkdir()
    write_yaml(place / "settings.yaml", 541)
    command, environment = setpoint(place, "migrate", str(place / "settings.yaml"))
    subprocess.run(command, env=environment, check=True, capture_output=True)
    server = serve(place)
    server.wait("/ready")
    sockets = listening(server, 5_000)
    memory = server.memory_mib()
    epoll = select.epoll()
    by_number = {one.fileno(): one for one in sockets}
    for number in by_number:
        epoll.register(number, select.EPOLLIN)
    times = []
    for turn in range(6):
        waiting = set(by_number)
        begin = time.perf_counter()
        put(server, "fan.out", turn)
        while waiting:
            for number, _ in epoll.poll(5):
                # A ping has no `SettingChanged` in it.
                if b"SettingChanged" in by_number[number].recv(65536):
                    waiting.discard(number)
        times.append(time.perf_counter() - begin)
    after = server.memory_mib()
    for one in sockets:
        one.close()
    server.stop()
    return [
        figure("5,000 idle WebSockets: memory of the service", f"{memory:.0f} MiB", "under 150 MB"),
        figure(
            "one change to 5,000 WebSockets, from the request until the last has it, median",
            f"{statistics.median(times[1:]) * 1000:.0f} ms",
            "under 250 ms",
        ),
        figure("the same, memory afterwards", f"{after:.0f} MiB", ""),
    ]


@contextlib.contextmanager
def postgres():
    """A server with an empty database, by its URL."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda it: int(it.parent.name))
    data, port = Path(tempfile.mkdtemp(prefix="setpoint-bench-postgres-")), free_port()
    # It refuses to be run by root.
    other = []
    if os.geteuid() == 0:
        shutil.chown(data, "postgres", "postgres")
        other = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "cwd": data}
    create = [str(programs / "initdb"), "-D", str(data), "-U", "setpoint", "-A", "trust"]
    subprocess.run(other + create, **quiet)
    command = [str(programs / "postgres"), "-D", str(data), "-p", str(port), "-k", str(data)]
    server = subprocess.Popen(other + command, stderr=subprocess.DEVNULL, cwd=data)
    url = f"postgres://setpoint@127.0.0.1:{port}/postgres"
    while subprocess.run(["psql", url, "-c", ""], capture_output=True).returncode:
        time.sleep(0.1)
    try:
        yield url
    finally:
        # At once: it has nothing that is to be kept.
        server.send_signal(signal.SIGQUIT)
        server.wait()
        shutil.rmtree(data)


def delivering(folder):
    """100 WebSockets, 100 writes a second, and raw SQL, by `setpoint load-test`.

    A tenth of its requests are writes; it measures from the moment a request was due."""
    place = folder / "deliver"
    place.mkdir()

    def load(*where):
        command = [
            str(SETPOINT), "load-test", "quick", "--users", "100", "--rps", "1000",
            "--duration", f"{max(SECONDS * 3, 10)}s", "--json", "--out", str(place), *where,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, cwd=place)
        if not done.stdout.strip():
            sys.exit(f"load-test failed: {done.stderr}")
        measured = {row["what"]: row for row in json.loads(done.stdout)["measured"]}

        def said(what):
            row = measured[what]
            return f"{row['p99_ms']:.1f} ms ({row['p50_ms']:.1f} ms, {row['count']:,} times)"

        return said("delivery"), said("hot reload")

    sqlite = load()
    write_yaml(place / "settings.yaml", 541)
    with postgres() as url:
        there, port = ["--database", url], free_port()
        command = [str(SETPOINT), "migrate", str(place / "settings.yaml"), *there]
        subprocess.run(command, check=True, capture_output=True, cwd=place)
        command = [str(SETPOINT), "serve", "--listen", f"127.0.0.1:{port}", *there]
        server = Server(command, port, cwd=place)
        server.wait("/ready")
        of_postgres = load("--url", f"http://127.0.0.1:{port}", *there)
        server.stop()
    writes, updates = "write until 100 WebSockets have it, 100 writes/s: p99 (p50)", "UPDATE by"
    heard = "until a WebSocket has it: p99 (p50)"
    return [
        figure(writes, sqlite[0], "under 20 ms"),
        figure(f"{updates} sqlite3 {heard}", sqlite[1], "under 25 ms"),
        figure(f"the same with PostgreSQL, {writes}", of_postgres[0], "under 20 ms"),
        figure(f"{updates} psql {heard}", of_postgres[1], "under 25 ms"),
    ]


def measure(folder, pairs):
    """The three parts of the report, each a list of rows."""
    compared = reads_and_writes(folder, pairs)
    small, figures = starting(folder, 541, "50 ms", "under 40 MB")
    small.stop()
    large, started = starting(folder, 100_000, "1 s", None)
    figures += started
    figures.append(searching(large))
    figures += beside_backups(large, pairs)
    large.stop()
    figures += beside_backups_in_memory()
    figures += fanning_out(folder)
    figures += delivering(folder)
    return compared, figures
