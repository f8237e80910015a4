"""Our client against servers that nobody here wrote: MCP servers and authorization servers of other projects."""

import json
import sys
import time

import glewlwyd
from client_home import AuthlibServer, Home, Stranger, at_terminal
from support import check, equal, free_port, main, test


def walk(environment, kind, issuer=None, **options):
    """A user's way through one server: sign-in, every kind of call, sign-out, and a server that forgets the client."""
    with Stranger(environment, kind, issuer=issuer) as server:
        home = Home()
        home.fails(77, "mcp-auth login", "tools", server.url, MCP_AUTH_BROWSER=None)
        home.good("login", server.url)
        names = [tool["name"] for tool in json.loads(home.good("tools", server.url, "--json"))]
        equal(names, ["add", "fail", "count", "big", "ask"], "tools")
        result = json.loads(home.good("call", server.url, "add", "a=2", "b=40", "--json"))
        equal(result["content"][0]["text"], "42", "add")
        check("fail" in home.run("call", server.url, "fail").stdout, "a tool that fails says so")
        equal(home.run("call", server.url, "fail").returncode, 1, "exit code of a tool that fails")
        done = home.run("call", server.url, "count")
        check(done.stdout.strip() == "three" and "3" in done.stderr, lambda: f"progress: {done}")
        equal(len(home.good("call", server.url, "big").strip()), 3_000_000, "a large result")
        check("write tests" in home.good("resources", server.url, "notes://today"), "resource")
        check("Plan the day Monday" in home.good("prompts", server.url, "plan", "date=Monday"), "prompt")
        equal(len(home.good("token", server.url).strip().split("\n")), 1, "token")
        home.good("logout", server.url)
        if kind == "sdk":
            equal(server.count("revoke"), 1, "revocations at the server")
        home.fails(77, "mcp-auth login", "call", server.url, "add", "a=1", "b=1", MCP_AUTH_BROWSER=None)
        # The server forgets everything: registration and grant. One command signs in again by itself.
        home.good("login", server.url)
        server.stop()
        server.start()
        equal(home.good("call", server.url, "add", "a=1", "b=1").strip(), "2", "after the server has forgotten the client")


@test("elicitation: what a server wants to know during a call is asked at the terminal, and sent after the user agrees")
def elicitation():
    for environment, version in (("mcp1", "2025-06-18"), ("mcp2", "2025-11-25")):
        with Stranger(environment, "sdk") as server:
            home = Home()
            home.good("login", server.url)
            call = ("call", server.url, "ask", "--protocol-version", version)
            shown, code = at_terminal(home, *call, answers=[("Name:", "Ada"), ("Age:", "36"), ("[y/N]", "y")])
            check("accept Ada 37" in shown and code == 0, f"{environment}: {shown!r}")
            shown, code = at_terminal(home, *call, answers=[("Name:", "Ada"), ("Age:", "36"), ("[y/N]", "n")])
            check("decline" in shown, f"{environment}: {shown!r}")
            # Without a terminal no user can be asked, and the server learns that.
            check(home.run(*call).returncode == 1, environment)


@test("R16, R17, R18, R20, R24, R25, R28, R30, R38, R40, R43, R44, R45: the official Python server 2.3.0 with its own authorization server: sign-in, tools, resources, prompts, a forgotten client")
def official():
    walk("mcp2", "sdk")


@test("R16, R17, R18, R20, R24, R25, R28, R30, R38, R40, R43, R44, R45: the official Python server 1.30.0, whose issuer ends with a slash")
def official_before():
    walk("mcp1", "sdk")


@test("R16, R17, R18, R20, R24, R25, R28, R30, R38, R40, R43, R44, R45: FastMCP 4 with its in-memory provider")
def fastmcp():
    walk("fastmcp", "fastmcp")


@test("R16, R17, R18, R20, R24, R25, R28, R30, R38, R40, R43, R44, R45: FastMCP 2 with its in-memory provider")
def fastmcp_before():
    walk("fastmcp2", "fastmcp")



def renewals(server, home, authority, times):
    """Calls beyond the lifetime of tokens need no sign-in, and each refresh token is used once."""
    for number in range(times):
        time.sleep(3.1)
        equal(home.good("call", server.url, "add", f"a={number}", "b=1", MCP_AUTH_BROWSER=None).strip(), str(number + 1), "after a renewal")
    equal((authority.count("grant"), authority.count("refresh"), authority.count("reuse")), (1, times, 0), "grants, renewals, reuse")


@test("R16, R17, R22, R24, R28, R30, R35, R43, R45: an authorization server of authlib, whose tokens the official server introspects: registration, PKCE, iss, rotation, revocation")
def authlib():
    with AuthlibServer(seconds=3) as authority, Stranger("mcp2", "introspecting", issuer=authority.origin) as server:
        home = Home()
        home.good("login", server.url)
        equal(home.good("call", server.url, "add", "a=2", "b=40").strip(), "42", "add")
        renewals(server, home, authority, 2)
        home.good("logout", server.url)
        equal(authority.count("revoke"), 1, "revocations")
        home.fails(77, "mcp-auth login", "call", server.url, "add", "a=1", "b=1", MCP_AUTH_BROWSER=None)
        # The authorization server forgets its clients: it answers the next sign-in with an error page, and the client registers again.
        home.good("login", server.url)
        authority.stop()
        authority.start()
        equal(home.good("call", server.url, "add", "a=1", "b=1").strip(), "2", "after the authorization server has forgotten the client")


@test("R16, R17, R18, R24, R28, R30, R43: glewlwyd as the authorization server of the official server and of FastMCP (remote): OpenID metadata below a path, registration, resource")
def with_glewlwyd():
    if not glewlwyd.is_installed():
        print("skipped: Debian's glewlwyd is not installed", file=sys.stderr)
        return
    resources = {}
    with glewlwyd.Glewlwyd(free_port()) as authority:
        for environment, kind in (("mcp2", "verifying"), ("fastmcp", "fastmcp-remote")):
            with Stranger(environment, kind, issuer=authority.issuer) as server:
                authority.allow_resource(server.url)
                home = Home()
                shown = json.loads(home.good("login", server.url, "--json"))
                equal(shown["issuer"], authority.issuer, "issuer")
                equal(home.good("call", server.url, "add", "a=2", "b=40").strip(), "42", "add")
                claims = json.loads(home.good("token", "inspect", home.good("token", server.url).strip(), "--json"))
                check(server.url in json.dumps(claims), lambda: f"the audience is missing: {claims}")
                home.good("logout", server.url)
                home.fails(77, "mcp-auth login", "call", server.url, "add", "a=1", "b=1", MCP_AUTH_BROWSER=None)
                check("glewlwyd" not in home.run("doctor", server.url).stderr, "doctor")


@test("R16, R24, R28, R30, R45: FastMCP's OAuth proxy in front of authlib: its registration, its page for consent, renewal through both")
def proxy():
    with AuthlibServer(seconds=3) as authority, Stranger("fastmcp", "fastmcp-proxy", issuer=authority.origin) as server:
        authority.serve_proxy(server.origin + "/auth/callback")
        home = Home()
        home.good("login", server.url)
        equal(home.good("call", server.url, "add", "a=2", "b=40").strip(), "42", "add")
        time.sleep(3.1)
        equal(home.good("call", server.url, "add", "a=1", "b=1", MCP_AUTH_BROWSER=None).strip(), "2", "after a renewal")
        equal((authority.count("grant"), authority.count("reuse")), (1, 0), "grants and reuse at the authorization server behind the proxy")
        home.good("logout", server.url)


if __name__ == "__main__":
    main("strangers")
