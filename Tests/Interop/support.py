"""What every test script here needs: a server of its own, a browser without a screen, a bare OAuth client, and a tiny test runner.

Standard library only, so that it works in each client's virtual environment.
"""

import base64
import hashlib
import html.parser
import http.client
import json
import os
import random
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse

PASSWORD = "correct-horse-" + secrets.token_hex(8)
REDIRECT = "http://127.0.0.1:3030/callback"
MODERN = "2026-07-28"
HANDSHAKE = "2025-11-25"

# Everything that must never be written anywhere. L-01 looks for each of them in logs, databases and metrics.
SECRETS = {PASSWORD}


# --- Assertions that say what was there instead ---------------------------------------------------------------------------------------------------


class Failure(Exception):
    pass


def check(condition, message):
    if not condition:
        raise Failure(message() if callable(message) else str(message))


def equal(found, expected, what=""):
    check(found == expected, f"{what}: expected {expected!r}, found {found!r}")


# --- The runner -----------------------------------------------------------------------------------------------------------------------------------

_tests = []


def test(name):
    """Registers a function as a test. Tests run in the order in which they are written."""

    def register(function):
        _tests.append((name, function))
        return function

    return register


def main(prefix):
    """Runs the registered tests, or those whose name contains one of the words after the path of the binary."""
    failed = 0
    wanted = sys.argv[2:]
    for name, function in _tests:
        if wanted and not any(word in name for word in wanted):
            continue
        start = time.monotonic()
        try:
            function()
            print(f"ok {prefix} {name}", flush=True)
        except BaseException as error:  # whatever it is, the other tests still run
            if isinstance(error, KeyboardInterrupt):
                raise
            failed += 1
            if not isinstance(error, Failure):
                traceback.print_exc()
            reason = " ".join(f"{type(innermost(error)).__name__}: {innermost(error)}".split())
            if isinstance(innermost(error), Failure):
                reason = " ".join(str(innermost(error)).split())
            print(f"FAILED {prefix} {name}: {reason[:600]}", flush=True)
        print(f"{time.monotonic() - start:6.2f} s  {name}", file=sys.stderr, flush=True)
    Server.stop_all()
    sys.exit(1 if failed else 0)


def innermost(error):
    """The task groups of the SDKs wrap what happened; the first real cause says more."""
    while getattr(error, "exceptions", None):
        error = error.exceptions[0]
    return error


# --- The server -----------------------------------------------------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One process of `mcp-auth demo` with a data folder of its own."""

    _running = []

    def __init__(self, *options, binary=None, data=None, password=PASSWORD, through=(), port=None):
        self.binary = binary or sys.argv[1]
        self.password = password  # None: the server makes its own
        self.through = list(through)  # a program that becomes the server
        self.options = list(options)
        self.folder = tempfile.mkdtemp(prefix="mcp-auth-test-")
        self.data = data or os.path.join(self.folder, "data")
        self.process = None
        for _ in range(3):  # another process may take the port between the probe and the start
            self.port = port or free_port()
            if self.start():
                return
        said = self.output()[-600:]
        shutil.rmtree(self.folder, ignore_errors=True)
        raise Failure("the server did not start: " + said)

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self):
        return self.origin + "/mcp"

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        """Starts the process on the port and waits until it answers. False when it ended by itself."""
        environment = {name: value for name, value in os.environ.items() if name != "MCP_AUTH_DEMO_PASSWORD"}
        if self.password is not None:
            environment["MCP_AUTH_DEMO_PASSWORD"] = self.password
        self.out = open(os.path.join(self.folder, "stdout"), "ab")
        self.err = open(os.path.join(self.folder, "stderr"), "ab")
        command = [*self.through, self.binary, "demo", "--port", str(self.port), "--data", self.data, *self.options]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err, env=environment)
        Server._running.append(self)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if self.process.poll() is not None:
                Server._running.remove(self)
                return False
            try:
                if self.answers():
                    return True
            except OSError:
                time.sleep(0.02)
        self.stop()
        return False

    def answers(self):
        """Asks this very process, whatever address it serves."""
        if "--tls-key" in self.options:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=2, context=ssl._create_unverified_context())
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        finally:
            connection.close()

    def stop(self, with_signal=signal.SIGTERM):
        """Ends this process by its id, and waits until it has gone."""
        if self in Server._running:
            Server._running.remove(self)
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.out.close()
        self.err.close()
        return self.process.returncode

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @classmethod
    def stop_all(cls):
        for server in list(cls._running):
            server.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    def output(self):
        text = ""
        for name in ("stdout", "stderr"):
            with open(os.path.join(self.folder, name), "rb") as file:
                text += file.read().decode("utf-8", "replace")
        return text

    def audit_lines(self):
        with open(os.path.join(self.data, "audit.jsonl"), "rb") as file:
            return file.read().split(b"\n")[:-1]

    def audit(self, action=None, verdict=None):
        events = [json.loads(line) for line in self.audit_lines()]
        return [e for e in events if action in (None, e["action"]) and verdict in (None, e["verdict"])]


