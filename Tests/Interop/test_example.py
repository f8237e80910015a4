"""The example for people, run as they run it, with a program in place of their browser."""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time

from support import (
    PASSWORD, Browser, Client, Failure, Forms, Server, check, equal, free_port, main, modern_body, modern_headers, query_of, send, test,
)

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLE = os.path.join(HERE, "..", "..", "Examples", "clients", "python_sdk.py")


def run_example(server, decision="allow", *arguments):
    """$BROWSER is what Python's webbrowser opens; ours signs in and comes back to the example's own port, after somebody else has tried."""
    browser = os.path.join(server.folder, "browser")
    with open(browser, "w") as file:
        file.write(f"""#!{sys.executable}
import sys, urllib.parse
sys.path.insert(0, {HERE!r})
from support import Browser, check, query_of, send
callback = query_of(sys.argv[1])["redirect_uri"]
for query in ("code=forged", "code=forged&state=forged", "error=forged&state=", ""):
    check(send("GET", callback + "?" + query).status == 404, "a visit with another state counted")
location = Browser("ada", {PASSWORD!r}, {decision!r}).authorize(sys.argv[1])
check(send("GET", location).status == 200, "the callback did not answer")
check(send("GET", location.replace("/callback", "/other")).status == 404, "another path answered")
""")
    os.chmod(browser, 0o700)
    environment = dict(os.environ, BROWSER=browser + " %s")
    return subprocess.run([sys.executable, EXAMPLE, server.url, *arguments], env=environment, capture_output=True, text=True, timeout=90)


@test("C-11: Examples/clients/python_sdk.py signs in by a browser and calls tools; a forged callback changes nothing")
def _():
    with Server() as server:
        result = run_example(server)
        equal(result.returncode, 0, f"exit status ({result.stderr[-400:]})")
        for text in ("Connected by MCP 2026-07-28", "search-tasks", "delete-task", "Tasks: Try the Python example", "You are ada, and this client may: ", "delete:tasks"):
            check(text in result.stdout, f"{text!r} is not in: {result.stdout}")
        check("counted" not in result.stderr and "did not answer" not in result.stderr, result.stderr[-400:])
        equal(len(server.audit("token.issued", "allowed")), 1, "tokens issued")
        equal(server.audit("token.issued", "denied"), [], "codes refused")


@test("Examples/clients/python_sdk.py calls any tool by name, with arguments as key=value")
def _():
    with Server() as server:
        result = run_example(server, "allow", "create-task", "text=Buy milk")
        equal(result.returncode, 0, f"exit status ({result.stderr[-400:]})")
        check('"text": "Buy milk"' in result.stdout, result.stdout)
        result = run_example(server, "allow", "search-tasks", "limit=1")
        check('"text": "Buy milk"' in result.stdout, result.stdout)
        result = run_example(server, "allow", "delete-task", "id=999")
        equal(result.returncode, 1, "a tool that fails")
        check("You have no task 999." in result.stdout, result.stdout)


@test("Examples/clients/python_sdk.py opens the browser again when a tool needs more")
def _():
    with Server("--initial-scope", "read:tasks") as server:
        result = run_example(server)
        equal(result.returncode, 0, f"exit status ({result.stderr[-400:]})")
        equal(result.stdout.count("Sign in with your browser"), 2, "how often the browser was opened")
        check("this client may: read:tasks write:tasks" in result.stdout, result.stdout)


@test("Examples/clients/python_sdk.py says so when consent is denied")
def _():
    with Server() as server:
        result = run_example(server, "deny")
        said = result.stdout + result.stderr
        check(result.returncode != 0 and "access_denied" in said, f"{result.returncode} {said[-600:]}")
        equal(len(server.audit("token.issued", "allowed")), 0, "tokens issued")


