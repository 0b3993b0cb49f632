#!/usr/bin/env python3
"""Runs a service as deploy/ says, behind the nginx of deploy/nginx.conf, and checks what is said.

    scripts/deploy.py PROGRAM      with a python that has yaml; scripts/deploy.sh has one

Every metric that an alert or a panel asks for is served; every query is one. News come through
nginx, by a WebSocket and as an event stream. systemd is told what it waits for, and the service
makes no call of the kernel that the unit forbids. Every command of deploy/README.md exists, and
every alert leads to a section of it.

Whatever is not there yet is in EXPECTED of deploy_text.py, which is to be empty.
"""

import contextlib
import http.client
import os
import pathlib
import re
import shlex
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time

import deploy_text
from deploy_text import DEPLOY, fault

PROGRAM = str(pathlib.Path(sys.argv[1]).resolve())
WAIT_SECONDS = 60
# A setting of the service.
PORT = "/api/settings/desk.port"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, is_so):
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if found := is_so():
                return found
        time.sleep(0.05)
    raise SystemExit(f"{what}: not within {WAIT_SECONDS} seconds")


class Told:
    """What systemd would be told."""

    def __init__(self, path):
        self.path, self.socket = path, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(WAIT_SECONDS)

    def await_states(self, *wanted):
        for state in wanted:
            try:
                while state not in self.socket.recv(4096).decode().split("\n"):
                    pass
            except TimeoutError:
                raise SystemExit(f"systemd is not told {state}")


