"""What MCP clients in wide use really send, replayed by scripted clients: from the registration to the tool call, the refresh and the revocation.

The names of products are data: each stands for a habit that was seen in the field. Every refusal here stands beside an honest request that works.
"""

import atexit
import base64
import dataclasses
import html.parser
import json
import re
import secrets
import subprocess
import sys
import urllib.parse

from support import (
    HANDSHAKE, MODERN, Browser, Client, Failure, Forms, Server, call, check, claims_of, equal, in_parallel, main, modern_body, modern_headers,
    new_verifier, post_form, post_json, query_of, raw, raw_status, send, structured, test, visible_text,
)

WEB = "https://c.lab/cb"
LOOPBACK = "http://127.0.0.1:3030/callback"
CURSOR = "cursor://anysphere.cursor-mcp/oauth/callback"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
TASKS = {"read:tasks", "write:tasks", "delete:tasks"}
PUBLIC = {"token_endpoint_auth_method": "none"}


# --- The server, and the people at it -------------------------------------------------------------------------------------------------------------


class Lab:
    """The server that the tests share, until it has taken as many registrations as a server takes at once."""

    server, people, left = None, {}, 0


def lab(registrations=1):
    """A server that takes this many registrations more."""
    if Lab.server is None or Lab.left < registrations:
        if Lab.server:
            Lab.server.remove()
        Lab.server, Lab.people, Lab.left = Server(), {}, 55
    Lab.left -= registrations
    return Lab.server


def person(name="ada"):
    """Somebody who has signed in at that server."""
    if name not in Lab.people:
        Lab.people[name] = Browser(name).sign_in(Lab.server.origin)
    return Lab.people[name]


atexit.register(lambda: Lab.server and Lab.server.remove())


def command(*words, stdin=""):
    """Runs mcp-auth."""
    done = subprocess.run([sys.argv[1], *words], input=stdin, capture_output=True, text=True, timeout=60)
    equal(done.returncode, 0, f"mcp-auth {' '.join(words)}: {done.stdout[-300:]} {done.stderr[-300:]}")
    return done.stdout


def register(document, kind="application/json"):
    """An attempt to register, at whichever server takes it."""
    return send("POST", lab().origin + "/register", json.dumps(document), {"Content-Type": kind})


# --- Scripted clients -----------------------------------------------------------------------------------------------------------------------------


class Scripted(Client):
    """Registers this document as it is, and sends its secret in its own way if it has one, whatever it was told."""

    def __init__(self, server, document, redirect=None, sends=None):
        self.server = server
        reply = post_json(server.origin + "/register", document)
        equal(reply.status, 201, f"registration {reply!r}")
        self.answer = reply.json
        self.redirect = redirect or document["redirect_uris"][0]
        self.id, self.secret = self.answer["client_id"], self.answer.get("client_secret")
        self.method = sends or self.answer["token_endpoint_auth_method"]
        self.pages = []  # what the person saw on the way to the last code

    def code(self, browser, **changes):
        verifier = new_verifier()
        url = self.authorization_url(verifier, **changes)
        location, self.pages = arrive(browser, url, self.server)
        redirect = changes.get("redirect_uri", self.redirect)
        start = redirect + ("&" if "?" in redirect else "?") + "code="
        check(location.startswith(start), f"expected {start}, found {location}")
        answer = query_of(location)
        equal(list(answer)[-3:], ["code", "state", "iss"], "the parameters of the answer")
        equal((answer["state"], answer["iss"]), (query_of(url)["state"], self.server.origin), "state and iss")
        return answer["code"], verifier

    def page(self, browser, **changes):
        """The first answer to an authorization request."""
        return browser.get(self.authorization_url(**changes), {"Sec-Fetch-Site": "none"})

    def push(self, **changes):
        """Pushes an authorization request: the answer, the short URL to open instead, and the verifier."""
        verifier = new_verifier()
        reply = post_form(self.server.origin + "/par", query_of(self.authorization_url(verifier, **changes)))
        short = {"client_id": self.id, "request_uri": reply.json.get("request_uri", "")}
        return reply, self.server.origin + "/authorize?" + urllib.parse.urlencode(short), verifier

    def begin_device(self, **fields):
        return post_form(self.server.origin + "/device_authorization", {"client_id": self.id, **fields})

    def device_tokens(self, browser, **fields):
        """The tokens of a device whose code somebody types in and allows."""
        begun = self.begin_device(**fields)
        equal(begun.status, 200, f"device authorization {begun!r}")
        page = browser.get(begun.json["verification_uri_complete"])
        question = browser.submit(self.server.origin, next(f for f in Forms(page.text).forms if f["action"] == "/device"))
        form = next(f for f in Forms(question.text).forms if f["action"] == "/device/decision")
        equal(browser.submit(self.server.origin, form, {"decision": "allow"}).status, 200, "allowed")
        reply = self.token(grant_type=DEVICE, device_code=begun.json["device_code"])
        equal(reply.status, 200, f"the device's tokens {reply!r}")
        return reply.json


def arrive(browser, url, server):
    """Does what the pages ask for, until the browser is sent away from the server: where to, and the pages that were shown."""
    pages, reply = [], browser.get(url, {"Sec-Fetch-Site": "none"})
    for _ in range(8):
        if reply.status in (302, 303):
            url = urllib.parse.urljoin(url, reply.header("Location"))
            if not url.startswith(server.origin + "/"):
                return url, pages
            reply = browser.get(url)
            continue
        pages.append(reply.text)
        url, reply = browser.answer(url, reply)
    raise Failure("the pages went round in circles")


