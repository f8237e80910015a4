"""Web pages of other origins as MCP clients: which of them may call, in Chromium and header by header, and sign-in in a popup.

A server on a loopback address may be called by pages of every loopback origin, as development tools are, and by those of `--allow-origin`. Its own
pages (sign-in, consent, account) stay closed to everybody.
"""

import contextlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import support
from support import (
    PASSWORD, SECRETS, Browser, Client, Failure, Forms, Server, call, check, equal, free_port, main, modern_body, modern_headers, new_verifier,
    post_json, query_of, send, structured, test,
)
from test_browser import BINARY, Chromium

support._tests.clear()  # the tests of test_browser.py, which run there

INSPECTOR = "http://localhost:6274"  # where the MCP Inspector serves its page
LOOPBACK = [INSPECTOR, "http://127.0.0.1:5173", "http://[::1]:3000", "https://localhost:8443"]
FOREIGN = [
    "null", "http://evil.example", "https://evil.example", "http://localhost.evil.example", "http://127.0.0.1.evil.example",
    "http://evil-localhost:6274", "http://localhost:6274.evil.example", "http://192.168.0.1:6274", "http://0.0.0.0:6274", "file://",
]
FOREIGN_NAME = "evil.example"  # leads to this machine, in Chromium only
SENT_BY_CLIENTS = [
    "Authorization", "Content-Type", "Accept", "DPoP", "Last-Event-ID", "MCP-Protocol-Version", "Mcp-Session-Id", "Mcp-Method", "Mcp-Name",
    "Mcp-Param-Region", "traceparent",
]
READ_BY_CLIENTS = {"www-authenticate", "mcp-session-id", "mcp-protocol-version", "dpop-nonce", "retry-after"}


# --- A client that is a web page ------------------------------------------------------------------------------------------------------------------

PAGE = """<!doctype html>
<title>A client in a page</title>
<script>
// What it knows outlives the way through the pages of the server.
const known = () => JSON.parse(sessionStorage.client || "{}");
const remember = more => { sessionStorage.client = JSON.stringify({...known(), ...more}); };

const base64url = bytes => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

const post = (url, message, headers = {}) => fetch(url, {
  method: "POST", body: JSON.stringify(message),
  headers: {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", ...headers},
});
const rpc = (method, params, id = 1) => ({jsonrpc: "2.0", id, method, params});
const initialize = rpc("initialize", {protocolVersion: "2025-06-18", capabilities: {}, clientInfo: {name: "A page", version: "1"}});

async function discover(url) {
  const versioned = {headers: {"MCP-Protocol-Version": "2025-06-18"}};
  const refusal = await post(url, initialize);
  const challenge = refusal.headers.get("WWW-Authenticate");
  const address = /resource_metadata="([^"]+)"/.exec(challenge || "");
  if (!address) return {status: refusal.status, challenge};
  const resource = await (await fetch(address[1], versioned)).json();
  const issuer = new URL(resource.authorization_servers[0]);
  const metadata = await (await fetch(issuer.origin + "/.well-known/oauth-authorization-server", versioned)).json();
  remember({url, resource: resource.resource, metadata});
  return {status: refusal.status, challenge, resource, metadata};
}

async function register() {
  const redirect = location.origin + "/cb";
  const reply = await post(known().metadata.registration_endpoint, {
    client_name: "A page", redirect_uris: [redirect], token_endpoint_auth_method: "none", grant_types: ["authorization_code", "refresh_token"],
  });
  const client = await reply.json();
  remember({redirect, client: client.client_id});
  return {status: reply.status, client};
}

async function beginning() {
  const {metadata, client, redirect, resource} = known(), verifier = random(), state = random();
  const challenge = base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
  remember({verifier, state});
  return metadata.authorization_endpoint + "?" + new URLSearchParams({
    response_type: "code", client_id: client, redirect_uri: redirect, resource, state, code_challenge: challenge, code_challenge_method: "S256",
  });
}

async function redeem() {
  const {metadata, client, redirect, resource, verifier, state} = known(), answer = new URLSearchParams(location.search);
  if (answer.get("state") !== state || answer.get("iss") !== metadata.issuer) throw new Error("not the answer to this page: " + location.search);
  const reply = await fetch(metadata.token_endpoint, {method: "POST", body: new URLSearchParams({
    grant_type: "authorization_code", code: answer.get("code"), code_verifier: verifier, client_id: client, redirect_uri: redirect, resource,
  })});
  const tokens = await reply.json();
  remember({token: tokens.access_token});
  return {status: reply.status, tokens};
}

// The wire with a handshake: initialize, then a tool in the session that it opened.
async function callInSession(tool, given) {
  const {url, token} = known(), traceparent = "00-" + "1".repeat(32) + "-" + "2".repeat(16) + "-01";
  const authorization = {"Authorization": "Bearer " + token, traceparent};
  const opened = await post(url, initialize, authorization), session = opened.headers.get("Mcp-Session-Id");
  const version = (await opened.json()).result.protocolVersion;
  const inSession = {...authorization, "Mcp-Session-Id": session, "MCP-Protocol-Version": version};
  const noted = await post(url, {jsonrpc: "2.0", method: "notifications/initialized"}, inSession);
  const reply = await post(url, rpc("tools/call", {name: tool, arguments: given}, 2), inSession);
  const closed = await fetch(url, {method: "DELETE", headers: inSession});
  return {version, session, noted: noted.status, status: reply.status, message: await reply.json(), closed: closed.status};
}

// The stateless wire.
async function call(url, token, message, headers) {
  const reply = await post(url, message, {...headers, "Authorization": "Bearer " + token});
  return {status: reply.status, challenge: reply.headers.get("WWW-Authenticate"), message: await reply.json()};
}

// What a page finds out when it may not call: that something failed, and nothing else.
const attempt = promise => promise.then(value => ({value}), error => ({failed: error.name}));

function openPopup(url) {
  window.seen = {messages: [], wasClosed: false};
  window.popup = window.open(url, "sign-in", "width=480,height=640");
  addEventListener("message", event => {
    if (event.origin === location.origin) window.seen.messages.push({query: event.data, isClosed: window.popup.closed});
  });
  setInterval(() => { window.seen.wasClosed ||= window.popup.closed; }, 10);
  return window.popup !== null;
}

if (location.pathname === "/cb" && window.opener) window.opener.postMessage(location.search, location.origin);
</script>
"""


