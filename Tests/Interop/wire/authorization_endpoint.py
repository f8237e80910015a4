"""The authorization endpoint."""

import urllib.parse

from support import Browser, Client, Forms, check, claims_of, equal, query_of, send, test
from wire.lab import NFC, NFD, lab, open_page, register, told, unb64


def stays(reply, what, status=(400,)):
    """A page for the person at the browser; nothing is sent anywhere and nothing leads to a stranger."""
    check(reply.status in status, lambda: f"{what}: {reply!r}")
    equal(reply.header("Location"), None, what)
    links = Forms(reply.text).links
    check(not any(link.startswith(("http", "//", "\\", "javascript", "data")) or "evil" in link for link in links), f"{what}: {links}")


@test("Z-02, Z-05, R65, R100: a redirect_uri that is nearly the registered one is not it")
def _():
    client = lab().client("web")
    equal(open_page(client).status, 200, "the registered one")
    for uri in (
        "https://c.lab/cb/", "https://c.lab/cb/x", "https://c.lab/cb/../x", "https://c.lab/./cb", "https://c.lab/cb?x", "https://c.lab/cb?",
        "https://c.lab/cb#f", "https://c.lab/cb#", "https://c.lab/CB", "https://c.lab/%63b", "https://c.lab//cb", "https://c.lab:443/cb",
        "https://c.lab:8443/cb", "https://c.lab./cb", "https://C.LAB/cb", "HTTPS://c.lab/cb", "http://c.lab/cb", "https://c.lab@evil.lab/cb",
        "https://evil.lab\\@c.lab/cb", "https://c.lab:80%25@evil.lab/cb", "https://c.lab%00.evil.lab/cb", "https://c.lab%2f@evil.lab/cb",
        "https://a@b@c.lab/cb", "https://user@c.lab/cb", " https://c.lab/cb", "https://c.lab/cb ", "\thttps://c.lab/cb", "https://c.lab/cb\n",
        "https://c.lab/cb\r\nX: y", "https://c.lab/..;/cb", "https://c.lab/cb;x", "https://c\uff0elab/cb", "https://c\u3002lab/cb",
        "https://c.lab.evil.lab/cb", "https://evil.lab/cb", "https://evil.lab/?https://c.lab/cb", "https://c.lab", "https://c.lab/", "//c.lab/cb",
        "/cb", "c.lab/cb", "https:c.lab/cb", "https:///c.lab/cb", "https://c.lab\\.evil.lab/cb", "https://c.lab/cb%00", "https://c.lab/cb%0d%0a",
        "https://c.lab/cb\u0301", "https://c.lab/cb%20", "https://sub.c.lab/cb", "*", "https://*/cb", "javascript:alert(1)", "data:text/html,x",
        "https://c.lab/cb,https://evil.lab/cb", "https://c.lab/cb https://evil.lab/cb",
    ):
        stays(open_page(client, redirect_uri=uri), repr(uri))
    for bad in ("%ff", "https%3A%2F%2Fc.lab%2Fcb%00", "https%3A%2F%2Fc.lab%2Fcb%", "https%3A%2F%2Fc.lab%2Fcb%zz"):
        query = client.authorization_url(redirect_uri=None).split("?")[1] + "&redirect_uri=" + bad
        stays(open_page(client, query), bad)


@test("Z-03: NFC and NFD are two spellings, for redirect URIs, clients, scopes and resources")
def _():
    server, client = lab().server, lab().client()
    equal(open_page(client).status, 200, "plain")
    for text in (NFC, NFD):
        reply = register({"redirect_uris": [f"https://c.lab/{text}"], "token_endpoint_auth_method": "none"})
        equal((reply.status, reply.error), (400, "invalid_redirect_uri"), "a redirect URI that is not ASCII")
    stays(open_page(client, client_id=client.id + "\u0301"), "client_id")
    stays(open_page(client, client_id=client.id.replace("c", "\uff43", 1)), "client_id in full width")
    for scope in ("read:tasks\u0301", "read:tas\u212as"):
        equal(told(open_page(client, scope=scope), client, "scope")["error"], "invalid_scope", f"scope {scope!r} is no scope token")
    equal(told(open_page(client, resource=server.url + "\u0301"), client, "resource")["error"], "invalid_target", "resource")


