"""The example for people, run as they run it, with a program in place of their browser."""

import os
import re
import subprocess
import sys
import time

from support import PASSWORD, Server, check, equal, free_port, main, send, test

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


if __name__ == "__main__":
    main("example")