class Site:
    """A web server on a port of its own, with the client on every page."""

    def __init__(self):
        body = PAGE.encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def origin(self, host):
        return f"http://{host}:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


# --- Chromium -------------------------------------------------------------------------------------------------------------------------------------


class Tabs(Chromium):
    """The browser of test_browser.py, for which the foreign name leads here, and with more than one tab."""

    def __init__(self):
        self.wrapper = tempfile.mkdtemp(prefix="mcp-auth-chromium-")
        program = os.path.join(self.wrapper, "chromium")
        with open(program, "w") as file:
            file.write(f'#!/bin/sh\nexec {BINARY} --host-resolver-rules="MAP {FOREIGN_NAME} 127.0.0.1" "$@"\n')
        os.chmod(program, 0o755)
        super().__init__(program)

    def browser_command(self, method, **params):
        """A command to the browser itself, whatever tab is in front."""
        session, self.session = self.session, None
        try:
            return self.command(method, **params)
        finally:
            self.session = session

    def tabs(self):
        return {target["targetId"] for target in self.browser_command("Target.getTargets")["targetInfos"] if target["type"] == "page"}

    @contextlib.contextmanager
    def tab(self, target):
        """Everything in here happens in another tab."""
        opener = self.session
        self.session = self.browser_command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        try:
            yield
        finally:
            self.session = opener

    def run(self, expression):
        """The value of a promise, asked for as if by a click, without which pages open no popups."""
        result = self.command("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True)
        check("exceptionDetails" not in result, lambda: f"{expression}: {result['exceptionDetails'].get('exception', {}).get('description')}")
        return result["result"].get("value")

    def until(self, expression, what):
        """Waits until an expression holds, on whatever page is there by then, and returns its value."""
        end = time.monotonic() + 15
        while True:
            try:
                value = self.evaluate(expression)
            except Failure:  # between two pages
                value = None
            if value:
                return value
            check(time.monotonic() < end, lambda: f"{what}: never, at {self.evaluate('location.href').split('?')[0]}")
            time.sleep(0.05)

    def sign_in_and_allow(self):
        """What a person does on the pages."""
        self.until("document.querySelector('#password') !== null", "the page of sign-in")
        self.evaluate(
            f"document.querySelector('#username').value='ada';document.querySelector('#password').value={json.dumps(PASSWORD)};"
            "document.querySelector('form').submit()")
        self.until("document.querySelector('button[value=allow]') !== null", "the page of consent")
        self.evaluate("document.querySelector('button[value=allow]').click()")

    def close(self):
        super().close()
        shutil.rmtree(self.wrapper, ignore_errors=True)


class Lab:
    """What the tests share: one server, one site and one browser, made when first needed."""

    server = site = chromium = None


def server():
    if Lab.server is None:
        Lab.server = Server()
    return Lab.server


def site():
    if Lab.site is None:
        Lab.site = Site()
    return Lab.site


def close():
    if Lab.chromium:
        Lab.chromium.close()
    if Lab.site:
        Lab.site.close()
    if Lab.server:
        Lab.server.remove()


def in_chromium(name):
    def register(function):
        @test(name)
        def run():
            if BINARY is None:
                print("skipped: no chromium", file=sys.stderr)
                return
            if Lab.chromium is None:
                Lab.chromium = Tabs()
            Lab.chromium.command("Network.clearBrowserCookies")
            function(Lab.chromium)

        return run

    return register


def js(value):
    return json.dumps(value)


def call_from_page(chromium, url, token, tool, given=None):
    """A call on the stateless wire by the page that is shown: what it learned of the answer, or that it failed."""
    params = {"name": tool, "arguments": given or {}}
    headers = modern_headers(None, "tools/call", tool)
    return chromium.run(f"attempt(call({js(url)}, {js(token)}, {js(modern_body('tools/call', params))}, {js(headers)}))")


# --- Pages of this machine ------------------------------------------------------------------------------------------------------------------------


def whole_flow(chromium, host):
    url = server().url
    chromium.go(site().origin(host) + "/")
    found = chromium.run(f"discover({js(url)})")
    equal(found["status"], 401, "without a token")
    check(found["challenge"], "the page may not read WWW-Authenticate")
    equal(found["resource"]["resource"], url, "metadata of the resource")
    equal(found["metadata"]["issuer"], server().origin, "metadata of the authorization server")
    equal(chromium.run("register()")["status"], 201, "registration")

    chromium.go(chromium.run("beginning()"))
    chromium.sign_in_and_allow()
    chromium.until(f"location.origin === {js(site().origin(host))} && location.pathname === '/cb' && typeof redeem === 'function'", "the callback")

    redeemed = chromium.run("redeem()")
    equal(redeemed["status"], 200, f"token {redeemed}")
    token = redeemed["tokens"]["access_token"]
    SECRETS.update((token, redeemed["tokens"]["refresh_token"]))

    called = chromium.run("callInSession('create-task', {text: 'from a page'})")
    equal((called["version"], called["noted"], called["status"]), ("2025-06-18", 202, 200), f"in a session: {called}")
    check(called["session"], "the page may not read Mcp-Session-Id")
    equal(called["message"]["result"]["structuredContent"]["text"], "from a page", "the task")
    check(called["closed"] in (200, 204), f"end of the session: {called['closed']}")

    called = call_from_page(chromium, url, token, "whoami")["value"]
    equal(called["status"], 200, f"without a session: {called}")
    check(called["message"]["result"]["structuredContent"]["subject"].startswith("user-"), called)
    refused = call_from_page(chromium, url, "no-token", "whoami")["value"]
    equal(refused["status"], 401, "a wrong token")
    check('error="invalid_token"' in refused["challenge"], "the page may not read why its token was refused")


for host in ("localhost", "127.0.0.1"):

    @in_chromium(f"origins: a page of another port of http://{host} finds the way from 401 to a token and calls tools, with fetch() alone")
    def _(chromium, host=host):
        whole_flow(chromium, host)


# --- Pages of elsewhere ---------------------------------------------------------------------------------------------------------------------------


@in_chromium("origins: a page of a foreign origin calls nothing, even with a token: the preflight is refused, and so is what needs none")
def _(chromium):
    url = server().url
    token, _ = Client(server()).tokens(Browser("grace"))
    chromium.go(site().origin(FOREIGN_NAME) + "/")
    equal(chromium.run("location.origin"), site().origin(FOREIGN_NAME), "the page")
    equal(chromium.run(f"attempt(fetch({js(site().origin(FOREIGN_NAME))}).then(reply => reply.status))"), {"value": 200}, "its own server")
    equal(call_from_page(chromium, url, token, "create-task", {"text": "by a stranger"}), {"failed": "TypeError"}, "create-task")
    equal(chromium.run(f"attempt(post({js(url)}, initialize))"), {"failed": "TypeError"}, "initialize without a token")
    # A form, in effect: browsers send it without asking, and show nothing of the answer.
    simple = f"fetch({js(url)}, {{method: 'POST', mode: 'no-cors', headers: {{'Content-Type': 'text/plain'}}, body: JSON.stringify(initialize)}})"
    equal(chromium.run(f"attempt({simple}.then(reply => reply.type))"), {"value": "opaque"}, "a request that needs no preflight")
    equal(structured(call(server(), token, "search-tasks"))["tasks"], [], "tasks of strangers")


@in_chromium("origins: a page of the origin of --allow-origin calls tools, and one of another port of the same host does not")
def _(chromium):
    other = Site()
    try:
        with Server("--allow-origin", site().origin(FOREIGN_NAME)) as allowing:
            token, _ = Client(allowing).tokens(Browser())
            chromium.go(site().origin(FOREIGN_NAME) + "/")
            called = call_from_page(chromium, allowing.url, token, "create-task", {"text": "by a friend"})
            equal(called.get("value", called).get("status"), 200, f"the origin that is allowed: {called}")
            equal(called["value"]["message"]["result"]["structuredContent"]["text"], "by a friend", "the task")
            found = chromium.run(f"discover({js(allowing.url)})")
            equal(found["metadata"]["issuer"], allowing.origin, "from 401 to the metadata")
            chromium.go(other.origin(FOREIGN_NAME) + "/")
            equal(call_from_page(chromium, allowing.url, token, "whoami"), {"failed": "TypeError"}, "another port")
            chromium.go(site().origin("localhost") + "/")
            called = call_from_page(chromium, allowing.url, token, "whoami")
            equal(called.get("value", called).get("status"), 200, f"this machine, as before: {called}")
    finally:
        other.close()


# --- Sign-in in a popup ---------------------------------------------------------------------------------------------------------------------------


def popup_flow(chromium, host):
    origin = site().origin(host)
    client = Client(server(), origin + "/cb", client_name="A page with a popup")
    verifier = new_verifier()
    url = client.authorization_url(verifier, state="of-the-opener")
    chromium.go(origin + "/")
    before = chromium.tabs()
    check(chromium.run(f"openPopup({js(url)})"), "no popup")
    end = time.monotonic() + 10
    while not (opened := chromium.tabs() - before):
        check(time.monotonic() < end, "no popup")
        time.sleep(0.05)
    popup = opened.pop()
    try:
        with chromium.tab(popup):
            chromium.until("document.querySelector('#password') !== null", "the page of sign-in in the popup")
        equal(chromium.evaluate("window.popup.closed"), False, "while the popup shows the page of sign-in, its opener sees it closed")
        with chromium.tab(popup):
            chromium.sign_in_and_allow()
            chromium.until(f"location.origin === {js(origin)} && location.pathname === '/cb' && document.readyState === 'complete'", "the callback")
            check(chromium.evaluate("window.opener !== null"), "the callback in the popup has lost its opener")
        messages = chromium.until("window.seen.messages.length > 0 && window.seen.messages", "the message of the popup")
        equal(len(messages), 1, "messages")
        equal((messages[0]["isClosed"], chromium.evaluate("window.seen.wasClosed")), (False, False), "the opener saw the popup closed")
        answer = query_of("?" + messages[0]["query"].lstrip("?"))
        SECRETS.add(answer["code"])
        equal((answer["state"], answer["iss"]), ("of-the-opener", server().origin), "state, iss")
        equal(client.redeem(answer["code"], verifier).status, 200, "the code of the popup")
    finally:
        chromium.browser_command("Target.closeTarget", targetId=popup)
    chromium.until("window.popup.closed", "the opener sees that the popup was closed at last")


for host in ("localhost", "127.0.0.1"):

    @in_chromium(f"origins: sign-in in a popup of a page of another port of http://{host} hands its code to the page that opened it")
    def _(chromium, host=host):
        popup_flow(chromium, host)


# --- Header by header -----------------------------------------------------------------------------------------------------------------------------


def listed(reply, name):
    """The members of a header that is a list, in lower case."""
    return {member.strip().lower() for value in reply.all(name) for member in value.split(",") if member.strip()}


def cors(reply):
    """Every header of the CORS protocol in an answer."""
    return [(name, value) for name, value in reply.headers if name.lower().startswith("access-control-")]


def preflight(url, origin, *asked, method="POST"):
    headers = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": ", ".join(asked) or None}
    return send("OPTIONS", url, headers=headers)


def opened_to(reply, origin, what):
    """That a page of this origin may read the answer, with every header that clients need."""
    equal(reply.all("Access-Control-Allow-Origin"), [origin], f"{what}: Access-Control-Allow-Origin")
    check("origin" in listed(reply, "Vary"), f"{what}: Vary is {reply.all('Vary')}")
    exposed = listed(reply, "Access-Control-Expose-Headers")
    check(exposed >= READ_BY_CLIENTS, f"{what}: not exposed are {READ_BY_CLIENTS - exposed}")
    equal(reply.header("Access-Control-Allow-Credentials"), None, f"{what}: Access-Control-Allow-Credentials")


@test("origins: a preflight of /mcp by a loopback page is answered 204 without a token, with its origin and the methods, and no credentials")
def _():
    for origin in LOOPBACK:
        for method in ("POST", "GET", "DELETE"):
            reply = preflight(server().url, origin, "content-type", "authorization", method=method)
            what = f"{method} from {origin}"
            equal((reply.status, reply.body), (204, b""), what)
            equal(reply.all("Access-Control-Allow-Origin"), [origin], what)
            check("origin" in listed(reply, "Vary"), f"{what}: Vary is {reply.all('Vary')}")
            equal(listed(reply, "Access-Control-Allow-Methods"), {"get", "post", "delete"}, what)
            equal(reply.header("Access-Control-Allow-Credentials"), None, what)


@test("origins: a preflight of /mcp allows the headers that MCP clients send, each and all of them, and no others")
def _():
    def allowed(*asked):
        reply = preflight(server().url, INSPECTOR, *asked)
        equal(reply.status, 204, f"{asked}")
        return listed(reply, "Access-Control-Allow-Headers")

    for name in SENT_BY_CLIENTS:
        equal(allowed(name), {name.lower()}, name)
        equal(allowed(name.lower()), {name.lower()}, f"{name}, as browsers write it")
    equal(allowed(*SENT_BY_CLIENTS), {name.lower() for name in SENT_BY_CLIENTS}, "all of them")
    equal(allowed("authorization", "x-evil", "cookie", "mcp-evil", "authorization-x"), {"authorization"}, "unknown ones beside a known one")
    unknown = {"x-evil", "cookie", "host", "x-forwarded-for", "*"}
    equal(allowed(*unknown) & unknown, set(), "unknown ones alone")


@test("origins: a loopback page may read 200, 401, 403 and 400 of POST at /mcp, with the headers that say how to go on")
def _():
    client, browser = Client(server()), Browser()
    narrow, _ = client.tokens(browser, scope="read:tasks")
    for origin in LOOPBACK:
        def ask(token, tool, arguments=None, **headers):
            return call(server(), token, tool, arguments, headers={"Origin": origin, **headers})

        replies = {
            "no token": (ask(None, "whoami"), 401), "a wrong token": (ask("wrong", "whoami"), 401),
            "too few scopes": (ask(narrow, "create-task", {"text": "x"}), 403), "whoami": (ask(narrow, "whoami"), 200),
            "no tool": (ask(narrow, "no-such-tool"), None), "two credentials": (ask("two tokens", "whoami"), 400),
        }
        for what, (reply, status) in replies.items():
            what = f"{what} from {origin}"
            check(status in (None, reply.status), f"{what}: {reply!r}")
            opened_to(reply, origin, what)
        for what in ("no token", "a wrong token", "too few scopes"):
            check("resource_metadata=" in (replies[what][0].header("WWW-Authenticate") or ""), f"{what}: no challenge")
    equal(cors(call(server(), narrow, "whoami")), [], "nothing for whoever is no page")


@test("origins: a loopback page may read the session id of initialize, and the answers in its session")
def _():
    token, _ = Client(server()).tokens(Browser())
    headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {token}", "Origin": INSPECTOR}
    message = {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "page", "version": "1"}},
    }
    opened = post_json(server().url, message, headers)
    equal(opened.status, 200, f"initialize {opened!r}")
    opened_to(opened, INSPECTOR, "initialize")
    check(opened.header("Mcp-Session-Id"), "no session")
    headers.update({"Mcp-Session-Id": opened.header("Mcp-Session-Id"), "MCP-Protocol-Version": "2025-06-18"})
    listing = post_json(server().url, {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}, headers)
    equal(listing.status, 200, "tools/list")
    opened_to(listing, INSPECTOR, "tools/list")
    opened_to(send("GET", server().url, headers=headers), INSPECTOR, "GET, whatever its answer")
    ended = send("DELETE", server().url, headers=headers)
    check(ended.status in (200, 204), ended)
    opened_to(ended, INSPECTOR, "DELETE")
    gone = post_json(server().url, {"jsonrpc": "2.0", "id": 3, "method": "tools/list"}, headers)
    equal(gone.status, 404, "after the end")
    opened_to(gone, INSPECTOR, "404")


