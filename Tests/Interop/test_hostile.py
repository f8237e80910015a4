"""Hostile servers on real sockets: what they send, and what our command does, seen from outside (system calls, memory, time)."""

import concurrent.futures
import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from client_home import BINARY, BROWSER, Home
from support import check, equal, main, test

TOOL = {"name": "add", "description": "Add.", "inputSchema": {"type": "object", "properties": {"a": {"type": "integer"}}}}


class Hostile:
    """A protected server and its authorization server on one port. `answers` replaces the answer of a path: a status with a document, bytes that are
    sent as they are, or a function of the connection and the request."""

    def __init__(self, **answers):
        self.answers = answers
        self.requests = []
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.socket.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.url = self.origin + "/mcp"
        self.closed = False
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while not self.closed:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.converse, args=(connection,), daemon=True).start()

    def converse(self, connection):
        connection.settimeout(90)
        try:
            with connection, connection.makefile("rb") as reader:
                while True:
                    line = reader.readline(65536).decode("latin-1")
                    if not line.strip():
                        return
                    method, target = line.split()[:2]
                    headers = {}
                    while True:
                        header = reader.readline(65536).decode("latin-1").strip()
                        if not header:
                            break
                        name, _, value = header.partition(":")
                        headers[name.lower()] = value.strip()
                    body = reader.read(int(headers.get("content-length", 0)))
                    request = {"method": method, "path": target.split("?")[0], "target": target, "headers": headers, "body": body.decode("latin-1")}
                    self.requests.append(request)
                    if not self.answer(connection, request):
                        return
        except OSError:
            pass

    def answer(self, connection, request):
        answer = self.answers.get(request["path"].strip("/").replace("/", "_").replace("-", "_").replace(".well_known_", ""), self.good(request))
        if callable(answer):
            answer = answer(connection, request)
        if answer is None:
            return False
        if isinstance(answer, bytes):
            connection.sendall(answer)
            return False
        status, document, *fields = answer
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Content-Type: application/json", *fields]
        connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        return True

    def good(self, request):
        """What a server without a fault answers."""
        path = request["path"]
        if path == "/mcp":
            if not request["headers"].get("authorization", "").startswith("Bearer good-"):
                return 401, {}, f'WWW-Authenticate: Bearer resource_metadata="{self.origin}/.well-known/oauth-protected-resource/mcp"'
            return self.message(request)
        if path == "/.well-known/oauth-protected-resource/mcp":
            return 200, self.resource()
        if path == "/.well-known/oauth-authorization-server":
            return 200, self.metadata()
        if path == "/register":
            return 201, {**json.loads(request["body"]), "client_id": "client"}
        if path == "/authorize":
            query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(request["target"]).query))
            answer = urllib.parse.urlencode({"code": "code", "state": query.get("state", "")})
            return 302, {}, f"Location: {query.get('redirect_uri', '')}?{answer}"
        if path == "/token":
            return 200, self.tokens()
        return 404, {}

    def resource(self, **changes):
        return {"resource": self.url, "authorization_servers": [self.origin], "scopes_supported": ["read"], **changes}

    def metadata(self, **changes):
        return {
            "issuer": self.origin, "authorization_endpoint": self.origin + "/authorize", "token_endpoint": self.origin + "/token",
            "registration_endpoint": self.origin + "/register", "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"], **changes}

    @staticmethod
    def tokens(**changes):
        return {"access_token": "good-token", "token_type": "Bearer", "expires_in": 600, **changes}

    def message(self, request, tools=(TOOL,), result=None):
        """MCP of the handshake revision."""
        if request["method"] != "POST":
            return 405, {}
        call = json.loads(request["body"])
        results = {
            "initialize": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "h", "version": "1"}},
            "tools/list": {"tools": list(tools)}, "tools/call": result or {"content": [{"type": "text", "text": "three"}]}}
        if "id" not in call:
            return 202, b""
        if call["method"] not in results:
            return 200, {"jsonrpc": "2.0", "id": call["id"], "error": {"code": -32601, "message": "no"}}
        return 200, {"jsonrpc": "2.0", "id": call["id"], "result": results[call["method"]]}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True
        self.socket.close()