def use(server, token, tool, wire):
    """What a tool returns on one of the two wires."""
    if wire == MODERN:
        return structured(call(server, token, tool))
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": HANDSHAKE, "Authorization": f"Bearer {token}"}
    hello = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": {"name": "scripted", "version": "1"}}
    begun = post_json(server.url, {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}, headers)
    equal(begun.status, 200, f"initialize {begun!r}")
    headers["Mcp-Session-Id"] = begun.header("Mcp-Session-Id")
    equal(post_json(server.url, {"jsonrpc": "2.0", "method": "notifications/initialized"}, headers).status, 202, "initialized")
    params = {"name": tool, "arguments": {}}
    return structured(post_json(server.url, {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}, headers))


class Boxes(html.parser.HTMLParser):
    """The permissions of a page that can be ticked: the value of each, and whether it is ticked."""

    def __init__(self, text):
        super().__init__()
        self.ticked = {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "input" and values.get("type") == "checkbox" and values.get("name") == "scope":
            self.ticked[values["value"]] = "checked" in values


def decision_form(page, what="the consent page"):
    forms = [form for form in Forms(page.text).forms if any(name == "decision" for name, _ in form["buttons"])]
    check(forms, lambda: f"{what}: no form to decide in: {page.status} {page.header('Location')} {visible_text(page.text)[:300]}")
    return forms[0]


def decide(client, browser, form, **values):
    """Presses Allow, or what `values` say."""
    return browser.submit(client.server.origin + "/consent", form, {"decision": "allow", **values})


def sent_back(reply, error, client, what):
    """The error goes to the client by itself."""
    equal(reply.status, 303, f"{what}: the status of {visible_text(reply.text)[:200]!r}")
    told(reply.header("Location"), error, client, what)


def stays(reply, error, client, what):
    """The person sees the error, with a link by which they go to the client if they like."""
    equal((reply.status, reply.header("Location")), (400, None), what)
    links = [link for link in Forms(reply.text).links if "error=" in link]
    equal(len(links), 1, f"{what}: links to the client")
    told(links[0], error, client, what)


def told(location, error, client, what):
    check(location.startswith(client.redirect + ("&" if "?" in client.redirect else "?") + "error="), f"{what}: {location}")
    found = query_of(location)
    equal((found["error"], found.get("state"), found.get("iss")), (error, "s1", client.server.origin), what)


def error_of(reply):
    """The error of an authorization request, wherever it is told."""
    link = reply.header("Location") or next((link for link in Forms(reply.text).links if "error=" in link), "")
    return query_of(link).get("error")


# --- Whole flows ----------------------------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Habit:
    """A client: what it registers, and what else it does that not every client does."""

    name: str
    document: dict
    redirect: str = None  # where it wants its answer, if not at the first registered URI
    wire: str = HANDSHAKE
    asks: dict = dataclasses.field(default_factory=dict)  # in its authorization request
    sends: str = None  # how it sends its secret
    scopes: set = None  # what it ends up with; None: at least every scope of the tasks
    resource: str = "http://{}"  # how it writes the URL of the server


BOTH_GRANTS = {"grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"]}
IN_CURSOR = {"application_type": "web", "redirect_uris": [CURSOR], **PUBLIC, **BOTH_GRANTS}
WITH_CURSOR = {**IN_CURSOR, "redirect_uris": [CURSOR, "http://localhost:8787/callback", "https://www.cursor.com/agents/mcp/oauth/callback"]}
IN_CLAUDE = {"client_name": "Claude", **BOTH_GRANTS, "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"]}
CLAUDE_CODE = {"client_name": "Claude Code", **PUBLIC, "redirect_uris": ["http://localhost/callback", "http://127.0.0.1/callback"]}
VS_CODE = {
    "client_name": "Visual Studio Code", "client_uri": "https://code.visualstudio.com", "application_type": "native", **PUBLIC,
    "grant_types": ["authorization_code", "refresh_token", DEVICE], "response_types": ["code"],
    "redirect_uris": ["https://insiders.vscode.dev/redirect", "https://vscode.dev/redirect", "http://127.0.0.1/", "http://127.0.0.1:33418/"],
}
OPTIONAL = [
    "token_endpoint_auth_method", "token_endpoint_auth_signing_alg", "grant_types", "response_types", "client_name", "client_uri", "logo_uri",
    "scope", "contacts", "tos_uri", "policy_uri", "jwks_uri", "jwks", "software_id", "software_version", "software_statement", "application_type",
    "require_pushed_authorization_requests", "dpop_bound_access_tokens", "default_max_age", "initiate_login_uri", "id_token_signed_response_alg",
]
DECORATIONS = ["client_uri", "logo_uri", "tos_uri", "policy_uri"]
OPTIONAL_URIS = [*DECORATIONS, "jwks_uri"]
DOCUMENTS = [
    "/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
]


def app(name, *uris, **more):
    return {"client_name": name, "redirect_uris": list(uris), **PUBLIC, **BOTH_GRANTS, **more}