@test("origins: `null`, foreign and look-alike origins get 403 at /mcp without a CORS header, with and without a token, by every method")
def _():
    token, _ = Client(server()).tokens(Browser())
    for origin in FOREIGN:
        for what, reply in {
            "preflight": preflight(server().url, origin, "authorization", "content-type"),
            "call": call(server(), token, "whoami", headers={"Origin": origin}),
            "no token": call(server(), None, "whoami", headers={"Origin": origin}),
            "GET": send("GET", server().url, headers={"Origin": origin, "Authorization": f"Bearer {token}"}),
            "DELETE": send("DELETE", server().url, headers={"Origin": origin, "Authorization": f"Bearer {token}", "Mcp-Session-Id": "x"}),
        }.items():
            equal((reply.status, cors(reply)), (403, []), f"{what} from {origin}")
    # Two origins are nobody's.
    pairs = [*modern_headers(token, "tools/call", "whoami").items(), ("Origin", INSPECTOR), ("Origin", "http://evil.example")]
    reply = send("POST", server().url, json.dumps(modern_body("tools/call", {"name": "whoami", "arguments": {}})), pairs)
    equal((reply.status, cors(reply)), (403, []), "two origins")


def pages_are_closed(server, origins):
    """That no page of another origin reads the pages of this server, or presses a button there."""
    client, browser = Client(server), Browser()
    browser.sign_in(server.origin)
    pages = {"/account": browser.get(server.origin + "/account")}
    form = {form["action"]: form for form in Forms(pages["/account"].text).forms}
    check("/sign-out" in form, f"forms of the account page: {list(form)}")
    stranger = Browser()
    form["/sign-in"] = next(f for f in Forms(stranger.get(server.origin + "/account").text).forms if f["action"] == "/sign-in")
    shown = browser.get(client.authorization_url())
    form["/consent"] = next(f for f in Forms(shown.text).forms if f["action"] == "/consent")
    filled = {
        "/sign-in": (stranger, {"username": "ada", "password": PASSWORD}), "/consent": (browser, {"decision": "allow"}), "/sign-out": (browser, {}),
    }
    for origin in origins:
        for path in ("/sign-in", "/consent", "/account", "/sign-out", "/authorize", "/account/disconnect"):
            for what, reply in {
                "preflight": preflight(server.origin + path, origin, "content-type"),
                "GET": browser.get(server.origin + path, {"Origin": origin, "Sec-Fetch-Site": "cross-site"}),
                "POST": browser.request("POST", server.origin + path, {}, {"Origin": origin, "Sec-Fetch-Site": "cross-site"}),
            }.items():
                equal(cors(reply), [], f"{what} of {path} from {origin}")
                check(what != "preflight" or reply.status >= 400, f"preflight of {path} from {origin}: {reply.status}")
                check(what != "POST" or reply.status in (403, 404, 405) or path == "/authorize", f"POST of {path} from {origin}: {reply.status}")
        for path, (who, values) in filled.items():
            # As browsers say it today, as they said it of another port of the same host, and as they did before Sec-Fetch-Site.
            for fetch_site in ("cross-site", "same-site", None):
                reply = who.submit(server.origin + path, form[path], values, {"Origin": origin, "Sec-Fetch-Site": fetch_site})
                equal((reply.status, cors(reply)), (403, []), f"the form of {path} from {origin}, {fetch_site}")
                equal(reply.all("Set-Cookie"), [], f"cookies of {path} from {origin}")
    check("Signed in as" in browser.get(server.origin + "/account").text, "a page elsewhere signed somebody out")
    check("mcp-auth-session" not in stranger.cookies, "a page elsewhere signed somebody in")
    # They were good forms: from here they work.
    reply = browser.submit(server.origin + "/consent", form["/consent"], {"decision": "allow"})
    check("code=" in (reply.header("Location") or "") or "code=" in reply.text, f"the form of consent from its own page: {reply!r}")