@test("Z-04: of a loopback redirect URI only the port may vary")
def _():
    client = Client(lab().server, "http://127.0.0.1/cb")
    for port in ("", ":1", ":3030", ":65535", ":80"):
        equal(open_page(client, redirect_uri=f"http://127.0.0.1{port}/cb").status, 200, f"port {port}")
    for uri in (
        "http://localhost:3030/cb", "http://[::1]:3030/cb", "http://127.0.0.2:3030/cb", "http://127.1:3030/cb", "http://0.0.0.0:3030/cb",
        "http://[::ffff:127.0.0.1]:3030/cb", "http://[::1%25lo]:3030/cb", "http://127.0.0.1.evil.lab:3030/cb", "http://127.0.0.1:3030@evil.lab/cb",
        "http://127.0.0.1:3030/other", "http://127.0.0.1:3030/cb/", "https://127.0.0.1:3030/cb", "http://127.0.0.1:0/cb", "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:99999/cb", "http://127.0.0.1:+80/cb", "http://127.0.0.1:080/cb", "http://127.0.0.1:/cb", "http://127.0.0.1:3030/cb?x=y",
        "http://127.0.0.1:3030/cb#x", "http://0x7f000001:3030/cb", "http://2130706433:3030/cb", "http://\u2460\u2461\u2466.0.0.1/cb",
        "HTTP://127.0.0.1:3030/cb", "http://127.0.0.1:3030\\@evil.lab/cb", "http://user@127.0.0.1:3030/cb", "http://127.0.0.1:3030/%63b",
    ):
        stays(open_page(client, redirect_uri=uri), uri)


@test("Z-06: a parameter that is there twice is an error, whichever comes first")
def _():
    client = lab().client("web")
    good = client.authorization_url().split("?")[1]
    equal(open_page(client, good).status, 200, "each once")
    for name, other in (
        ("client_id", lab().client("public").id), ("redirect_uri", "https://evil.lab/cb"), ("state", "other"), ("response_type", "token"),
        ("scope", "read:tasks"), ("code_challenge", "A" * 43), ("code_challenge_method", "plain"), ("unknown", "x"),
    ):
        pair = f"{name}={urllib.parse.quote(other, safe='')}"
        same = next((part for part in good.split("&") if part.startswith(name + "=")), pair)
        disguised = pair.replace(name, "%" + format(ord(name[0]), "02x") + name[1:], 1)
        for query in (
            [f"{good}&{pair}", f"{pair}&{good}", f"{good}&{same}", f"{good}&{disguised}"] if name != "unknown" and name != "scope"
            else [f"{good}&{pair}&{pair}"]
        ):
            reply = open_page(client, query)
            equal((reply.status, reply.header("Location")), (400, None), f"{name}: {query[-80:]}")
            check("evil" not in str(Forms(reply.text).links), name)
    two = Client(lab().server, "https://c.lab/1", redirect_uris=["https://c.lab/1", "https://c.lab/2"])
    stays(open_page(two, redirect_uri=None), "no redirect_uri where two are registered")
    body = urllib.parse.urlencode({"client_id": client.id, "redirect_uri": "https://evil.lab/cb"})
    reply = lab().browser().request(
        "POST", lab().server.origin + "/authorize?" + good, {"client_id": client.id, "redirect_uri": "https://evil.lab/cb"},
    )
    stays(reply, f"query and body: {body}")


@test("Z-07, D-03: script and local schemes are refused at registration and at the authorization endpoint")
def _():
    good = Client(lab().server, "com.example.app:/callback")
    equal(send("GET", good.authorization_url()).status, 200, "an app's own scheme in reverse domain form")
    equal(send("GET", Client(lab().server, "cursor://anysphere.cursor-mcp/oauth/callback").authorization_url()).status, 200, "an app's, without a dot")
    for uri in (
        "javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "java\tscript:alert(1)", "%6aavascript:alert(1)", "data:text/html,x",
        "vbscript:x", "file:///etc/passwd", "blob:https://c.lab/x", "about:blank", "view-source:https://c.lab/", "intent://x#Intent;end", "intent:/cb", "mailto:a@c.lab", "chrome://settings",
        "http://c.lab/cb", "https://*/cb", "https://*.c.lab/cb", "https://c.lab/cb#f", "https://u:p@c.lab/cb", "/cb", "", "https://10.0.0.1/cb",
        "https://169.254.169.254/cb", "https://[fd00::1]/cb", "http://127.0.0.1.evil.lab/cb", "http://localhost.evil.lab/cb",
        "https://c.lab\\@evil.lab/", "https://2130706433/", "javascript.x:alert(1)//\n", "https://c.lab/cb\r\nX: y", "a.b:alert(1)\u0301",
    ):
        reply = register({"redirect_uris": [uri], "token_endpoint_auth_method": "none"})
        equal((reply.status, reply.error), (400, "invalid_redirect_uri"), repr(uri))
        reply = send("GET", good.authorization_url(redirect_uri=uri))
        if uri:
            stays(reply, f"{uri!r} at /authorize")
    for uris in ([], None, "https://c.lab/cb", {}, [1], [None], [["https://c.lab/cb"]], ["https://c.lab/cb"] * 33, "absent", True):
        document = {"token_endpoint_auth_method": "none", **({"redirect_uris": uris} if uris != "absent" else {})}
        equal(register(document).status, 400, f"redirect_uris {uris!r}"[:80])