HABITS = [
    Habit("Cursor registers its own scheme as a web application, with nothing beside it", IN_CURSOR),
    Habit("Cursor registers its own scheme beside localhost and https, and wants its answer at its scheme", WITH_CURSOR),
    Habit("Cursor registers its own scheme beside localhost and https, and wants its answer at localhost", WITH_CURSOR,
          "http://localhost:8787/callback"),
    Habit("Claude on the desktop registers its own scheme, in the form of a web address",
          app("Claude", "claude://claude.ai/settings/connectors", "https://claude.com/api/mcp/auth_callback"), wire=MODERN),
    Habit("Windsurf registers its own scheme", app("Windsurf", "windsurf://codeium.windsurf/oauth")),
    Habit("a VS Code extension registers the scheme of its editor", app("Extension", "vscode://publisher.ext/cb")),
    Habit("Raycast registers its own scheme with a query, to which the answer is appended", app("Raycast", "raycast://oauth?package_name=Extension")),
    Habit("Raycast registers its scheme in reverse domain form, without a host and with a query",
          app("Raycast", "com.raycast:/oauth?package_name=Extension")),
    Habit("a web client registers a query of its own, to which the answer is appended", app("Query", "https://c.lab/cb?tenant=7&mode=code")),
    Habit("Goose registers its own scheme with a host and no path", app("goose", "goose://oauth")),
    Habit("Zed registers its own scheme with a host and no path", app("Zed", "zed://oauth"), wire=MODERN),
    Habit("Claude's connectors register without naming a way to authenticate, and post their secret", IN_CLAUDE, sends="client_secret_post"),
    Habit("Claude's connectors ask for hard-coded scopes beside those that there are", IN_CLAUDE, asks={"scope": "read:tasks email-send read write"},
          scopes={"read:tasks"}, wire=MODERN),
    Habit("a client asks for openid, profile, email and offline_access, whatever is advertised", app("Generic", LOOPBACK),
          asks={"scope": "openid profile email offline_access"}, scopes={"openid", "profile", "email"}),
    Habit("a client that dumps a typed model sends null for every member that it did not set",
          {"redirect_uris": [LOOPBACK], **{name: None for name in OPTIONAL}}, sends="client_secret_post"),
    Habit("a client that dumps a typed model sends an empty text for every URI that it did not set",
          app("Model", LOOPBACK, **{name: "" for name in OPTIONAL_URIS}), wire=MODERN),
    Habit("the official Swift SDK registers the authorization code only, and refreshes nevertheless",
          {"client_name": "Swift", "redirect_uris": [LOOPBACK], **PUBLIC, "grant_types": ["authorization_code"], "response_types": ["code"]}),
    Habit("a URL library writes the scheme of the resource in capitals", app("URLs", LOOPBACK), resource="HTTP://{}"),
    Habit("a URL library writes a slash at the end of the resource", app("URLs", LOOPBACK), resource="http://{}/", wire=MODERN),
    Habit("a client decorates its registration with what cannot be used",
          app("n" * 3000, LOOPBACK, client_uri="http://c.lab/", logo_uri="", tos_uri="https://c.lab/" + "a" * 5000, application_type="desktop",
              response_types=["code", "token"])),
    Habit("Claude Code registers loopback addresses without a port, and listens on localhost", CLAUDE_CODE,
          "http://localhost:54545/callback"),
    Habit("Claude Code registers loopback addresses without a port, and listens on 127.0.0.1", CLAUDE_CODE,
          "http://127.0.0.1:61234/callback", wire=MODERN),
    Habit("VS Code registers four redirect URIs and the device grant, and listens on 127.0.0.1", VS_CODE, "http://127.0.0.1:33418/"),
    Habit("VS Code registers four redirect URIs and the device grant, and comes by the web", VS_CODE, "https://vscode.dev/redirect"),
    Habit("ChatGPT sends an empty scope, and gets what no scope gets",
          app("ChatGPT", "https://chatgpt.com/connector_platform_oauth_redirect", token_endpoint_auth_method="client_secret_post"),
          asks={"scope": ""}),
]


def whole_flow(habit):
    server = lab()
    client = Scripted(server, habit.document, habit.redirect, habit.sends)
    resource = habit.resource.format(server.url.removeprefix("http://"))
    equal(client.answer["redirect_uris"], habit.document["redirect_uris"], "what is registered")
    check({"authorization_code", "refresh_token"} <= set(client.answer["grant_types"]), f"grants: {client.answer['grant_types']}")
    equal([name for name, value in client.answer.items() if value is None], [], "members of the answer that are null")

    code, verifier = client.code(person(), resource=resource, **habit.asks)
    scheme = client.redirect.split(":")[0]
    if scheme not in ("http", "https"):
        check(f"{scheme}:" in visible_text(client.pages[-1]), f"the consent page does not name {scheme}: {visible_text(client.pages[-1])}")
    first = client.redeem(code, verifier, resource=resource)
    equal(first.status, 200, f"tokens {first!r}")
    check("refresh_token" in first.json, "no refresh token")
    second = client.refresh(first.json["refresh_token"], resource=resource)
    equal(second.status, 200, f"refresh {second!r}")
    for tokens in (first.json, second.json):
        granted = set(tokens["scope"].split(" "))
        check(granted == habit.scopes if habit.scopes else TASKS <= granted, f"granted: {tokens['scope']}")
        equal(claims_of(tokens["access_token"])["aud"], server.url, "aud")
        found = use(server, tokens["access_token"], "whoami", habit.wire)
        equal((found["client"], set(found["scopes"])), (client.id, granted), "who calls")
        if "read:tasks" in granted:
            equal(use(server, tokens["access_token"], "search-tasks", habit.wire)["tasks"], [], "tasks")
    if DEVICE in client.answer["grant_types"]:
        tokens = client.device_tokens(person(), scope="read:tasks")
        equal(use(server, tokens["access_token"], "search-tasks", habit.wire)["tasks"], [], "tasks, for a device")
        equal(client.refresh(tokens["refresh_token"]).status, 200, "refresh, for a device")
    equal(client.revoke(second.json["refresh_token"]).status, 200, "revocation")
    for tokens in (first.json, second.json):
        equal(call(server, tokens["access_token"], "whoami").status, 401, "after the revocation")


for habit in HABITS:
    test(habit.name)(lambda habit=habit: whole_flow(habit))


@test("mcp-remote refreshes with one token from two processes at once, and both go on")
def _():
    client = Scripted(lab(), app("mcp-remote", LOOPBACK))
    _, refresh = client.tokens(person())
    replies = in_parallel(2, lambda _: client.refresh(refresh))
    equal([reply.status for reply in replies], [200, 200], "both")
    successors = {reply.json["refresh_token"] for reply in replies}
    equal(len(successors), 1, "one successor")
    equal(client.refresh(successors.pop()).status, 200, "and it lives")


