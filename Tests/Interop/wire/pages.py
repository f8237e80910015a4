"""Sign-in, consent and account pages."""

import json
import re
import secrets
import urllib.parse

from support import (
    PASSWORD, Browser, Client, Forms, call, challenge_of, check, encode_form, equal, new_verifier, post_json,
    query_of, send, structured, test, visible_text,
)
from wire.lab import WEB, Lab, denied, lab, open_page, pages, sign_in_form, told, unb64


def consent_form(page):
    check(page.status == 200, lambda: f"no consent page: {page!r}")
    return next(form for form in Forms(page.text).forms if any(name == "decision" for name, _ in form["buttons"]))


def has_code(reply):
    return "code=" in (reply.header("Location") or "") or "code=" in reply.text


@test("B-04: consent is given on one's own page, in one's own browser, by one's own click")
def _():
    client, server = lab().client("web"), lab().server
    url = server.origin + "/consent"
    ada, grace = lab().browser(), lab().browser("grace")
    form = consent_form(open_page(client))
    fields = {**form["fields"], "decision": "allow"}
    plain = {"Content-Type": "application/x-www-form-urlencoded", "Origin": server.origin, "Sec-Fetch-Site": "same-origin"}
    cookies = {name: "; ".join(f"{key}={value}" for key, value in browser.cookies.items()) for name, browser in (("ada", ada), ("grace", grace))}
    browser_only = f"mcp-auth-browser={ada.cookies['mcp-auth-browser']}"
    session_only = f"mcp-auth-session={ada.cookies['mcp-auth-session']}"
    attacks = {
        "no cookie": {}, "another person's cookies": {"Cookie": cookies["grace"]}, "only the session": {"Cookie": session_only},
        "only the browser": {"Cookie": browser_only},
        "the browser and another person's session": {"Cookie": f"{browser_only}; mcp-auth-session={grace.cookies['mcp-auth-session']}"},
        "the session and another browser": {"Cookie": f"{session_only}; mcp-auth-browser={grace.cookies['mcp-auth-browser']}"},
        "two browsers": {"Cookie": f"mcp-auth-browser={'A' * 43}; {cookies['ada']}"},
        "two sessions": {"Cookie": f"{cookies['ada']}; mcp-auth-session={'A' * 43}"},
        "an invented cookie": {"Cookie": f"mcp-auth-browser={'A' * 43}; mcp-auth-session={'A' * 43}"},
        "from another site": {"Cookie": cookies["ada"], "Origin": "http://evil.lab"}, "from nowhere": {"Cookie": cookies["ada"], "Origin": "null"},
        "from another port": {"Cookie": cookies["ada"], "Origin": f"http://127.0.0.1:{server.port + 1}"},
        "cross-site": {"Cookie": cookies["ada"], "Sec-Fetch-Site": "cross-site"},
        "same-site": {"Cookie": cookies["ada"], "Sec-Fetch-Site": "same-site"},
        "cross-site without Origin": {"Cookie": cookies["ada"], "Origin": None, "Sec-Fetch-Site": "cross-site"},
        "an address typed in": {"Cookie": cookies["ada"], "Sec-Fetch-Site": "none"},
    }
    for what, headers in attacks.items():
        reply = send("POST", url, encode_form(fields), {**plain, **headers})
        equal(reply.status, 403, what)
        check(not has_code(reply) and not reply.header("Location"), f"{what}: {reply!r}")
    mine = {**plain, "Cookie": cookies["ada"]}
    for what, changes in {
        "no transaction": {"transaction": ""}, "an invented one": {"transaction": "A" * 200},
        "one bit changed": {"transaction": flipped(fields["transaction"])}, "cut off": {"transaction": fields["transaction"][:-4]},
        "with an end": {"transaction": fields["transaction"] + "AAAA"},
    }.items():
        reply = send("POST", url, encode_form({**fields, **changes}), mine)
        equal((reply.status, has_code(reply)), (403, False), what)
    for decision in ("", "Allow", "yes", "allow\u0301"):
        reply = send("POST", url, encode_form({**fields, "decision": decision}), mine)
        equal((reply.status, has_code(reply)), (400, False), f"decision {decision!r}")
    reply = send("GET", f"{url}?{encode_form(fields)}", headers=mine)
    equal((reply.header("Location"), has_code(reply)), (None, False), "by GET")
    reply = send("POST", f"{url}?{encode_form(fields)}", "", mine)
    equal(has_code(reply), False, "everything in the query")
    reply = send("POST", url, json.dumps(fields), {**mine, "Content-Type": "text/plain"})
    equal((reply.status, has_code(reply)), (400, False), "as text/plain, which needs no preflight")
    equal(has_code(send("POST", url, encode_form(fields), mine)), True, "the honest click, after all that")
    reply = send("POST", url, encode_form(fields), mine)
    equal((reply.status, has_code(reply)), (403, False), "B-07: the same page again")