@test("Z-08, R59: an error never sends the browser to a client that nobody checked")
def _():
    client = Client(lab().server, "https://phish.lab/cb")
    equal(open_page(client).status, 200, "an honest request")
    errors = (
        ("scope", {"scope": 'a"b'}, "invalid_scope"), ("prompt none", {"prompt": "none"}, "consent_required"),
        ("response type", {"response_type": "token"}, "unsupported_response_type"),
        ("resource", {"resource": "https://evil.lab/mcp"}, "invalid_target"), ("PKCE", {"code_challenge": None}, "invalid_request"),
        ("prompt", {"prompt": "none login"}, "invalid_request"), ("max_age", {"max_age": "-1"}, "invalid_request"),
        ("request", {"request": "x.y.z"}, "invalid_request"), ("request_uri", {"request_uri": "https://evil.lab/r"}, "invalid_request"),
    )

    def all_told(client, browser, by):
        for what, changes, error in errors:
            parameters = told(open_page(client, state="s1", browser=browser, **changes), client, what, by)
            equal((parameters["error"], parameters["state"]), (error, "s1"), what)

    all_told(client, lab().browser(), "link")
    equal(told(open_page(client, browser=Browser(), prompt="none"), client, "nobody", "link")["error"], "login_required", "nobody signed in")
    for uri in ("http://127.0.0.1:7777/cb", "com.example.app:/cb", "cursor://anysphere.cursor-mcp/oauth/callback"):
        local = Client(lab().server, uri)
        for browser in (Browser(), lab().browser()):
            found = told(open_page(local, browser=browser, response_type="token"), local, uri, "redirect")
            equal(found["error"], "unsupported_response_type", f"{uri}: this computer is nobody's site")
    client.tokens(lab().browser())
    all_told(client, lab().browser(), "redirect")
    for browser in (Browser(), lab().browser("grace")):
        told(open_page(client, browser=browser, response_type="token"), client, "ada approved it, and nobody else did", "link")
    for changes in (
        {"client_id": "client-unknown"}, {"client_id": None}, {"client_id": "https://evil.lab/client.json"}, {"client_id": "x" * 5000},
        {"client_id": "\r\nX: y"}, {"redirect_uri": "https://evil.lab/cb"},
    ):
        stays(open_page(client, **changes), str(changes)[:80])


@test("Z-10: state comes back byte for byte, and iss is in every answer")
def _():
    client, browser = lab().client("web"), lab().browser()
    states = [
        "plain", 'a+b&c=d%25\u00e9"<>~', NFC, NFD, "a b", "\u00fc\U0001f511\u202e", "x=y&code=evil&iss=https://evil.lab", "%0d%0aX: y",
        "\r\nSet-Cookie: a=b", "#frag?query/..", "'\\`{}|^", "s" * 2048, "\u00e9\"<" * 512, "\x01" * 2048,
    ]
    for state in states:
        decisions = {}
        for decision in ("allow", "deny"):
            page = open_page(client, state=state)
            form = next(form for form in Forms(page.text).forms if any(name == "decision" for name, _ in form["buttons"]))
            reply = browser.submit(client.server.origin + "/consent", form, {"decision": decision})
            equal(reply.status, 303, f"{decision} with state {state[:40]!r}")
            query = reply.header("Location").partition("?")[2]
            pairs = [part.partition("=") for part in query.split("&")]
            found = {name: urllib.parse.unquote_to_bytes(value) for name, _, value in pairs}
            equal(len(found), len(pairs), "each parameter once")
            equal(found["state"], state.encode(), f"{decision}: state")
            equal(found["iss"], client.server.origin.encode(), "iss")
            decisions[decision] = set(found)
        equal(decisions, {"allow": {"code", "state", "iss"}, "deny": {"error", "error_description", "state", "iss"}}, "parameters")
        equal(told(open_page(client, state=state, prompt="none login"), client, "an error")["state"].encode(), state.encode(), "state in an error")
    page = open_page(client, state=None)
    location = browser.submit(client.server.origin + "/consent", Forms(page.text).forms[0], {"decision": "allow"}).header("Location")
    equal(set(query_of(location)), {"code", "iss"}, "without a state")
    for state in ("s" * 2049, "\u00e9" * 1025, "s" * 30000):
        stays(open_page(client, state=state), "a state that is too long")
    check(open_page(client, state="s" * 100_000).status in (400, 414, 431), "100 KB of state")
    query = client.authorization_url(state=None).split("?")[1]
    for bad in ("%ff", "%c3", "%ed%a0%80", "%c0%80", "%00"):
        stays(open_page(client, f"{query}&state={bad}"), f"state {bad}")


