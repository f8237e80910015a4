"""Starting servers, by people: what goes wrong is one line with the fix and an exit code, and nothing is left behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support import PASSWORD, Browser, Failure, Server, check, equal, free_port, main, send, test

BINARY = os.path.abspath(sys.argv[1])
EXAMPLES = os.path.dirname(BINARY)


def run(program, *arguments, environment=None, folder=None, timeout=60):
    all_variables = {name: value for name, value in os.environ.items() if not name.startswith(("MCP_AUTH_DEMO", "AUTH", "JWT", "PORT"))}
    return subprocess.run(
        [program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, cwd=folder,
        env={**all_variables, **(environment or {})})


class Program:
    """A server program that is started, and stopped as a person stops it."""

    def __init__(self, name, *arguments, environment=None, folder=None):
        self.folder = folder or tempfile.mkdtemp(prefix="mcp-auth-start-")
        self.out, self.err = os.path.join(self.folder, "out"), os.path.join(self.folder, "err")
        all_variables = {key: value for key, value in os.environ.items() if not key.startswith(("AUTH", "JWT", "PORT"))}
        with open(self.out, "w") as out, open(self.err, "w") as err:
            self.process = subprocess.Popen(
                [os.path.join(EXAMPLES, name), *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=self.folder,
                env={**all_variables, **(environment or {})})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def said(self):
        with open(self.out) as out, open(self.err) as err:
            return out.read(), err.read()

    def wait_for(self, text, seconds=20):
        for _ in range(seconds * 20):
            out, err = self.said()
            if text in out + err:
                return out + err
            check(self.process.poll() is None, lambda: f"ended with {self.process.returncode}: {out} {err}")
            time.sleep(0.05)
        check(False, lambda: f"{text!r} was not said: {self.said()}")

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(15)
        return self.process.returncode


def taken_port():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener, listener.getsockname()[1]


@test("nothing is written before it is known that the demo can run, and the advice fits how it was started")
def _():
    listener, port = taken_port()
    with tempfile.TemporaryDirectory() as folder, listener:
        for environment, advice in (({}, "--port 8001"), ({"MCP_AUTH_MAKE": "1"}, "make run PORT=8001")):
            done = run(BINARY, "demo", "--port", str(port), "--data", "data", folder=folder, environment=environment)
            equal((done.returncode, done.stdout), (69, ""), done.stderr)
            equal(done.stderr.count("\n"), 1, f"lines: {done.stderr}")
            check(f"port {port} is already in use" in done.stderr and advice in done.stderr, done.stderr)
            equal(os.listdir(folder), [], "what a failed start left")
        for options, environment, said in (
            (["--port", str(free_port())], {"MCP_AUTH_DEMO_PASSWORD": "short"}, "MCP_AUTH_DEMO_PASSWORD: a password has at least 8"),
            (["--port", str(free_port())], {"MCP_AUTH_DEMO_PASSWORD": "password1"}, "attackers try first"),
            (["--tls-certificate", "no.pem", "--tls-key", "no.key"], {}, "the certificate no.pem does not exist"),
        ):
            done = run(BINARY, "demo", "--data", "data", *options, folder=folder, environment=environment)
            equal(done.returncode, 78, done.stderr)
            check(said in done.stderr and "Fatal" not in done.stderr and ".swift:" not in done.stderr, done.stderr)
            equal(os.listdir(folder), [], f"what a failed start left: {said}")
        done = run(BINARY, "demo", "--data", "data", "--initial-scope", "read:taks", folder=folder)
        equal(done.returncode, 64, done.stderr)
        check("did you mean read:tasks?" in done.stderr, done.stderr)
        equal(os.listdir(folder), [], "what a failed start left")


@test("a data folder of another address: both addresses and every way out; the second start names how to set a password")
def _():
    with Server() as server:
        server.stop()
        other = free_port()
        done = run(BINARY, "demo", "--port", str(other), "--data", server.data)
        equal(done.returncode, 78, done.stderr)
        for text in (server.origin, f"http://127.0.0.1:{other}", "--data data/other", "--new-store"):
            check(text in done.stderr, f"{text} is not in {done.stderr}")
        server.start()
        check(re.search(r"users password ada --data", server.output()), server.output())


@test("a folder that cannot be made says why")
def _():
    with tempfile.TemporaryDirectory() as folder:
        open(os.path.join(folder, "file"), "w").close()
        done = run(BINARY, "demo", "--port", str(free_port()), "--data", os.path.join(folder, "file", "data"))
        equal(done.returncode, 78, done.stderr)
        check("cannot be created: not a directory" in done.stderr, done.stderr)


@test("example-passwords: a port in use is one line and exit 69, and leaves nothing; it starts, says where, and stops cleanly")
def _():
    listener, port = taken_port()
    with tempfile.TemporaryDirectory() as folder:
        with listener:
            done = run(os.path.join(EXAMPLES, "example-passwords"), environment={"PORT": str(port)}, folder=folder)
            equal(done.returncode, 69, done.stderr)
            equal(done.stderr, f"example-passwords: port {port} is already in use. Stop the other process, or listen on another port, such as PORT=8001.\n", "what it said")
            equal(os.listdir(folder), [], "what a failed start left")
        done = run(os.path.join(EXAMPLES, "example-passwords"), environment={"PORT": "eight"}, folder=folder)
        equal((done.returncode, done.stderr.count("\n")), (78, 1), done.stderr)
        said = run(os.path.join(EXAMPLES, "example-passwords"), "--help").stdout
        check(all(name in said for name in ("PORT", "HOST", "ORIGIN")), said)
    with Program("example-passwords", environment={"PORT": str(port), "ORIGN": "https://mcp.example.com"}) as program:
        said = program.wait_for("is running")
        check("Did you mean ORIGIN?" in program.said()[1], program.said()[1])
        for text in ("Created the user ada with the password", f"http://127.0.0.1:{port}/mcp", f"http://127.0.0.1:{port}/account", "data/notes", "curl -i"):
            check(text in said, f"{text} is not in {said}")
        equal(send("GET", f"http://127.0.0.1:{port}/health").status, 200, "health")
        equal(send("GET", f"http://127.0.0.1:{port}/ready").status, 200, "ready")
        equal(send("POST", f"http://127.0.0.1:{port}/mcp", b"{}", {"Content-Type": "application/json"}).status, 401, "without a token")
        audit = os.path.join(program.folder, "data/notes/audit.jsonl")
        check('"no_credentials"' in open(audit).read(), "the audit log is written by default")
        equal(program.interrupt(), 0, "Ctrl-C")
        check("Fatal" not in program.said()[1], program.said()[1])


@test("example-environment: variables alone configure it; a rejected token is explained in the log and nowhere else")
def _():
    done = run(os.path.join(EXAMPLES, "example-environment"))
    equal((done.returncode, done.stderr.count("\n")), (78, 1), done.stderr)
    check("AUTH_ISSUER" in done.stderr, done.stderr)
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    environment = {"AUTH_ISSUER": "https://login.example.com", "JWT_PUBLIC_KEY": public.replace("\n", "\\n"), "PORT": str(port)}
    with Program("example-environment", environment=environment) as program:
        program.wait_for("is running")

        def call(audience, issuer="https://login.example.com"):
            now = int(time.time())
            token = jwt.encode({"iss": issuer, "sub": "ada", "aud": audience, "iat": now, "exp": now + 600, "name": "Ada"}, key, algorithm="ES256")
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami", "arguments": {}, "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}}}
            return send("POST", url, json.dumps(body).encode(), {
                "Authorization": "Bearer " + token, "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
                "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "whoami"})

        good = call(url)
        equal(good.status, 200, good.text)
        check("Ada, by https://login.example.com" in good.text, good.text)
        bad = call("api://other")
        equal(bad.status, 401, "a token for another server")
        check("api://other" not in bad.text + bad.header("WWW-Authenticate"), "the client learns no more than before")
        said = program.wait_for("rejected a token")
        check('aud is ["api://other"], expected ["' + url in said, said)
        call(url, issuer="https://login.example.com/")
        said = program.wait_for("also in a final slash")
        equal(program.interrupt(), 0, "Ctrl-C")


@test("example-auth0: an issuer that cannot be reached is a warning with what to do, and Ctrl-C ends it cleanly")
def _():
    port = free_port()
    environment = {"AUTH_ISSUER": "https://no-such-host.invalid/", "MCP_URL": f"http://127.0.0.1:{port}/mcp", "PORT": str(port)}
    with Program("example-auth0", environment=environment) as program:
        said = program.wait_for("cannot be used")
        check("Until it can be, its tokens are answered with 503" in said, said)
        equal(program.interrupt(), 0, "Ctrl-C")
        check("Fatal" not in program.said()[1] and "not shut down" not in program.said()[1], program.said()[1])
    done = run(os.path.join(EXAMPLES, "example-auth0"))
    equal((done.returncode, done.stderr.count("\n")), (78, 1), done.stderr)


@test("a provider on this machine by plain http is refused with the setting that allows it")
def _():
    port = free_port()
    environment = {"AUTH_ISSUER": f"http://127.0.0.1:{free_port()}/realms/x", "MCP_URL": f"http://127.0.0.1:{port}/mcp", "PORT": str(port)}
    with Program("example-auth0", environment=environment) as program:
        said = program.wait_for("cannot be used")
        check("GuardedHTTPClient(.development)" in said, said)


@test("a certificate that is not for the host of the URL, or has expired, is refused at start")
def _():
    with tempfile.TemporaryDirectory() as folder:
        def certificate(name, *options):
            chain, key = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key")
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", chain,
                 "-subj", "/CN=test", *options], check=True, capture_output=True)
            return ["--tls-certificate", chain, "--tls-key", key]

        other = certificate("other", "-addext", "subjectAltName=DNS:*.example.com", "-days", "2")
        for origin, exit_code in (("https://tasks.example.org", 78), ("https://a.b.example.com", 78), ("https://example.com", 78)):
            done = run(BINARY, "demo", "--port", str(free_port()), "--data", os.path.join(folder, "data"), "--origin", origin, *other)
            equal(done.returncode, exit_code, done.stderr)
            check("is not for" in done.stderr and "*.example.com" in done.stderr, done.stderr)
        local = certificate("local", "-addext", "subjectAltName=IP:127.0.0.1", "-not_before", "20200101000000Z", "-not_after", "20200102000000Z") \
            if "-not_after" in subprocess.run(["openssl", "req", "-help"], capture_output=True, text=True).stderr else None
        if local:
            done = run(BINARY, "demo", "--port", str(free_port()), "--data", os.path.join(folder, "data"), *local)
            equal(done.returncode, 69, done.stderr)
            check("not now; renew it" in done.stderr, done.stderr)
        # What certificate authorities give out: the server's own first, then the one above it.
        authority, leaf = os.path.join(folder, "ca"), os.path.join(folder, "leaf")
        certificate("ca", "-addext", "basicConstraints=critical,CA:TRUE", "-days", "2")
        subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", leaf + ".key", "-out", leaf + ".csr",
                        "-subj", "/CN=leaf"], check=True, capture_output=True)
        with open(leaf + ".ext", "w") as file:
            file.write("subjectAltName=DNS:tasks.example.com")
        subprocess.run(["openssl", "x509", "-req", "-in", leaf + ".csr", "-CA", authority + ".pem", "-CAkey", authority + ".key", "-CAcreateserial",
                        "-days", "2", "-extfile", leaf + ".ext", "-out", leaf + ".pem"], check=True, capture_output=True)
        with open(leaf + ".pem") as one, open(authority + ".pem") as two, open(leaf + "-chain.pem", "w") as file:
            file.write(one.read() + two.read())
        arguments = ["demo", "--port", str(free_port()), "--data", os.path.join(folder, "chain"), "--origin", "https://tasks.example.com",
                     "--tls-certificate", leaf + "-chain.pem", "--tls-key", leaf + ".key"]
        with Program("mcp-auth", *arguments) as program:
            program.wait_for("MCP server        https://tasks.example.com/mcp")
            equal(program.interrupt(), 0, "Ctrl-C")
        mixed = [other[0], other[1], "--tls-key", certificate("second", "-days", "2")[3]]
        done = run(BINARY, "demo", "--port", str(free_port()), "--data", os.path.join(folder, "data"), "--origin", "https://a.example.com", *mixed)
        equal(done.returncode, 78, done.stderr)
        check("do not belong together" in done.stderr and ".swift" not in done.stderr, done.stderr)
        check(not os.path.exists(os.path.join(folder, "data")), "a failed start left a folder")


@test("a first start that is interrupted before it shows the passwords shows new ones at the next start")
def _():
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(3):
            with Program("mcp-auth", "demo", "--port", str(free := free_port()), "--data", "data", folder=folder) as program:
                for _ in range(400):
                    if os.path.exists(os.path.join(folder, "data", "passwords-not-shown")):
                        break
                    time.sleep(0.01)
                program.process.kill()
                program.process.wait()
            if os.path.exists(os.path.join(folder, "data", "passwords-not-shown")):
                break
        else:
            raise Failure("the start could not be interrupted in time")
        with Program("mcp-auth", "demo", "--port", str(free), "--data", "data", folder=folder) as program:
            said = program.wait_for("Try it")
            password = re.search(r"^  ada +(\S+)$", said, re.M)
            check(password and re.search(r"^  grace +\S+$", said, re.M), said)
            Browser("ada", password[1]).sign_in(f"http://127.0.0.1:{free}")
        with Program("mcp-auth", "demo", "--port", str(free), "--data", "data", folder=folder) as program:
            check("with the passwords of the first start" in program.wait_for("Try it"), "the passwords are kept")


@test("a rule about who may enter needs a provider, and a public origin https")
def _():
    for option in ("--admit-domain=acme.com", "--admit-email=ada@acme.com", "--admit-organization=acme"):
        for more in ((), ("--sign-in", "password")):
            done = run(BINARY, "demo", option, *more, "--data", "/nowhere/data")
            equal((done.returncode, "need a provider" in done.stderr), (64, True), done.stderr)
    done = run(BINARY, "demo", "--origin", "http://tasks.example.com", "--data", "/nowhere/data")
    equal((done.returncode, "https://tasks.example.com" in done.stderr), (64, True), done.stderr)


@test("--origin of this machine with another port or scheme claims no data; --forwarded and MCP_AUTH_DATA mean what they say")
def _():
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        for origin in (f"https://localhost:{port}", "https://localhost", f"http://127.0.0.1:{free_port()}"):
            done = run(BINARY, "demo", "--port", str(port), "--origin", origin, "--data", os.path.join(folder, "data"))
            equal((done.returncode, "--forwarded" in done.stderr), (78, True), done.stderr)
        check(not os.path.exists(os.path.join(folder, "data")), "a refused start wrote something")
        variables = {"MCP_AUTH_DATA": os.path.join(folder, "named")}
        arguments = ("demo", "--port", str(port), "--origin", "http://localhost:1234", "--forwarded")
        with Program("mcp-auth", *arguments, environment=variables, folder=folder) as program:
            said = program.wait_for("Try it")
            check(f"Listens on        http://127.0.0.1:{port}" in said and variables["MCP_AUTH_DATA"] in said, said)
            # The data that is there belongs to its first address, so another port needs another folder.
            done = run(BINARY, "demo", "--port", str(port), "--data", variables["MCP_AUTH_DATA"])
            check("--port 8001 --data data/other" in done.stderr, done.stderr)
        check(os.path.exists(os.path.join(folder, "named", "auth.db")), "the folder of MCP_AUTH_DATA")


@test("a provider that cannot be reached is a warning at the start, and one without sign-in is named before its settings")
def _():
    with tempfile.TemporaryDirectory() as folder:
        variables = {"OIDC_ISSUER": "https://nope.invalid", "OIDC_CLIENT_ID": "x", "OIDC_CLIENT_SECRET": "y"}
        with Program(
                "mcp-auth", "demo", "--sign-in", "oidc", "--port", str(free_port()), "--data", "data", environment=variables, folder=folder) as program:
            program.wait_for("users cannot sign in with nope.invalid")
    done = run(BINARY, "demo", "--sign-in", "firebase")
    equal((done.returncode, "users cannot sign in through Firebase" in done.stderr), (78, True), done.stderr)


if __name__ == "__main__":
    main("start")