def flipped(text):
    middle = len(text) // 2
    return text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :]


@test("B-06: what a form says about client, scope and redirect has no effect")
def _():
    client, browser = lab().client("web"), lab().browser()
    verifier = new_verifier()
    page = open_page(client, scope="read:tasks", state="honest", code_challenge=challenge_of(verifier))
    reply = browser.submit(
        lab().server.origin + "/consent", consent_form(page),
        {
            "decision": "allow", "client_id": lab().client("other").id, "scope": "read:tasks write:tasks delete:tasks",
            "redirect_uri": "https://evil.lab/cb", "resource": "https://evil.lab/mcp", "state": "evil", "user": "grace", "username": "grace",
            "remember": "yes", "sub": "admin", "code_challenge": "A" * 43,
        },
    )
    location = reply.header("Location")
    equal(location.split("?")[0], WEB, "where the code goes")
    equal(query_of(location)["state"], "honest", "state")
    tokens = client.redeem(query_of(location)["code"], verifier).json
    equal(tokens["scope"], "read:tasks", "scope")
    equal(structured(call(lab().server, tokens["access_token"], "whoami"))["subject"], lab().alive()["subject"], "user")
    check("decision" in open_page(client, scope="read:tasks").text, "a public client was remembered")


@test("B-07: two tabs and two people do not mix")
def _():
    server = pages().server
    one, two = Client(server, "https://one.lab/cb"), Client(server, "https://two.lab/cb")
    browser = Browser("ada").sign_in(server.origin)
    first = consent_form(open_page(one, state="one", browser=browser))
    second = consent_form(open_page(two, state="two", browser=browser))
    for form, client, state in ((second, two, "two"), (first, one, "one")):
        location = browser.submit(server.origin + "/consent", form, {"decision": "allow"}).header("Location")
        equal((location.split("?")[0], query_of(location)["state"]), (client.redirect, state), "each tab its own")
    stale = consent_form(open_page(one, browser=browser))
    browser.user = "grace"
    page = open_page(two, prompt="login", browser=browser)
    equal(browser.submit(server.origin + "/sign-in", sign_in_form(page), {"username": "grace", "password": PASSWORD}).status, 303, "grace signs in")
    reply = browser.submit(server.origin + "/consent", stale, {"decision": "allow"})
    equal((reply.status, has_code(reply)), (403, False), "ada's page, approved by grace")


@test("B-08: a remembered consent is for exactly that, for a client with a secret, and for a visit of one's own")
def _():
    client, browser, server = lab().client("basic"), lab().browser("grace"), lab().server

    def visit(site="none", browser=browser, client=client, **changes):
        return browser.get(client.authorization_url(**{"scope": "read:tasks", **changes}), headers={"Sec-Fetch-Site": site} if site else {})

    def asks(reply, what):
        equal((reply.status, has_code(reply)), (200, False), what)
        consent_form(reply)

    asks(visit(), "the first time")
    equal(browser.submit(server.origin + "/consent", consent_form(visit()), {"decision": "allow", "remember": "yes"}).status, 303, "remember")
    equal(has_code(visit()), True, "the same again")
    equal(has_code(visit(prompt="none")), True, "the same again, silently")
    for what, reply in {
        "more": visit(scope="read:tasks write:tasks"), "something else": visit(scope="write:tasks"), "everything": visit(scope=None),
        "on request": visit(prompt="consent"), "sent by another site": visit("cross-site"), "sent by a neighbour": visit("same-site"),
        "sent by nobody knows whom": visit(None), "another person": visit(browser=lab().browser()),
        "another client": visit(client=lab().client("post")),
    }.items():
        asks(reply, what)
    equal(told(visit("cross-site", prompt="none"), client, "silently, sent by another site")["error"], "consent_required", "another site")
    public = lab().client("web")
    equal(
        browser.submit(server.origin + "/consent", consent_form(visit(client=public)), {"decision": "allow", "remember": "yes"}).status, 303, "allow",
    )
    asks(visit(client=public), "a client without a secret")
    client.tokens(browser, scope="read:tasks write:tasks")
    check(browser.disconnect_all(server.origin) > 0, "nothing to disconnect")
    lab().made.pop(("token", "grace"), None)
    asks(visit(), "after Disconnect")