# --- HTTP -----------------------------------------------------------------------------------------------------------------------------------------


class Reply:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # pairs, in order
        self.body = body

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"

    def header(self, name):
        values = self.all(name)
        return values[0] if values else None

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """The OAuth error code, wherever the answer keeps it."""
        try:
            return self.json.get("error")
        except (ValueError, AttributeError):
            return None


# Several processes that serve the same address, as behind a proxy: the port of that address, and the ports that requests for it go to, by chance.
INSTANCES = {}


def send(method, url, body=None, headers=None, timeout=30):
    """One request on a connection of its own; redirects are not followed. `headers` is a dict or, for repeated names, a list of pairs."""
    parts = urllib.parse.urlsplit(url)
    target = url[len(f"{parts.scheme}://{parts.netloc}") :] or "/"
    return send_target(parts.hostname, parts.port or 80, method, target, body, headers, timeout)


def send_target(host, port, method, target, body=None, headers=None, timeout=30):
    """As `send`, with the request target exactly as it is given."""
    if isinstance(body, str):
        body = body.encode()
    named, port = port, random.choice(INSTANCES.get(port, [port]))
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
    names = {name.lower() for name, _ in pairs}
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection._validate_path = lambda url: None  # the tests send targets that no decent client would
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        if "host" not in names:
            connection.putheader("Host", f"{host}:{named}")
        for name, value in pairs:
            if value is not None:
                connection.putheader(name, value)
        if body is not None and "content-length" not in names:
            connection.putheader("Content-Length", str(len(body)))
        connection.putheader("Connection", "close")
        connection.endheaders(body)
        answer = connection.getresponse()
        return Reply(answer.status, answer.getheaders(), answer.read())
    finally:
        connection.close()


def raw(port, data, timeout=5):
    """Sends bytes as they are and returns all that comes back until the server closes, or says nothing more for a while."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        try:
            connection.sendall(data)
        except OSError:
            pass  # a server may refuse before it has read everything
        connection.settimeout(timeout)
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except OSError:
            pass
    return received


def raw_status(received):
    """The status of a raw answer; 0 when the connection was closed without one."""
    return int(received.split(b" ", 2)[1]) if received.startswith(b"HTTP/1.1 ") else 0


def post_form(url, fields, headers=None):
    body = encode_form(fields)
    return send("POST", url, body, {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})})


def post_json(url, value, headers=None):
    body = value if isinstance(value, (str, bytes)) else json.dumps(value)
    return send("POST", url, body, {"Content-Type": "application/json", **(headers or {})})


def in_parallel(count, work):
    """Calls work(0) … work(count - 1) at the same moment, each on a thread, and returns the results in order."""
    barrier = threading.Barrier(count)
    results = [None] * count

    def run(index):
        barrier.wait()
        try:
            results[index] = work(index)
        except Exception as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


# --- A browser without a screen -------------------------------------------------------------------------------------------------------------------


def encode_form(fields):
    """The body of a form. A list stands for several fields of one name, such as the boxes that are ticked."""
    return urllib.parse.urlencode(fields, doseq=True)


class Forms(html.parser.HTMLParser):
    """The forms of a page, and the shape of its markup (elements with the names of their attributes)."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.forms = []
        self.shape = []
        self.links = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.shape.append((tag, tuple(sorted(name for name, _ in attributes))))
        values = dict(attributes)
        if tag == "form":
            self.forms.append({"action": values.get("action", ""), "fields": {}, "types": {}, "buttons": []})
        elif tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "input" and self.forms and "name" in values:
            if values.get("type") != "checkbox":
                self.forms[-1]["fields"][values["name"]] = values.get("value") or ""
            elif "checked" in values:
                self.forms[-1]["fields"].setdefault(values["name"], []).append(values.get("value") or "on")
            self.forms[-1]["types"][values["name"]] = values.get("type", "text")
        elif tag == "button" and self.forms and "name" in values:
            self.forms[-1]["buttons"].append((values["name"], values.get("value", "")))