class Run:
    """One command, with the programs that it started, the addresses that it connected to, its memory and its time."""

    def __init__(self, *arguments, home=None, seconds=90, browser=BROWSER):
        home = home or Home()
        folder = tempfile.mkdtemp(prefix="mcp-auth-hostile-")
        trace = folder + "/trace"
        command = [BINARY, *arguments]
        if shutil.which("strace"):
            command = ["strace", "-f", "-qq", "-s", "4096", "-e", "trace=execve,connect", "-o", trace, *command]
        with open(folder + "/out", "wb") as out, open(folder + "/err", "wb") as err:
            begin = time.monotonic()
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env={**home.environment, "MCP_AUTH_BROWSER": browser}, cwd=folder)
            killer = threading.Timer(seconds, process.kill)
            killer.start()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            killer.cancel()
        self.seconds = time.monotonic() - begin
        self.code = process.returncode
        self.memory = usage.ru_maxrss // 1024
        self.out = open(folder + "/out", errors="replace").read()
        self.err = open(folder + "/err", errors="replace").read()
        self.trace = open(trace).read() if os.path.exists(trace) else ""
        self.files = sorted(os.listdir(folder))
        check(self.code not in (-9, 137), f"{arguments}: not finished after {seconds} seconds: {self.err[-300:]}")
        check(self.code >= 0 and self.code < 128, f"{arguments}: ended by a signal ({self.code}): {self.err[-600:]}")
        check(self.memory < 400, f"{arguments}: {self.memory} MiB")

    def fails(self, what):
        check(self.code in (1, 69, 76, 77), f"{what}: exit {self.code}: {self.out[-300:]}{self.err[-300:]}")
        return self

    @property
    def programs(self):
        return re.findall(r'execve\("([^"]+)"', self.trace)[1:]

    @property
    def hosts(self):
        return set(re.findall(r'inet_addr\("([^"]+)"\)', self.trace)) | set(re.findall(r'inet_pton\(AF_INET6, "([^"]+)"', self.trace))


@test("the server of these tests is a good one, as long as nothing is changed")
def good():
    with Hostile() as server:
        run = Run("call", server.url, "add", "a=1", home=signed_in(server))
        equal((run.code, run.out.strip()), (0, "three"), run.err)


def signed_in(server):
    home = Home()
    home.good("login", server.url)
    return home