@test("B-05: the session changes at sign-in, and what was planted or begun before is worth nothing after")
def _():
    server, client = pages().server, pages().client("web")
    consent = server.origin + "/consent"
    planted = {"mcp-auth-browser": secrets.token_urlsafe(32), "mcp-auth-session": secrets.token_urlsafe(32)}
    victim, attacker, stranger = Browser("grace"), Browser(), Browser()
    victim.cookies.update(planted)
    attacker.cookies.update(planted)
    begun = sign_in_form(open_page(client, browser=attacker))
    page = open_page(client, browser=victim)
    reply = victim.submit(server.origin + "/sign-in", sign_in_form(page), {"username": "grace", "password": PASSWORD})
    equal(reply.status, 303, "sign-in")
    check(victim.cookies["mcp-auth-session"] != planted["mcp-auth-session"], "the session did not change")
    check("Signed in as" in victim.get(server.origin + "/account").text, "grace is signed in")

    check("Signed in as" not in attacker.get(server.origin + "/account").text, "the planted cookies open the account")
    check('name="decision"' not in attacker.get(server.origin + reply.header("Location")).text, "the victim's consent page, with the planted cookies")
    theirs = consent_form(victim.get(server.origin + reply.header("Location")))
    for who, browser in (("the planted cookies", attacker), ("another browser", stranger)):
        answer = browser.submit(consent, theirs, {"decision": "allow"})
        equal((answer.status, has_code(answer)), (403, False), f"the victim's consent form, with {who}")
    answer = victim.request("POST", consent, {**begun["fields"], "decision": "allow"})
    equal((answer.status, has_code(answer)), (403, False), "what the attacker began, allowed in the victim's browser")
    elsewhere = sign_in_form(open_page(client, browser=stranger))
    answer = victim.submit(server.origin + "/sign-in", elsewhere, {"username": "grace", "password": PASSWORD})
    equal(answer.status, 403, "login CSRF: a sign-in page of another browser")

    before = victim.cookies["mcp-auth-session"]
    again = sign_in_form(open_page(client, prompt="login", browser=victim))
    equal(victim.submit(server.origin + "/sign-in", again, {"username": "grace", "password": PASSWORD}).status, 303, "a second sign-in")
    check(victim.cookies["mcp-auth-session"] != before, "the session did not change at a second sign-in")
    attacker.cookies = {**victim.cookies, "mcp-auth-session": before}
    check("Signed in as" not in attacker.get(server.origin + "/account").text, "the session before the second sign-in still lives")


@test("B-12: cookies are HttpOnly and SameSite, and signing out ends the session on the server")
def _():
    server = pages().server
    browser = Browser("ada")
    page = browser.get(server.origin + "/account")
    reply = browser.submit(server.origin + "/account", sign_in_form(page), {"username": "ada", "password": PASSWORD})
    cookies = reply.all("Set-Cookie") + page.all("Set-Cookie")
    equal({cookie.split("=")[0] for cookie in cookies}, {"mcp-auth-browser", "mcp-auth-known", "mcp-auth-session"}, "cookies")
    for cookie in cookies:
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        check({"httponly", "samesite=lax", "path=/"} <= attributes, cookie)
        check(not any(part.startswith("domain") for part in attributes), f"a cookie for other hosts too: {cookie}")
        # Browsers drop Secure cookies from plain http, and this is loopback; on https they are Secure with the prefix __Host-.
        check("secure" not in attributes, cookie)
        check(len(unb64(cookie.split(";")[0].split("=", 1)[1])) >= 32, "a short cookie")
    stolen = dict(browser.cookies)
    account = browser.get(server.origin + "/account")
    check("Signed in as" in account.text, "signed in")
    form = next(form for form in Forms(account.text).forms if form["action"] == "/sign-out")
    stranger = Browser()
    equal(stranger.submit(server.origin + "/account", form).status, 403, "somebody else's sign-out")
    equal(browser.get(server.origin + "/sign-out").header("Location"), "/account", "a link to the sign-out leads to the account page")
    check("Signed in as" in browser.get(server.origin + "/account").text, "a link signed somebody out")
    equal(browser.submit(server.origin + "/account", form).status, 200, "sign-out")
    check("mcp-auth-session" not in browser.cookies, "the cookie stayed")
    stranger.cookies = stolen
    check("Signed in as" not in stranger.get(server.origin + "/account").text, "the session outlives its sign-out")