# --- Redirect URIs --------------------------------------------------------------------------------------------------------------------------------


SYSTEM_SCHEMES = (
    "javascript", "JavaScript", "data", "file", "blob", "about", "vbscript", "view-source", "filesystem", "intent", "ws", "wss", "mailto", "tel",
    "sms", "ssh", "ftp", "smb", "ms-settings", "ms-msdt", "ms-word", "MS-Settings", "shell", "search-ms", "x-apple.systempreferences",
    "x-apple-helpbasic", "itms-services", "itms-apps",
)
ANSWERS = ("code", "state", "iss", "error", "error_description", "error_uri", "response", "id_token", "access_token")
# What is registered, and what is refused beside it.
REGISTERED = {
    "nobody registers a scheme that a browser, a shell or an operating system handles itself": (
        [CURSOR], [f"{scheme}:{rest}" for scheme in SYSTEM_SCHEMES for rest in ("x", "//x/y")]),
    "nobody registers a private scheme with user information, a fragment or a wildcard, or with nothing after it": (
        [CURSOR, "cursor://b", "cursor:/c", "com.example.app:/callback"],
        ["cursor://a@b/c", "cursor://a:b@c/d", "cursor:", "cursor://", "cursor", "://a/b", "1cursor://a/b", CURSOR + "#x", "cursor://*/c"]),
    "no client registers a redirect URI with a query that looks like an answer": (
        ["https://c.lab/cb?tenant=7&mode=code", "http://127.0.0.1:3030/cb?encode=1", "com.raycast:/oauth?package_name=Extension"],
        [f"{WEB}?{query}=x" for name in ANSWERS for query in (name, f"tenant=7&{name}", f"%{ord(name[0]):02X}{name[1:]}")]
        + [WEB + "?c%6Fde=x", WEB + "?state", "http://127.0.0.1:3030/cb?c%6fde=x", CURSOR + "?iss=x", "com.example.app:/cb?state=x"]),
}
# What is registered, what of it may be asked for, and what leads to a page and nowhere else.
MATCHED = {
    "Cursor's redirect URI is compared byte for byte": (
        CURSOR, [CURSOR],
        [CURSOR + "/", CURSOR + "?x", CURSOR.replace("cursor:", "CURSOR:"), CURSOR.replace("anysphere", "Anysphere"), "cursor:/oauth/callback",
         CURSOR.replace("anysphere", "evil"), CURSOR.replace("cursor://", "cursor://u@"), CURSOR.replace("-mcp", "-mcp:80"), "claude://x/y"]),
    "Claude Code that registered localhost gets its answer at every port of it, and not at 127.0.0.1": (
        "http://localhost/callback", ["http://localhost/callback", "http://localhost:49152/callback"],
        ["http://127.0.0.1:49152/callback", "http://localhost:49152/", "http://localhost:49152/callback/"]),
    "Claude Code that registered 127.0.0.1 gets its answer at every port of it, and not at localhost": (
        "http://127.0.0.1/callback", ["http://127.0.0.1/callback", "http://127.0.0.1:49152/callback"],
        ["http://localhost:49152/callback", "http://127.0.0.1:49152/", "http://127.0.0.1:49152/callback/"]),
}


def judge_registrations(good, bad):
    for uri in good:
        equal(register(app("honest", uri)).status, 201, uri)
    for uri in bad:
        reply = register(app("bad", uri))
        equal((reply.status, reply.error), (400, "invalid_redirect_uri"), uri)
        reply = register(app("mixed", good[0], uri))
        check(reply.status == 400 or reply.json["redirect_uris"] == [good[0]], lambda: f"{uri} beside another: {reply!r}")


def judge_requests(registered, good, bad):
    client = Scripted(lab(), app("honest", registered))
    for uri in good:
        decision_form(client.page(person(), redirect_uri=uri), uri)
    for uri in bad:
        reply = client.page(person(), redirect_uri=uri)
        equal((reply.status, reply.header("Location")), (400, None), uri)
        check(not any(uri in link for link in Forms(reply.text).links), f"{uri} is a link")


for name, row in REGISTERED.items():
    test(name)(lambda row=row: judge_registrations(*row))
for name, row in MATCHED.items():
    test(name)(lambda row=row: judge_requests(*row))


@test("VS Code and others write the root of a loopback address with and without its slash, also when the code is redeemed")
def _():
    server = lab(5)
    for registered, requested in (
        ("http://127.0.0.1/", "http://127.0.0.1:49152/"), ("http://127.0.0.1/", "http://127.0.0.1:49152"),
        ("http://127.0.0.1", "http://127.0.0.1:49152/"), ("http://127.0.0.1", "http://127.0.0.1:49152"),
        ("http://localhost:3030/", "http://localhost:3030"),
    ):
        client = Scripted(server, app("slashes", registered), requested)
        for spelling in (requested, requested.rstrip("/") if requested.endswith("/") else requested + "/"):
            code, verifier = client.code(person())
            reply = client.redeem(code, verifier, redirect_uri=spelling)
            equal(reply.status, 200, f"registered {registered}, asked for {requested}, redeemed {spelling}: {reply!r}")
        code, verifier = client.code(person())
        equal(client.redeem(code, verifier, redirect_uri=requested.rstrip("/") + "/x").error, "invalid_grant", "another path")


# --- Registrations --------------------------------------------------------------------------------------------------------------------------------