class Browser:
    """Somebody at a browser: keeps cookies, follows redirects, fills in what the pages ask for.

    It sends what browsers send with forms (Origin, Sec-Fetch-Site), so that a server which depends on these is tested as it is used.
    """

    def __init__(self, user="ada", password=PASSWORD, decision="allow"):
        self.user = user
        self.password = password
        self.decision = decision
        self.cookies = {}
        self.visits = 0  # how often an application sent this person here
        self.sign_ins = 0
        self.consents = 0

    def request(self, method, url, fields=None, headers=None):
        """One request with cookies, redirects not followed."""
        all_headers = {"Accept": "text/html,*/*;q=0.8", "User-Agent": "Mozilla/5.0 (interop test)"}
        if self.cookies:
            all_headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        body = None
        if method == "POST":
            parts = urllib.parse.urlsplit(url)
            all_headers["Origin"] = f"{parts.scheme}://{parts.netloc}"
            all_headers["Sec-Fetch-Site"] = "same-origin"
            all_headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = encode_form(fields or {})
        all_headers.update(headers or {})
        reply = send(method, url, body, all_headers)
        for cookie in reply.all("Set-Cookie"):
            name, _, value = cookie.split(";")[0].strip().partition("=")
            if value and "max-age=0;" not in cookie.lower() + ";":
                self.cookies[name] = value
                SECRETS.add(value)
            else:
                self.cookies.pop(name, None)
        return reply

    def get(self, url, headers=None):
        return self.request("GET", url, headers=headers)

    def submit(self, page_url, form, values=None, headers=None):
        """Sends a form with these values in place of its own."""
        fields = {**form["fields"], **(values or {})}
        return self.request("POST", urllib.parse.urljoin(page_url, form["action"]), fields, headers)

    def authorize(self, url):
        """Opens an authorization URL, does what the pages ask for, and returns the URL at which the client's callback is called."""
        self.visits += 1
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
        redirect = query["redirect_uri"][0]
        reply = self.get(url, headers={"Sec-Fetch-Site": "none"})
        for _ in range(10):
            if reply.status in (301, 302, 303, 307):
                location = urllib.parse.urljoin(url, reply.header("Location"))
                if location.split("?")[0] == redirect:
                    for code in urllib.parse.parse_qs(urllib.parse.urlsplit(location).query).get("code", []):
                        SECRETS.add(code)
                    return location
                url = location
                reply = self.get(url)
                continue
            url, reply = self.answer(url, reply)
        raise Failure(f"the pages went round in circles at {url}")

    def answer(self, url, reply):
        """Fills in the page that is shown and sends it."""
        check(reply.status == 200, lambda: f"{url.split('?')[0]} answered {reply.status}: {visible_text(reply.text)[:300]}")
        for form in Forms(reply.text).forms:
            if "password" in form["types"].values():
                self.sign_ins += 1
                return url, self.submit(url, form, {"username": self.user, "password": self.password})
            if any(name == "decision" for name, _ in form["buttons"]):
                self.consents += 1
                return url, self.submit(url, form, {"decision": self.decision})
        raise Failure(f"a page without a form to go on with: {visible_text(reply.text)[:300]}")

    def sign_in(self, origin):
        """Signs in at the account page, without any application."""
        url, reply = self.answer(origin + "/account", self.get(origin + "/account"))
        equal(reply.status, 303, "sign-in")
        return self

    def disconnect_all(self, origin):
        """Presses every Disconnect button of the account page. Returns how many there were."""
        page = self.get(origin + "/account")
        if any("password" in form["types"].values() for form in Forms(page.text).forms):
            self.sign_in(origin)
            page = self.get(origin + "/account")
        forms = [form for form in Forms(page.text).forms if form["action"].endswith("/account/disconnect")]
        for form in forms:
            equal(self.submit(origin + "/account", form).status, 303, "disconnect")
        return len(forms)


def visible_text(page):
    class Text(html.parser.HTMLParser):
        text = ""

        def handle_data(self, data):
            self.text += data + " "

    parser = Text()
    parser.feed(page)
    return " ".join(parser.text.split())


def query_of(url):
    """The parameters of a URL; each may be there once only."""
    pairs = urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query, keep_blank_values=True)
    check(len({name for name, _ in pairs}) == len(pairs), f"a parameter is there twice in {url}")
    return dict(pairs)


