"""One walk from 401 to the end of the grant, in one open session, by each Python client, unmodified: the official SDK and FastMCP, old and new.

    VENV/bin/python test_walks.py PATH_TO_MCP_AUTH_BINARY [WORD ...]

Each library runs in its own virtual environment, as a process (walk.py) that is told what to do and shows what it sent. All of them do every step:
each supports step-up, since FastMCP leaves that to the OAuth of the official SDK.
"""

import contextlib
import functools
import json
import os
import select
import subprocess
import time

from lives import restart
from sdk_scenarios import SCOPES, TOOLS, counts
from support import HANDSHAKE, MODERN, PASSWORD, Server, check, equal, main, test

HERE = os.path.dirname(os.path.abspath(__file__))
INITIAL = {"read:tasks", "profile"}
LIFETIME = 4  # seconds of an access token
PATIENCE = 40  # seconds after which a library hangs


# --- A library at work ----------------------------------------------------------------------------------------------------------------------------


def pinned(environment):
    """What the virtual environment is for, such as `mcp 1.30.0`."""
    with open(os.path.join(HERE, f"requirements-{environment}.txt")) as file:
        return next(line for line in file if "==" in line and not line.startswith("#")).strip().replace("==", " ")


@functools.cache
def python(environment):
    made = subprocess.run([os.path.join(HERE, "..", "..", "Scripts", "venv"), environment], stdout=subprocess.PIPE, text=True, check=True)
    return os.path.join(made.stdout.strip(), "bin", "python")


