"""Running it: two processes on the same data, stopping, crashing, freezing, growing, TLS, and what must not be reachable."""

import contextlib
import fcntl
import http.client
import json
import os
import random
import re
import secrets
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time

from lives import Worker, integrity, refused, restart, verify, works
from support import (
    INSTANCES, PASSWORD, SECRETS, Browser, Client, Failure, Server, call, challenge_of, check, equal, in_parallel, main, mcp, new_verifier,
    post_form, post_json, query_of, send, send_target, structured, test,
)

# `make reliability` asks for more of each.
RACES = int(os.environ.get("RACE_ROUNDS", "200"))
STOPS = int(os.environ.get("STOP_ROUNDS", "3"))
FAULT_SECONDS = float(os.environ.get("FAULT_SECONDS", "12"))
GROWTH = int(os.environ.get("GROWTH_ROWS", "100000"))
SOAK_SECONDS = float(os.environ.get("SOAK_SECONDS", "12"))


@contextlib.contextmanager
def pair(*options):
    """Two processes that serve one address with the same data. Requests for the address go to either, by chance."""
    with Server("--token-lifetime", "86400", *options) as one:
        other = Server("--token-lifetime", "86400", "--origin", one.origin, "--forwarded", *options, data=one.data)
        INSTANCES[one.port] = [one.port, other.port]
        try:
            yield one, other
        finally:
            del INSTANCES[one.port]
            other.remove()


def at(server, origin_port, path, fields):
    """A form for one process of a pair, under the name of the pair."""
    return send_target(
        "127.0.0.1", server.port, "POST", path, "&".join(f"{name}={value}" for name, value in fields.items()),
        {"Host": f"127.0.0.1:{origin_port}", "Content-Type": "application/x-www-form-urlencoded"})


class SlowStore(threading.Thread):
    """Holds the lock of the writers for a few milliseconds, again and again, as a slow disk would."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.path = os.path.join(server.data, "auth.db")
        self.ends = threading.Event()

    def run(self):
        if os.path.exists(self.path + ".lock"):
            with open(self.path + ".lock", "r+") as file:
                while not self.ends.wait(random.uniform(0, 0.004)):
                    fcntl.flock(file, fcntl.LOCK_EX)
                    time.sleep(random.uniform(0, 0.004))
                    fcntl.flock(file, fcntl.LOCK_UN)
            return
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=10)
        while not self.ends.wait(random.uniform(0, 0.004)):
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(random.uniform(0, 0.004))
            connection.execute("ROLLBACK")
        connection.close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.join(10)


def code_form(client, code, verifier):
    return {
        "grant_type": "authorization_code", "client_id": client.id, "code": code, "code_verifier": verifier,
        "redirect_uri": client.redirect.replace(":", "%3A").replace("/", "%2F"),
    }


@test(f"M-07, T-05, I1: two processes on the same data, with a slow store: of all who race for one code, one wins, in each of {RACES} rounds; refreshes agree")
def _():
    with pair() as (one, other), SlowStore(one):
        client, browser = Client(one), Browser().sign_in(one.origin)
        wins, both = 0, set()
        for _ in range(RACES):
            code, verifier = client.code(browser)
            replies = in_parallel(4, lambda index: at((one, other)[index % 2], one.port, "/token", code_form(client, code, verifier)))
            good = [index for index, reply in enumerate(replies) if reply.status == 200]
            equal(len(good), 1, f"redemptions of one code {replies}")
            equal({reply.error for index, reply in enumerate(replies) if index not in good}, {"invalid_grant"}, "the others")
            wins += 1
            both.add(good[0] % 2)
        equal(both, {0, 1}, "both processes won at times")
        # The losers were replays, and ended what the winner got. A race of refreshes gives everybody the same successor.
        access, refresh = client.tokens(browser)
        for _ in range(RACES // 4):
            form = {"grant_type": "refresh_token", "client_id": client.id, "refresh_token": refresh}
            replies = in_parallel(4, lambda index: at((one, other)[index % 2], one.port, "/token", form))
            equal([reply.status for reply in replies], [200] * 4, f"refreshes {replies}")
            successors = {reply.json["refresh_token"] for reply in replies}
            equal(len(successors), 1, "successors of one token")
            refresh = successors.pop()
        for index, server in enumerate((one, other)):
            equal(call_at(server, one, access).status, 200, "the access token, at either")
        # What one revokes, the other refuses, after its turn of maintenance at the latest.
        equal(at(other, one.port, "/revoke", {"client_id": client.id, "token": refresh}).status, 200, "revocation")
        equal(call_at(other, one, access).status, 401, "where it was revoked: at once")
        end = time.monotonic() + 10
        while call_at(one, one, access).status != 401:
            check(time.monotonic() < end, "the other process does not learn of the revocation")
            time.sleep(0.1)
        equal(at(one, one.port, "/token", {"grant_type": "refresh_token", "client_id": client.id, "refresh_token": refresh}).error,
              "invalid_grant", "and the grant is over everywhere, at once")
        integrity(one)
        done = subprocess.run([one.binary, "audit", "verify", "--data", one.data], capture_output=True, text=True)
        equal(done.returncode, 0, f"O-07: one chain of two writers: {done.stdout[-300:]}{done.stderr[-300:]}")


def call_at(server, address, token):
    """`whoami` at one process of a pair."""
    saved = INSTANCES[address.port]
    INSTANCES[address.port] = [server.port]
    try:
        return call(address, token, "whoami")
    finally:
        INSTANCES[address.port] = saved


@test("M-08, I1: a process that is frozen in the middle of its work, and thawed, has not used anything a second time; the other one goes on")
def _():
    with pair() as (one, other):
        client, browser = Client(one), Browser().sign_in(one.origin)
        frozen_won = 0
        for round_number in range(12):
            code, verifier = client.code(browser)
            form = code_form(client, code, verifier)
            answers = {}

            def ask(server):
                answers[server] = at(server, one.port, "/token", form)

            threads = [threading.Thread(target=ask, args=(one,))]
            threads[0].start()
            time.sleep(random.uniform(0, 0.003))
            os.kill(one.pid, signal.SIGSTOP)
            try:
                ask(other)
                # Longer than the patience of a writer, at times: then it says that it cannot, and takes nothing.
                time.sleep(6 if round_number == 5 else 0.2)
                if answers[other].status == 503:
                    check(answers[other].header("Retry-After"), "a retryable refusal")
            finally:
                os.kill(one.pid, signal.SIGCONT)
            threads[0].join(30)
            statuses = [answers[one].status, answers[other].status]
            check(statuses.count(200) <= 1, f"I1: a code was good twice {statuses}")
            check(set(statuses) <= {200, 400, 503}, f"{statuses}")
            frozen_won += statuses[0] == 200
            equal(send("GET", other.origin + "/health").status, 200, "the other lives")
        access, refresh = client.tokens(browser)
        equal(client.refresh(refresh).status, 200, "and work goes on")
        integrity(one)


class Patient(Worker):
    """Goes on through every fault: asks again until there is an answer, as a client behind a proxy would."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.ends = threading.Event()
        self.answered, self.asked = 0, 0

    def run(self):
        try:
            while not self.ends.is_set():
                try:
                    self.live()
                except OSError:
                    pass
                except http.client.HTTPException:
                    pass
        except Exception as error:
            self.problem = error

    def persist(self, request):
        """The answer in the end, and whether an earlier attempt may have had an effect that nobody heard of."""
        unsure = False
        while True:
            self.asked += 1
            try:
                reply = request()
                if reply.status != 503:
                    self.answered += 1
                    return reply, unsure
            except (OSError, http.client.HTTPException):
                unsure = True
            time.sleep(0.05)

    def live(self):
        from lives import Chain

        chain = Chain(self.client, self.browser.user)
        verifier = new_verifier()
        location = self.browser.authorize(self.client.authorization_url(code_challenge=challenge_of(verifier)))
        chain.code = (query_of(location)["code"], verifier)
        reply, unsure = self.persist(lambda: self.client.redeem(*chain.code))
        if reply.status != 200:
            check(unsure, f"a fresh code was refused: {reply!r}")
            return  # Its answer was lost; asking again ended the grant.
        chain.access, chain.refresh = [reply.json["access_token"]], [reply.json["refresh_token"]]
        for _ in range(self.random.randrange(1, 6)):
            reply, unsure = self.persist(lambda: self.client.refresh(chain.refresh[-1]))
            equal(reply.status, 200, f"I2: a refresh {reply!r}, unsure: {unsure}")
            chain.access.append(reply.json["access_token"])
            chain.refresh.append(reply.json["refresh_token"])
        if self.random.random() < 0.4:
            reply, _ = self.persist(lambda: self.client.revoke(chain.refresh[-1]))
            equal(reply.status, 200, "revocation")
            chain.revoked = True
        self.chains.append(chain)


