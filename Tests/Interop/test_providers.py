"""Sign-in through identity providers: the simulated one, a provider that others wrote, and another server of ours.

In front is the official Python SDK, unmodified. The person at the browser follows the pages of both servers.
"""

import asyncio
import http.server
import json
import os
import re
import select
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from mcp.shared.exceptions import MCPError, UrlElicitationRequiredError
from mcp_types import ElicitResult

import glewlwyd
from provider_person import Person
from sdk2 import connect
from support import (
    Browser, Client, Failure, Forms, Server, check, claims_of, equal, free_port, main, new_verifier, query_of, send, test,
)

SIMULATED = ("--sign-in", "simulated", "--sign-in", "password")


def whoami(url, browser):
    async def go():
        async with connect(url, browser) as client:
            return await client.call("whoami")

    return asyncio.run(go())


simulated = None


def demo():
    global simulated
    if simulated is None:
        simulated = Server(*SIMULATED)
    return simulated


@test("the official client, through our consent and a provider: the tool knows the user, and the same account is the same user")
def _():
    first = whoami(demo().url, Person("simulated"))
    check(first["subject"].startswith("user-"), first)
    equal(whoami(demo().url, Person("simulated"))["subject"], first["subject"], "the same account again")
    check(whoami(demo().url, Person("simulated", "Grace Hopper"))["subject"] != first["subject"], "another account")


@test("R60, R66, R67, P-02, P-03: the application is allowed before the browser leaves, and another browser cannot finish")
def _():
    server = demo()
    client = Client(server)
    person = Person("simulated")
    url = client.authorization_url(new_verifier())
    reply = person.get(url)
    form = next(form for form in Forms(reply.text).forms if any(name == "provider" for name, _ in form["buttons"]))
    reply = person.submit(url, form, {"provider": "simulated"})
    equal(reply.status, 200, "the consent page")
    form = next(form for form in Forms(reply.text).forms if any(name == "decision" for name, _ in form["buttons"]))
    reply = person.submit(url, form, {"decision": "allow"})
    equal(reply.status, 303, "the departure")
    departure = reply.header("Location")
    check(departure.startswith(server.origin + "/simulated/authorize?"), departure)
    sent = query_of(departure)
    equal((sent["code_challenge_method"], sent["response_type"]), ("S256", "code"), "PKCE")
    check(len(sent["state"]) == 43 and sent["nonce"] != sent["state"] and "resource" not in sent, sent)
    page = person.get(departure)
    link = urllib.parse.urljoin(departure, re.search(r'href="([^"]+1001)"', page.text)[1].replace("&amp;", "&"))
    answer = person.get(link).header("Location")
    stranger = Browser()
    stranger.get(server.origin + "/account")
    equal(stranger.get(answer).status, 403, "another browser")
    equal(person.get(answer).status, 400, "used up")
    equal(person.get(server.origin + "/sign-in/callback/simulated?code=code-1&state=" + "A" * 43).status, 400, "a state that nobody gave")


@test("P-12: who says no at the provider returns to the application with access_denied, state and iss")
def _():
    server = demo()
    client = Client(server)

    class Unwilling(Person):
        def answer(self, url, reply):
            if "/simulated/authorize" in url:
                target = urllib.parse.urljoin(url, re.search(r'href="([^"]+simulated_account=-)"', reply.text)[1].replace("&amp;", "&"))
                return target, self.get(target)
            return super().answer(url, reply)

    answer = query_of(Unwilling("simulated").authorize(client.authorization_url(new_verifier(), state="st")))
    equal((answer["error"], answer["state"], answer["iss"]), ("access_denied", "st", server.origin), "the answer")


@test("P-06: no secret of the provider is in a page, an answer, a token, a log or the database")
def _():
    server = demo()
    client = Client(server)
    person = Person("simulated")
    verifier = new_verifier()
    answer = query_of(person.authorize(client.authorization_url(verifier)))
    reply = client.redeem(answer["code"], verifier)
    equal(reply.status, 200, "tokens")
    texts = {
        "the token answer": reply.text, "the claims": json.dumps(claims_of(reply.json["access_token"])),
        "the account page": person.get(server.origin + "/account").text, "the output": server.output(),
    }
    for name in os.listdir(server.data):
        with open(os.path.join(server.data, name), "rb") as file:
            texts[name] = file.read().decode("latin-1")
    for what, text in texts.items():
        check("canary" not in text, f"a secret of the provider is in {what}")


