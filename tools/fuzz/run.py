"""Holds the server against its contract, for each role in turn; `make fuzz` calls it."""

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path

import world

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "picaspot-on-a-laptop"
ROLES = ["user", "moderator", "admin"]
START_SECONDS = 120
STOP_SECONDS = 30


def main():
    parser = argparse.ArgumentParser(
        prog="make fuzz FUZZ=…", description=__doc__,
        epilog="Everything else goes on to schemathesis, as --include-tag areas or --seed 1.",
    )
    parser.add_argument("--max-examples", type=int, default=200, help="requests to make up for each operation (200)")
    parser.add_argument("--role", choices=ROLES, action="append", dest="roles", help="all of them unless given")
    parser.add_argument("--binary", type=Path, help="a server that is built already")
    options, rest = parser.parse_known_args()
    # Ends the servers too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="picaspot-fuzz-") as name:
        folder = Path(name)
        # PostgreSQL, which does not run as root, has to pass through.
        folder.chmod(0o755)
        binary = options.binary and options.binary.resolve()
        if not binary:
            binary = folder / "picaspot"
            subprocess.run(["go", "build", "-o", binary, "./cmd/picaspot"], cwd=ROOT, check=True)
        failed = [role for role in options.roles or ROLES if not fuzz(binary, folder, role, options.max_examples, rest)]
    if failed:
        sys.exit(f"fuzz: faults were found as {', '.join(failed)}")


def fuzz(binary, folder, role, max_examples, rest):
    """Runs all checks as one role, on a server of its own; tells whether they passed."""
    print(f"fuzz: as {role}", flush=True)
    own = folder / role
    with server(binary, own) as (url, log):
        # Beside the dictionaries that it names.
        config = shutil.copy(ROOT / "tools/fuzz/schemathesis.toml", own)
        world.fill(url, role, PASSWORD, own)
        environment = os.environ | {
            "SCHEMATHESIS_HOOKS": str(ROOT / "tools/fuzz/hooks.py"),
            "FUZZ_URL": url,
            "FUZZ_IDENTIFIER": f"{role}@picaspot.example",
            "FUZZ_PASSWORD": PASSWORD,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [
            Path(sys.executable).with_name("schemathesis"), "--config-file", config,
            "run", f"{url}/openapi.json", "--max-examples", str(max_examples), *rest,
        ]
        passed = subprocess.run(command, cwd=own, env=environment, check=False).returncode == 0
        if not passed:
            # What a 500 keeps to itself.
            print(f"fuzz: the log of the server, as {role}", log.read_text(), sep="\n", flush=True)
        return passed


@contextmanager
def server(binary, folder):
    """Starts the server with a database and, where there is one, a Redis of its own."""
    folder.mkdir()
    folder.chmod(0o755)
    own = {name: value for name, value in os.environ.items() if not name.startswith("PICASPOT_")}
    http, ops, redis = free_ports(3)
    url = f"http://127.0.0.1:{http}"
    environment = own | {
        "PICASPOT_DATA_DIR": str(folder / "data"),
        "PICASPOT_HTTP_ADDR": f"127.0.0.1:{http}",
        "PICASPOT_OPS_ADDR": f"127.0.0.1:{ops}",
        "PICASPOT_PUBLIC_URL": url,
        "PICASPOT_DEV_PASSWORD": PASSWORD,
        "PICASPOT_RATE_LIMITS": no_limits(),
        "PICASPOT_LOG_LEVEL": "error",
    }
    log = folder / "server.log"
    with ExitStack() as stack:
        if shutil.which("redis-server"):
            command = ["redis-server", "--bind", "127.0.0.1", "--port", str(redis), "--save", "", "--dir", str(folder)]
            stack.enter_context(process(command, own, folder / "redis.log"))
            environment["PICASPOT_REDIS_URL"] = f"redis://127.0.0.1:{redis}/0"
        running = stack.enter_context(process([binary, "dev"], environment, log))
        wait(url, running, log)
        yield url, log


def no_limits():
    """Turns every limit off: a run asks more often than any client may."""
    classes = set(re.findall(r"x-rate-limit: (\w+)", (ROOT / "openapi.yaml").read_text())) | {"otp"}
    return ",".join(f"{name}:{subject}=off" for name in sorted(classes) for subject in ("address", "account"))


@contextmanager
def process(command, environment, log):
    with log.open("w") as output:
        running = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
        )
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()


def wait(url, running, log):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and running.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"fuzz: the server does not get ready:\n{log.read_text()}")


def free_ports(count):
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


if __name__ == "__main__":
    main()