@test("Examples/AnyFramework starts, with a router that takes each path once, and protects its routes")
def _():
    port = free_port()
    environment = dict(os.environ, AUTH_ISSUER="https://issuer.example", PORT=str(port))
    process = subprocess.Popen([os.path.join(os.path.dirname(os.path.abspath(sys.argv[1])), "example-any-framework")], env=environment, stdout=subprocess.PIPE, text=True)
    origin = f"http://127.0.0.1:{port}"
    try:
        for _ in range(100):
            check(process.poll() is None, lambda: f"ended with {process.returncode}")
            try:
                reply = send("GET", origin + "/tasks")
                break
            except OSError:
                time.sleep(0.1)
        equal(reply.status, 401, "without a token")
        metadata = re.search(r'resource_metadata="([^"]+)"', reply.header("WWW-Authenticate"))[1]
        for url in (metadata, origin + "/.well-known/oauth-protected-resource"):
            document = send("GET", url)
            equal((document.status, document.json["resource"]), (200, origin + "/tasks"), url)
        equal(send("DELETE", origin + "/tasks/1").status, 401, "DELETE without a token")
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def example(name, **environment):
    """A running example, in a folder of its own. Yields its origin."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [binary(name)], env=dict(os.environ, PORT=str(port), **environment), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        origin = f"http://127.0.0.1:{port}"
        try:
            for _ in range(150):
                check(process.poll() is None, lambda: f"{name} ended with {process.returncode}: {process.stderr.read()[-600:]}")
                try:
                    send("GET", origin + "/")
                    break
                except OSError:
                    time.sleep(0.1)
            yield origin
        finally:
            process.terminate()
            process.communicate(timeout=10)


def binary(name):
    return os.path.join(os.path.dirname(os.path.abspath(sys.argv[1])), "example-" + name)


def refused(name, **environment):
    """What an example says that lacks a setting."""
    done = subprocess.run([binary(name)], env=dict(os.environ, PORT=str(free_port()), **environment), capture_output=True, text=True, timeout=30)
    equal(done.returncode, 78, f"{name} without its settings: {done.stderr[-300:]}")
    equal(done.stderr.count("\n"), 1, done.stderr)
    return done.stderr


def tool(url, token, name, host=None):
    headers = modern_headers(token, "tools/call", name)
    if host:
        headers["Host"] = host
    return send("POST", url, json.dumps(modern_body("tools/call", {"name": name, "arguments": {}})), headers)


@test("Examples/GitHub: the sign-in page leads to GitHub with the scope of the tool, and what is missing is named")
def _():
    check("GITHUB_CLIENT_ID" in refused("github"), "the variable")
    with example("github", GITHUB_CLIENT_ID="client-at-github", GITHUB_CLIENT_SECRET="secret-at-github") as origin:
        browser = Browser()
        page = browser.get(origin + "/account")
        check("Continue with GitHub" in page.text and "password" not in page.text.lower(), page.text[:300])
        reply = browser.submit(origin + "/account", Forms(page.text).forms[0], {"provider": "github"})
        equal(reply.status, 303, "the departure")
        check(reply.header("Location").startswith("https://github.com/login/oauth/authorize?"), reply.header("Location"))
        sent = query_of(reply.header("Location"))
        equal((sent["client_id"], sent["redirect_uri"]), ("client-at-github", origin + "/sign-in/callback/github"), "the request")
        check("repo" in re.split("[ ,]", sent["scope"]) and sent["code_challenge_method"] == "S256", sent)
        equal(tool(origin + "/mcp", "x", "repositories").status, 401, "without a token")


@test("Examples/SignIn: Google, Entra and Keycloak, each with its button")
def _():
    credentials = {"CLIENT_ID": "client", "CLIENT_SECRET": "secret"}
    check("set CLIENT_ID" in refused("sign-in", PROVIDER="google"), "the variable")
    check("google, entra or keycloak, not other" in refused("sign-in", PROVIDER="other", COMPANY="x", **credentials), "the provider")
    check("set CLIENT_SECRET, REALM;" in refused("sign-in", PROVIDER="keycloak", COMPANY="x", CLIENT_ID="x"), "all that is missing")
    for provider, company, name in (
        ("google", "acme.com", "Google"), ("entra", "9a8b7c6d-1111-2222-3333-444455556666", "Microsoft"),
        ("keycloak", "https://id.acme.com", "Keycloak"),
    ):
        with example("sign-in", PROVIDER=provider, COMPANY=company, REALM="acme", **credentials) as origin:
            page = send("GET", origin + "/account").text
            check(f"Continue with {name}" in page, page[:300])


@test("Examples/Introspection: tokens of a separate authorization server, until they are revoked there")
def _():
    check("set AUTH_ISSUER" in refused("introspection"), "the variable")
    with Server() as server:
        done = subprocess.run(
            [sys.argv[1], "clients", "add", "reports", "--introspects", server.url, "--data", server.data, "--json"], capture_output=True, text=True)
        equal(done.returncode, 0, done.stderr)
        secret = json.loads(done.stdout)["client_secret"]
        client = Client(server)
        access, refresh = client.tokens(Browser())[:2]
        host = server.origin.removeprefix("http://")
        environment = {"AUTH_ISSUER": server.origin, "MCP_URL": server.url, "CLIENT_ID": "reports", "TRUSTED_PROXIES": "1"}
        with example("introspection", CLIENT_SECRET=secret, **environment) as origin:
            reply = tool(origin + "/mcp", access, "whoami", host)
            equal(reply.status, 200, reply.text)
            check(" at " + server.origin in reply.text, reply.text)
            equal(tool(origin + "/mcp", "unknown", "whoami", host).status, 401, "an unknown token")
            client.revoke(refresh)
            for _ in range(150):
                if tool(origin + "/mcp", access, "whoami", host).status == 401:
                    break
                time.sleep(0.1)
            else:
                raise Failure("the revoked token is still accepted")
        with example("introspection", CLIENT_SECRET="wrong", **environment) as origin:
            equal(tool(origin + "/mcp", client.tokens(Browser())[0], "whoami", host).status, 503, "a wrong secret decides nothing")


@test("Examples/APIKeys: a verifier of one's own: the key's user and scopes, and no other key")
def _():
    check("API_KEYS" in refused("api-keys"), "the variable")
    check("KEY=USER:SCOPE" in refused("api-keys", API_KEYS="short=ada:read"), "a short key")
    key = "k" * 40
    with example("api-keys", API_KEYS=f"{key}=ada:read {'w' * 40}=grace:read,write") as origin:
        reply = tool(origin + "/mcp", key, "whoami")
        check(reply.status == 200 and '"ada"' in reply.text, reply.text)
        equal(tool(origin + "/mcp", key, "write-report").status, 403, "a scope that the key does not have")
        equal(tool(origin + "/mcp", "w" * 40, "write-report").status, 200, "a key that has it")
        equal(tool(origin + "/mcp", "x" * 40, "whoami").status, 401, "another key")


if __name__ == "__main__":
    main("example")