@test("clients that dump a typed model: null means that a member is not there, for each member; an empty text does for each optional URI")
def _():
    plain = {"redirect_uris": [LOOPBACK], "client_name": "model"}
    for name, value in [(name, None) for name in OPTIONAL] + [(name, "") for name in OPTIONAL_URIS]:
        reply = register({**plain, name: value})
        equal(reply.status, 201, f"{name}: {json.dumps(value)}: {reply!r}")
        check(reply.json.get(name, "absent") not in (None, ""), f"the answer repeats {name}: {json.dumps(value)}")


@test("clients with decorations that cannot be used are registered without them, and told so")
def _():
    for what, value in {"http": "http://c.lab/", "empty": "", "too long": "https://c.lab/" + "a" * 5000}.items():
        for name in DECORATIONS:
            reply = register({**app("decorated", LOOPBACK), name: value})
            equal((reply.status, name in reply.json), (201, False), f"{name}, {what}: {reply!r}")
    equal(register(app("kept", LOOPBACK, client_uri="https://c.lab/")).json.get("client_uri"), "https://c.lab/", "a good one is kept")
    reply = register(app("desktop", LOOPBACK, application_type="desktop"))
    equal((reply.status, reply.json.get("application_type") == "desktop"), (201, False), "application_type desktop")
    reply = register(app("n" * 3000, LOOPBACK))
    equal(reply.status, 201, f"a long name {reply!r}")
    check(re.fullmatch(r"n{20,512}(…|\.\.\.)?", reply.json["client_name"]), f"the name is {len(reply.json['client_name'])} characters long")
    reply = register(app("types", LOOPBACK, response_types=["code", "token"]))
    equal((reply.status, reply.json.get("response_types")), (201, ["code"]), "response_types")