class Library:
    """One process of walk.py, connected to a server."""

    def __init__(self, name, server):
        self.visits = self.sign_ins = 0
        self.asked = []  # the scopes of each authorization request
        self.traffic = []  # what was sent since the last question
        self.token_since = 0.0
        self.unread = b""
        environment = {**os.environ, "MCP_AUTH_DEMO_PASSWORD": PASSWORD, "PYTHONUNBUFFERED": "1"}
        self.said = os.path.join(server.folder, "walk")
        with open(self.said, "ab") as said:
            self.process = subprocess.Popen(
                [python(name.split()[0]), os.path.join(HERE, "walk.py"), name, server.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=said, env=environment)
        try:
            self.version = self.value()
        except BaseException:
            self.end()
            raise

    def answer(self):
        """The next line of the process; a library that says nothing for a while hangs."""
        end = time.monotonic() + PATIENCE
        while b"\n" not in self.unread:
            readable, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            check(readable, lambda: f"it hangs; it said {self.last_words()}")
            data = os.read(self.process.stdout.fileno(), 65536)
            check(data, lambda: f"it ended; it said {self.last_words()}")
            self.unread += data
        line, _, self.unread = self.unread.partition(b"\n")
        answer = json.loads(line)
        self.visits, self.sign_ins, self.asked = answer["visits"], answer["sign_ins"], [set(scopes) for scopes in answer["asked"]]
        self.traffic = answer["traffic"]
        for exchange in self.traffic:
            if exchange["path"] == "/token" and exchange["status"] == 200:
                self.token_since = exchange["at"]
        return answer

    def value(self):
        answer = self.answer()
        check("error" not in answer, lambda: f"{answer['error']} after {self.traffic}")
        return answer["value"]

    def expire(self):
        """Waits until the library itself knows that its access token has expired."""
        time.sleep(max(0, self.token_since + LIFETIME + 0.3 - time.time()))

    def send(self, what, **details):
        # Tokens end at whole seconds, so that a library believes in one for up to a second too long: nothing is asked of it in that second.
        if self.token_since + LIFETIME - 1.3 < time.time():
            self.expire()
        with contextlib.suppress(BrokenPipeError):  # its answer says why
            self.process.stdin.write(json.dumps({"do": what, **details}).encode() + b"\n")
            self.process.stdin.flush()

    def tools(self):
        self.send("tools")
        return self.value()

    def call(self, tool, **arguments):
        self.send("call", tool=tool, arguments=arguments)
        return self.value()

    def failure_of_call(self, tool, **arguments):
        """The texts of the error that a call ends with."""
        self.send("call", tool=tool, arguments=arguments)
        answer = self.answer()
        check("error" in answer, lambda: f"the call succeeded: {answer['value']}")
        return answer["error"]

    def decide(self, decision):
        """What the person presses on every page of consent from now on."""
        self.send("decide", decision=decision)
        self.value()

    def sent(self, **what):
        """What was sent since the last question and has all of these properties."""
        return [exchange for exchange in self.traffic if all(exchange[name] == value for name, value in what.items())]

    def last_words(self):
        with open(self.said, "rb") as file:
            return " ".join(file.read().decode("utf-8", "replace").split())[-400:]

    def end(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Walk:
    """A library and the server that it walks to. There is one walk at a time; each step goes on where the last one ended."""

    current = None

    def __init__(self, name):
        self.name = name
        self.server = Server("--initial-scope", " ".join(sorted(INITIAL)), "--token-lifetime", str(LIFETIME))
        self.connected = None

    @classmethod
    def of(cls, name):
        if cls.current is None or cls.current.name != name:
            cls.finish()
            cls.current = Walk(name)
        return cls.current

    @classmethod
    def finish(cls):
        if cls.current is not None:
            cls.current.leave()
            cls.current.server.remove()
            cls.current = None

    @property
    def library(self):
        """The library in its open session, or in a new one."""
        if self.connected is None:
            self.connected = Library(self.name, self.server)
        return self.connected

    def leave(self):
        if self.connected is not None:
            self.connected.end()
            self.connected = None

    def command(self, *words):
        """Runs `mcp-auth` on the data of the running server."""
        done = subprocess.run(
            [self.server.binary, *words, "--data", self.server.data, "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        equal(done.returncode, 0, f"mcp-auth {' '.join(words)}: {done.stderr[-300:]}")
        return json.loads(done.stdout)


def define(name, who, version, ends="denied"):
    """Registers the steps for one library: the protocol version that it is to negotiate, and what its error says when its person has said no."""

    def step(does):
        def register(body):
            @test(f"{who}: {does}")
            def run():
                walk = Walk.of(name)
                try:
                    body(walk)
                except BaseException:
                    walk.leave()  # nobody knows what state it is in; the next step signs in anew
                    raise

        return register

    @step("signs in by its own OAuth, with discovery, registration, PKCE and its callback, and calls whoami")
    def _(walk):
        library = walk.library
        equal(library.version, version, "negotiated version")
        equal((library.visits, library.sign_ins), (1, 1), "visits, sign-ins")
        equal(library.asked[0] - {"offline_access"}, INITIAL, "scopes asked for")
        check(library.sent(status=401), lambda: f"no 401 led to the sign-in: {library.traffic}")
        equal([exchange["status"] for exchange in library.sent(path="/register")], [201], "registration")
        equal([exchange["status"] for exchange in library.sent(grant_type="authorization_code")], [200], "exchange of the code")
        me = library.call("whoami")
        check(me["subject"].startswith("user-") and me["issuer"] == walk.server.origin, me)
        check("read:tasks" in me["scopes"] and "write:tasks" not in me["scopes"], me)
        recorded = counts(walk.server)
        for action in ("client.registered", "sign_in", "consent", "token.issued"):
            equal(recorded.get(action), 1, f"audit of {action}")

    @step("is shown every tool that its person could allow, also those that its token does not allow yet")
    def _(walk):
        equal(set(walk.library.tools()), TOOLS, "tools")
        equal(walk.library.visits, 1, "visits")

    @step("answers 403 insufficient_scope of create-task by asking its person for the union of scopes, and the call succeeds")
    def _(walk):
        library = walk.library
        equal(set(library.call("whoami")["scopes"]) & SCOPES, INITIAL & SCOPES, "scopes before")
        task = library.call("create-task", text="needs write:tasks")
        equal(task["text"], "needs write:tasks", "the task")
        refusals = library.sent(status=403)
        equal(len(refusals), 1, f"refusals among {library.traffic}")
        check('error="insufficient_scope"' in refusals[0]["challenge"] and "write:tasks" in refusals[0]["challenge"], refusals[0])
        equal((library.visits, library.sign_ins), (2, 1), "visits, sign-ins")
        equal(library.asked[1] - {"offline_access"}, INITIAL | {"write:tasks"}, "scopes asked for")
        equal(library.sent(path="/register"), [], "registrations")
        equal(set(library.call("whoami")["scopes"]) & SCOPES, {"read:tasks", "write:tasks"}, "scopes after")
        equal(library.call("search-tasks")["tasks"], [task], "what it could do before it still can")

    @step("refreshes an expired token without its person")
    def _(walk):
        library = walk.library
        subject, visits = library.call("whoami")["subject"], library.visits
        library.expire()
        equal(library.call("whoami")["subject"], subject, "the same person")
        equal([exchange["status"] for exchange in library.sent(grant_type="refresh_token")], [200], "refreshes")
        equal((library.sent(status=401), library.visits), ([], visits), "answers of 401, visits")

    @step("goes on in its open session when the server is restarted, without another handshake or sign-in")
    def _(walk):
        library = walk.library
        subject, visits = library.call("whoami")["subject"], library.visits
        sessions = {exchange["session"] for exchange in library.sent(rpc="tools/call")}
        equal(None not in sessions, version != MODERN, "a session id is sent")
        walk.server.stop()
        restart(walk.server)
        equal(library.call("whoami")["subject"], subject, "the same person")
        sent = library.sent(path="/mcp", method="POST")
        equal([(exchange["rpc"], exchange["status"]) for exchange in sent], [("tools/call", 200)], "requests")
        equal({exchange["session"] for exchange in sent}, sessions, "session ids")
        check(set(library.tools()) >= {"whoami", "search-tasks"}, "the second question")
        equal(library.visits, visits, "visits")

    @step("ends with an error when `mcp-auth grants revoke` ended its grant and its person allows nothing new")
    def _(walk):
        library = walk.library
        library.call("whoami")
        visits = library.visits
        library.decide("deny")
        grants = walk.command("grants", "list", "--user", "ada")
        check(grants, "no grant is listed")
        for grant in grants:
            walk.command("grants", "revoke", grant["grant"])
        library.expire()
        error = library.failure_of_call("whoami")
        equal([exchange["status"] for exchange in library.sent(grant_type="refresh_token")], [400], "refreshes")
        equal([exchange["status"] for exchange in library.sent(rpc="tools/call")], [401], "answers")
        check("resource_metadata=" in library.sent(status=401)[0]["challenge"], library.traffic)
        # A library that ends its session after that may be refused, and ask its person, once more.
        asked = library.visits - visits
        check(asked in (1, 2), f"visits: {asked}")
        equal(len(walk.server.audit("consent", "denied")), asked, "audit of the denied consent")
        check(any(ends in text for text in error), f"the error does not say {ends!r}: {error}")
        walk.leave()


define("mcp1", pinned("mcp1"), HANDSHAKE)
define("mcp2", pinned("mcp2"), MODERN)
define("mcp2 legacy", pinned("mcp2") + " (legacy mode)", HANDSHAKE)
# Version 2 tells nobody why its session ended, other than by its timeout (walk.py); version 4 says that it ended, and not why.
define("fastmcp2", pinned("fastmcp2"), HANDSHAKE, ends="Timed out")
define("fastmcp3", pinned("fastmcp3"), HANDSHAKE)
define("fastmcp", pinned("fastmcp"), MODERN, ends="Connection closed")
define("fastmcp legacy", pinned("fastmcp") + " (legacy mode)", HANDSHAKE, ends="Connection closed")

if __name__ == "__main__":
    try:
        main("walks")
    finally:
        Walk.finish()