def connect_provider(browser, url):
    """Follows the link of an elicitation: the user of the browser connects the simulated provider."""
    reply = browser.get(url)
    for _ in range(8):
        form = next((form for form in Forms(reply.text).forms if "password" in form["types"]), None)
        if form:
            reply = browser.submit(url, form, {"username": browser.user, "password": browser.password})
        while reply.status == 303:
            url = urllib.parse.urljoin(url, reply.header("Location"))
            reply = browser.get(url)
        if "/simulated/authorize" in url:
            link = re.search(r'href="([^"]+1001)"', reply.text)[1].replace("&amp;", "&")
            url = urllib.parse.urljoin(url, link)
            reply = browser.get(url)
            continue
        buttons = next((form for form in Forms(reply.text).forms if any(name == "provider" for name, _ in form["buttons"])), None)
        if not buttons or "password" in {t for form in Forms(reply.text).forms for t in form["types"]}:
            return reply
        reply = browser.submit(url, buttons, {"provider": "simulated"})
    raise Failure("no end")


@test("R80 to R82: the official client opens the page that a tool needs, and the call goes on when its user is back")
def _():
    for delay in (0, 3):
        with Server(*SIMULATED) as server:
            browser = Browser()
            opened = []

            async def elicit(_context, params):
                opened.append(params)
                def connect_it():
                    time.sleep(delay)
                    return connect_provider(browser, params.url)
                task = asyncio.get_running_loop().run_in_executor(None, connect_it)
                if not delay:
                    reply = await task
                    check(reply.status == 200 and "Return to the application" in reply.text, lambda: visible_text(reply.text))
                return ElicitResult(action="accept")

            async def go():
                async with connect(server.url, browser, elicitation_callback=elicit) as client:
                    return await client.call("provider-access")

            access = asyncio.run(go())
            equal((access["provider"], len(opened), opened[0].mode), ("Simulator", 1, "url"), "the call")
            check(opened[0].url.startswith(server.origin + "/account/connect?request="), opened[0].url)


class PersonWithBoth(Browser):
    """Signs in with a password, and has an account at the simulated provider."""

    departures = 0

    def answer(self, url, reply):
        if "/simulated/authorize" in url:
            self.departures += 1
            target = urllib.parse.urljoin(url, re.search(r'href="([^"]+1001)"', reply.text)[1].replace("&amp;", "&"))
            return target, self.get(target)
        return super().answer(url, reply)


@test("MCP 2025-11-25 has an error with the page, which is for its user alone")
def _():
    with Server(*SIMULATED) as server:
        browser = Browser()

        async def never(_context, _params):
            raise Failure("this revision has an error instead")

        async def call():
            async with connect(server.url, browser, mode="legacy", elicitation_callback=never) as client:
                try:
                    return await client.call("provider-access")
                except MCPError as error:
                    return UrlElicitationRequiredError.from_error(error.error)

        asked = asyncio.run(call()).elicitations[0]
        check(asked.url.startswith(server.origin + "/account/connect?request=") and asked.elicitation_id, asked)
        equal(connect_provider(Browser("grace"), asked.url).status, 403, "another user opens the link")
        equal(connect_provider(browser, asked.url).status, 200, "the page")
        equal(asyncio.run(call())["provider"], "Simulator", "connected")


@test("R9: the official client without elicitation steps up to connect:simulated, and its user is led through the provider")
def _():
    for options in ({}, {"mode": "legacy"}):
        with Server(*SIMULATED) as server:
            browser = PersonWithBoth()

            async def go():
                async with connect(server.url, browser, **options) as client:
                    return await client.call("provider-access"), await client.call("provider-access")

            first, second = asyncio.run(go())
            equal((first["provider"], second["provider"]), ("Simulator", "Simulator"), "the calls")
            equal((browser.departures, browser.visits), (1, 2), "visits of the provider, and of our pages")


