"""What happens when the machine fails: the disk is full, it does not write any more, the clock is set. What cannot be brought about here is skipped, and said so."""

import ctypes.util
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

from support import Browser, Client, Failure, Server, call, check, equal, main, post_form, send, test


def skip(why):
    print(f"skipped: {why}", file=sys.stderr, flush=True)


def wait(condition, what, seconds=30):
    """Recovery takes thirty seconds at most (I6)."""
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, f"{what}: not within {seconds} seconds")
        time.sleep(0.2)


def metric(server, name):
    for line in send("GET", server.origin + "/metrics").text.splitlines():
        if line.startswith(name + " ") or line.startswith(name + "{"):
            return float(line.split()[-1])
    return 0.0


def verify_audit(server):
    done = subprocess.run([server.binary, "audit", "verify", "--data", server.data], capture_output=True, text=True)
    equal(done.returncode, 0, f"audit: {done.stdout[-300:]}")


class FullDisk:
    """A small disk of its own, in memory."""

    def __init__(self, megabytes):
        self.folder = tempfile.mkdtemp(prefix="mcp-auth-disk-")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", self.folder], capture_output=True)
        self.mounted = done.returncode == 0

    def fill(self):
        with open(os.path.join(self.folder, "ballast"), "wb") as file:
            try:
                while True:
                    file.write(b"\0" * 65536)
                    file.flush()
            except OSError:
                pass

    def free(self):
        os.remove(os.path.join(self.folder, "ballast"))

    def remove(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.folder])
        shutil.rmtree(self.folder, ignore_errors=True)


@test("M-03, F-11: a full disk: what must be written is a 503, revoking too; what must only be read goes on; and then it recovers by itself, with nothing lost")
def _():
    disk = FullDisk(16)
    if not disk.mounted:
        return skip("no right to mount a disk of its own")
    server = None
    try:
        server = Server(data=os.path.join(disk.folder, "data"))
        client, browser = Client(server), Browser().sign_in(server.origin)
        access, refresh = client.tokens(browser)
        other, other_refresh = client.tokens(browser)
        code, verifier = client.code(browser)
        disk.fill()
        # A last page may still fit; after a few writes none does.
        refused = 0
        for _ in range(400):
            reply = post_form(server.origin + "/register", {}) if refused else client.refresh(refresh)
            if reply.status == 200:
                refresh = reply.json["refresh_token"]
            elif reply.status == 503:
                refused += 1
                equal(reply.error, "temporarily_unavailable", "what is said")
                check(reply.header("Retry-After") and "disk" not in reply.text and "SQL" not in reply.text, f"L-04: {reply!r}")
                break
            else:
                raise Failure(f"a refresh on a full disk: {reply!r}")
        equal(refused, 1, "the disk was full")
        equal(client.revoke(other_refresh).status, 503, "F-11: a revocation that was not written is no 200")
        equal(client.redeem(code, verifier).status, 503, "a code")
        equal(call(server, access, "whoami").status, 200, "tokens are verified all the same")
        for path in ("/jwks", "/.well-known/oauth-authorization-server", "/health"):
            equal(send("GET", server.origin + path).status, 200, path)
        # More events than the last page of the audit log can take.
        equal([call(server, other, "whoami").status for _ in range(60)], [200] * 60, "what was not revoked is not revoked")
        pid = server.pid
        disk.free()
        reply = None

        def recovered():
            nonlocal reply
            reply = client.refresh(refresh)
            return reply.status == 200

        wait(recovered, "recovery")
        equal(client.revoke(other_refresh).status, 200, "and now it can be revoked")
        equal(call(server, other, "whoami").status, 401, "and is")
        equal(server.pid, pid, "without a restart")
        check(metric(server, "mcp_auth_audit_lost_total") > 0, "what the audit log lost is counted")
        verify_audit(server)
        server.stop()
        connection = sqlite3.connect(os.path.join(server.data, "auth.db"))
        equal(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)], "integrity")
        connection.close()
        check(server.start(), "it starts again")
        equal(call(server, other, "whoami").status, 401, "I3: revoked stays revoked")
        equal(client.refresh(reply.json["refresh_token"]).status, 200, "I2: the chain goes on")
    finally:
        if server:
            server.stop()
        disk.remove()