# --- A bare OAuth client --------------------------------------------------------------------------------------------------------------------------


class Client:
    """An OAuth client of few lines, for requests that no decent library would make."""

    def __init__(self, server, redirect=REDIRECT, **metadata):
        self.server = server
        self.redirect = redirect
        document = {"redirect_uris": [redirect], "token_endpoint_auth_method": "none", "client_name": "bare client", **metadata}
        reply = post_json(server.origin + "/register", document)
        check(reply.status in (200, 201), f"registration: {reply!r}")
        self.id = reply.json["client_id"]
        self.secret = reply.json.get("client_secret")
        self.method = reply.json["token_endpoint_auth_method"]
        if self.secret:
            SECRETS.add(self.secret)

    def authorization_url(self, verifier=None, **changes):
        """An authorization request; a change to None leaves a parameter out."""
        verifier = verifier or new_verifier()
        fields = {
            "response_type": "code", "client_id": self.id, "redirect_uri": self.redirect, "state": secrets.token_urlsafe(16),
            "code_challenge": challenge_of(verifier), "code_challenge_method": "S256", "resource": self.server.url,
        }
        fields.update(changes)
        fields = {name: value for name, value in fields.items() if value is not None}
        return self.server.origin + "/authorize?" + urllib.parse.urlencode(fields)

    def code(self, browser, **changes):
        """A fresh code and its verifier."""
        verifier = new_verifier()
        location = browser.authorize(self.authorization_url(verifier, **changes))
        parameters = query_of(location)
        check("code" in parameters, f"no code in {location}")
        return parameters["code"], verifier

    def authenticate(self, fields):
        headers = {}
        if self.method == "client_secret_basic":
            quoted = f"{urllib.parse.quote(self.id, safe='')}:{urllib.parse.quote(self.secret, safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(quoted.encode()).decode()
        else:
            fields["client_id"] = self.id
            if self.method == "client_secret_post":
                fields["client_secret"] = self.secret
        return {name: value for name, value in fields.items() if value is not None}, headers

    def token(self, **fields):
        fields, headers = self.authenticate(fields)
        reply = post_form(self.server.origin + "/token", fields, headers)
        if reply.status == 200:
            SECRETS.update(reply.json[name] for name in ("access_token", "refresh_token") if name in reply.json)
        return reply

    def redeem(self, code, verifier, **changes):
        return self.token(**{"grant_type": "authorization_code", "code": code, "code_verifier": verifier, "redirect_uri": self.redirect, **changes})

    def refresh(self, token, **changes):
        return self.token(**{"grant_type": "refresh_token", "refresh_token": token, **changes})

    def revoke(self, token, **changes):
        fields, headers = self.authenticate({"token": token, **changes})
        return post_form(self.server.origin + "/revoke", fields, headers)

    def tokens(self, browser, **changes):
        """The whole way to tokens: (access token, refresh token)."""
        code, verifier = self.code(browser, **changes)
        reply = self.redeem(code, verifier)
        equal(reply.status, 200, f"token {reply!r}")
        return reply.json["access_token"], reply.json.get("refresh_token")


def new_verifier():
    verifier = secrets.token_urlsafe(48)
    SECRETS.add(verifier)
    return verifier


def challenge_of(verifier):
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def claims_of(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


# --- MCP by hand ----------------------------------------------------------------------------------------------------------------------------------

ENVELOPE = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}


def modern_headers(token, method, name=None, **changes):
    headers = {
        "Content-Type": "application/json", "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": MODERN,
        "Mcp-Method": method, "Mcp-Name": name, "Authorization": f"Bearer {token}" if token else None,
    }
    headers.update(changes)
    return {key: value for key, value in headers.items() if value is not None}


def modern_body(method, params=None, id=1):
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": {**(params or {}), "_meta": ENVELOPE}}


def mcp(server, token, method, params=None, id=1, headers=None):
    """One request on the stateless wire."""
    name = (params or {}).get("name")
    return post_json(server.url, modern_body(method, params, id), {**modern_headers(token, method, name), **(headers or {})})


def call(server, token, tool, arguments=None, id=1, headers=None):
    return mcp(server, token, "tools/call", {"name": tool, "arguments": arguments or {}}, id, headers)


def structured(reply):
    """What a tool returned."""
    equal(reply.status, 200, f"tool call {reply!r}")
    result = reply.json["result"]
    check(not result.get("isError"), f"the tool failed: {result['content']}")
    return result["structuredContent"]
