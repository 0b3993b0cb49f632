#!/usr/bin/env python3
"""Asks restic which of some backups it would keep, and why.

    scripts/restic.py < QUESTION.json

QUESTION is {"zone": "Europe/Berlin", "times": [RFC 3339, …], "policies": [[ARGUMENT, …], …]},
where the arguments are those of `restic forget`. What comes out is a list with one item a policy:
for each time the list of restic's reasons to keep it, or null if it would be removed.

restic backs up in a second or so, most of which goes into a key that is slow on purpose. So the
repository is written here, in the format of restic's design document, with a key that is not:
https://restic.readthedocs.io/en/stable/100_references.html. It holds snapshots and nothing else.
"""

import base64
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

PASSWORD = "nothing to hide"
# The cheapest that scrypt has.
COST = {"N": 2, "r": 8, "p": 1}


def aes(key, blocks):
    """Each block of 16 bytes by itself: AES-128 or AES-256, by the length of `key`."""
    cipher = f"-aes-{len(key) * 8}-ecb"
    command = ["openssl", "enc", cipher, "-nopad", "-nosalt", "-K", key.hex()]
    return subprocess.run(command, input=b"".join(blocks), stdout=subprocess.PIPE, check=True).stdout


def poly1305(key, text):
    """The code of `text` by https://www.rfc-editor.org/rfc/rfc8439#section-2.5."""
    factor = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for at in range(0, len(text), 16):
        total += int.from_bytes(text[at : at + 16] + b"\1", "little")
        total = total * factor % (2**130 - 5)
    total += int.from_bytes(key[16:], "little")
    return (total % 2**128).to_bytes(16, "little")


def encrypt(keys, texts):
    """AES-256 in counter mode, then Poly1305-AES; `keys` are for the one and the two of the other."""
    for_text, for_code, factor = keys
    starts = [os.urandom(16) for _ in texts]
    counters = [
        ((int.from_bytes(start, "big") + at) % 2**128).to_bytes(16, "big")
        for start, text in zip(starts, texts)
        for at in range((len(text) + 15) // 16)
    ]
    stream, codes = aes(for_text, counters), aes(for_code, starts)
    sealed, used = [], 0
    for at, (start, text) in enumerate(zip(starts, texts)):
        hidden = bytes(a ^ b for a, b in zip(text, stream[used:]))
        used += (len(text) + 15) // 16 * 16
        code = poly1305(factor + codes[at * 16 : at * 16 + 16], hidden)
        sealed.append(start + hidden + code)
    return sealed


def as_json(value):
    return json.dumps(value).encode()


def put(folder, contents):
    folder.mkdir()
    for content in contents:
        (folder / hashlib.sha256(content).hexdigest()).write_bytes(content)


def make_repository(home, times):
    def encoded(value):
        return base64.b64encode(value).decode()

    salt = os.urandom(64)
    cost = {name.lower(): value for name, value in COST.items()}
    made = hashlib.scrypt(PASSWORD.encode(), salt=salt, dklen=64, **cost)
    of_user = made[:32], made[32:48], made[48:]
    master = os.urandom(32), os.urandom(16), os.urandom(16)
    mac = {"k": encoded(master[1]), "r": encoded(master[2])}
    [sealed] = encrypt(of_user, [as_json({"mac": mac, "encrypt": encoded(master[0])})])
    key = {"created": "2020-01-01T00:00:00Z", "username": "", "hostname": "", "kdf": "scrypt"}
    key |= {**COST, "salt": encoded(salt), "data": encoded(sealed)}

    config = {"version": 1, "id": "0" * 64, "chunker_polynomial": "2ed0faf941fa95"}
    snapshots = [
        # Which of the times it is, in the one field that means nothing to restic.
        {"time": time, "tree": "0" * 64, "paths": ["/"], "hostname": "one", "username": str(at)}
        for at, time in enumerate(times)
    ]
    config, *snapshots = encrypt(master, [as_json(it) for it in [config, *snapshots]])
    put(home / "keys", [as_json(key)])
    put(home / "snapshots", snapshots)
    for name in ["data", "index", "locks"]:
        (home / name).mkdir()
    (home / "config").write_bytes(config)


def ask(home, zone, arguments):
    command = ["restic", "forget", "--repo", str(home), "--no-cache", "--no-lock", "--dry-run"]
    command += ["--json", "--group-by", "", *arguments]
    environment = {**os.environ, "TZ": zone, "RESTIC_PASSWORD": PASSWORD}
    ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    [group] = json.loads(ran.stdout)
    reasons = {int(it["snapshot"]["username"]): it["matches"] for it in group["reasons"] or []}
    removed = {int(it["username"]) for it in group["remove"] or []}
    count = len(reasons) + len(removed)
    if removed & reasons.keys() or {*reasons, *removed} != set(range(count)):
        sys.exit("restic.py: restic does not decide on each snapshot once")
    return [reasons.get(at) for at in range(count)]


def main():
    question = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder) / "repository"
        home.mkdir()
        make_repository(home, question["times"])
        answers = [ask(home, question["zone"], it) for it in question["policies"]]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