@test(f"M-15, I1, I2, I3, I6: two processes, eight clients, {FAULT_SECONDS:.0f} seconds of random SIGKILL, SIGSTOP and slow storage: the history holds")
def _():
    seed = int(os.environ.get("SEED", secrets.randbelow(10**6)))
    chance = random.Random(seed)
    with pair() as (one, other):
        cookies = {user: Browser(user).sign_in(one.origin).cookies for user in ("ada", "grace")}
        client = Client(one)
        workers = [Patient(one, client, cookies[user], user, chance.random()) for user in ("ada", "grace") * 4]
        for worker in workers:
            worker.start()
        faults = {"kill": 0, "freeze": 0, "slow": 0}
        end = time.monotonic() + FAULT_SECONDS
        while time.monotonic() < end:
            time.sleep(chance.uniform(0.1, 1.0))
            victim = chance.choice((one, other))
            fault = chance.choice(("kill", "kill", "freeze", "slow"))
            faults[fault] += 1
            if fault == "kill":
                victim.stop(signal.SIGKILL)
                time.sleep(chance.uniform(0, 0.3))
                restart(victim)
            elif fault == "freeze":
                os.kill(victim.pid, signal.SIGSTOP)
                time.sleep(chance.choice((0.1, 0.5, 2)))
                os.kill(victim.pid, signal.SIGCONT)
            else:
                with SlowStore(one):
                    time.sleep(0.5)
        healed = time.monotonic()
        for worker in workers:
            worker.ends.set()
        for worker in workers:
            worker.join(60)
            check(not worker.is_alive(), f"I6: a client is still waiting (SEED={seed})")
            if worker.problem is not None:
                raise Failure(f"SEED={seed}: {worker.problem}")
        check(time.monotonic() - healed < 30, "I6: not within thirty seconds of the last fault")
        chains = [chain for worker in workers for chain in worker.chains]
        seen = {}
        # Of one process, after its turn of maintenance, so that what is revoked on the way is known to whoever is asked next.
        time.sleep(6)
        INSTANCES[one.port] = [one.port]
        for chain in chance.sample(chains, min(2000, len(chains))):
            result = verify(one, chain)
            seen[result] = seen.get(result, 0) + 1
        check(seen.get("alive", 0) >= 5 and seen.get("revoked", 0) >= 2 and faults["kill"] > 0, f"too little was seen: {seen} {faults} (SEED={seed})")
        answered, asked = sum(worker.answered for worker in workers), sum(worker.asked for worker in workers)
        integrity(one)
        print(f"random faults: {faults}, {len(chains)} chains, of these looked at: {seen}, {answered} of {asked} requests answered, SEED={seed}", file=sys.stderr, flush=True)