@test("Z-12: only the code flow, only in the query")
def _():
    client = lab().client("web")
    equal(open_page(client, response_mode="query").status, 200, "code in the query")
    for kind in ("token", "id_token", "code token", "code id_token", "none", "CODE", "", "code ", " code", "code\u0301", None):
        equal(told(open_page(client, response_type=kind), client, repr(kind))["error"], "unsupported_response_type", repr(kind))
    for mode in ("fragment", "web_message", "form_post", "jwt", "query.jwt", "QUERY"):
        equal(told(open_page(client, response_mode=mode), client, mode)["error"], "invalid_request", mode)


@test("Z-14: only the server's own resource, exactly, and tokens are for it")
def _():
    server, client = lab().server, lab().client()
    for changes in ({}, {"resource": None}):
        access, _ = lab().tokens(**changes)
        equal(claims_of(access)["aud"], server.url, f"audience with {changes}")
    for resource in (
        "https://evil.lab/mcp", server.origin, server.url + "//", server.url + "#f", server.url + "?x", "/mcp", server.url.upper(),
        server.url.replace("mcp", "%6dcp"), "mcp", f"http://localhost:{server.port}/mcp", server.url + "/..", server.url + " ",
    ):
        equal(told(open_page(client, resource=resource), client, resource)["error"], "invalid_target", resource)
    for resource in (server.url + "/", server.url.replace("http", "HTTP")):
        access, _ = lab().tokens(resource=resource)
        equal(claims_of(access)["aud"], server.url, f"{resource} is another spelling, and tokens carry the registered one")
    twice = client.authorization_url().split("?")[1] + "&resource=" + urllib.parse.quote(server.url, safe="")
    equal(open_page(client, twice).status, 200, "the same resource twice")
    two = client.authorization_url().split("?")[1] + "&resource=https%3A%2F%2Fevil.lab%2Fmcp"
    equal(told(open_page(client, two), client, "two resources")["error"], "invalid_target", "two resources")


@test("Z-16: codes are long, random, and say nothing of user and client")
def _():
    client, browser = lab().client(), lab().browser()
    codes = [client.code(browser)[0] for _ in range(20)]
    equal(len(set(codes)), 20, "different codes")
    check(all(len(unb64(code)) >= 16 for code in codes), codes[0])
    for position in range(6):
        check(len({code[position] for code in codes}) > 3, f"character {position} hardly changes")
    check(not any(text in code for code in codes for text in ("ada", "user", client.id[7:])), "a code tells")


@test("Z-17, W-05: prompt and max_age: silence is an error, old sign-ins count no more, no number ends the process")
def _():
    client = lab().client("web")
    equal(told(open_page(client, prompt="none"), client, "prompt none")["error"], "consent_required", "without consent")
    for changes in ({"max_age": "9999999999"}, {"max_age": "3600"}):
        check("decision" in open_page(client, **changes).text, f"{changes} asks for consent")
    for changes in ({"max_age": "0"}, {"prompt": "login"}, {"prompt": "select_account"}):
        check('type="password"' in open_page(client, **changes).text, f"{changes} asks for the password")
    for number in ("-1", "+5", "1e3", "1e20", "99999999999", "99999999999999999999", "0x10", "\u0663", " 5", "5 ", "1.5", "NaN", "5\u0301"):
        equal(told(open_page(client, max_age=number), client, number)["error"], "invalid_request", number)
