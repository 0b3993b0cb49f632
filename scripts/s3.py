#!/usr/bin/env python3
"""An S3-compatible server for tests: moto, in memory, on a port of this machine.

It checks the signature of each request, who may do what, conditions (If-None-Match), ranges and
parts. It looks at neither the region nor whether a body is what was signed, and knows no buckets
in the name of the host.

Prints a JSON line with its URL and a key. Then it takes commands as JSON lines, does them past the
HTTP door, and answers each with a JSON line, until its standard input ends.
"""

import io
import json
import logging
import sys
import threading
from pathlib import Path

from moto import settings
from moto.core.authorization import ActionAuthenticatorMixin
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server, WSGIRequestHandler

ACCOUNT, REGION, BUCKET = "123456789012", "us-east-1", "backups"

# What Setpoint says that it needs, and no more.
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
            "Resource": "*",
        },
    ],
}


class Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"


def main():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    people = iam_backends[ACCOUNT]["aws"]
    people.create_user(REGION, "setpoint")
    people.put_user_policy("setpoint", "backups", json.dumps(POLICY))
    key = people.create_access_key("setpoint")
    store = s3_backends[ACCOUNT]["aws"]
    store.create_bucket(BUCKET, REGION)
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    ActionAuthenticatorMixin.request_count = 0

    seen, trouble = [], {}
    application = DomainDispatcherApplication(create_backend_app)

    def troubled(environ, start_response):
        method, condition = environ["REQUEST_METHOD"], environ.get("HTTP_IF_NONE_MATCH")
        seen.append(f"{method} {condition or '-'}")
        if method == trouble.get("fail"):
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return [b""]
        if condition and (there := trouble.pop("race", None)):
            store.put_object(BUCKET, there, b"another")
        if method == "PUT" and trouble.pop("corrupt", None):
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            environ["wsgi.input"] = io.BytesIO(body[:-1] + bytes([body[-1] ^ 1]))
        return application(environ, start_response)

    server = make_server("127.0.0.1", 0, troubled, threaded=True, request_handler=Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say(url=f"http://127.0.0.1:{server.port}", id=key.access_key_id, secret=key.secret_access_key)
    for line in sys.stdin:
        command = json.loads(line)
        name = command.get("name")
        match command["do"]:
            case "list":
                say(names=sorted(store.buckets[BUCKET].keys))
            case "get":
                Path(command["into"]).write_bytes(store.get_object(BUCKET, name).value)
                say()
            case "put":
                store.put_object(BUCKET, name, Path(command["from"]).read_bytes())
                say()
            case "fill":
                for number in range(command["count"]):
                    store.put_object(BUCKET, f"{name}{number:05}", b"x")
                say()
            case "trouble":
                trouble.clear()
                trouble.update(command["is"])
                say()
            case "uploads":
                say(count=len(store.buckets[BUCKET].multiparts))
            case "seen":
                say(requests=seen[:])
                seen.clear()


def say(**answer):
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
