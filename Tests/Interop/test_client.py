"""Our client side against servers of our own: sign-in, tokens, calls, and the bridge for stdio clients."""

import http.server
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from client_home import BINARY, BROWSER, HERE, Home, Stranger
from support import PASSWORD, Browser, Forms, Server, check, equal, free_port, in_parallel, main, test


class Silent(http.server.BaseHTTPRequestHandler):
    """A web server that is no MCP server: every request gets 501."""

    def log_message(self, *_):
        pass


class Bare(Silent):
    """A web server that answers every request with 401."""

    def do_GET(self):
        self.send_response(401)
        self.send_header("WWW-Authenticate", "Bearer")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET


class Open(Silent):
    """An MCP server without protection."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"jsonrpc":"2.0","id":0,"result":{}}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def lab():
    """One server of our own for all tests."""
    if not hasattr(lab, "server"):
        lab.server = Server("--initial-scope", "read:tasks")
        lab.home = Home()
        lab.home.good("login", lab.server.url)
    return lab.server, lab.home


@test("R30, R31, R32: a call that needs a further scope asks for it once, and keeps what was granted")
def step_up():
    server, _ = lab()
    home = Home()
    home.good("login", server.url)
    home.fails(77, "write:tasks", "call", server.url, "create-task", "text=Milk", MCP_AUTH_BROWSER=None)
    check("Milk" in home.good("call", server.url, "create-task", "text=Milk"), "the task")
    scopes = json.loads(home.good("status", "--json"))["servers"][0]["scopes"]
    equal(sorted(scopes), ["read:tasks", "write:tasks"], "scopes")
    home.good("call", server.url, "create-task", "text=Bread", MCP_AUTH_BROWSER=None)


@test("C-13: a user who refuses further scopes keeps those that were granted")
def refused_step_up():
    server, _ = lab()
    home = Home()
    home.good("login", server.url)
    home.fails(77, "write:tasks", "call", server.url, "create-task", "text=Milk", "--browser", BROWSER + " --decision deny")
    home.good("call", server.url, "search-tasks", MCP_AUTH_BROWSER=None)


@test("R102, R103: tokens that are bound to a key work for every command")
def bound():
    server, _ = lab()
    home = Home()
    equal(json.loads(home.good("login", server.url, "--dpop", "--json"))["token_type"], "DPoP", "token type")
    check("subject" in home.good("call", server.url, "whoami"), "whoami")
    token = home.good("token", server.url).strip()
    import urllib.error
    import urllib.request
    try:
        urllib.request.urlopen(urllib.request.Request(server.url, b"{}", {"Authorization": "Bearer " + token}), timeout=5)
        check(False, "a bound token was accepted as a bearer token")
    except urllib.error.HTTPError as error:
        equal(error.code, 401, "a bound token without its proof")


@test("R15, C-16: the store is a private folder of private files, refuses links and files of others, and is sealed with a passphrase")
def store():
    server, _ = lab()
    home = Home()
    os.umask(0)
    home.good("login", server.url)
    os.umask(0o022)
    equal(os.stat(home.store).st_mode & 0o777, 0o700, "mode of the folder")
    files = [os.path.join(home.store, name) for name in os.listdir(home.store)]
    for path in files:
        equal(os.stat(path).st_mode & 0o777, 0o600, path)
    check(any("access_token" in open(path).read() for path in files), "a plain store is readable by its owner")
    os.chmod(files[0] if files[0].endswith(".json") else next(path for path in files if path.endswith(".json")), 0o644)
    home.fails(78, "private", "status")
    sealed = Home(MCP_AUTH_TOKEN_STORE_PASSPHRASE="a long passphrase")
    sealed.good("login", server.url)
    for name in os.listdir(sealed.store):
        check(b"access_token" not in open(os.path.join(sealed.store, name), "rb").read(), name)
    check("sealed" in sealed.run("status").stderr, "status says that it is sealed")
    sealed.fails(78, "passphrase", "status", MCP_AUTH_TOKEN_STORE_PASSPHRASE="another")
    sealed.fails(78, "sealed", "status", MCP_AUTH_TOKEN_STORE_PASSPHRASE=None)
    sealed.good("tools", server.url)
    linked = Home()
    linked.good("login", server.url)
    path = next(os.path.join(linked.store, name) for name in os.listdir(linked.store) if name.endswith(".json"))
    os.rename(path, path + ".real")
    os.symlink(path + ".real", path)
    linked.fails(78, "symbolic link", "status")


@test("R15, R99, R109, C-16: the keychain of the desktop holds the key of the store; without one, a word says where the tokens are")
def keychain():
    server, _ = lab()
    home = Home()
    said = home.run("login", server.url, "--token-store", "keychain", DBUS_SESSION_BUS_ADDRESS="unix:path=/nonexistent", DISPLAY=None)
    equal(said.returncode, 0, said.stderr)
    check("For now the tokens are in" in said.stderr, said.stderr)
    if not all(shutil.which(name) for name in ("dbus-run-session", "gnome-keyring-daemon", "secret-tool")):
        print("skipped: a Secret Service needs dbus, gnome-keyring and libsecret-tools", file=sys.stderr)
        return
    sealed = Home()
    login = f"'{BINARY}' login {server.url} --token-store keychain --quiet"
    script = f"printf pass | gnome-keyring-daemon --unlock --components=secrets >/dev/null && {login} && '{BINARY}' status --token-store keychain"
    done = subprocess.run(
        ["dbus-run-session", "--", "bash", "-c", script + f" && MCP_AUTH_BROWSER= '{BINARY}' call {server.url} whoami --token-store keychain"],
        env={**sealed.environment, "HOME": sealed.folder}, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    equal(done.returncode, 0, done.stderr)
    check("sealed" in done.stderr and "subject" in done.stdout, done)
    found = subprocess.run(["grep", "-rl", "access_token", sealed.folder], capture_output=True, text=True).stdout
    equal(found, "", "files with a readable token")


@test("a command that waits for the sign-in of another one says so, names the process, and goes on when that is gone")
def waiting():
    server, _ = lab()
    home = Home()
    first = home.start("login", server.url, "--browser", "true", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1)
    second = home.start("login", server.url, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    check(select.select([second.stderr], [], [], 15)[0], "nothing was said")
    line = second.stderr.readline()
    check(f"process {first.pid}" in line and "waiting" in line, line)
    first.kill()
    first.wait()
    out, said = second.communicate(timeout=30)
    equal(second.returncode, 0, said)


@test("a scope that is nearly one of the server's is refused before a browser opens")
def misspelt_scope():
    server, _ = lab()
    Home().fails(64, "did you mean read:tasks?", "login", server.url, "--scope", "read:tsks", MCP_AUTH_BROWSER="false")


@test("C-15: twenty processes at the expiry of a token refresh once, with a server that has no grace")
def one_refresh():
    with Stranger("mcp2", "sdk", seconds=12) as server:
        home = Home()
        home.good("login", server.url)
        time.sleep(12.2)
        done = in_parallel(20, lambda index: home.run("token", server.url, MCP_AUTH_BROWSER=None))
        for item in done:
            equal(item.returncode, 0, item.stderr)
        equal(len({item.stdout for item in done}), 1, "different tokens")
        equal(server.count("refresh"), 1, "refreshes")
        equal(server.count("reuse"), 0, "refresh tokens that were used twice")
        equal(server.count("grant"), 1, "sign-ins")


SECONDS = float(os.environ.get("CLIENT_KILL_SECONDS", "6"))
PROCESSES = 20 if SECONDS >= 60 else 6


def kill_at_random(home, url, until):
    """Starts processes that renew a token, and kills some of them in the middle of it."""
    while time.monotonic() < until:
        processes = [
            home.start("token", url, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL) for _ in range(PROCESSES)]
        time.sleep(random.uniform(0.02, 0.1 * PROCESSES))
        for process in random.sample(processes, PROCESSES // 2):
            process.kill()
        for process in processes:
            process.wait(120)


@test("C-15, M: processes that are killed at random lose no grant but those whose answer was on the way, without any grace of the server")
def killed():
    with Stranger("mcp2", "sdk", seconds=1) as server:
        home = Home()
        home.good("login", server.url)
        kill_at_random(home, server.url, time.monotonic() + SECONDS)
        # A kill between the server's commit and the client's store costs that grant, as nothing can tell the client the
        # new token; each such loss is followed by one sign-in, and nothing else is.
        lost = server.count("grant") - 1
        check(lost <= server.count("reuse"), lambda: f"{lost} sign-ins, {server.count('reuse')} lost answers")
        print(f"{server.count('refresh')} renewals, {lost} lost answers", file=sys.stderr)
        home.good("call", server.url, "add", "a=1", "b=1")


@test("C-15, M: with thirty seconds of grace at the server, killed processes lose nothing")
def killed_with_grace():
    with Server("--token-lifetime", "1") as server:
        home = Home()
        home.good("login", server.url)
        kill_at_random(home, server.url, time.monotonic() + SECONDS)
        home.good("call", server.url, "whoami", MCP_AUTH_BROWSER=None)
        equal(len(server.audit("consent", "allowed")), 1, "sign-ins")
        equal(server.audit("refresh_token.reused"), [], "families that were revoked")


@test("one command, one sign-in: commands that start together wait for one browser")
def together():
    server, _ = lab()
    home = Home()
    done = in_parallel(8, lambda index: home.run("call", server.url, "whoami"))
    for item in done:
        equal(item.returncode, 0, item.stderr)
    equal(sum("Waiting for the sign-in" in item.stderr for item in done), 1, "browsers")


@test("C-10, C-11: the callback is on loopback only, ignores other states, paths and hosts, and closes afterwards")
def callback():
    server, _ = lab()
    home = Home()
    process = home.start("login", server.url, "--browser", "none", stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    url = None
    while url is None:
        line = process.stderr.readline()
        check(line, "the address was not printed")
        if "/authorize?" in line:
            url = line.strip()
    import http.client
    import urllib.parse
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
    redirect = urllib.parse.urlsplit(query["redirect_uri"][0])
    state = query["state"][0]
    listening = subprocess.run(["ss", "-ltnH"], capture_output=True, text=True).stdout
    addresses = [line.split()[3] for line in listening.splitlines() if line.split()[3].endswith(f":{redirect.port}")]
    check(all(address.startswith(("127.0.0.1", "[::1]")) for address in addresses), addresses)

    def get(path, host=None):
        connection = http.client.HTTPConnection("127.0.0.1", redirect.port, timeout=5)
        connection.request("GET", path, headers={"Host": host} if host else {})
        reply = connection.getresponse()
        return reply.status, reply.read().decode(), dict(reply.getheaders())

    equal(get("/other?code=x&state=" + state)[0], 404, "another path")
    equal(get("/callback?code=x&state=wrong")[0], 400, "another state")
    equal(get("/callback?code=x")[0], 400, "no state")
    equal(get(f"/callback?code=x&state={state}&state={state}")[0], 400, "two states")
    equal(get("/callback?code=x&state=" + state, "evil.example")[0], 421, "DNS rebinding")
    for _ in range(200):
        get("/callback?code=x&state=guess")
    idle = socket.create_connection(("127.0.0.1", redirect.port))
    check(process.poll() is None, "the sign-in still waits")
    opened = subprocess.run([*BROWSER.split(), url], capture_output=True, text=True, env=home.environment)
    equal(opened.returncode, 0, opened.stderr)
    idle.close()
    process.wait(20)
    equal(process.returncode, 0, process.stderr.read())
    try:
        get("/callback")
        check(False, "the callback is still open")
    except OSError:
        pass


@test("a browser on another machine: the address that it shows at the end is pasted at the terminal")
def pasted():
    import pty
    import urllib.parse
    import urllib.request
    from support import Browser
    server, _ = lab()
    home = Home()
    parent, child = pty.openpty()
    process = home.start("login", server.url, "--browser", "none", stdin=child, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    url = None
    for line in process.stderr:
        if "/authorize?" in line:
            url = line.strip()
        if "paste" in line:
            break
    answer = Browser().authorize(url)
    os.write(parent, b"http://127.0.0.1/callback?code=x&state=wrong\n")
    time.sleep(0.3)
    check(process.poll() is None, "a wrong address ends nothing")
    os.write(parent, answer.encode() + b"\n")
    process.wait(20)
    equal(process.returncode, 0, process.stderr.read())
    home.good("tools", server.url, MCP_AUTH_BROWSER=None)
    os.close(parent)
    os.close(child)


@test("C-14: a sign-in that the user cancels is an error with its reason, and keeps nothing")
def cancelled():
    server, _ = lab()
    home = Home()
    home.fails(77, "access_denied", "login", server.url, "--browser", BROWSER + " --decision deny")
    equal(json.loads(home.good("status", "--json"))["servers"], [], "servers")


@test("R83: client credentials, with a secret and with a key; they go to no other issuer")
def machine():
    server, _ = lab()
    home = Home()
    data = {"MCP_AUTH_DATA": server.data}
    made = json.loads(home.good("clients", "add", "robot", "--grant", "client_credentials", "--scope", "read:tasks", "--json", **data))
    common = ["--grant", "client-credentials", "--client-id", "robot", "--client-secret", "env:SECRET"]
    secret = {"SECRET": made["client_secret"]}
    check("tasks" in home.good("call", server.url, "search-tasks", *common, "--issuer", server.origin, **secret), "tasks")
    home.fails(64, "--issuer", "call", server.url, "search-tasks", *common, **secret)
    home.fails(78, "Nothing was sent", "call", server.url, "search-tasks", *common, "--issuer", "https://other.example.com", **secret)
    home.good("login", server.url)
    equal(len(json.loads(home.good("status", "--json"))["servers"]), 2, "a user and a machine at one server")
    check("Forgot the tokens of robot" in home.good("logout", server.url), "a machine at logout URL")
    equal(json.loads(home.good("status", "--json"))["servers"], [], "after logout URL")
    home.fails(64, "there is no sign-in", "logout", server.url)
    home.good("call", server.url, "search-tasks", *common, "--issuer", server.origin, **secret)
    home.good("logout", "--all")
    equal(json.loads(home.good("status", "--json"))["servers"], [], "after logout --all")


@test("a machine that lacks a scope is told so, as not allowed (77), and not as wrong usage")
def machine_scope():
    server, _ = lab()
    home = Home()
    added = json.loads(home.good("clients", "add", "reader", "--grant", "client_credentials", "--scope", "read:tasks", "--data", server.data, "--json"))
    machine = ("--grant", "client-credentials", "--client-id", "reader", "--client-secret", "env:SECRET", "--issuer", server.origin)
    said = home.fails(77, "write:tasks", "call", server.url, "create-task", "text=x", *machine, SECRET=added["client_secret"])
    check("URL of its MCP endpoint" not in said, said)


def sign_in_device(home, server):
    """The device grant, and a browser on another machine in which ada types the code."""
    process = home.start(
        "login", server.url, "--grant", "device", stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    code = None
    page = None
    for line in process.stderr:
        if "/device" in line and page is None:
            page = next(word for word in line.split() if "/device" in word)
        elif line.startswith("  ") and code is None:
            code = line.strip()
            break
    browser = Browser()
    reply = browser.get(page)
    for _ in range(6):
        forms = Forms(reply.text).forms
        form = next((form for form in forms if form["types"].get("user_code") or "password" in form["types"].values()
                     or any(name == "decision" for name, _ in form["buttons"])), None)
        if form is None:
            break
        if "password" in form["types"].values():
            values = {"username": "ada", "password": PASSWORD}
        elif any(name == "decision" for name, _ in form["buttons"]):
            values = {"decision": "allow"}
        else:
            values = {"user_code": code}
        reply = browser.submit(page, form, values)
        while reply.status in (302, 303):
            reply = browser.get(urllib.parse.urljoin(page, reply.header("Location")))
    process.wait(30)
    equal(process.returncode, 0, process.stderr.read())


@test("device grant: a machine without a browser shows a code")
def device():
    server, _ = lab()
    home = Home()
    sign_in_device(home, server)
    home.good("tools", server.url, MCP_AUTH_BROWSER=None)


@test("R125: a device signs in where a browser has signed in before, as a client of its own, and each goes on with its own")
def device_beside_browser():
    with Server("--token-lifetime", "4") as server:
        mine = Home()

        def client():
            return json.loads(mine.good("status", "--json"))["servers"][0]["client_id"]

        mine.good("login", server.url)
        first = client()
        sign_in_device(mine, server)
        second = client()
        check(second != first, "a client of its own")
        time.sleep(5)
        mine.good("tools", server.url, MCP_AUTH_BROWSER="false")
        equal(client(), second, "renewed by its client, though this command has no device grant")
        mine.good("logout", server.url)
        mine.good("login", server.url)
        equal(client(), first, "the client of the browser is still known")


@test("doctor: finds nothing worse than a note at our own server, and gives its verdict on those of others")
def doctor():
    server, home = lab()
    report = json.loads(home.good("doctor", server.url, "--json"))
    equal([finding["code"] for finding in report["findings"] if finding["severity"] != "note"], [], "findings at our own server")
    check(all(point["verdict"] != "not_met" for point in report["checklist"]), report["checklist"])
    # With a sign-in of its own, from inside, and with load: a limit is found, and nothing is left behind.
    report = json.loads(home.good("doctor", server.url, "--sign-in", "--active", "--json", "--token-store", tempfile.mkdtemp()))
    equal([finding["code"] for finding in report["findings"]], ["used_refresh_token_accepted"], "findings from inside")
    check("mcp-auth doctor" not in home.good("clients", "list", "--data", server.data), "registrations of the doctor")
    check("mcp-auth doctor" not in home.good("grants", "list", "--data", server.data), "grants of the doctor")
    # A sign-in that the user denies is a note, and leaves nothing either.
    denied = home.run("doctor", server.url, "--sign-in", "--json", "--token-store", tempfile.mkdtemp(), MCP_AUTH_BROWSER=BROWSER + " --decision deny")
    codes = {finding["code"]: finding["severity"] for finding in json.loads(denied.stdout)["findings"]}
    equal((denied.returncode, codes.get("sign_in_failed")), (0, "note"), denied.stdout)
    check("mcp-auth doctor" not in home.good("clients", "list", "--data", server.data), "the registration of a sign-in that failed")
    for name in ("claude", "claude-code", "chatgpt", "cursor", "vscode", "windsurf"):
        equal(home.run("doctor", server.url, "--client", name, "--json").returncode, 0, name)
    home.fails(64, "did you mean cursor", "doctor", server.url, "--client", "curser")
    for environment, kind in (("mcp2", "sdk"), ("fastmcp", "fastmcp")):
        with Stranger(environment, kind) as other:
            done = home.run("doctor", other.url, "--json")
            equal(done.returncode, 1, done.stdout)
            findings = {finding["code"]: finding for finding in json.loads(done.stdout)["findings"]}
            check("iss_not_supported" in findings and findings["iss_not_supported"]["clause"] == "RFC 9207", findings)
    done = home.run("doctor", f"http://127.0.0.1:{free_port()}/mcp")
    equal((done.returncode, "Nothing accepts connections" in done.stdout or "nothing accepts connections" in done.stdout), (69, True), done.stdout)


@test("C-16, 122: a new sign-in replaces the old one, and signing out ends both")
def replaced():
    server, home = lab()
    mine = Home()
    for _ in range(3):
        mine.good("login", server.url)
    mine.good("login", server.url, "--add-scope", "write:tasks")
    client = json.loads(mine.good("status", "--json"))["servers"][0]["client_id"]

    def live():
        return [grant for grant in json.loads(home.good("grants", "list", "--json", "--data", server.data)) if grant["client_id"] == client]

    equal(len(live()), 4, "grants of four sign-ins")
    mine.good("call", server.url, "create-task", "text=x")
    mine.good("logout", server.url)
    equal(live(), [], "grants after signing out")


@test("C-16: status calls nothing sealed that is plain text")
def sealed():
    server, _ = lab()
    mine = Home()
    mine.good("login", server.url)
    done = mine.run("status", MCP_AUTH_TOKEN_STORE_PASSPHRASE="a passphrase of some length")
    check("2 files were written before and are plain text" in done.stderr, done.stderr)
    equal(json.loads(mine.good("status", "--json", MCP_AUTH_TOKEN_STORE_PASSPHRASE="a passphrase of some length"))["sealed"], False, "sealed")
    other = Home(MCP_AUTH_TOKEN_STORE_PASSPHRASE="a passphrase of some length")
    other.good("login", server.url)
    equal(json.loads(other.good("status", "--json"))["sealed"], True, "sealed from the start")


@test("scopes that were not granted are named")
def not_granted():
    server, home = lab()
    mine = Home()
    said = mine.good("login", server.url, "--add-scope", "read:tasks admin:all")
    check("not granted: admin:all" in said, said)


@test("a server that is none, a name that is another, and a store that is not there yet are told apart from faults")
def told_apart():
    server, home = lab()
    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    home.fails(76, "does not look like a protected MCP server", "discover", f"http://127.0.0.1:{listener.server_port}/mcp")
    listener.shutdown()
    # A server that answers 401 and nothing else: its part is seen, and nothing that it has not.
    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bare)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    report = json.loads(home.run("doctor", f"http://127.0.0.1:{listener.server_port}/mcp", "--json").stdout)
    verdicts = {point["code"]: point["verdict"] for point in report["checklist"]}
    for code in ("validation", "asymmetric", "pkce", "redirects", "pages"):
        equal(verdicts[code], "not_visible", code)
    # No issuer is named, so nothing is said of one.
    codes = [finding["code"] for finding in report["findings"]]
    check("resource_metadata_missing" in codes and "metadata_not_found" not in codes, codes)
    bare = f"http://127.0.0.1:{listener.server_port}/mcp"
    home.fails(77, "neither it nor", "login", bare)
    check("were not tried" in home.run("discover", bare).stderr, "guessed endpoints are said to be guesses")
    listener.shutdown()
    # A server without protection: there is nothing to sign in to.
    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Open)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    home.fails(76, "so there is nothing to sign in to", "login", f"http://127.0.0.1:{listener.server_port}/mcp")
    listener.shutdown()
    home.fails(69, f"Most servers have it at {server.origin}/mcp", "tools", server.origin)
    report = json.loads(home.run("doctor", server.url.replace("127.0.0.1", "localhost"), "--json").stdout)
    equal([finding["code"] for finding in report["findings"]], ["wrong_host"], report)
    check(server.url in report["findings"][0]["problem"], report)
    verdicts = {point["code"]: point["verdict"] for point in report["checklist"]}
    check(verdicts.get("protected") in (None, "not_visible") and verdicts.get("validation") in (None, "not_visible"), verdicts)
    folder = tempfile.mkdtemp() + "/none"
    home.good("status", MCP_AUTH_TOKEN_STORE=folder)
    check(not os.path.exists(folder), "a look creates no folder")


@test("every command says why a server cannot be reached: no TLS, no trust, no name, nobody there")
def reasons():
    server, home = lab()
    with tempfile.TemporaryDirectory() as folder:
        for name in ("localhost", "elsewhere.example"):
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=x",
                 "-addext", f"subjectAltName=DNS:{name}", "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem"],
                check=True, capture_output=True)
        ports, listeners = {}, []
        for name in ("localhost", "elsewhere.example"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(f"{folder}/{name}.pem", f"{folder}/{name}.key")
            listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent)
            listener.handle_error = lambda *_: None
            listener.socket = context.wrap_socket(listener.socket, server_side=True, do_handshake_on_connect=False)
            threading.Thread(target=listener.serve_forever, daemon=True).start()
            listeners.append(listener)
            ports[name] = listener.server_port
        plain = server.origin.rpartition(":")[2]
        for url, said, variables in (
            (f"https://localhost:{plain}/mcp", f"does not speak TLS; did you mean http://localhost:{plain}/mcp?", {}),
            (f"http://127.0.0.1:{ports['localhost']}/mcp", f"did you mean https://127.0.0.1:{ports['localhost']}/mcp?", {}),
            (f"https://localhost:{ports['localhost']}/mcp", "SSL_CERT_FILE", {}),
            (f"https://localhost:{ports['elsewhere.example']}/mcp", "its certificate is for another name",
             {"SSL_CERT_FILE": f"{folder}/elsewhere.example.pem"}),
            ("https://no-such-host.invalid/mcp", "has no address", {}),
            (f"http://127.0.0.1:{free_port()}/mcp", "Is the server running?", {}),
        ):
            home.fails(69, said, "tools", url, **variables)
        done = home.run("bridge", f"https://localhost:{plain}/mcp", given=json.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}}) + "\n")
        check("does not speak TLS" in done.stdout, done.stdout + done.stderr)
        for listener in listeners:
            listener.shutdown()


class Bridge:
    """A client that speaks only stdio, at the end of our bridge."""

    def __init__(self, home, *arguments):
        self.process = home.start(
            "bridge", *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.next = 1

    def send(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def request(self, method, params=None):
        number = self.next
        self.next += 1
        self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}})
        while True:
            line = self.process.stdout.readline()
            check(line, lambda: "the bridge ended: " + self.process.stderr.read()[-500:])
            message = json.loads(line)  # nothing but MCP, ever
            equal(message["jsonrpc"], "2.0", line)
            if message.get("id") == number:
                return message

    def initialize(self, version="2025-11-25"):
        result = self.request("initialize", {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "stdio", "version": "1"}})
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return result["result"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(15)
        return self.process.returncode


@test("bridge: a stdio client calls tools of a protected server, on both wires, and the bridge ends with its input")
def bridge():
    server, home = lab()
    client = Bridge(home, server.url)
    equal(client.initialize()["protocolVersion"], "2025-11-25", "version")
    names = [tool["name"] for tool in client.request("tools/list")["result"]["tools"]]
    check("whoami" in names, names)
    check("subject" in json.dumps(client.request("tools/call", {"name": "whoami", "arguments": {}})), "whoami")
    equal(client.request("tools/nothing")["error"]["code"], -32601, "an error of the server")
    client.process.stdin.write("this is not JSON\n")
    client.process.stdin.flush()
    equal(json.loads(client.process.stdout.readline())["error"]["code"], -32700, "a broken line")
    equal(client.close(), 0, "exit code")
    modern = Bridge(home, server.url)
    meta = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}}
    check("2026-07-28" in modern.request("server/discover", meta)["result"]["supportedVersions"], "discover")
    check("subject" in json.dumps(modern.request("tools/call", {"name": "whoami", "arguments": {}, **meta})), "whoami")
    equal(modern.close(), 0, "exit code")


@test("bridge: against the official server, with progress, a session that the server forgets, and an access token that expires")
def bridge_official():
    with Stranger("mcp1", "sdk", seconds=3) as server:
        home = Home()
        home.good("login", server.url)
        client = Bridge(home, server.url)
        client.initialize()
        equal(client.request("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}})["result"]["content"][0]["text"], "3", "add")
        time.sleep(3.2)
        equal(client.request("tools/call", {"name": "add", "arguments": {"a": 2, "b": 2}})["result"]["content"][0]["text"], "4", "after expiry")
        client.send({"jsonrpc": "2.0", "id": "p", "method": "tools/call", "params": {
            "name": "count", "arguments": {}, "_meta": {"progressToken": "t"}}})
        seen = []
        while not seen or seen[-1].get("id") != "p":
            seen.append(json.loads(client.process.stdout.readline()))
        equal(len([message for message in seen if message.get("method") == "notifications/progress"]), 3, "progress")
        server.stop()
        server.start()
        equal(client.request("tools/call", {"name": "add", "arguments": {"a": 3, "b": 2}})["result"]["content"][0]["text"], "5", "after a restart")
        equal(client.close(), 0, "exit code")


@test("bridge: twenty-five at once sign in once, and all answer")
def many_bridges():
    server, _ = lab()
    home = Home()

    def one(index):
        client = Bridge(home, server.url)
        client.initialize()
        names = len(client.request("tools/list")["result"]["tools"])
        client.process.stdin.close()
        client.process.wait(30)
        return names, client.process.stderr.read()

    done = in_parallel(25, one)
    check(all(names == 4 for names, _ in done), done)
    equal(sum("Waiting for the sign-in" in said for _, said in done), 1, "browsers")


@test("bridge: every configuration that README and the guide show starts a bridge that a stdio client can use")
def snippets():
    server, home = lab()
    seen = 0
    for path in ("README.md", "docs/guides/clients.md"):
        with open(os.path.join(HERE, "../..", path)) as file:
            text = file.read()
        commands = []
        for language, block in re.findall(r"```(json|toml)\n(.*?)```", text, re.S):
            if '"bridge"' not in block:
                continue
            if language == "toml":
                import tomllib
                servers = tomllib.loads(block)["mcp_servers"]
            else:
                document = json.loads(block)
                servers = document.get("mcpServers") or document.get("servers") or document["context_servers"]
            commands += [[entry["command"], *entry["args"]] for entry in servers.values()]
        commands += [line.split(" -- ")[1].split() for line in re.findall(r"claude mcp add [^`\n]* -- [^`\n]*", text)]
        for command, *arguments in commands:
            equal(command, "mcp-auth", path)
            arguments = [re.sub(r"^http.*/mcp$", server.url, argument) for argument in arguments]
            client = Bridge(home, *arguments[1:])
            client.initialize()
            check(client.request("tools/list")["result"]["tools"], arguments)
            equal(client.close(), 0, "exit code")
            seen += 1
    check(seen >= 8, f"only {seen} configurations")


@test("bridge: ends when the client dies without closing its pipe")
def orphan():
    server, home = lab()
    parent = subprocess.Popen(
        [sys.executable, "-c", "import subprocess, sys, time; p = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE);"
         "print(p.pid, flush=True); time.sleep(60)", BINARY, "bridge", server.url],
        stdout=subprocess.PIPE, text=True, env=home.environment)
    child = int(parent.stdout.readline())
    keep = os.open(f"/proc/{child}/fd/0", os.O_RDONLY) if os.path.exists(f"/proc/{child}/fd/0") else None
    time.sleep(1)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    end = time.monotonic() + 10
    while os.path.exists(f"/proc/{child}") and time.monotonic() < end:
        with open(f"/proc/{child}/stat") as file:
            if file.read().split()[2] == "Z":
                break
        time.sleep(0.1)
    else:
        check(not os.path.exists(f"/proc/{child}"), "the bridge is still there")
    if keep is not None:
        os.close(keep)


if __name__ == "__main__":
    main("client")