@test("a page of another site cannot register a client in disguise: POST /register takes application/json and nothing else")
def _():
    document = app("typed", LOOPBACK)
    for kind in ("application/json", "application/json; charset=utf-8", "Application/JSON"):
        equal(register(document, kind).status, 201, kind)
    for kind in ("text/plain", "text/plain; charset=utf-8", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        equal(register(document, kind).status, 415, kind)


# --- Client authentication ------------------------------------------------------------------------------------------------------------------------


def statuses(client):
    """What comes of each way to send the secret, at the code and then at the refresh token."""
    found = {}
    for way in ("client_secret_basic", "client_secret_post", "none"):
        client.method = way
        code, verifier = client.code(person())
        reply = client.redeem(code, verifier)
        found[way] = reply.status
        if reply.status == 200:
            equal(client.refresh(reply.json["refresh_token"]).status, 200, f"refresh by {way}")
            equal(client.revoke(reply.json["refresh_token"]).status, 200, f"revocation by {way}")
    return found


@test("Claude's connectors and mcp-go name no way to authenticate: they may post their secret or use Basic, and need it")
def _():
    server = lab(2)
    for more in ({}, {"token_endpoint_auth_method": None}):
        client = Scripted(server, {**IN_CLAUDE, **more})
        equal(statuses(client), {"client_secret_basic": 200, "client_secret_post": 200, "none": 401}, f"named: {more}")
        client.secret = "wrong-" + secrets.token_hex(8)
        equal(set(statuses(client).values()), {401}, "a wrong secret")


@test("Codex sends Basic though it named client_secret_post: who named one way has only that one")
def _():
    server = lab(2)
    for named, other in (("client_secret_post", "client_secret_basic"), ("client_secret_basic", "client_secret_post")):
        client = Scripted(server, {**IN_CLAUDE, "token_endpoint_auth_method": named})
        equal(client.answer["token_endpoint_auth_method"], named, "the answer")
        equal(statuses(client), {named: 200, other: 401, "none": 401}, named)


# --- Scopes ---------------------------------------------------------------------------------------------------------------------------------------


@test("Claude's connectors ask for scopes that nobody has: those are left out, for pages, pushed requests and devices, and spaces are no error")
def _():
    server = lab(2)
    browser, client, device = person(), Scripted(server, app("scopes", LOOPBACK)), Scripted(server, VS_CODE)
    for scope, granted in {
        "read:tasks": "read:tasks", "read:tasks email-send read write": "read:tasks", "read write read:tasks": "read:tasks",
        " read:tasks": "read:tasks", "read:tasks ": "read:tasks", "read  read:tasks  write": "read:tasks",
        "  write:tasks   read:tasks ": "read:tasks write:tasks",
    }.items():
        code, verifier = client.code(browser, scope=scope)
        reply = client.redeem(code, verifier)
        equal(sorted(reply.json["scope"].split(" ")), granted.split(), f"{scope!r}: what the answer says")
        equal(sorted(claims_of(reply.json["access_token"])["scope"].split(" ")), granted.split(), f"{scope!r}: what the token says")
    pushed, url, verifier = client.push(scope="read:tasks email-send read write")
    equal(pushed.status, 201, f"pushed {pushed!r}")
    location, _ = arrive(browser, url, server)
    equal(client.redeem(query_of(location)["code"], verifier).json["scope"], "read:tasks", "pushed")
    equal(device.device_tokens(browser, scope=" read:tasks  read write")["scope"], "read:tasks", "a device")
    reply = device.begin_device(scope="read write")
    equal((reply.status, reply.error), (400, "invalid_scope"), "a device that asks for nothing that there is")


@test("Claude's connectors ask for nothing that there is: the person ticks what they may do, from nothing")
def _():
    client, browser = Scripted(lab(), {**IN_CLAUDE, **PUBLIC}), person()

    def offered(page, what):
        boxes = Boxes(page.text).ticked
        check(TASKS <= set(boxes), f"{what}: {boxes or visible_text(page.text)[:300]}")
        equal([scope for scope, ticked in boxes.items() if ticked], [], f"{what}: what is ticked")
        form = decision_form(page, what)
        check("choice" in form["fields"], f"{what}: no choice in {sorted(form['fields'])}")
        return form

    verifier = new_verifier()
    pushed, short, pushed_verifier = client.push(scope="read write")
    equal(pushed.status, 201, f"pushed {pushed!r}")
    for url, verifier in ((client.authorization_url(verifier, scope="read write"), verifier), (short, pushed_verifier)):
        form = offered(browser.get(url, {"Sec-Fetch-Site": "none"}), "the page")
        reply = decide(client, browser, form)
        check(reply.status in (200, 400) and not reply.header("Location"), lambda: f"nothing ticked: {reply!r}")
        reply = decide(client, browser, offered(reply, "the page, once more"), scope=["read:tasks"])
        equal(reply.status, 303, f"one ticked {reply!r}")
        tokens = client.redeem(query_of(reply.header("Location"))["code"], verifier).json
        equal((tokens["scope"], claims_of(tokens["access_token"])["scope"]), ("read:tasks", "read:tasks"), "what was ticked")
        equal(call(client.server, tokens["access_token"], "create-task", {"text": "x"}).status, 403, "what was not")


@test("clients repeat at a refresh the scope that they asked for at first: what the person took out of it stays out, and is no error")
def _():
    client, browser = Scripted(lab(), app("repeats", LOOPBACK)), person()
    verifier, asked = new_verifier(), "read:tasks write:tasks"
    page = browser.get(client.authorization_url(verifier, scope=asked), {"Sec-Fetch-Site": "none"})
    choice = decide(client, browser, decision_form(page), decision="choose")
    equal(Boxes(choice.text).ticked, {"read:tasks": True, "write:tasks": True}, "what can be unticked")
    location = decide(client, browser, decision_form(choice), scope=["read:tasks"]).header("Location")
    reply = client.redeem(query_of(location)["code"], verifier)
    equal(reply.json["scope"], "read:tasks", "what was left")
    reply = client.refresh(reply.json["refresh_token"], scope="read:tasks delete:tasks")
    equal((reply.status, reply.json.get("scope")), (200, "read:tasks"), "what was never asked for stays out as well")
    for scope in (asked, None, asked):
        reply = client.refresh(reply.json["refresh_token"], scope=scope)
        equal((reply.status, reply.json.get("scope")), (200, "read:tasks"), f"a refresh with scope {scope} {reply!r}")
        equal(claims_of(reply.json["access_token"])["scope"], "read:tasks", "the token")


# --- Resources ------------------------------------------------------------------------------------------------------------------------------------


@test("URL libraries spell the resource in their own way: accepted at every endpoint, and every token names the registered spelling")
def _():
    server = lab(2)
    browser, client, device = person(), Scripted(server, app("URLs", LOOPBACK)), Scripted(server, VS_CODE)
    capitals = server.url.replace("http:", "HTTP:")
    for resource in (server.url, capitals, server.url + "/", capitals + "/", server.url.replace("http:", "Http:")):
        code, verifier = client.code(browser, resource=resource)
        first = client.redeem(code, verifier, resource=resource)
        equal(first.status, 200, f"{resource} at the token endpoint {first!r}")
        second = client.refresh(first.json["refresh_token"], resource=resource)
        equal(second.status, 200, f"{resource} at a refresh {second!r}")
        equal(client.push(resource=resource)[0].status, 201, f"{resource} pushed")
        third = device.device_tokens(browser, scope="read:tasks", resource=resource)
        for tokens in (first.json, second.json, third):
            equal(claims_of(tokens["access_token"])["aud"], server.url, f"aud with {resource}")
    twice = client.authorization_url() + "&resource="
    check("code" in query_of(arrive(browser, twice + urllib.parse.quote(server.url, safe=""), server)[0]), "the same one twice counts once")
    equal(error_of(browser.get(twice + urllib.parse.quote("https://evil.lab/mcp", safe=""))), "invalid_target", "two")
    for resource in (
        "https://evil.lab/mcp", server.origin, server.url + "//", server.url + "?x", server.url + "#f", server.origin + "/MCP", server.url + "/x",
        server.url.replace("127.0.0.1", "localhost"), server.url.replace("http:", "https:"), server.url.replace("mcp", "%6dcp"), "mcp",
    ):
        equal(error_of(client.page(browser, resource=resource)), "invalid_target", f"{resource} at the pages")
        equal(client.push(resource=resource)[0].error, "invalid_target", f"{resource} pushed")
        equal(device.begin_device(resource=resource).error, "invalid_target", f"{resource} of a device")
    code, verifier = client.code(browser)
    equal(client.redeem(code, verifier, resource="https://evil.lab/mcp").error, "invalid_target", "at the token endpoint")


@test("URL libraries write the default port and the host in capitals: the same resource; another port is another")
def _():
    host = "tasks.example.com"
    origin, headers = f"https://{host}", {"Host": host}
    with Server("--origin", origin) as server:
        made = command("clients", "add", "robot", "--grant", "client_credentials", "--scope", "read:tasks", "--json", "--data", server.data)
        headers["Authorization"] = "Basic " + base64.b64encode(f"robot:{json.loads(made)['client_secret']}".encode()).decode()
        for end in ("/mcp", ":443/mcp", "/mcp/", ":443/mcp/"):
            for start in (origin, f"HTTPS://{host}", f"https://{host.upper()}", "hTTps://Tasks.Example.com"):
                reply = post_form(server.origin + "/token", {"grant_type": "client_credentials", "resource": start + end}, headers)
                equal(reply.status, 200, f"{start}{end} {reply!r}")
                equal(claims_of(reply.json["access_token"])["aud"], origin + "/mcp", f"aud with {start}{end}")
        for resource in (f"{origin}:8443/mcp", f"http://{host}/mcp", f"{origin}:80/mcp", f"{origin}./mcp", f"{origin}:443/mcp//"):
            reply = post_form(server.origin + "/token", {"grant_type": "client_credentials", "resource": resource}, headers)
            equal((reply.status, reply.error), (400, "invalid_target"), resource)


# --- Errors of authorization requests -------------------------------------------------------------------------------------------------------------

BROKEN = {
    "no PKCE": ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    "plain PKCE": ({"code_challenge_method": "plain"}, "invalid_request"),
    "another response type": ({"response_type": "token"}, "unsupported_response_type"),
    "another resource": ({"resource": "https://evil.lab/mcp"}, "invalid_target"),
}


@test("FastMCP fetches the authorization URL before it opens it, others wait at their port or scheme: errors go to a program on this device")
def _():
    uris = (LOOPBACK, "http://localhost:7777/callback", CURSOR, "raycast://oauth?package_name=Extension", "com.raycast:/oauth?package_name=Extension")
    server = lab(len(uris))
    for uri in uris:
        client = Scripted(server, app("waits", uri))
        for what, (changes, error) in BROKEN.items():
            for who, reply in {
                "without a browser": send("GET", client.authorization_url(state="s1", **changes)),
                "signed in": client.page(person(), state="s1", **changes),
            }.items():
                sent_back(reply, error, client, f"{uri}: {what}, {who}")
        for browser, error in ((Browser(), "login_required"), (person(), "consent_required")):
            sent_back(client.page(browser, state="s1", prompt="none"), error, client, f"{uri}: prompt=none")


@test("a web client that registered itself gets no errors by redirect, until the person at the browser has approved it")
def _():
    client = Scripted(lab(), app("Claude", "https://claude.ai/api/mcp/auth_callback"))
    cases = {**BROKEN, "prompt=none": ({"prompt": "none"}, "consent_required")}

    def all_errors(browser, how, who):
        for what, (changes, error) in cases.items():
            error = "login_required" if what == "prompt=none" and who == "nobody" else error
            how(client.page(browser, state="s1", **changes), error, client, f"{who}: {what}")

    all_errors(Browser(), stays, "nobody")
    all_errors(person(), stays, "ada, before")
    client.tokens(person())
    all_errors(person("grace"), stays, "grace, who never approved it")
    all_errors(Browser(), stays, "nobody")
    all_errors(person(), sent_back, "ada, who approved it")


@test("a client that is not known, or that wants its answer where it never registered, gets nothing: that stays a page")
def _():
    client = Scripted(lab(), app("known", LOOPBACK))
    client.tokens(person())
    decision_form(client.page(person()))
    for changes in (
        {"client_id": "client-unknown"}, {"client_id": None}, {"redirect_uri": "http://127.0.0.1:3030/other"}, {"redirect_uri": CURSOR},
        {"redirect_uri": "https://evil.lab/cb"}, {"redirect_uri": "javascript:alert(1)"},
    ):
        for broken in ({}, {"response_type": "token"}, {"prompt": "none"}):
            for browser in (Browser(), person()):
                reply = client.page(browser, **{**broken, **changes})
                equal((reply.status, reply.header("Location")), (400, None), f"{changes} {broken}")
                check(not any(":" in link for link in Forms(reply.text).links), f"{changes}: {Forms(reply.text).links}")


# --- Addresses that people type, methods, preflights ----------------------------------------------------------------------------------------------


def ask_at(url, token=None):
    body = json.dumps(modern_body("tools/call", {"name": "whoami", "arguments": {}}))
    return send("POST", url, body, modern_headers(token, "tools/call", "whoami"))


@test("people type localhost where the server calls itself 127.0.0.1: they are told, and a client that has a token is served")
def _():
    server = lab()
    token, _ = Scripted(server, app("typed", LOOPBACK)).tokens(person())
    url = f"http://localhost:{server.port}/mcp"
    equal(structured(ask_at(url, token))["issuer"], server.origin, "with a token")
    equal(ask_at(server.url).status, 401, "at its own name")
    reply = ask_at(url)
    equal(reply.status, 421, f"at the other {reply!r}")
    check(server.url in reply.text, f"the answer does not name {server.url}: {reply.text[:300]}")


@test("people type /mcp/ with a slash: it is served like /mcp")
def _():
    server = lab()
    token, _ = Scripted(server, app("typed", LOOPBACK)).tokens(person())
    for url in (server.url, server.url + "/"):
        equal(structured(ask_at(url, token))["issuer"], server.origin, url)
        reply = ask_at(url)
        equal(reply.status, 401, url)
        challenge = reply.header("WWW-Authenticate")
        check(f'resource_metadata="{server.origin}/.well-known/oauth-protected-resource/mcp"' in challenge, challenge)


@test("the official SDKs ask for what the challenge names: every scope of the tasks, and the profile of who signs in")
def _():
    server = lab()
    client = Scripted(server, app("follows", LOOPBACK))
    named = re.search(r'scope="([^"]*)"', ask_at(server.url).header("WWW-Authenticate"))[1]
    check(TASKS | {"profile"} <= set(named.split(" ")), f"the challenge names {named}")
    code, verifier = client.code(person(), scope=named)
    tokens = client.redeem(code, verifier).json
    equal(set(tokens["scope"].split(" ")), set(named.split(" ")), "what is granted")
    equal(use(server, tokens["access_token"], "whoami", HANDSHAKE)["login"], "ada", "who is shown")


def head(server, target, browser=None):
    """The status, the header section and whatever follows it, of a HEAD request."""
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items()) if browser else ""
    lines = [f"HEAD {target} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Sec-Fetch-Site: none", "Connection: close", f"Cookie: {cookie}"]
    received = raw(server.port, "\r\n".join([*(lines if cookie else lines[:-1]), "", ""]).encode())
    fields, _, body = received.partition(b"\r\n\r\n")
    return raw_status(received), fields.decode(), body