@test("C-01, R70, R71: authorization URLs that are no https reach no program; what a shell would read is one argument")
def browser_urls():
    for url in (
        "javascript:alert(1)", "file:///bin/sh", "http://evil.example/a", "https://u:p@evil.example/", "https://x/\"&calc&\"", "--help",
        "https://x/`touch pwned`", "ms-settings:", "data:text/html,x",
    ):
        with Hostile() as server:
            server.answers["oauth_authorization_server"] = (200, server.metadata(authorization_endpoint=url))
            run = Run("login", server.url).fails(url)
            equal(run.programs, [], f"{url}: programs")
    with Hostile() as server:
        server.answers["oauth_authorization_server"] = (200, server.metadata(authorization_endpoint=server.origin + "/authorize/$(touch%20pwned);x&y"))
        # The browser is a program that writes down its arguments, one a line.
        folder = tempfile.mkdtemp()
        script = folder + "/browser"
        with open(script, "w") as file:
            file.write(f'#!/bin/sh\nprintf "%s\\n" "$#" "$@" > {folder}/arguments\nexit 1\n')
        os.chmod(script, 0o755)
        home = Home()
        process = home.start("login", server.url, "--browser", script, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while not os.path.exists(folder + "/arguments") and time.monotonic() < end:
            time.sleep(0.1)
        time.sleep(0.2)
        process.terminate()
        process.wait(10)
        arguments = open(folder + "/arguments").read().split("\n")
        equal(arguments[0], "1", f"arguments: {arguments}")
        check("$(touch%20pwned);x&y?response_type=code" in arguments[1], arguments[1])
        equal([name for name in os.listdir(folder) if "pwned" in name], [], "files")


@test("C-08: redirects to another origin carry nothing: no token, no code, no secret, no registration")
def redirects():
    for path in ("mcp", "token", "register", "oauth_authorization_server", "oauth_protected_resource_mcp"):
        for status in (302, 307, 308):
            with Hostile() as thief, Hostile() as server:
                home = signed_in(server) if path == "mcp" else Home()
                server.answers[path] = (status, {}, f"Location: {thief.origin}/{path}")
                Run("tools" if path == "mcp" else "login", server.url, home=home).fails(f"{path} {status}")
                equal([request["target"] for request in thief.requests], [], f"{path} {status}: requests at the thief")


@test("C-09, S: documents that name private, link-local and metadata addresses lead to no connection there")
def private_addresses():
    for target in ("http://169.254.169.254", "https://10.0.0.1", "https://192.168.1.1", "https://[fd00:ec2::254]", "https://[fe80::1]", "http://0.0.0.0"):
        with Hostile() as server:
            server.answers["oauth_protected_resource_mcp"] = (200, server.resource(authorization_servers=[target]))
            run = Run("login", server.url).fails(target)
            check(run.hosts <= {"127.0.0.1"}, f"{target}: connected to {run.hosts}")
        with Hostile() as server:
            server.answers["oauth_authorization_server"] = (200, server.metadata(token_endpoint=target + "/token", registration_endpoint=target + "/r"))
            run = Run("login", server.url).fails(target)
            check(run.hosts <= {"127.0.0.1"}, f"{target} as an endpoint: connected to {run.hosts}")
        with Hostile() as server:
            server.answers["mcp"] = (401, {}, f'WWW-Authenticate: Bearer resource_metadata="{target}/.well-known/x"')
            run = Run("login", server.url)
            check(run.hosts <= {"127.0.0.1"}, f"{target} in a challenge: connected to {run.hosts}")


def endless(prefix, chunk):
    """An answer that does not end."""

    def send(connection, request):
        connection.sendall(prefix)
        end = time.monotonic() + 80
        while time.monotonic() < end:
            connection.sendall(chunk)

    return send


@test("W: endless and broken answers of every endpoint end in bounded time and memory, with an exit code and no crash")
def broken_answers():
    ok = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    chunked = ok + b"Transfer-Encoding: chunked\r\n\r\n"
    deep = b"[" * 200_000
    answers = {
        "an endless document": endless(chunked, b"10000\r\n" + b" " * 0x10000 + b"\r\n"),
        "an endless header": endless(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65536),
        "endless headers": endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 4096),
        "endless interim answers": endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1024),
        "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
        "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 40\r\n\r\n{}",
        "a truncated document": ok + b"Content-Length: 400\r\n\r\n{",
        "a bad chunk": chunked + b"zz\r\n{}",
        "deep nesting": ok + b"Content-Length: %d\r\n\r\n" % len(deep) + deep,
        "no UTF-8": ok + b"Content-Length: 4\r\n\r\n\xff\xfe{}",
        "compressed": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",
        "an array": (200, []), "a text": (200, "x"), "null": (200, None), "an error page": (500, b"<html>oops</html>"),
    }

    def run(case):
        path, (what, answer) = case
        with Hostile() as server:
            server.answers[path] = answer
            Run("login", server.url, seconds=60).fails(f"{path}: {what}")

    paths = ("oauth_protected_resource_mcp", "oauth_authorization_server", "register", "token")
    # Most of the time is waiting for an end that does not come.
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(run, itertools.product(paths, answers.items())))


@test("W: endless and broken answers of the MCP endpoint end too, with a session that is signed in")
def broken_messages():
    ok = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    event = b"data: " + b"x" * 65000

    def chunk(data):
        return b"%x\r\n" % len(data) + data + b"\r\n"

    answers = {
        "an endless line": endless(ok, chunk(event.replace(b"data: ", b""))),
        "an event without an end": endless(ok, chunk(event + b"\n")),
        "a stream that ends": ok + chunk(b": nothing\n\n") + b"0\r\n\r\n",
        "no JSON": ok + chunk(b"data: {]\n\n") + b"0\r\n\r\n",
        "another id": ok + chunk(b'data: {"jsonrpc":"2.0","id":99,"result":{}}\n\n') + b"0\r\n\r\n",
        "a result that is none": (200, {"jsonrpc": "2.0", "id": 1, "result": "x"}),
        "deep nesting": (200, b"[" * 200_000),
        "HTML": (200, b"<html></html>"),
    }
    for what, answer in answers.items():
        with Hostile() as server:
            home = signed_in(server)
            server.answers["mcp"] = answer
            Run("tools", server.url, home=home, seconds=60).fails(what)