@test("only whom the operator admits: a verified address of the domain, and nobody else")
def _():
    server = Server("--sign-in", "simulated", "--admit-domain", "acme.example")
    try:
        check(whoami(server.url, Person("simulated"))["subject"], "ada")
        for account in ("Grace Hopper", "Lin Unverified"):
            try:
                Person("simulated", account).authorize(Client(server).authorization_url(new_verifier()))
                raise AssertionError(f"{account} entered")
            except Failure as failure:
                check("may not be used here" in str(failure), str(failure))
        check([event for event in server.audit() if event.get("reason") == "not_admitted"], "the audit log says why")
    finally:
        server.remove()


@test("a provider that others wrote (authlib): discovery, PKCE, nonce, ID token and userinfo")
def _():
    port = free_port()
    venvs = os.environ.get("MCP_AUTH_VENVS", ".build/venvs")
    process = subprocess.Popen(
        [os.path.join(venvs, "providers/bin/oidc-provider-mock"), "--port", str(port), "--require-nonce", "true"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        issuer = f"http://127.0.0.1:{port}"
        for _ in range(100):
            try:
                if send("GET", issuer + "/.well-known/openid-configuration").status == 200:
                    break
            except OSError:
                pass
            time.sleep(0.1)
        issuer = send("GET", issuer + "/.well-known/openid-configuration").json["issuer"].rstrip("/")
        os.environ.update(OIDC_ISSUER=issuer, OIDC_CLIENT_ID="any", OIDC_CLIENT_SECRET="any", OIDC_NAME="Mock")
        server = Server("--sign-in", "oidc")
        try:
            first = whoami(server.url, Person("oidc", "person-1"))
            equal(whoami(server.url, Person("oidc", "person-1"))["subject"], first["subject"], "the same person")
            check(whoami(server.url, Person("oidc", "person-2"))["subject"] != first["subject"], "another person")
        finally:
            server.remove()
    finally:
        for name in ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_NAME"):
            os.environ.pop(name, None)
        process.kill()
        process.wait()


class GlewlwydPerson(Person):
    """Also signs in at glewlwyd."""

    def answer(self, url, reply):
        return glewlwyd.answer(self, url) or super().answer(url, reply)


@test("a provider in C that others wrote (glewlwyd): discovery below a path, PKCE, client secret, ID token, userinfo")
def _():
    if not glewlwyd.is_installed():
        print("skipped: Debian's glewlwyd is not installed", file=sys.stderr)
        return
    with glewlwyd.Glewlwyd(free_port()) as provider:
        port = free_port()
        client = provider.register(f"http://127.0.0.1:{port}/sign-in/callback/oidc")
        os.environ.update(
            OIDC_ISSUER=provider.issuer, OIDC_CLIENT_ID=client["client_id"], OIDC_CLIENT_SECRET=client["client_secret"], OIDC_NAME="Glewlwyd")
        server = Server("--sign-in", "oidc", port=port)
        try:
            first = whoami(server.url, GlewlwydPerson("oidc"))
            equal(whoami(server.url, GlewlwydPerson("oidc"))["subject"], first["subject"], "the same person")
            equal(first["name"], "Ada Lovelace", "name")
        finally:
            server.remove()
            for name in ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_NAME"):
                os.environ.pop(name, None)


@test("our own authorization server is the provider of another one")
def _():
    upstream = Server()
    try:
        reply = send(
            "POST", upstream.origin + "/register",
            json.dumps({
                "client_name": "the other server", "redirect_uris": ["http://127.0.0.1/sign-in/callback/oidc"],
                "token_endpoint_auth_method": "client_secret_basic",
            }).encode(), {"Content-Type": "application/json"})
        equal(reply.status, 201, "registration")
        os.environ.update(
            AUTH_ISSUER=upstream.origin, AUTH_CLIENT_ID=reply.json["client_id"], AUTH_CLIENT_SECRET=reply.json["client_secret"], OIDC_NAME="Upstream")
        server = Server("--sign-in", "oidc")
        try:
            first = whoami(server.url, Person("oidc"))
            check(first["subject"].startswith("user-"), first)
            check(whoami(server.url, Person("oidc", user="grace"))["subject"] != first["subject"], "another user of the upstream server")
        finally:
            server.remove()
    finally:
        for name in ("AUTH_ISSUER", "AUTH_CLIENT_ID", "AUTH_CLIENT_SECRET", "OIDC_NAME"):
            os.environ.pop(name, None)
        upstream.remove()


@test("what is missing for a provider is one line with the variables and where they come from; nothing is left behind")
def _():
    folder = tempfile.mkdtemp(prefix="mcp-auth-test-")
    for arguments, words in (
        (["--sign-in", "github"], ["GITHUB_CLIENT_ID, GITHUB_CLIENT_SECRET", "/sign-in/callback/github", "mcp-auth providers github"]),
        (["--sign-in", "auth0"], ["AUTH0_DOMAIN", "acme.eu.auth0.com", "mcp-auth providers auth0"]),
        (["--sign-in", "githb"], ["did you mean github?"]),
        (["--sign-in", "simulated", "--origin", "https://tasks.example.com"], ["every visitor could sign in as any account"]),
    ):
        data = os.path.join(folder, "data")
        done = subprocess.run([sys.argv[1], "demo", "--port", str(free_port()), "--data", data, *arguments], capture_output=True, text=True, timeout=30)
        equal(done.returncode, 64 if "githb" in arguments else 78, str(arguments))
        equal(len(done.stderr.strip().splitlines()), 1, done.stderr)
        for word in words:
            check(word in done.stderr, f"{word} is not in {done.stderr}")
        check(not os.path.exists(data), "a folder was left behind")


@test("a corporate proxy with a certificate authority of its own: HTTPS_PROXY and SSL_CERT_FILE; without either, nothing is reached")
def _():
    folder = tempfile.mkdtemp(prefix="mcp-auth-test-")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Corp CA", "-days", "30")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=id.corp.test")
    with open(os.path.join(folder, "names"), "w") as file:
        file.write("subjectAltName=DNS:id.corp.test\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "server.pem", "-days", "30", "-extfile", "names")

    class Issuer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            documents = {
                "/.well-known/oauth-authorization-server": {
                    "issuer": "https://id.corp.test", "authorization_endpoint": "https://id.corp.test/authorize",
                    "token_endpoint": "https://id.corp.test/token", "jwks_uri": "https://id.corp.test/keys", "code_challenge_methods_supported": ["S256"],
                },
                "/keys": {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "1", "alg": "EdDSA"}]},
            }
            body = json.dumps(documents.get(self.path, {})).encode()
            self.send_response(200 if self.path in documents else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    issuer = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Issuer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, "server.pem"), os.path.join(folder, "server.key"))
    issuer.socket = context.wrap_socket(issuer.socket, server_side=True)
    asked = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self):
            asked.append(self.path)
            upstream = socket.create_connection(("127.0.0.1", issuer.server_port))
            self.send_response(200)
            self.end_headers()
            sockets = [self.connection, upstream]
            while True:
                ready, _, _ = select.select(sockets, [], [], 10)
                if not ready:
                    break
                for one in ready:
                    data = one.recv(65536)
                    if not data:
                        return
                    (upstream if one is self.connection else self.connection).sendall(data)

        def log_message(self, *_):
            pass

    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    for server in (issuer, proxy):
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def doctor(**environment):
        done = subprocess.run(
            [sys.argv[1], "doctor", "--issuer", "https://id.corp.test", "--json"], capture_output=True, text=True, timeout=60,
            env={**os.environ, **environment})
        return done.returncode, json.loads(done.stdout)

    route = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.server_port}"}
    code, report = doctor(**route, SSL_CERT_FILE=os.path.join(folder, "ca.pem"))
    equal((code, report["keys"]), (1, 1), str(report))  # it has warnings
    equal(set(asked), {"id.corp.test:443"}, "what the proxy was asked for")
    equal(doctor(**route)[0], 69, "another certificate authority is not trusted")
    asked.clear()
    equal(doctor(SSL_CERT_FILE=os.path.join(folder, "ca.pem"))[0], 69, "the name leads nowhere without the proxy")
    equal(doctor(**route, SSL_CERT_FILE=os.path.join(folder, "ca.pem"), NO_PROXY="corp.test")[0], 69, "NO_PROXY")
    equal(asked, [], "the proxy was not asked")
    for server in (issuer, proxy):
        server.shutdown()


if __name__ == "__main__":
    main("providers")