@test("monitors and link previews send HEAD: the status of GET without its body, and nothing is ever issued")
def _():
    server = lab(2)
    browser, client = person(), Scripted(server, app("previewed", LOOPBACK))
    honest, broken = (client.authorization_url(**changes).removeprefix(server.origin) for changes in ({}, {"client_id": "client-unknown"}))
    for target in ("/health", "/jwks", "/account", honest, broken, *DOCUMENTS):
        for who in (None, browser):
            status = (who or Browser()).get(server.origin + target, {"Sec-Fetch-Site": "none"}).status
            found, _, body = head(server, target, who)
            equal((found, body), (status, b""), f"HEAD {target.split('?')[0]}, {'signed in' if who else 'nobody'}")

    remembered = Scripted(server, {"redirect_uris": [WEB]})
    form = decision_form(remembered.page(browser))
    equal(decide(remembered, browser, form, remember="yes").status, 303, "a consent that is remembered")
    target = remembered.authorization_url().removeprefix(server.origin)
    before = len(server.audit("consent", "allowed"))
    _, fields, body = head(server, target, browser)
    check("code=" not in fields and body == b"", f"HEAD issued a code: {fields}")
    equal(len(server.audit("consent", "allowed")), before, "consents in the audit log after HEAD")
    check("code=" in (browser.get(server.origin + target, {"Sec-Fetch-Site": "none"}).header("Location") or ""), "GET issues one")


