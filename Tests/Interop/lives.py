"""People and their clients, as fast as they can, who write down every answer; and what must be true of each answer afterwards."""

import os
import random
import secrets
import shutil
import sqlite3
import tempfile
import threading
import time

from support import Browser, Failure, Forms, call, challenge_of, check, equal, new_verifier, query_of, structured


class Chain:
    """The life of one grant as its client knows it."""

    def __init__(self, client, user):
        self.client = client
        self.user = user
        self.code = None  # (code, verifier), once it was handed out
        self.access = []  # every access token
        self.refresh = []  # every refresh token, oldest first
        self.revoked = False  # acknowledged
        self.pending = None  # what was asked for last and not answered
        self.asked = 0.0


class Worker(threading.Thread):
    """A person and their client, as fast as they can, until the server goes away."""

    def __init__(self, server, client, cookies, user, seed):
        super().__init__(daemon=True)
        self.server = server
        self.client = client
        self.browser = Browser(user)
        self.browser.cookies = dict(cookies)
        self.random = random.Random(seed)
        self.chains = []
        self.tasks = {}  # text: id
        self.unsure_task = None
        self.problem = None

    def run(self):
        try:
            while True:
                self.live()
        except OSError:
            pass  # the server is gone, in the middle of `pending`
        except Exception as error:
            # A connection may also end in the middle of an answer.
            if type(error).__module__ != "http.client":
                self.problem = error

    def live(self):
        chain = Chain(self.client, self.browser.user)
        verifier = new_verifier()
        page = self.browser.get(self.client.authorization_url(code_challenge=challenge_of(verifier)))
        form = next(form for form in Forms(page.text).forms if any(name == "decision" for name, _ in form["buttons"]))
        reply = self.browser.submit(self.server.origin + "/consent", form, {"decision": "allow"})
        equal(reply.status, 303, "consent")
        chain.code = (query_of(reply.header("Location"))["code"], verifier)
        self.chains.append(chain)
        if self.random.random() < 0.2:
            return  # a code that waits
        self.ask(chain, "redeem", lambda: self.client.redeem(*chain.code))
        for _ in range(self.random.randrange(4)):
            if self.random.random() < 0.5:
                self.create_task(chain)
            self.ask(chain, "refresh", lambda: self.client.refresh(chain.refresh[-1]))
        if self.random.random() < 0.4:
            kind = self.random.choice(["revoke", "revoke", "revoke access"])
            token = chain.refresh[-1] if kind == "revoke" else chain.access[-1]
            chain.pending = kind
            equal(self.client.revoke(token).status, 200, kind)
            chain.pending = None
            if kind == "revoke":
                chain.revoked = True
            else:
                chain.access.pop()

    def ask(self, chain, what, request):
        chain.pending, chain.asked = what, time.monotonic()
        reply = request()
        equal(reply.status, 200, f"{what}: {reply!r}")
        chain.access.append(reply.json["access_token"])
        chain.refresh.append(reply.json["refresh_token"])
        chain.pending = None

    def create_task(self, chain):
        self.unsure_task = text = secrets.token_hex(8)
        self.tasks[text] = structured(call(self.server, chain.access[-1], "create-task", {"text": text}))["id"]
        self.unsure_task = None


def works(server, access):
    return call(server, access, "whoami").status == 200


def refused(reply, what):
    equal((reply.status, reply.error), (400, "invalid_grant"), what)


def verify(server, chain):
    """Asks the restarted server about one chain, and ends it."""
    client = chain.client
    if chain.pending == "redeem":
        statuses = [client.redeem(*chain.code).status for _ in range(2)]
        check(statuses in ([200, 400], [400, 400]), f"a code whose redemption was not answered: {statuses}")
        return "unsure"
    if not chain.refresh:
        # Handed out and never used: it still works, unless its minute is over, and works once.
        statuses = [client.redeem(*chain.code).status for _ in range(2)]
        equal(statuses, [200, 400], "a code that was handed out before the crash")
        return "code"
    if chain.revoked:
        refused(client.refresh(chain.refresh[-1]), "a refresh token whose revocation was acknowledged")
        for access in chain.access:
            check(not works(server, access), "an access token whose revocation was acknowledged works again")
        return "revoked"
    if chain.pending == "revoke":
        alive = works(server, chain.access[-1])
        equal(client.refresh(chain.refresh[-1]).status, 200 if alive else 400, f"halfway revoked; the access token works: {alive}")
        return "unsure"
    if chain.pending == "refresh":
        # The answer was lost: asking again, within the grace, must give tokens, and always the same ones.
        replies = [client.refresh(chain.refresh[-1]) for _ in range(2)]
        equal([reply.status for reply in replies], [200, 200], "a refresh whose answer was lost in the crash")
        equal(len({reply.json["refresh_token"] for reply in replies}), 1, "successors")
        chain.refresh.append(replies[0].json["refresh_token"])
    else:
        for access in chain.access[: -1 if chain.pending == "revoke access" else None]:
            check(works(server, access), "an access token that was issued before the crash is refused")
        reply = client.refresh(chain.refresh[-1])
        equal(reply.status, 200, f"the last refresh token before the crash {reply!r}")
        chain.refresh.append(reply.json["refresh_token"])
    latest = client.refresh(chain.refresh[-1])
    equal(latest.status, 200, "the refresh token after it")
    # Whatever is older than the last predecessor is never good again, and neither is the code; either ends the chain.
    if len(chain.refresh) > 2:
        refused(client.refresh(chain.refresh[0]), "a refresh token that was used up before the crash")
    else:
        refused(client.redeem(*chain.code), "a code that was used up before the crash")
    check(not works(server, latest.json["access_token"]), "the replay did not end the chain")
    return "alive"


def integrity(server):
    """Looks at a copy, as the crash left it, log and all."""
    with tempfile.TemporaryDirectory() as folder:
        for name in os.listdir(server.data):
            if ".db" in name and not name.endswith("-shm"):
                shutil.copy(os.path.join(server.data, name), folder)
        for name in ("auth.db", "tasks.db"):
            connection = sqlite3.connect(os.path.join(folder, name))
            equal(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)], f"integrity of {name}")
            equal(connection.execute("PRAGMA foreign_key_check").fetchall(), [], f"foreign keys of {name}")
            connection.close()


def restart(server):
    """Starts it again on the same port: the port is part of the issuer."""
    for _ in range(20):
        if server.start():
            return
        time.sleep(0.2)
    raise Failure("the server did not start again: " + server.output()[-400:])