@test("origins: sign-in, consent and account are open to no page of another origin, loopback or not, and refuse their own forms from there")
def _():
    pages_are_closed(server(), [INSPECTOR, "http://127.0.0.1:5173", "http://evil.example", "null"])


@test("origins: --allow-origin opens /mcp to that origin and to no other, and leaves sign-in, consent and account closed to it")
def _():
    with Server("--allow-origin", "http://evil.example:8080", "--allow-origin", "https://app.example.com") as allowing:
        token, _ = Client(allowing).tokens(Browser("grace"))
        for origin in ("http://evil.example:8080", "https://app.example.com", INSPECTOR):
            reply = preflight(allowing.url, origin, "authorization")
            equal((reply.status, reply.all("Access-Control-Allow-Origin")), (204, [origin]), f"preflight from {origin}")
            reply = call(allowing, token, "whoami", headers={"Origin": origin})
            equal(reply.status, 200, f"a call from {origin}")
            opened_to(reply, origin, origin)
            opened_to(call(allowing, None, "whoami", headers={"Origin": origin}), origin, f"401 for {origin}")
        for origin in (*FOREIGN, "https://evil.example:8080", "http://evil.example:8081", "http://app.example.com", "https://a.app.example.com"):
            reply = preflight(allowing.url, origin, "authorization")
            equal((reply.status, cors(reply)), (403, []), f"preflight from {origin}")
            reply = call(allowing, token, "whoami", headers={"Origin": origin})
            equal((reply.status, cors(reply)), (403, []), f"a call from {origin}")
        pages_are_closed(allowing, ["http://evil.example:8080", "https://app.example.com"])


@test("origins: --allow-origin takes an origin and nothing else: no star, no `null`, no path, no other scheme's address")
def _():
    for value in ("*", "null", "evil.example", "http://evil.example/", "http://evil.example/app", "http://*.example", ""):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.argv[1], "demo", "--port", str(free_port()), "--data", os.path.join(folder, "data"), f"--allow-origin={value}"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        check(done.returncode in (64, 78), f"{value!r}: status {done.returncode}")
        check("unknown option" not in done.stderr.lower() and "origin" in done.stderr, f"{value!r}: {done.stderr[-300:]}")


if __name__ == "__main__":
    try:
        main("origins")
    finally:
        close()
