"""What the server has answered is true for good: after SIGKILL at any moment, after a restart, in the same data folder.

Threads work as clients do and write down every answer. Then the process is killed, started again, and asked about everything on the list. What was
under way when it was killed may have happened or not, but never halfway and never twice.
"""

import json
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import time

from lives import Worker, integrity, refused, restart, verify, works
from support import (
    PASSWORD, Browser, Client, Failure, Server, call, check, claims_of, equal, free_port, in_parallel, main, send, structured, test,
)

# `make reliability` runs a thousand.
ROUNDS = int(os.environ.get("CRASH_ROUNDS", "25"))
WORKERS = 4


@test(f"M-01, I1, I2, I3: {ROUNDS} times SIGKILL in the middle of the work, and every answer stays true")
def _():
    seed = int(os.environ.get("SEED", secrets.randbelow(10**6)))
    chance = random.Random(seed)
    # Tokens that outlive the test: the first one is used again at its end.
    with Server("--token-lifetime", "86400") as server:
        cookies = {user: Browser(user).sign_in(server.origin).cookies for user in ("ada", "grace")}
        clients = [Client(server), Client(server, token_endpoint_auth_method="client_secret_basic")]
        tasks, keep = {"ada": {}, "grace": {}}, {}
        seen = {}
        for round_number in range(ROUNDS):
            workers = [Worker(server, clients[index // 2], cookies[user], user, chance.random())
                       for index, user in enumerate(("ada", "grace") * (WORKERS // 2))]
            for worker in workers:
                worker.start()
            time.sleep(chance.uniform(0.05, 0.5))
            server.stop(signal.SIGKILL)
            for worker in workers:
                worker.join(20)
                check(not worker.is_alive(), "a worker hangs")
                if worker.problem is not None:
                    raise Failure(f"round {round_number}, SEED={seed}: {worker.problem}")
            integrity(server)
            restart(server)
            chains = [chain for worker in workers for chain in worker.chains]
            try:
                for chain in chains:
                    result = verify(server, chain)
                    seen[result] = seen.get(result, 0) + 1
                    if chain.pending:
                        seen[chain.pending] = seen.get(chain.pending, 0) + 1
                # One chain of each person stays for all rounds.
                for user in ("ada", "grace"):
                    keep[user] = keep_going(server, clients[0], cookies[user], user, keep.get(user))
                for worker in workers:
                    tasks[worker.browser.user].update(worker.tasks)
                    for text, id in worker.tasks.items():
                        found = structured(call(server, keep[worker.browser.user][0], "search-tasks", {"text": text}))["tasks"]
                        equal(found, [{"id": id, "text": text}], "a task that was created before the crash")
                    if worker.unsure_task:
                        found = structured(call(server, keep[worker.browser.user][0], "search-tasks", {"text": worker.unsure_task}))["tasks"]
                        check(len(found) <= 1, "a task that was not acknowledged is there twice")
            except Failure as failure:
                raise Failure(f"round {round_number}, SEED={seed}: {failure}") from None
        integrity(server)
        for user in ("ada", "grace"):
            for text, id in chance.sample(sorted(tasks[user].items()), min(20, len(tasks[user]))):
                equal(structured(call(server, keep[user][0], "search-tasks", {"text": text}))["tasks"], [{"id": id, "text": text}], "an old task")
            check(works(server, keep[user][2]), "an access token of the first round, after the last")
        # The rounds must have met what they are about.
        for what in ("alive", "revoked", "code"):
            check(seen.get(what, 0) >= 5, f"too few chains were {what}: {seen} (SEED={seed})")
        check(sum(map(len, tasks.values())) >= 10, "too few tasks")
        cut = sum(json.loads(line)["action"] == "audit.cut_off" for line in server.audit_lines())
        done = subprocess.run([server.binary, "audit", "verify", "--data", server.data], capture_output=True, text=True)
        equal(done.returncode, 0, f"the audit log is whole: {done.stdout[-300:]}")
        print(f"crash rounds: {seen}, events of the audit log that were cut off: {cut}, SEED={seed}", file=sys.stderr, flush=True)


def keep_going(server, client, cookies, user, kept):
    """A chain that is refreshed once a round: (access token, refresh token, the first access token)."""
    if kept is None:
        browser = Browser(user)
        browser.cookies = dict(cookies)
        access, refresh = client.tokens(browser)
        return access, refresh, access
    reply = client.refresh(kept[1])
    equal(reply.status, 200, f"the chain that is refreshed in every round {reply!r}")
    return reply.json["access_token"], reply.json["refresh_token"], kept[2]


@test("I3, O-01: a restart keeps users, sessions, clients, keys and tokens, and shows no password again")
def _():
    with Server(password=None) as server:
        shown = dict(re.findall(r"^  (ada|grace) +(\S+)$", server.output(), re.MULTILINE))
        equal(set(shown), {"ada", "grace"}, f"passwords of the first start: {server.output()[-300:]}")
        check(shown["ada"] != shown["grace"] and min(map(len, shown.values())) >= 12, "weak or equal passwords")
        keys = send("GET", server.origin + "/jwks").body
        browser = Browser("ada", shown["ada"]).sign_in(server.origin)
        client = Client(server, token_endpoint_auth_method="client_secret_post")
        access, refresh = client.tokens(browser)
        revoked, revoked_refresh = client.tokens(browser)
        equal(client.revoke(revoked_refresh).status, 200, "revocation")
        alone, alone_refresh = client.tokens(browser)
        equal(client.revoke(alone).status, 200, "revocation of an access token")
        code = client.code(browser)
        equal(server.stop(), 0, "exit status after SIGTERM")

        before = len(server.output())
        restart(server)
        said = server.output()[before:]
        check("with the passwords of the first start" in said, f"what the second start says: {said}")
        check(not any(password in said for password in shown.values()), "a password is shown again")
        equal(server.output().count(shown["ada"]), 1, "how often a password was shown")
        equal(send("GET", server.origin + "/jwks").body, keys, "keys")
        check(works(server, access), "an access token of before")
        check(not works(server, revoked) and not works(server, alone), "a revoked access token of before")
        refused(client.refresh(revoked_refresh), "a revoked refresh token of before")
        equal(client.refresh(alone_refresh).status, 200, "a refresh token whose access token was revoked")
        latest = client.refresh(refresh)
        equal(latest.status, 200, "a refresh token of before")
        equal(claims_of(latest.json["access_token"])["sub"], claims_of(access)["sub"], "the same person")
        equal([client.redeem(*code).status for _ in range(2)], [200, 400], "T-04: a code of before, twice")
        check("Signed in as" in browser.get(server.origin + "/account").text, "the session of before")
        Browser("grace", shown["grace"]).sign_in(server.origin)
        wrong = Browser("grace", shown["ada"])
        page = wrong.get(server.origin + "/account")
        equal(wrong.answer(server.origin + "/account", page)[1].status, 401, "another one's password")

        # A password in the environment is for the first start only: it changes nobody's password later.
        server.stop()
        server.password = PASSWORD
        restart(server)
        other = Browser("grace", PASSWORD)
        page = other.get(server.origin + "/account")
        equal(other.answer(server.origin + "/account", page)[1].status, 401, "a password that the environment names later")


@test("O-03, I3: another master key opens nothing, and is said so; the right one still does")
def _():
    with Server() as server:
        client = Client(server)
        access, _ = client.tokens(Browser())
        check(works(server, access), "before")
        server.stop()
        path = os.path.join(server.data, "master.key")
        with open(path, "rb") as file:
            right = file.read()
        with open(path, "wb") as file:
            file.write(os.urandom(32))
        equal(server.start(), False, "a start with another master key")
        equal(server.process.returncode, 78, "exit status")
        check("master key" in server.output() and PASSWORD not in server.output(), server.output()[-300:])
        with open(path, "wb") as file:
            file.write(right)
        restart(server)
        check(works(server, access), "after")


@test("M-07, O-03: a second start on the same data, under the same name or another, ends by itself and disturbs nobody")
def _():
    with Server() as server:
        client = Client(server)
        browser = Browser().sign_in(server.origin)
        access, refresh = client.tokens(browser)
        for port, status in ((server.port, 69), (free_port(), 78)):
            command = [server.binary, "demo", "--port", str(port), "--data", server.data]
            result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
            equal(result.returncode, status, f"exit status: {result.stderr[-300:]}")
            check(len(result.stderr) > 20 and "Fatal" not in result.stderr and server.data not in result.stdout, result.stderr[-300:])
        check(works(server, access), "the access token of before")
        equal(client.refresh(refresh).status, 200, "the refresh token of before")
        replies = in_parallel(8, lambda index, code=client.code(browser): client.redeem(*code))
        equal(sorted(reply.status for reply in replies), [200] + [400] * 7, "eight redemptions of a code")
        server.stop()
        integrity(server)
        restart(server)
        check(works(server, access), "the access token of before, after a restart")


if __name__ == "__main__":
    main("durability")