@test("pages of MCP Inspector and of playgrounds that trace their requests: the preflight allows the headers of tracing, and is never a 401")
def _():
    server = lab(0)
    asked = ["authorization", "content-type", "mcp-protocol-version", "traceparent", "tracestate", "baggage", "sentry-trace"]
    for path in ("/mcp", "/token", "/register", *DOCUMENTS):
        # What is protected is for pages of this machine's own names; the rest is for every page.
        origin = f"http://localhost:{server.port if path == '/mcp' else 6274}"
        method = "GET" if path in DOCUMENTS else "POST"
        headers = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": ",".join(asked)}
        reply = send("OPTIONS", server.origin + path, headers=headers)
        check(reply.status in (200, 204), lambda: f"preflight of {path}: {reply!r}")
        check(reply.header("Access-Control-Allow-Origin") in ("*", origin), f"{path}: {reply.headers}")
        allowed = {name.strip().lower() for name in (reply.header("Access-Control-Allow-Headers") or "").split(",")}
        equal([name for name in asked if name not in allowed], [], f"{path}: headers that are not allowed")


@test("a person signs in again in a second tab: what was open in the first tab can still be allowed by them, and by nobody else")
def _():
    client = Scripted(lab(), app("tabs", LOOPBACK))
    browser = Browser().sign_in(client.server.origin)
    for second, allowed in (("ada", True), ("grace", False)):
        verifier = new_verifier()
        first_tab = decision_form(browser.get(client.authorization_url(verifier), {"Sec-Fetch-Site": "none"}))
        second_tab = client.page(browser, prompt="login")
        form = next(form for form in Forms(second_tab.text).forms if "password" in form["types"].values())
        reply = browser.submit(client.server.origin, form, {"username": second, "password": browser.password})
        equal(reply.status, 303, f"{second} signs in")
        reply = decide(client, browser, first_tab)
        location = reply.header("Location") or ""
        equal("code=" in location, allowed, f"ada's page, allowed after {second} signed in: {reply.status} {visible_text(reply.text)[:200]}")
        if allowed:
            equal(client.redeem(query_of(location)["code"], verifier).status, 200, "tokens")


# --- Who somebody is ------------------------------------------------------------------------------------------------------------------------------


@test("clients that show who is signed in: name and address are in the token and at /userinfo for who was granted them, and asked for in words")
def _():
    server = lab(1)
    password = "analytical-engine-" + secrets.token_hex(4)
    options = ("--email", "ada@example.com", "--email-verified", "--name", "Ada Lovelace", "--data", server.data)
    command("users", "add", "lovelace", *options, stdin=password + "\n")
    browser = Browser("lovelace", password).sign_in(server.origin)
    client = Scripted(server, app("portrait", LOOPBACK))
    profile = {"name": "Ada Lovelace", "preferred_username": "lovelace"}
    email = {"email": "ada@example.com", "email_verified": True}

    def granted(scope, who=browser):
        code, verifier = client.code(who, scope=scope)
        token = client.redeem(code, verifier).json["access_token"]
        claims = claims_of(token)
        return token, claims, {name: claims[name] for name in (*profile, *email) if name in claims}

    for scope, expected in {
        "profile email read:tasks": {**profile, **email}, "email read:tasks": email, "profile read:tasks": profile, "read:tasks": {},
        "openid profile email read:tasks": {**profile, **email},
    }.items():
        token, claims, found = granted(scope)
        equal(found, expected, f"claims with {scope}")
        shown = use(server, token, "whoami", HANDSHAKE)
        known = expected.get("name"), expected.get("preferred_username")
        equal((shown.get("name"), shown.get("login")), known, f"whoami with {scope}")
        equal("See your name" in visible_text(client.pages[-1]), "profile" in scope, f"the page says so, with {scope}")
        info = send("GET", server.origin + "/userinfo", headers={"Authorization": f"Bearer {token}"})
        if "openid" in scope:
            equal(info.json, {**info.json, "sub": claims["sub"], **expected}, f"userinfo with {scope}")
        else:
            check(info.status != 200, f"userinfo with {scope}")
    _, _, found = granted("profile email read:tasks", person("grace"))
    equal((found.get("preferred_username"), "email" in found), ("grace", False), "somebody who has no address")


if __name__ == "__main__":
    main("clients")