@test("C-14: tokens and registrations that no header may carry are refused, and nothing is kept")
def token_answers():
    for what, changes in {
        "a line break": {"access_token": "good-x\r\nX-Injected: 1"}, "a space": {"access_token": "good x"}, "an object": {"access_token": {}},
        "nothing": {"access_token": ""}, "another type": {"token_type": "mac"}, "no type": {"token_type": None},
        "a megabyte": {"access_token": "good-" + "x" * 2_000_000},
    }.items():
        with Hostile() as server:
            server.answers["token"] = (200, server.tokens(**changes))
            home = Home()
            Run("login", server.url, home=home).fails(what)
            equal([name for name in os.listdir(home.store) if name.endswith(".json") and "access_token" in open(f"{home.store}/{name}").read()], [], what)
            check(not any("x-injected" in request["headers"] for request in server.requests), what)
    for what, changes in {
        "a line break": {"client_id": "a\r\nb"}, "no ID": {"client_id": None}, "another address": {"redirect_uris": ["https://evil.example/cb"]},
        "a secret with a break": {"client_secret": "a\nb"},
    }.items():
        with Hostile() as server:
            server.answers["register"] = lambda connection, request, changes=changes: (
                201, {**json.loads(request["body"]), "client_id": "client", **changes})
            Run("login", server.url).fails(what)
            equal([request["path"] for request in server.requests if request["path"] in ("/authorize", "/token")], [], what)


@test("C-13: challenges without an end are answered a few times, and then with an error")
def challenge_loops():
    for status, error in ((401, "invalid_token"), (401, "use_dpop_nonce"), (403, "insufficient_scope")):
        with Hostile() as server:
            home = signed_in(server)
            count = [0]

            def answer(connection, request, status=status, error=error, server=server, count=count):
                count[0] += 1
                field = (
                    f'WWW-Authenticate: Bearer error="{error}", scope="more{count[0]}", '
                    f'resource_metadata="{server.origin}/.well-known/oauth-protected-resource/mcp"')
                return status, {}, field, f"DPoP-Nonce: nonce-{count[0]}"

            server.answers["mcp"] = answer
            before = len(server.requests)
            Run("tools", server.url, home=home).fails(f"{status} {error}")
            check(len(server.requests) - before < 60, f"{status} {error}: {len(server.requests) - before} requests")


@test("X: header names and values that a server chooses for tool arguments reach no other header, and no line break")
def mirrored_headers():
    for name in ("Authorization", "Host", "Cookie", "Mcp-Session-Id", "Content-Length", "X\r\nInjected", ""):
        tool = {
            "name": "add", "inputSchema": {"type": "object", "properties": {"a": {"type": "string", "x-mcp-header": name}}, "required": ["a"]}}
        with Hostile() as server:
            home = signed_in(server)
            server.answers["mcp"] = lambda connection, request, server=server, tool=tool: (
                server.message(request, tools=[tool]) if request["headers"].get("authorization", "").startswith("Bearer good-") else server.good(request))
            before = len(server.requests)
            run = Run("call", server.url, "add", "a=evil\r\nx-injected: 1", home=home)
            for request in server.requests[before:]:
                equal(request["headers"].get("authorization"), "Bearer good-token", f"{name!r}: authorization; {run.err}")
                equal(request["headers"].get("host"), f"127.0.0.1:{server.port}", f"{name!r}: host")
                check("x-injected" not in request["headers"] and "injected" not in request["headers"], f"{name!r}: {request['headers']}")
                check("evil" not in request["headers"].get("cookie", ""), f"{name!r}: cookie")


if __name__ == "__main__":
    main("hostile")