@test(f"O-06, I2: SIGTERM under load, {STOPS} times: it ends within ten seconds, and nothing that was answered is lost")
def _():
    with Server("--token-lifetime", "86400") as server:
        cookies = {user: Browser(user).sign_in(server.origin).cookies for user in ("ada", "grace")}
        client = Client(server)
        longest, chains = 0, 0
        for round_number in range(STOPS):
            # One who holds a connection open and says nothing, and, the first time, one who sends a body and does not end it.
            idle = socket.create_connection(("127.0.0.1", server.port))
            slow = socket.create_connection(("127.0.0.1", server.port))
            if round_number == 0:
                slow.sendall(f"POST /token HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 1000\r\n\r\ngrant_".encode())
            workers = [Worker(server, client, cookies[user], user, random.random()) for user in ("ada", "grace") * 2]
            for worker in workers:
                worker.start()
            time.sleep(random.uniform(0.2, 0.6))
            start = time.monotonic()
            status = server.stop()
            longest = max(longest, time.monotonic() - start)
            equal(status, 0, "exit status")
            check(longest <= 10, f"it took {longest:.1f} s to end")
            for worker in workers:
                worker.join(20)
                if worker.problem is not None:
                    raise Failure(str(worker.problem))
            idle.close()
            slow.close()
            restart(server)
            for worker in workers:
                for chain in worker.chains:
                    verify(server, chain)
                    chains += 1
        integrity(server)
        check("Fatal" not in server.output(), server.output()[-500:])
        print(f"stops: {STOPS}, {chains} chains, the longest took {longest:.2f} s", file=sys.stderr, flush=True)


@test("L-06: a crash, with backtraces on, writes no secret anywhere, and the next start takes less than two seconds")
def _():
    os.environ["SWIFT_BACKTRACE"] = "enable=yes,color=no,interactive=no"
    try:
        with Server() as server:
            client, browser = Client(server), Browser().sign_in(server.origin)
            access, refresh = client.tokens(browser)
            stops = threading.Event()

            def load():
                while not stops.is_set():
                    try:
                        call(server, access, "whoami")
                        post_form(server.origin + "/token", {"grant_type": "refresh_token", "client_id": client.id, "refresh_token": refresh})
                        Browser().sign_in(server.origin)
                    except Exception:
                        return

            threads = [threading.Thread(target=load) for _ in range(4)]
            for thread in threads:
                thread.start()
            time.sleep(0.5)
            server.process.send_signal(signal.SIGILL)
            # The instruction was none to fail at, so that the process goes on once it has said where it was; the second signal ends it.
            end = time.monotonic() + 120
            while "Backtrace took" not in server.output() and server.process.poll() is None:
                check(time.monotonic() < end, "no backtrace")
                time.sleep(0.1)
            server.process.send_signal(signal.SIGILL)
            server.process.wait(60)
            stops.set()
            for thread in threads:
                thread.join(20)
            output = server.output()
            server.stop()
            check("Thread 0" in output, f"no backtrace: {output[-300:]}")
            for secret in SECRETS:
                check(secret not in output, f"a secret is in what the crash wrote: {output[max(0, output.find(secret) - 200):][:400]}")
            for name in os.listdir(server.data):
                check(not name.startswith("core"), "a core file")
            start = time.monotonic()
            restart(server)
            check(time.monotonic() - start < 2, "the next start takes too long")
            equal(call(server, access, "whoami").status, 200, "and everything is there")
    finally:
        del os.environ["SWIFT_BACKTRACE"]


@test("L-05: nothing beside the documented paths: no debugging, no administration, no files, no TRACE; metrics name nobody")
def _():
    with Server() as server:
        client, browser = Client(server), Browser().sign_in(server.origin)
        access, refresh = client.tokens(browser)
        call(server, access, "whoami")
        for path in (
            "/debug", "/debug/pprof", "/admin", "/clients", "/users", "/grants", "/keys", "/audit", "/audit.jsonl", "/auth.db", "/auth.db-wal", "/master.key",
            "/tasks.db", "/.git/config", "/.env", "/backup.zip", "/env", "/actuator", "/server-status", "/data/demo/auth.db", "/console", "/swagger.json",
        ):
            for method in ("GET", "POST"):
                equal(send(method, server.origin + path).status, 404, f"{method} {path}")
        for method in ("TRACE", "TRACK", "CONNECT", "DEBUG"):
            reply = send(method, server.origin + "/token", headers={"X-Canary": "canary-" + refresh})
            check(reply.status in (400, 404, 405, 501) and b"canary" not in reply.body, f"{method}: {reply!r}")
        for path in ("/health", "/metrics"):
            text = send("GET", server.origin + path).text
            for secret in (access, refresh, client.id, "ada", PASSWORD, *browser.cookies.values()):
                check(secret not in text, f"{path} says {secret}")
        addresses = subprocess.run(["ss", "-H", "-ltnp"], capture_output=True, text=True).stdout if os.path.exists("/usr/bin/ss") else ""
        mine = [line.split()[3] for line in addresses.splitlines() if f"pid={server.pid}," in line]
        check(mine in ([], [f"127.0.0.1:{server.port}"]), f"it listens elsewhere too: {mine}")