@test("B-01, B-02, B-12: every page forbids frames, scripts, caches and sniffing, and lets no other site read it")
def _():
    server, client, browser = pages().server, pages().client("web"), pages().browser()
    account = browser.get(server.origin + "/account")
    sign_out = next(form for form in Forms(account.text).forms if form["action"] == "/sign-out")
    stranger = Browser()
    login = stranger.get(server.origin + "/account")
    consent = open_page(client, browser=browser)
    shown = {
        "sign-in": login,
        "wrong password": stranger.submit(server.origin + "/account", sign_in_form(login), {"username": "nobody", "password": "wrong"}),
        "consent": consent, "account": account, "an error": open_page(client, response_type="token", browser=browser),
        "an unknown client": open_page(client, client_id="x", browser=browser),
        "stale": stranger.submit(server.origin + "/consent", consent_form(consent), {"decision": "allow"}),
        "a code": browser.submit(server.origin + "/consent", consent_form(consent), {"decision": "allow"}),
        "signed out": browser.submit(server.origin + "/account", sign_out),
    }
    pages().made.pop(("browser", "ada"))
    for what, reply in shown.items():
        policy = {part.split()[0]: part.split()[1:] for part in reply.header("Content-Security-Policy").split(";")}
        equal(policy["default-src"], ["'none'"], what)
        equal((policy["frame-ancestors"], policy["base-uri"]), (["'none'"], ["'none'"]), what)
        check(
            "unsafe" not in str(policy) and "*" not in str(policy) and "script-src" not in policy and "data:" not in str(policy), f"{what}: {policy}",
        )
        # After consent a browser goes to the client, and from there wherever the client sends it: every hop would be held to form-action.
        equal(policy.get("form-action"), None if what == "consent" else ["'self'"], what)
        for name, value in (
            ("X-Frame-Options", "DENY"), ("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"),
            # A sign-in may have been opened as a popup, whose opener has to see it close (ory/network#451).
            ("Cross-Origin-Opener-Policy", "same-origin" if what == "account" else None),
        ):
            equal(reply.header(name), value, f"{what}: {name}")
        check(reply.header("Referrer-Policy") in ("same-origin", "no-referrer"), what)
        check(not any(name.lower().startswith("access-control") for name, _ in reply.headers), f"{what}: another site may read it")
        if reply.status != 303:
            equal(reply.header("Content-Type"), "text/html; charset=utf-8", what)
            check("<script" not in reply.text and " style=" not in reply.text and not re.search(r"<[^>]*\son\w+=", reply.text), what)
    for path in ("/authorize", "/sign-in", "/consent", "/account", "/sign-out", "/account/disconnect"):
        for origin in ("http://evil.lab", "null"):
            reply = send("OPTIONS", server.origin + path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
            check(not any(name.lower().startswith("access-control") for name, _ in reply.headers), f"preflight of {path} from {origin}")
    for path in ("/token", "/register", "/revoke"):
        reply = send("OPTIONS", server.origin + path, headers={"Origin": "http://evil.lab", "Access-Control-Request-Method": "POST"})
        equal((reply.header("Access-Control-Allow-Origin"), reply.header("Access-Control-Allow-Credentials")), ("*", None), f"preflight of {path}")


PAYLOADS = [
    '"><svg/onload=alert(1)>', "</script><script>alert(1)</script>", '" autofocus onfocus=alert(1) x="', '"\u0301 autofocus onfocus=alert(1)',
    "<\u0301img src=x onerror=alert(1)>", "{{7*7}}${7*7}#{7*7}", "'`><a href=javascript:alert(1)>x</a>", "<!--", "&lt;script&gt;&#60;b&#62;",
    "\u202eevil\u2066\u200b", "a" + "\u0301" * 200, "\0<b>", "<b>\r\n\r\n<i>", "\ud83d\ude00<x>".encode("utf-16", "surrogatepass").decode("utf-16"),
]


def same_shape(found, honest, what):
    """Whatever a stranger wrote, the page has the elements and attributes that it has for everybody."""
    equal(Forms(found.text).shape, Forms(honest.text).shape, f"markup with {what!r}")
    # The logo is the operator's.
    text = re.sub(r'<img class="logo" src="[\w/]*" alt="">', "", found.text)
    check("alert(1)>" not in text and not re.search(r"<(svg|img|script|b|i|x)\b", text), f"markup with {what!r}")


def account_with(client, browser):
    """The account page of somebody who has connected this client only."""
    browser.disconnect_all(client.server.origin)
    client.tokens(browser)
    return browser.get(client.server.origin + "/account")


@test("B-02, B-03: no name, state, hint or parameter changes the markup of a page")
def _():
    server, browser = pages().server, pages().browser()
    honest = Client(server, WEB, client_name="honest")
    connected = account_with(honest, browser)
    # Errors of a client that was approved go to it by themselves, so they come from one that was not.
    bare = Client(server, WEB, client_name="bare")
    consent, unknown = open_page(honest, browser=browser), open_page(honest, client_id="x", browser=browser)
    no_client, no_redirect = open_page(honest, client_id="\u00e4", browser=browser), open_page(honest, redirect_uri="https://c.lab/x", browser=browser)
    error, chosen = open_page(bare, response_type="token", browser=browser), open_page(bare, scope="admin", browser=browser)
    for what in PAYLOADS:
        client = Client(server, WEB, client_name=what)
        page = open_page(client, browser=browser)
        same_shape(page, consent, what)
        same_shape(account_with(client, browser), connected, what)
        check(not any(mark in page.text for mark in "\u202e\u2066\u200b\0"), f"an invisible character of {what!r} is on the page")
        check("\u0301" * 3 not in page.text, "a heap of marks is on the page")
        check("Its name has not been verified" in page.text and "c.lab" in visible_text(page.text), "who it is and where it leads")
        same_shape(open_page(honest, state=what.replace("\0", ""), browser=browser), consent, what)
        # The page shows the value that was sent, where it can be one.
        same_shape(open_page(honest, browser=browser, client_id=what), unknown if re.fullmatch(r"[!-~]+", what) else no_client, what)
        same_shape(open_page(honest, browser=browser, redirect_uri=what), no_client if "\0" in what else no_redirect, what)
        if "\0" not in what:
            for changes in (
                {"resource": what}, {"response_type": what}, {"prompt": what}, {"max_age": what}, {"response_mode": what}, {"code_challenge": what},
            ):
                same_shape(open_page(bare, browser=browser, **{"state": what, **changes}), error, what)
            page = open_page(bare, browser=browser, scope=what)
            same_shape(page, error if page.status == 400 else chosen, what)
    stranger = Browser()
    page = open_page(honest, browser=stranger)
    for what in PAYLOADS:
        if "\0" not in what:
            same_shape(open_page(honest, login_hint=what, browser=Browser()), page, what)


@test("B-02, B-10: a user name that is no name is refused like any other, and shown as text")
def _():
    lab = Lab.named("guessing")
    server = lab.server
    browser = Browser()
    page = browser.get(server.origin + "/account")

    def attempt(name, password="wrong-password"):
        return browser.submit(server.origin + "/account", sign_in_form(page), {"username": name, "password": password})

    wrong = attempt("nobody")
    equal(wrong.status, 401, "a name that nobody has")
    mask = lambda reply: re.sub(r'value="[^"]*"', "", reply.text)
    equal(mask(attempt("ada")), mask(wrong), "a name that somebody has")
    for name in ("ad\u0061\u0301", "\uff41da", "a\u200bda", " ada", PAYLOADS[0], PAYLOADS[2], PAYLOADS[3], "ada\r\nX: y", "a" * 300, ""):
        reply = attempt(name, PASSWORD)
        equal(reply.status, 401, repr(name))
        if name:  # without one, the focus is on the name and not on the password
            same_shape(reply, wrong, name)
    equal(attempt("ada", PASSWORD + "\u0301").status, 401, "W-01: the password with a mark")
    equal(attempt("ada", "x" * 3000).status, 401, "a long password")
    equal(attempt("ada", "x" * 100_000).status, 413, "a very long password")
    equal(attempt("ADA", PASSWORD).status, 303, "the right password; ASCII capitals are the same name")


@test("B-10, K-06: guessing is slowed down, whatever address the guesser claims, and others still get in")
def _():
    server = Lab.named("throttled").server
    browser = Browser()
    page = browser.get(server.origin + "/account")

    def attempt(name, password, index=0):
        headers = {"X-Forwarded-For": f"192.0.2.{index}", "X-Real-IP": f"192.0.2.{index}", "Forwarded": f"for=192.0.2.{index}"}
        return browser.request("POST", server.origin + "/sign-in", {**sign_in_form(page)["fields"], "username": name, "password": password}, headers)

    statuses = [attempt("ada", f"guess {index}", index).status for index in range(13)]
    check(statuses[0] == 401 and statuses[-1] == 429, f"thirteen guesses: {statuses}")
    reply = attempt("ada", PASSWORD)
    equal(reply.status, 429, "the right password, meanwhile")
    check(int(reply.header("Retry-After")) > 0, "Retry-After")
    equal(attempt("grace", PASSWORD).status, 303, "somebody else")
    client = Client(server, WEB, token_endpoint_auth_method="client_secret_basic")
    right, client.secret = client.secret, "wrong"
    statuses = [client.refresh("x").status for _ in range(40)]
    check(statuses[0] == 401 and statuses[-1] in (429, 503), f"forty guesses of a secret: {statuses}")
    client.secret = right
    other = Client(server, WEB, token_endpoint_auth_method="client_secret_basic")
    denied(other.refresh("x"), what="another client")


@test("D-01: registration is limited, and the limit is not the client's to reset")
def _():
    server = Lab.named("throttled").server
    document = {"redirect_uris": [WEB], "token_endpoint_auth_method": "none"}
    statuses = [post_json(server.origin + "/register", document, {"X-Forwarded-For": f"192.0.2.{index}"}).status for index in range(80)]
    equal(statuses[0], 201, "the first")
    check(statuses[-1] == 429 and set(statuses) == {201, 429}, f"the last of eighty: {statuses[-1]}")


@test("B-11: no parameter of the pages is a way out")
def _():
    server = pages().server
    for target in (
        "//evil.lab", "/\\evil.lab", "https:evil.lab", "\t//evil.lab", "javascript:alert(1)", "https://evil.lab/", "https://127.0.0.1@evil.lab",
    ):
        extra = urllib.parse.urlencode(
            {name: target for name in ("return_to", "next", "redirect", "url", "continue", "post_logout_redirect_uri", "redirect_uri", "transaction")}
        )
        stranger = Browser("grace")
        page = stranger.get(f"{server.origin}/account?{extra}")
        check("evil" not in page.text, target)
        form = sign_in_form(page)
        equal(form["action"], "/sign-in", "where the form goes")
        fields = {**dict(urllib.parse.parse_qsl(extra)), **form["fields"], "username": "nobody", "password": "wrong"}
        reply = stranger.request("POST", f"{server.origin}/sign-in?{extra}", fields)
        equal((reply.status, reply.header("Location")), (401, None), target)
        check("evil" not in reply.text, target)
    browser = pages().browser()
    page = browser.get(f"{server.origin}/account?{extra}")
    form = next(form for form in Forms(page.text).forms if form["action"] == "/sign-out")
    reply = browser.request("POST", f"{server.origin}/sign-out?{extra}", {**dict(urllib.parse.parse_qsl(extra)), **form["fields"]})
    equal((reply.status, reply.header("Location")), (200, None), "sign-out")
    pages().made.pop(("browser", "ada"))
    stranger = Browser("grace")
    form = sign_in_form(stranger.get(server.origin + "/account"))
    reply = stranger.request(
        "POST", f"{server.origin}/sign-in?{extra}",
        {**dict(urllib.parse.parse_qsl(extra)), **form["fields"], "username": "grace", "password": PASSWORD},
    )
    equal((reply.status, reply.header("Location")), (303, "/account"), "after sign-in")
