"""A protected MCP server of another project, for tests of our client.

    stranger.py KIND PORT [SECONDS] [STATISTICS] [ISSUER]

KIND is

- sdk: the official Python SDK of the environment, with its own authorization server, which rotates refresh tokens without grace: a token that is used
  twice ends the grant. It appends a line to STATISTICS for each refresh and each reuse.
- fastmcp: FastMCP with the authorization server that it has in memory.
- introspecting, verifying: the official SDK as the resource server of the authorization server ISSUER, which it asks about each token, or whose keys
  it uses (glewlwyd).
- fastmcp-remote: FastMCP that trusts the tokens of ISSUER (glewlwyd).
- fastmcp-proxy: FastMCP's OAuth proxy in front of ISSUER (authlib), with its page for consent.

SECONDS is the lifetime of access tokens.
"""

import asyncio
import secrets
import sys
import time

from pydantic import BaseModel

kind, port = sys.argv[1], int(sys.argv[2])
lifetime = int(sys.argv[3]) if len(sys.argv) > 3 else 3600
statistics = sys.argv[4] if len(sys.argv) > 4 else None
issuer = sys.argv[5] if len(sys.argv) > 5 else None
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


if kind.startswith("fastmcp"):
    from fastmcp import Context, FastMCP

    if kind == "fastmcp":
        from fastmcp.server.auth.auth import ClientRegistrationOptions, RevocationOptions
        from fastmcp.server.auth.providers.in_memory import InMemoryOAuthProvider

        auth = InMemoryOAuthProvider(
            base_url=origin, client_registration_options=ClientRegistrationOptions(enabled=True, valid_scopes=["read", "write"]),
            revocation_options=RevocationOptions(enabled=True), required_scopes=["read"])
    elif kind == "fastmcp-remote":
        from fastmcp.server.auth import RemoteAuthProvider
        from fastmcp.server.auth.providers.jwt import JWTVerifier

        auth = RemoteAuthProvider(
            token_verifier=JWTVerifier(
                jwks_uri=issuer + "/jwks", issuer=issuer, audience=origin + "/mcp", algorithm="RS256", required_scopes=["read"]),
            authorization_servers=[issuer], base_url=origin)
    else:
        from fastmcp.server.auth import OAuthProxy
        from fastmcp.server.auth.providers.introspection import IntrospectionTokenVerifier

        auth = OAuthProxy(
            upstream_authorization_endpoint=issuer + "/authorize", upstream_token_endpoint=issuer + "/token",
            upstream_revocation_endpoint=issuer + "/revoke", upstream_client_id="proxy", upstream_client_secret="proxy-secret",
            token_verifier=IntrospectionTokenVerifier(
                introspection_url=issuer + "/introspect", client_id="resource-server", client_secret="resource-server-secret",
                required_scopes=["read"]),
            base_url=origin, jwt_signing_key="a key for the tests of the proxy")
    server = FastMCP("stranger", auth=auth)
    tools(server, Context)
    server.run(transport="http", host="127.0.0.1", port=port, show_banner=False, log_level="warning")
    sys.exit()

if kind in ("introspecting", "verifying"):
    import base64
    import json
    import urllib.parse
    import urllib.request

    import jwt
    from mcp.server.auth.provider import AccessToken, TokenVerifier
    from mcp.server.auth.settings import AuthSettings
    from mcp.server.mcpserver import Context, MCPServer

    class Verifier(TokenVerifier):
        async def verify_token(self, token):
            try:
                claims = await asyncio.to_thread(self.introspect if kind == "introspecting" else self.verify, token)
            except (OSError, jwt.PyJWTError):
                return None
            if not claims.get("active", True):
                return None
            return AccessToken(token=token, client_id=claims["client_id"], scopes=claims["scope"].split(), expires_at=claims["exp"])

        def introspect(self, token):
            basic = base64.b64encode(b"resource-server:resource-server-secret").decode()
            request = urllib.request.Request(
                issuer + "/introspect", data=urllib.parse.urlencode({"token": token}).encode(), headers={"Authorization": "Basic " + basic})
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)

        def verify(self, token):
            key = jwt.PyJWKClient(issuer + "/jwks").get_signing_key_from_jwt(token)
            return jwt.decode(token, key, algorithms=["RS256"], issuer=issuer, audience=origin + "/mcp")

    server = MCPServer(
        "stranger", token_verifier=Verifier(),
        auth=AuthSettings(issuer_url=issuer, resource_server_url=origin + "/mcp", required_scopes=["read"]))
    tools(server, Context)
    server.run(transport="streamable-http", host="127.0.0.1", port=port)
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
