"""A protected MCP server of another project, for tests of our client.

    stranger.py KIND PORT [SECONDS] [STATISTICS]

KIND is sdk (the official Python SDK of the environment, with its own authorization server) or fastmcp. SECONDS is the lifetime of access tokens. The
authorization server of sdk rotates refresh tokens without grace: a token that is used twice ends the grant. It appends a line to STATISTICS for each
refresh and each reuse.
"""

import asyncio
import secrets
import sys
import time

from pydantic import BaseModel

kind, port = sys.argv[1], int(sys.argv[2])
lifetime = int(sys.argv[3]) if len(sys.argv) > 3 else 3600
statistics = sys.argv[4] if len(sys.argv) > 4 else None
origin = f"http://127.0.0.1:{port}"


def note(line):
    if statistics:
        with open(statistics, "a") as file:
            file.write(line + "\n")


def tools(server, context):
    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @server.tool()
    def fail() -> str:
        """Fail, always."""
        raise ValueError("this tool fails")

    async def count(ctx) -> str:
        """Count to three, with progress."""
        for number in range(3):
            await ctx.report_progress(number + 1, 3)
            await asyncio.sleep(0.01)
        return "three"

    count.__annotations__["ctx"] = context
    server.tool()(count)

    @server.tool()
    def big() -> str:
        """Return three million characters."""
        return "x" * 3_000_000

    class Name(BaseModel):
        name: str
        age: int

    async def ask(ctx) -> str:
        """Ask the user for a name."""
        answer = await ctx.elicit("Who are you?", Name)
        return f"{answer.action} {answer.data.name} {answer.data.age + 1}" if answer.action == "accept" else answer.action

    ask.__annotations__["ctx"] = context
    server.tool()(ask)

    @server.resource("notes://today", description="The note of today")
    def today() -> str:
        return "write tests"

    @server.prompt(description="Plan a day")
    def plan(date: str) -> str:
        return f"Plan the day {date}"


if kind == "fastmcp":
    from fastmcp import Context, FastMCP
    from fastmcp.server.auth.auth import ClientRegistrationOptions, RevocationOptions
    from fastmcp.server.auth.providers.in_memory import InMemoryOAuthProvider

    auth = InMemoryOAuthProvider(
        base_url=origin, client_registration_options=ClientRegistrationOptions(enabled=True, valid_scopes=["read", "write"]),
        revocation_options=RevocationOptions(enabled=True), required_scopes=["read"])
    server = FastMCP("stranger", auth=auth)
    tools(server, Context)
    server.run(transport="http", host="127.0.0.1", port=port, show_banner=False, log_level="warning")
    sys.exit()

from mcp.server.auth.provider import AccessToken, AuthorizationCode, RefreshToken, TokenError, construct_redirect_uri
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions, RevocationOptions
from mcp.shared.auth import OAuthToken


class Strict:
    """Everything in memory; everybody is signed in."""

    def __init__(self):
        self.clients, self.codes, self.access, self.refresh, self.used, self.ended = {}, {}, {}, {}, {}, set()

    async def get_client(self, client_id):
        return self.clients.get(client_id)

    async def register_client(self, client):
        self.clients[client.client_id] = client

    async def authorize(self, client, params):
        code = secrets.token_urlsafe(24)
        self.codes[code] = AuthorizationCode(
            code=code, client_id=client.client_id, redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly, scopes=params.scopes or ["read"],
            expires_at=time.time() + 60, code_challenge=params.code_challenge, resource=params.resource)
        return construct_redirect_uri(str(params.redirect_uri), code=code, state=params.state)

    async def load_authorization_code(self, client, code):
        return self.codes.get(code)

    def issue(self, client_id, scopes, resource, family):
        access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self.access[access] = (AccessToken(
            token=access, client_id=client_id, scopes=scopes, expires_at=int(time.time()) + lifetime, resource=resource), family)
        self.refresh[refresh] = (RefreshToken(token=refresh, client_id=client_id, scopes=scopes), family, resource)
        return OAuthToken(access_token=access, token_type="Bearer", expires_in=lifetime, refresh_token=refresh, scope=" ".join(scopes))

    async def exchange_authorization_code(self, client, code):
        del self.codes[code.code]
        note("grant")
        return self.issue(client.client_id, code.scopes, code.resource, secrets.token_hex(8))

    async def load_refresh_token(self, client, token):
        if token in self.used:
            note("reuse")
            self.ended.add(self.used[token])
            return None
        found = self.refresh.get(token)
        return found[0] if found and found[1] not in self.ended else None

    async def exchange_refresh_token(self, client, token, scopes):
        found = self.refresh.pop(token.token, None)
        if found is None:
            raise TokenError("invalid_grant", "used")
        self.used[token.token] = found[1]
        note("refresh")
        return self.issue(client.client_id, scopes or token.scopes, found[2], found[1])

    async def load_access_token(self, token):
        found = self.access.get(token)
        return found[0] if found and found[1] not in self.ended and found[0].expires_at > time.time() else None

    async def revoke_token(self, token):
        for store in (self.access, self.refresh):
            if token.token in store:
                note("revoke")
                self.ended.add(store[token.token][1])


settings = AuthSettings(
    issuer_url=origin, resource_server_url=origin + "/mcp", required_scopes=["read"], revocation_options=RevocationOptions(enabled=True),
    client_registration_options=ClientRegistrationOptions(enabled=True, valid_scopes=["read", "write"], default_scopes=["read"]))
try:
    from mcp.server.mcpserver import Context, MCPServer

    server = MCPServer("stranger", auth_server_provider=Strict(), auth=settings)
    tools(server, Context)
    server.run(transport="streamable-http", host="127.0.0.1", port=port)
except ImportError:
    from mcp.server.fastmcp import Context, FastMCP

    server = FastMCP("stranger", auth_server_provider=Strict(), auth=settings, host="127.0.0.1", port=port, log_level="WARNING")
    tools(server, Context)
    server.run(transport="streamable-http")
