#!/usr/bin/env python3
"""An S3-compatible server for tests: OpenStack Swift with its S3 door, on ports of this machine.

All its servers run in this process, with one disk, which is a temporary folder. They look at who
signed a request, for which region, and whether the body is what was signed; who may do what;
conditions (If-None-Match), ranges and parts. The bucket is in the path, or in the host's name
before `.localhost`. A list has 20 names a page, whatever was asked for.

Prints a JSON line with its URL and a key. Then it takes commands as JSON lines, does them behind
the S3 door, and answers each with a JSON line, until its standard input ends.
"""

import io
import json
import logging
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

import eventlet
from eventlet import tpool, wsgi
from swift.account.server import AccountController
from swift.common import utils
from swift.common.middleware.slo import StaticLargeObject
from swift.common.ring import RingBuilder
from swift.common.swob import Request
from swift.common.wsgi import SwiftHttpProtocol, loadapp
from swift.container.server import ContainerController
from swift.obj.server import ObjectController

ACCOUNT, BUCKET, SECRET = "test", "backups", "secret-of-tests"

# Where Swift keeps what belongs to uploads in parts.
PARTS = BUCKET + "+segments"

# One key owns nothing and may do with the bucket what Setpoint says that it needs, one may read it;
# and there is the owner's. Whom it does not trust, Swift does not tell that there is no bucket.
WRITER, READER = f"{ACCOUNT}:setpoint", f"{ACCOUNT}:reader"
RIGHTS = {"X-Container-Read": f"{WRITER},{READER}", "X-Container-Write": WRITER}

# As Swift's manual has it, without a cache and a log.
DOOR = f"""
[DEFAULT]
swift_dir = {{folder}}
[pipeline:main]
pipeline = catch_errors gatekeeper listing_formats s3api tempauth bulk slo proxy-server
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
storage_domain = localhost
max_bucket_listing = 20
[filter:tempauth]
use = egg:swift#tempauth
user_{ACCOUNT}_setpoint = {SECRET}
user_{ACCOUNT}_reader = {SECRET}
user_{ACCOUNT}_owner = {SECRET} .admin
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
"""


# Faults of this script. What is asked is no news.
FAULTS = logging.getLogger("faults")


def main():
    logging.basicConfig(level=logging.INFO)
    FAULTS.addFilter(lambda it: it.getMessage().startswith("Traceback"))
    with tempfile.TemporaryDirectory() as folder:
        serve(Path(folder))


def serve(folder):
    door = swift(folder)
    behind = door
    while not isinstance(behind, StaticLargeObject):
        behind = behind.app

    def ask(method, path, body=b"", headers=None):
        """Asks Swift in its own language, as its operator."""
        url = f"/v1/AUTH_{ACCOUNT}/{quote(path)}?format=json"
        request = Request.blank(url, {"REQUEST_METHOD": method}, headers, body)
        request.environ |= {"swift.authorize_override": True, "swift_owner": True}
        response = request.get_response(behind)
        if not response.is_success:
            raise RuntimeError(f"{method} {url}: {response.status}")
        return response.body

    def names(bucket):
        return [it["name"] for it in json.loads(ask("GET", bucket))]

    def put(name, body):
        ask("PUT", f"{BUCKET}/{name}", body)

    for bucket in (BUCKET, PARTS):
        ask("PUT", bucket, headers=RIGHTS)
    seen, trouble = [], {}

    def troubled(environ, start_response):
        # As a proxy of HTTP is asked.
        for path in ("PATH_INFO", "RAW_PATH_INFO"):
            if environ[path].startswith("http://"):
                environ[path] = "/" + environ[path].split("/", 3)[3]
        method, condition = environ["REQUEST_METHOD"], environ.get("HTTP_IF_NONE_MATCH")
        verb = "LIST" if "list-type=2" in environ.get("QUERY_STRING", "") else method
        request = f"{verb} {condition or '-'}"
        seen.append(request)
        if method == trouble.get("fail"):
            environ["wsgi.input"].read()
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return [b""]
        if request == trouble.get("before"):
            del trouble["before"]
            if there := trouble.get("put"):
                put(there, b"another")
            if trouble.get("flip"):
                flip(folder)
        if trouble.get("deaf"):
            environ.pop("HTTP_IF_NONE_MATCH", None)
        if method == "PUT" and trouble.pop("corrupt", None):
            environ["wsgi.input"] = io.BytesIO(flipped(environ["wsgi.input"].read()))
        if method == "POST" and trouble.get("late"):
            return door(environ, lambda _, *rest: start_response("200 OK", *rest))
        return door(environ, start_response)

    url = f"http://127.0.0.1:{listen(troubled)}"
    say(url=url, id=WRITER, secret=SECRET)
    while line := tpool.execute(sys.stdin.readline):
        command = json.loads(line)
        name = command.get("name")
        match command["do"]:
            case "list":
                say(names=names(BUCKET))
            case "get":
                Path(command["into"]).write_bytes(ask("GET", f"{BUCKET}/{name}"))
                say()
            case "put":
                put(name, Path(command["from"]).read_bytes())
                say()
            case "remove":
                ask("DELETE", f"{BUCKET}/{name}")
                say()
            case "fill":
                for number in range(command["count"]):
                    put(f"{name}{number:05}", b"x")
                say()
            case "trouble":
                trouble.clear()
                trouble.update(command["is"])
                say()
            case "uploads":
                # One is called NAME/ID, its parts NAME/ID/NUMBER: those of what is whole stay.
                say(count=sum(not it.rsplit("/", 1)[1].isdigit() for it in names(PARTS)))
            case "seen":
                say(requests=seen[:])
                seen.clear()


def swift(folder):
    """The S3 door of a new Swift whose disk is in `folder`."""
    utils.HASH_PATH_SUFFIX = b"tests"
    (folder / "disk").mkdir()
    settings = {"devices": str(folder), "mount_check": "false", "log_level": "CRITICAL"}
    logger = utils.get_logger(settings)
    for kind, controller in (
        ("account", AccountController),
        ("container", ContainerController),
        ("object", ObjectController),
    ):
        ring = RingBuilder(part_power=2, replicas=1, min_part_hours=0)
        port = listen(controller(settings | {"swift_dir": str(folder)}, logger))
        ring.add_dev(
            {"region": 1, "zone": 1, "weight": 1, "ip": "127.0.0.1", "port": port, "device": "disk"}
        )
        ring.rebalance()
        ring.get_ring().save(str(folder / f"{kind}.ring.gz"))
    proxy = folder / "proxy.conf"
    proxy.write_text(DOOR.format(folder=folder))
    return loadapp(str(proxy))


def listen(application):
    """Serves it on a port, which it gives."""
    socket = eventlet.listen(("127.0.0.1", 0))
    options = {"protocol": SwiftHttpProtocol, "capitalize_response_headers": False}
    eventlet.spawn(wsgi.server, socket, application, log=FAULTS, **options)
    return socket.getsockname()[1]


def flip(folder):
    """Changes a byte of all objects where they are stored."""
    for file in (folder / "disk").glob("objects/**/*.data"):
        file.write_bytes(flipped(file.read_bytes()))


def flipped(body):
    return body[:-1] + bytes([body[-1] ^ 1])


def say(**answer):
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