def configured(work, port, service_port):
    """deploy/nginx.conf with the ports and certificates of a test, in an nginx of its own."""
    text = (DEPLOY / "nginx.conf").read_text()
    for old, new in [
        (r"listen \[::\].*\n", ""),
        (r"listen 443", f"listen 127.0.0.1:{port}"),
        (r"listen 80;", f"listen 127.0.0.1:{free_port()};"),
        (r"/etc/ssl/setpoint", str(work)),
        (r"127\.0\.0\.1:8080", f"127.0.0.1:{service_port}"),
    ]:
        text, count = re.subn(old, new, text)
        assert count, f"nginx.conf has no {old}"
    (work / "setpoint.conf").write_text(text)
    temporary = "\n".join(
        f"{it}_temp_path {work}/{it};"
        for it in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (work / "nginx.conf").write_text(
        f"daemon off; pid {work}/nginx.pid; error_log {work}/error.log;\nevents {{}}\n"
        f"http {{ access_log off; {temporary} include {work}/setpoint.conf; }}\n"
    )
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subject += ["-addext", "basicConstraints=critical,CA:FALSE"]
    made = ["-keyout", work / "privkey.pem", "-out", work / "fullchain.pem", "-days", "2"]
    kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subprocess.run(["openssl", *kind, *subject, *made], check=True, capture_output=True)
    return ["nginx", "-p", str(work), "-e", str(work / "error.log"), "-c", str(work / "nginx.conf")]


class Client:
    """Requests, to the service itself or through nginx."""

    def __init__(self, token, port, certificate=None):
        self.token, self.port = token, port
        self.context = certificate and ssl.create_default_context(cafile=certificate)

    def connect(self):
        if self.context is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_SECONDS)
        return http.client.HTTPSConnection(
            "localhost", self.port, timeout=WAIT_SECONDS, context=self.context
        )

    def open(self, method, path, body=None, **headers):
        connection = self.connect()
        headers |= {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        return connection.getresponse()

    def ask(self, method, path, body=None, **headers):
        with contextlib.closing(self.open(method, path, body, **headers)) as answer:
            return answer.status, answer.read().decode()


def check_nginx(work, environment, token, nginx_port):
    front = Client(token, nginx_port, work / "fullchain.pem")
    until("nginx", lambda: front.ask("GET", "/health")[0] == 200)

    listening = subprocess.Popen(
        [PROGRAM, "watch", "--once", "--url", f"https://localhost:{nginx_port}"],
        env=environment | {"SETPOINT_TOKEN": token, "SSL_CERT_FILE": str(work / "fullchain.pem")},
        cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    events = front.open("GET", "/api/settings/events?pattern=desk.**")
    until("two who listen", lambda: front.ask("GET", "/api/clients")[1].count('"transport"') == 2)
    status, answer = front.ask("PUT", PORT, '{"value": 9090}')
    if status != 200:
        fault(f"a change through nginx is answered by {status}: {answer}")
    try:
        shown = listening.communicate(timeout=WAIT_SECONDS)[0]
    except subprocess.TimeoutExpired:
        listening.kill()
        shown = listening.communicate()[0]
    if "9090" not in shown:
        fault(f"`setpoint watch` through nginx does not tell of the change, but: {shown}")
    # The stream stays open: were it buffered, this would not come.
    for line in events:
        if b"9090" in line:
            break
    else:
        fault("the event stream through nginx ended before the change")
    events.close()

    stranger = Client("", nginx_port, work / "fullchain.pem")
    own = f"https://localhost:{nginx_port}"
    for said, wanted, answer in [
        ("a name that is not ours", 403, front.ask("GET", "/health", Host="evil.example")),
        ("the name that it has", 200, front.ask("GET", "/health", Host="settings.example.org")),
        ("the metrics", 404, front.ask("GET", "/metrics")),
        ("a page of its own", 200, front.ask("PUT", PORT, '{"value": 1}', Origin=own)),
        ("a page of others", 403, front.ask("PUT", PORT, '{"value": 2}', Origin="https://evil")),
        ("no token", 401, stranger.ask("GET", "/api/settings")),
    ]:
        if answer[0] != wanted:
            fault(f"through nginx, {said}: {answer[0]} in place of {wanted}: {answer[1]}")


def check_nights(service):
    """What is done at night is done once, so that what is measured of it is there."""
    for path, body, wanted in [
        ("/api/backups", '{"name": "deploy"}', 201),
        ("/api/backups/deploy/verify", "{}", 200),
        ("/api/jobs/drift/run", "{}", 200),
    ]:
        status, answer = service.ask("POST", path, body)
        if status != wanted or '"failed"' in answer:
            fault(f"{path} is answered by {status}: {answer}")


def crowd(service, port):
    """More connections than there is room for, so that the counter of them is there."""
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
    return until("metrics", lambda: answered(service.ask("GET", "/metrics")))


def answered(answer):
    return answer[1] if answer[0] == 200 and "connections_refused_total" in answer[1] else None


def check_calls(trace):
    """The unit allows every call of the kernel that was made."""
    unit = (DEPLOY / "systemd/setpoint.service").read_text()
    allowed = set()
    for line in re.findall(r"(?m)^SystemCallFilter=(.*)$", unit):
        calls = set().union(*(members(it) for it in line.lstrip("~").split()))
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    made = set(re.findall(r"(?m)^\d+ +(?:<\.\.\. )?([a-z_0-9]+)(?:\(| resumed)", trace))
    assert "epoll_wait" in made, "the trace is empty"
    if forbidden := made - allowed:
        fault(f"the unit forbids what the service does: {', '.join(sorted(forbidden))}")
    families = set(re.findall(r"\bsocket\((AF_\w+)", trace))
    known = set(re.findall(r"(?m)^RestrictAddressFamilies=(.*)$", unit)[0].split())
    if families - known or "PROT_WRITE|PROT_EXEC" in trace:
        fault(f"the unit forbids sockets of {families - known}, or memory that is code")


def members(name):
    if not name.startswith("@"):
        return {name}
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", name], capture_output=True, text=True
    ).stdout.splitlines()[1:]
    inside = [it.strip() for it in listed if it.strip() and not it.strip().startswith("#")]
    return set().union(*(members(it) for it in inside)) if inside else set()


def check_credential(work, environment):
    """The line that gives the service its database as a credential does so."""
    drop_in = (DEPLOY / "systemd/postgresql.conf").read_text()
    line = re.findall(r"(?m)^ExecStart=(.+)$", drop_in)[0]
    (work / "credentials").mkdir()
    (work / "credentials/database").write_text(str(work / "setpoint.db") + "\n")
    line = line.replace("%d", str(work / "credentials")).replace("$$", "$")
    line = line.replace("/usr/local/bin/setpoint serve", f"{PROGRAM} get desk.name")
    said = subprocess.run(
        shlex.split(line), cwd=work / "credentials", env=environment, capture_output=True, text=True
    )
    if said.stdout != "front\n":
        fault(f"the database is not taken from the credential: {said.stdout}{said.stderr}")


def check_roll_back(work, environment):
    """README.md's way back from an upgrade with new steps leads back, and how long that takes."""
    runbook = (DEPLOY / "README.md").read_text()
    commands = re.findall(r"sudo sh -c '(cd /var/lib/setpoint [^']*)'", runbook)
    copy, put_back = (it.replace("/var/lib/setpoint", str(work)) for it in commands)
    subprocess.run(["sh", "-ec", copy], check=True)
    with contextlib.closing(sqlite3.connect(work / "setpoint.db")) as database:
        database.execute("INSERT INTO setpoint_migration VALUES ('m20991231_000001_newer', 1)")
        database.commit()
    port = free_port()
    serve = [PROGRAM, "serve", "--listen", f"127.0.0.1:{port}"]
    call = {"cwd": work, "env": environment, "stderr": subprocess.PIPE, "text": True}
    refused = subprocess.run(serve, timeout=WAIT_SECONDS, **call)
    if refused.returncode != 1 or "database::newer" not in refused.stderr:
        fault(f"the old program does not refuse a newer database: {refused.stderr}")
    begun = time.monotonic()
    subprocess.run(["sh", "-ec", put_back], check=True)
    serving = subprocess.Popen(serve, **call)
    try:
        until("ready", lambda: Client("", port).ask("GET", "/ready")[0] == 200)
        print(f"rolled back in {time.monotonic() - begun:.1f} s")
    finally:
        serving.terminate()
        serving.communicate()
    if subprocess.run([PROGRAM, "verify"], stdout=subprocess.PIPE, **call).returncode:
        fault("after the roll back the database is not all right")


def main():
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        # nginx, as root, has workers of another user.
        work.chmod(0o755)
        deploy_text.check(PROGRAM, work)
        run(work)
    sys.exit(bool(deploy_text.faults))


def run(work):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SETPOINT_")}
    environment["SETPOINT_ACTOR"] = "ana"
    (work / "desk.yaml").write_text("desk:\n  port: 8080\n  name: front\n")
    (work / "setpoint.toml").write_text(
        '[[source]]\npath = "desk.yaml"\n\n[server]\nconnections = 20\n'
        'hosts = ["settings.example.org"]\n\n'
        '[[job]]\nname = "drift"\ncron = "0 3 * * *"\nverb = "drift"\n'
    )
    call = {"cwd": work, "env": environment, "capture_output": True, "text": True, "check": True}
    subprocess.run([PROGRAM, "migrate"], **call)
    token = ["token", "create", "deploy", "--role", "admin"]
    token = subprocess.run([PROGRAM, *token], **call).stdout.strip()
    check_credential(work, environment)

    port, nginx_port = free_port(), free_port()
    told = Told(work / "notify")
    trace = ["strace", "-D", "-f", "-qq", "-o", str(work / "trace"), "-e", "signal=none"]
    serving = subprocess.Popen(
        [*trace, PROGRAM, "serve", "--listen", f"127.0.0.1:{port}"],
        cwd=work, env=environment | {"NOTIFY_SOCKET": str(told.path)}, stderr=subprocess.DEVNULL,
    )
    proxying = subprocess.Popen(configured(work, nginx_port, port), cwd=work)
    try:
        told.await_states("READY=1")
        service = Client(token, port)
        check_nginx(work, environment, token, nginx_port)
        check_nights(service)
        deploy_text.check_metrics(crowd(service, port))
        serving.send_signal(signal.SIGHUP)
        told.await_states("RELOADING=1", "READY=1")
        serving.terminate()
        told.await_states("STOPPING=1")
        if serving.wait(timeout=WAIT_SECONDS) != 0:
            fault(f"the service ends with {serving.returncode}")
    finally:
        for process in (proxying, serving):
            if process.poll() is None:
                process.terminate()
                process.wait()
    check_roll_back(work, environment)
    check_calls((work / "trace").read_text(errors="replace"))


main()