def resident(server):
    with open(f"/proc/{server.pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


def rows(server, table):
    connection = sqlite3.connect(os.path.join(server.data, "auth.db"), timeout=10)
    try:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    finally:
        connection.close()


@test("N-06: thousands who begin and never end: memory and rows stay bounded, and one who began before them all still gets in")
def _():
    with Server() as server:
        grant = "urn:ietf:params:oauth:grant-type:device_code"
        subprocess.run([server.binary, "clients", "add", "tv", "--grant", grant, "--public", "--data", server.data], check=True, capture_output=True)
        client = Client(server)
        honest = Browser()
        verifier = new_verifier()
        url = client.authorization_url(verifier)
        page = honest.get(url)
        for _ in range(3):
            if page.status in (302, 303):
                url = server.origin + page.header("Location") if page.header("Location").startswith("/") else page.header("Location")
                page = honest.get(url)
        before, tables = resident(server), {table: rows(server, table) for table in ("transactions", "devices", "sessions", "codes", "grants", "clients")}

        def flood(index):
            address = {"X-Forwarded-For": f"198.51.{index}.1"}
            for number in range(250):
                send("GET", client.authorization_url(), headers=address)
                fields = {
                    "client_id": client.id, "response_type": "code", "redirect_uri": client.redirect, "code_challenge": challenge_of(verifier),
                    "code_challenge_method": "S256", "resource": server.url,
                }
                check(post_form(server.origin + "/par", fields, address).status in (201, 429), "PAR")
                reply = post_form(server.origin + "/device_authorization", {"client_id": "tv", "resource": server.url}, address)
                check(reply.status in (200, 429, 503), f"device: {reply!r}")

        in_parallel(8, flood)
        grown = resident(server) - before
        check(grown < 40_000, f"6000 beginnings cost {grown} KiB")
        for table, count in tables.items():
            limit = 10_000 if table == "devices" else 10
            check(rows(server, table) - count <= limit, f"{table}: {count} rows before, {rows(server, table)} now")
        _, reply = honest.answer(url, page)
        for _ in range(4):
            if reply.status in (302, 303) and reply.header("Location").startswith(client.redirect):
                break
            if reply.status in (302, 303):
                url = server.origin + reply.header("Location") if reply.header("Location").startswith("/") else reply.header("Location")
                reply = honest.get(url)
            else:
                _, reply = honest.answer(url, reply)
        code = query_of(reply.header("Location"))["code"]
        equal(client.redeem(code, verifier).status, 200, "the honest one")


@test(f"M-13: {GROWTH} expired rows of each kind go, while people work and the log stays bounded")
def _():
    with Server() as server:
        client, browser = Client(server), Browser().sign_in(server.origin)
        access, refresh = client.tokens(browser)
        server.stop()
        connection = sqlite3.connect(os.path.join(server.data, "auth.db"))
        long_ago = int(time.time()) - 200_000
        with connection:
            connection.executemany("INSERT INTO transactions VALUES (?, ?)", ((secrets.token_bytes(32), long_ago) for _ in range(GROWTH)))
            connection.executemany(
                "INSERT INTO codes (hash, client_id, user_id, redirect_uri, challenge, scope, resource, expires_at) VALUES (?, 'c', 'u', 'r', 'c', '', 'r', ?)",
                ((secrets.token_bytes(32), long_ago) for _ in range(GROWTH)))
            connection.executemany("INSERT INTO revoked_tokens VALUES (?, ?, ?)", ((secrets.token_hex(16), long_ago, long_ago) for _ in range(GROWTH)))
            connection.executemany(
                "INSERT INTO earlier_refresh_tokens (hash, grant_id, expires_at) VALUES (?, ?, ?)",
                ((secrets.token_bytes(32), secrets.token_hex(8), long_ago) for _ in range(GROWTH)))
        connection.close()
        restart(server)
        # One who reads and does not stop keeps the log from being emptied for as long.
        reader = sqlite3.connect(os.path.join(server.data, "auth.db"), isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM grants").fetchone()
        slowest, log, end = 0, 0, time.monotonic() + 120
        left = GROWTH
        while left > 10 and time.monotonic() < end:
            start = time.monotonic()
            reply = client.refresh(refresh)
            equal(reply.status, 200, f"a refresh while it sweeps {reply!r}")
            refresh = reply.json["refresh_token"]
            slowest = max(slowest, time.monotonic() - start)
            log = max(log, os.path.getsize(os.path.join(server.data, "auth.db-wal")))
            left = sum(rows(server, table) for table in ("codes", "revoked_tokens", "transactions", "earlier_refresh_tokens"))
            if reader is not None and left < GROWTH:
                reader.execute("ROLLBACK")
                reader.close()
                reader = None
            time.sleep(0.02)
        check(left <= 10, f"{left} rows are left")
        check(slowest < 2, f"one waited {slowest:.2f} s")
        for _ in range(20):
            refresh = client.refresh(refresh).json["refresh_token"]
        equal((rows(server, "grants"), rows(server, "earlier_refresh_tokens")), (1, 0), "a grant that is refreshed often is one row, and leaves nothing behind")
        log_now = os.path.getsize(os.path.join(server.data, "auth.db-wal"))
        check(log_now <= 9 << 20, f"the log is {log_now >> 20} MiB long when the sweep is over")
        server.stop()
        check(not os.path.exists(os.path.join(server.data, "auth.db-wal")) or os.path.getsize(os.path.join(server.data, "auth.db-wal")) == 0, "emptied at the end")
        print(f"growth: {GROWTH} rows of each kind, slowest refresh {slowest * 1000:.0f} ms, longest log {log >> 20} MiB", file=sys.stderr, flush=True)
        restart(server)
        equal(client.refresh(refresh).status, 200, "and nobody lost anything")


class Hostile(threading.Thread):
    """Sends what no honest client would, from a list, at its leisure; counts answers of 500 and above."""

    def __init__(self, server, client, access, pace):
        super().__init__(daemon=True)
        self.server, self.client, self.access, self.pace = server, client, access, pace
        self.ends = threading.Event()
        self.sent, self.failures = 0, []

    def run(self):
        origin = self.server.origin
        halves = self.access.split(".")
        requests = [
            lambda: call(self.server, "garbage", "whoami"),
            lambda: call(self.server, ".".join([halves[0], halves[1], "A" * len(halves[2])]), "whoami"),
            lambda: call(self.server, self.access, "no-such-tool"),
            lambda: call(self.server, self.access, "create-task", {"text": ["not", "a", "text"] * 500}),
            lambda: mcp(self.server, self.access, "tools/list", {"cursor": "\u0000" * 100}),
            lambda: post_json(self.server.url, b"[" * 5000, {"Authorization": f"Bearer {self.access}"}),
            lambda: post_json(self.server.url, b"x" * 300_000, {"Authorization": f"Bearer {self.access}"}),
            lambda: self.client.redeem(secrets.token_urlsafe(32), new_verifier()),
            lambda: self.client.refresh(secrets.token_urlsafe(32)),
            lambda: self.client.revoke(secrets.token_urlsafe(32)),
            lambda: send("GET", self.client.authorization_url(redirect_uri="https://evil.example/")),
            lambda: send("GET", self.client.authorization_url(), headers={"Cookie": "session=" + "x" * 4000}),
            lambda: post_json(origin + "/register", {"redirect_uris": ["javascript:alert(1)"]}),
            lambda: post_json(origin + "/register", {"redirect_uris": ["https://c.example/cb"], "client_name": secrets.token_hex(50)}),
            lambda: post_form(origin + "/token", {"grant_type": "password", "username": "ada", "password": "x"}),
            lambda: send("GET", origin + "/" + "../" * 50 + "etc/passwd"),
            lambda: send("GET", origin + "/.well-known/" + "a" * 5000),
            lambda: send("PUT", origin + "/token", b"\xff" * 1000),
        ]
        while not self.ends.wait(self.pace):
            try:
                reply = random.choice(requests)()
                self.sent += 1
                if reply.status >= 500:
                    self.failures.append(repr(reply))
            except (OSError, http.client.HTTPException):
                self.sent += 1  # the server may close a connection on what is no HTTP


class Unhurried(Worker):
    """A person and their client who rest between requests."""

    def __init__(self, *arguments, pace):
        super().__init__(*arguments)
        self.ends = threading.Event()
        self.pace, self.waits = pace, []

    def run(self):
        try:
            while not self.ends.is_set():
                self.live()
                access = next((chain.access[-1] for chain in self.chains if chain.access and not chain.revoked), None)
                self.chains = self.chains[-5:]
                for _ in range(10):
                    begun = time.monotonic()
                    if access:
                        call(self.server, access, "whoami")
                    self.waits.append((begun, time.monotonic() - begun))
                    self.ends.wait(self.pace)
        except Exception as error:
            self.problem = error


@test(f"N-10: {SOAK_SECONDS:.0f} seconds of honest work and hostile requests: no 5xx, descriptors and memory stay where they are")
def _():
    with Server() as server:
        client = Client(server)
        cookies = {user: Browser(user).sign_in(server.origin).cookies for user in ("ada", "grace")}
        access, _ = client.tokens(Browser().sign_in(server.origin))
        workers = [Unhurried(server, client, cookies[user], user, random.random(), pace=0.02) for user in ("ada", "grace") * 2]
        hostile = Hostile(server, client, access, 0.02)
        begun, samples = time.monotonic(), []
        for thread in (*workers, hostile):
            thread.start()
        while time.monotonic() - begun < SOAK_SECONDS:
            time.sleep(min(5, SOAK_SECONDS / 12))
            samples.append((time.monotonic() - begun, resident(server), len(os.listdir(f"/proc/{server.pid}/fd"))))
            for worker in workers:
                if worker.problem is not None:
                    raise Failure(str(worker.problem))
        for thread in (*workers, hostile):
            thread.ends.set()
        for thread in (*workers, hostile):
            thread.join(30)
        check(not hostile.failures, f"{len(hostile.failures)} answers of 500 and above, the first: {hostile.failures[:1]}")
        check(hostile.sent >= 50, "too few hostile requests")
        half = len(samples) // 2
        (early, descriptors), (late, later) = [tuple(map(max, zip(*[sample[1:] for sample in part]))) for part in (samples[:half], samples[half:])]
        check(later <= descriptors + 8, f"descriptors: {descriptors}, then {later}")
        check(late <= early * 1.1 + 8192, f"memory: {early} KiB, then {late} KiB")
        waits = sorted(wait for worker in workers for when, wait in worker.waits if when > begun + SOAK_SECONDS / 2)
        before = sorted(wait for worker in workers for when, wait in worker.waits if when <= begun + SOAK_SECONDS / 2)
        slow = [part[len(part) * 99 // 100] * 1000 for part in (before, waits)]
        print(
            f"soak: {SOAK_SECONDS:.0f} s, {hostile.sent} hostile requests, {len(before) + len(waits)} calls, memory {early} then {late} KiB, "
            f"descriptors {descriptors} then {later}, 99 of 100 calls within {slow[0]:.0f} then {slow[1]:.0f} ms", file=sys.stderr, flush=True)


@test("W-08, W-03: the most extreme values that were ever accepted survive a restart, every list, every page, the sweep, and a copy")
def _():
    with Server() as server:
        names = [
            "x" * 10_000, "\u202e" + "evil" * 20, "a\r\nSet-Cookie: x=y", "\x00\x01\x02", "e\u0301" * 200, "\U0001F468\u200D\U0001F469\u200D\U0001F467" * 40, "\u0085\u2028\u2029",
            "\"><script>alert(1)</script>", "=cmd|' /C calc'!A0", "\ufeff", "", " ", "\u0301\u0301", "I\u0307", "\U000E0001" * 30, "%s%n%x", "'; DROP TABLE clients; --",
        ]
        made = []
        for name in names:
            reply = post_json(server.origin + "/register", {"redirect_uris": ["https://c.example/" + "y" * 1900], "client_name": name, "token_endpoint_auth_method": "none"})
            check(reply.status < 500, f"{name[:20]!r}: {reply!r}")
            if reply.status < 300:
                made.append(reply.json["client_id"])
        for change in (
            {"scope": " ".join(f"s{index}" for index in range(500))}, {"redirect_uris": [f"http://127.0.0.1/{index}" for index in range(100)]},
            {"client_uri": "https://c.example/" + "z" * 3000}, {"contacts": ["a@b.example"] * 1000}, {"jwks": {"keys": []}}, {"default_max_age": 1e300},
            {"default_max_age": 2**63}, {"client_id_issued_at": -(2**63)}, {"software_statement": "a.b.c"}, {"grant_types": ["refresh_token"] * 100},
        ):
            document = {"redirect_uris": ["https://c.example/cb"], "token_endpoint_auth_method": "none", **change}
            reply = post_json(server.origin + "/register", document)
            check(reply.status < 500, f"{str(change)[:60]}: {reply!r}")
            if reply.status < 300:
                made.append(reply.json["client_id"])
        check(len(made) >= 8, f"only {len(made)} were accepted")
        browser = Browser().sign_in(server.origin)
        extremes = {
            "state": "\u2028" + "s" * 1500, "nonce": "n" * 255 + "\u0301", "login_hint": "\r\n\u202e", "ui_locales": "x" * 500, "max_age": "9" * 40, "scope": "openid " + "read:tasks",
        }
        grants = 0
        for client_id in made:
            client = Client.__new__(Client)
            client.server, client.id, client.secret, client.method = server, client_id, None, "none"
            client.redirect = "https://c.example/" + "y" * 1900
            for name, value in extremes.items():
                verifier = new_verifier()
                reply = browser.get(client.authorization_url(verifier, **{name: value}))
                check(reply.status < 500, f"{name}: {reply.status}")
            try:
                client.tokens(browser)
                grants += 1
            except Failure:
                pass  # another redirect URI
        check(grants >= 5, f"only {grants} grants")
        # What an older version may have let in, or another hand written.
        connection = sqlite3.connect(os.path.join(server.data, "auth.db"), timeout=10)
        with connection:
            connection.execute("UPDATE clients SET name = ? WHERE id = ?", ("\x1b[2J\r\nnot\u202ea\u2028name\x07\u0085" + "e\u0301" * 50, made[0]))
            connection.execute("UPDATE grants SET last_operation = ?", ("tool \x1b[31m\r\nx\u2028",))
        connection.close()
        for _ in range(2):
            server.stop()
            restart(server)
            equal(browser.get(server.origin + "/account").status, 200, "the account page")
            for words in (("clients", "list"), ("users", "list"), ("grants", "list"), ("keys", "list"), ("audit", "verify")):
                for more in ([], ["--json"]):
                    done = subprocess.run([server.binary, *words, "--data", server.data, *more], capture_output=True)
                    equal(done.returncode, 0, f"{words} {more}: {done.stderr[-300:]!r}")
                    if more:
                        for line in done.stdout.decode().splitlines():
                            json.loads(line)
                    else:
                        for bad in (b"\x1b", b"\r", b"\x00", b"\x07", "\u202e".encode(), "\u2028".encode(), "\u0085".encode()):
                            check(bad not in done.stdout, f"{words}: {bad!r} reaches the terminal")
        shown = subprocess.run([server.binary, "clients", "list", "--data", server.data, "--json"], capture_output=True, text=True).stdout
        check(all(client_id in shown for client_id in made), "a client is not listed")
        for line in server.audit_lines():
            json.loads(line)
            check(not any(mark in line.decode() for mark in "\r\u2028\u2029\u0085"), "a line break within a line of the audit log")


@test("M-05, M-09, M-11, O-01, I3: a store that is not what it was keeps the server from starting, by name, with the way out, and nothing is lost by it")
def _():
    with Server() as server:
        Client(server).tokens(Browser("ada"))
        server.stop()
        data = server.data

        def run(*arguments):
            return subprocess.run([sys.argv[1], *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

        def demo(*options):
            """What a start says that is refused; fails where it is not."""
            done = run("demo", "--port", str(server.port), "--data", data, *options)
            equal((done.returncode, done.stdout), (78, ""), f"exit code and what it printed: {done.stderr}")
            return done.stderr

        def at(name):
            return os.path.join(data, name)

        def contents(name):
            with open(at(name), "rb") as file:
                return file.read()

        @contextlib.contextmanager
        def damaged(name, damage):
            """One file that is not what it was, and is again afterwards."""
            kept = {each: contents(each) for each in os.listdir(data) if os.path.isfile(at(each))}
            damage(at(name))
            try:
                yield
            finally:
                for each in set(os.listdir(data)) - set(kept):
                    os.remove(at(each))
                for each, bytes in kept.items():
                    with open(at(each), "wb") as file:
                        file.write(bytes)
                    os.chmod(at(each), 0o600)

        def foreign(path):
            os.remove(path)
            for each in ("-wal", "-shm"):
                if os.path.exists(path + each):
                    os.remove(path + each)
            with contextlib.closing(sqlite3.connect(path)) as db:
                db.execute("CREATE TABLE albums (id INTEGER PRIMARY KEY, title TEXT)")
                db.commit()
            os.chmod(path, 0o600)

        def noise(path):
            with open(path, "r+b") as file:
                file.seek(4096)
                file.write(os.urandom(4096))

        equal(run("store", "check", "--data", data).returncode, 0, "store check of a whole store")
        for name in ("auth.db", "tasks.db"):
            for what, damage, words in (
                ("missing", os.remove, ["missing"]), ("empty", lambda path: os.truncate(path, 0), ["empty"]),
                ("another application's", foreign, ["another application"]), ("overwritten", noise, []),
                ("readable", lambda path: os.chmod(path, 0o644), ["chmod 600"]),
            ):
                if what == "overwritten" and os.path.getsize(at(name)) < 8192:
                    continue
                with damaged(name, damage):
                    said = demo()
                    for word in [at(name), *words]:
                        check(word in said, lambda: f"{name} {what}: {word!r} is not in: {said}")
                    if what == "another application's":
                        with contextlib.closing(sqlite3.connect(at(name))) as db:
                            equal([row[0] for row in db.execute("SELECT name FROM sqlite_master")], ["albums"], "the stranger's tables")
        with damaged("auth.db", noise):
            found = run("store", "check", "--data", data)
            check(found.returncode in (1, 78) and "auth.db" in found.stderr + found.stdout, lambda: f"store check of a damaged store: {found}")
        with damaged("master.key", lambda path: os.chmod(path, 0o644)):
            said = demo()
            check("chmod 600" in said and "--insecure-allow-readable-key" in said, said)
        with damaged("master.key", os.remove):
            said = demo()
            check(at("master.key") in said and "missing" in said and "--new-store" in said, said)
        with damaged("master.key", lambda path: open(path, "wb").write(os.urandom(32))):
            said = demo()
            check("another master key" in said and "--port" not in said.split("another master key")[0], said)
        said = run("demo", "--port", str(server.port), "--origin", "http://127.0.0.1:1", "--forwarded", "--data", data).stderr
        check(server.origin in said and "http://127.0.0.1:1" in said, said)
        with damaged("audit.jsonl", lambda path: os.chmod(path, 0o644)):
            check("audit.jsonl" in demo(), "an audit log that others can read")
        server.options.append("--new-store")
        check(server.start(), lambda: server.output())
        equal(len(server.audit("store.set_aside", "allowed")), 1, "the audit log carries on, and says so")
        check(any(".old-" in name for name in os.listdir(data)), os.listdir(data))
        equal(run("audit", "verify", "--data", data).returncode, 0, "audit verify")
        Client(server).tokens(Browser("ada"))


@test("a master key that is put there before the first start, as containers mount secrets, is the key of that start")
def _():
    with Server("--insecure-allow-readable-key") as server:
        server.stop()
        for name in os.listdir(server.data):
            os.remove(os.path.join(server.data, name))
        key = os.urandom(32)
        with open(os.path.join(server.data, "master.key"), "wb") as file:
            file.write(key)
        os.chmod(os.path.join(server.data, "master.key"), 0o444)
        check(server.start(), lambda: server.output()[-800:])
        Client(server).tokens(Browser("ada"))
        with open(os.path.join(server.data, "master.key"), "rb") as file:
            equal(file.read(), key, "the key")
        server.stop()
        check(server.start(), lambda: server.output()[-800:])


@test("S-15: a proxy of the environment is never asked, neither for documents of clients nor for anything else")
def _():
    proxy = socket.create_server(("127.0.0.1", 0))
    proxy.settimeout(0.1)
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    for name in names:
        os.environ[name] = f"http://127.0.0.1:{proxy.getsockname()[1]}"
    try:
        with Server() as server:
            client = Client(server)
            for address in ("https://93.184.216.34/client.json", "https://client.example.net/client.json"):
                client.id = address
                reply = send("GET", client.authorization_url())
                check(400 <= reply.status < 500, f"a document that cannot be had: {reply!r}")
                try:
                    proxy.accept()
                    raise Failure(f"the proxy was asked for {address}")
                except TimeoutError:
                    pass
    finally:
        for name in names:
            del os.environ[name]
        proxy.close()


# --- TLS ------------------------------------------------------------------------------------------------------------------------------------------


def certificate(folder, name, days=30):
    """A certificate for 127.0.0.1 with its key, put in place at once."""
    for kind in ("crt", "key"):
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(folder, "new." + kind))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", str(days), "-subj", f"/CN={name}",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", os.path.join(folder, "new.key"), "-out", os.path.join(folder, "new.crt")],
        check=True, capture_output=True)
    for kind in ("key", "crt"):
        os.replace(os.path.join(folder, "new." + kind), os.path.join(folder, "server." + kind))


def shake_hands(port, **limits):
    """The version, cipher and certificate that a client with these limits gets; None when there is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if "ciphers" in limits:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(limits["ciphers"])
    if "maximum" in limits:
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = limits["maximum"]
        context.set_ciphers("ALL:@SECLEVEL=0")
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, context.wrap_socket(plain) as secure:
            return secure.version(), secure.cipher()[0], secure.getpeercert(True)
    except (ssl.SSLError, ConnectionError):
        return None


@test("N-09: TLS of its own: 1.2 and 1.3, authenticated encryption with forward secrecy only, HSTS; a new certificate without a restart or a dropped connection")
def _():
    if subprocess.run(["sh", "-c", "command -v openssl"], capture_output=True).returncode:
        return print("skipped: no openssl", file=sys.stderr, flush=True)
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        certificate(folder, "first")
        files = ["--tls-certificate", os.path.join(folder, "server.crt"), "--tls-key", os.path.join(folder, "server.key")]
        with Server(*files) as server:
            first = shake_hands(server.port)
            equal(first[0], "TLSv1.3", "the newest version")
            equal(shake_hands(server.port, maximum=ssl.TLSVersion.TLSv1_2)[0], "TLSv1.2", "1.2")
            for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
                equal(shake_hands(server.port, maximum=version), None, f"{version}")
            for suite in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"):
                equal(shake_hands(server.port, ciphers=suite)[1], suite, "a good suite")
            for suite in ("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "AES128-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-CCM"):
                equal(shake_hands(server.port, ciphers=suite + ":@SECLEVEL=0"), None, suite)
            # One connection that stays, across the change of certificates.
            context = ssl.create_default_context(cafile=os.path.join(folder, "server.crt"))
            lasting = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=30)

            def get(path):
                lasting.request("GET", path)
                reply = lasting.getresponse()
                return reply, reply.read()

            reply, body = get("/.well-known/oauth-authorization-server")
            equal((reply.status, reply.getheader("Strict-Transport-Security")), (200, "max-age=31536000"), "metadata over TLS")
            equal(json.loads(body)["issuer"], f"https://127.0.0.1:{server.port}", "the issuer")
            for path in ("/mcp", "/nothing", "/account", "/health"):
                equal(get(path)[0].getheader("Strict-Transport-Security"), "max-age=31536000", path)
            try:
                check(b"HTTP/1.1 2" not in plain_http(server.port), "plain HTTP is not answered")
            except OSError:
                pass
            certificate(folder, "second")
            end = time.monotonic() + 25
            while (shake_hands(server.port) or first)[2] == first[2]:
                check(time.monotonic() < end, "the new certificate is not taken")
                lasting_status = get("/health")[0].status
                equal(lasting_status, 200, "the connection of before")
                time.sleep(0.5)
            equal(get("/health")[0].status, 200, "the connection of before, afterwards")
            # A file that is no certificate changes nothing.
            with open(os.path.join(folder, "server.crt"), "w") as file:
                file.write("nothing")
            time.sleep(11)
            check(shake_hands(server.port) is not None, "a broken file ends nothing")
            check("certificate" in server.output(), "and it is said")
            lasting.close()
            equal(server.stop(), 0, "exit status")
        done = subprocess.run([sys.argv[1], "demo", "--data", os.path.join(folder, "data"), *files], capture_output=True, text=True, timeout=30)
        equal(done.returncode, 78, "a start with a broken certificate")
        check("PEM" in done.stderr and "Fatal" not in done.stderr, done.stderr)


def plain_http(port):
    with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
        connection.sendall(f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        return connection.recv(1000)


# --- What it is made of ---------------------------------------------------------------------------------------------------------------------------


@test("W-10: no dependency is older than the last one of its line that was mended")
def _():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "Package.resolved")
    with open(path) as file:
        versions = {pin["identity"]: tuple(map(int, pin["state"]["version"].split("."))) for pin in json.load(file)["pins"]}
    for name, floor in {"swift-nio": (2, 100, 0), "swift-nio-http2": (1, 44, 0), "swift-nio-extras": (1, 34, 1), "async-http-client": (1, 30, 0)}.items():
        check(versions[name] >= floor, f"{name} {versions[name]} is older than {floor}")


if __name__ == "__main__":
    main("operations")