@test("O-07, I1, I2: a disk that does not write any more (EIO): no success is claimed, nothing is used twice, and it recovers by itself")
def _():
    if not shutil.which("strace"):
        return skip("no strace")
    with Server() as server:
        client, browser = Client(server), Browser().sign_in(server.origin)
        chains = [client.tokens(browser) for _ in range(5)]
        injected = subprocess.Popen(
            ["strace", "-f", "-q", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO", "-p", str(server.pid)],
            stderr=subprocess.PIPE, text=True)
        time.sleep(1.5)
        if injected.poll() is not None:
            return skip(f"strace cannot attach: {injected.stderr.read()[:200]}")
        try:
            for _, refresh in chains:
                reply = client.refresh(refresh)
                equal((reply.status, reply.error), (503, "temporarily_unavailable"), "a refresh that could not be made durable")
            equal(client.revoke(chains[0][1]).status, 503, "F-11: a revocation that could not be made durable")
            equal(call(server, chains[0][0], "whoami").status, 200, "tokens are verified all the same")
        finally:
            injected.send_signal(signal.SIGINT)
            injected.wait(10)
        wait(lambda: client.revoke(client.tokens(browser)[1]).status == 200, "recovery")
        for _, refresh in chains:
            # Whatever was written in the end, the client's next attempt gets tokens, and always the same successor.
            replies = [client.refresh(refresh) for _ in range(2)]
            equal([reply.status for reply in replies], [200, 200], f"afterwards {replies[0]!r}")
            equal(len({reply.json["refresh_token"] for reply in replies}), 1, "I1: successors")
        pid = server.pid
        server.stop()
        connection = sqlite3.connect(os.path.join(server.data, "auth.db"))
        equal(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)], "integrity")
        connection.close()
        check(pid is not None and server.start(), "it starts again")


@test("M-14: a clock that jumps: nothing expired comes back, nothing is deleted because of it, no crash; and 1970 is no time to start")
def _():
    library = next((path for path in (
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1") if os.path.exists(path)), None)
    if library is None:
        return skip("no libfaketime")
    folder = tempfile.mkdtemp(prefix="mcp-auth-clock-")
    stamp = os.path.join(folder, "time")

    def turn(text):
        with open(stamp + ".new", "w") as file:
            file.write(text + "\n")
        os.rename(stamp + ".new", stamp)
        time.sleep(2.2)  # the library looks at the file once a second

    turn("+0")
    os.environ.update(LD_PRELOAD=library, FAKETIME_TIMESTAMP_FILE=stamp, FAKETIME_CACHE_DURATION="1", FAKETIME_DONT_FAKE_MONOTONIC="1")
    try:
        # The library changes the environment where Swift looks for its arguments; a program in between has done that already.
        server = Server(through=["env"])
    finally:
        del os.environ["LD_PRELOAD"]
    try:
        client, browser = Client(server), Browser().sign_in(server.origin)
        access, refresh = client.tokens(browser)
        spent, _ = client.tokens(browser)
        code, verifier = client.code(browser)
        client.redeem(code, verifier)
        pid = server.pid
        turn("-1d")
        check(call(server, access, "whoami").status in (200, 401), "a day back")
        equal(client.redeem(code, verifier).error, "invalid_grant", "a used code, a day back")
        turn("+1y")
        equal(call(server, access, "whoami").status, 401, "expired a year from now")
        equal(client.refresh(refresh).error, "invalid_grant", "a refresh token a year from now")
        turn("+12y")
        equal(send("GET", server.origin + "/health").status, 200, "2038")
        turn("+0")
        time.sleep(6)
        equal(client.redeem(code, verifier).error, "invalid_grant", "a used code stays used")
        equal(server.pid, pid, "the process")
        equal(server.process.poll(), None, "the process lives")
        access, refresh = client.tokens(Browser().sign_in(server.origin))
        equal(call(server, access, "whoami").status, 200, "users and keys are all there")
        # The library sets the steady clock too, so that the server cannot notice the jumps here; ClockTests sees to that.
        server.stop()
        environment = {**os.environ, "LD_PRELOAD": library, "FAKETIME": "@1970-01-02 00:00:00"}
        environment.pop("FAKETIME_TIMESTAMP_FILE", None)
        done = subprocess.run(["env", server.binary, "demo", "--data", server.data, "--port", str(server.port)], env=environment, capture_output=True, timeout=60)
        equal(done.returncode, 78, "1970")
        check(b"clock" in done.stderr, done.stderr)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("FAKETIME_TIMESTAMP_FILE", "FAKETIME_CACHE_DURATION", "FAKETIME_DONT_FAKE_MONOTONIC"):
            os.environ.pop(name, None)


if __name__ == "__main__":
    main("faults")
