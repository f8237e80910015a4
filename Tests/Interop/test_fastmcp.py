"""FastMCP 4.0.11 as a client, unmodified except that its browser is ours."""

import asyncio
import warnings
from contextlib import asynccontextmanager

from fastmcp import Client
from fastmcp.client.auth import OAuth
from mcp.shared.auth import AuthorizationCodeResult

from provider_person import Person
from sdk_scenarios import Connection, ToolFailed, callback_parameters, define
from support import MODERN, Server, check, free_port, main, test

warnings.filterwarnings("ignore")  # it warns that tokens are kept in memory, which is what tests want


class OAuthWithBrowser(OAuth):
    """Its own redirect handler opens a screen, and its own callback handler a port; both are replaced, nothing else."""

    browser = None
    callback = None

    async def redirect_handler(self, authorization_url):
        self.callback = self.browser.authorize(authorization_url)

    async def callback_handler(self):
        parameters = callback_parameters(self.callback)
        return AuthorizationCodeResult(code=parameters["code"], state=parameters["state"], iss=parameters.get("iss"))


class Connected(Connection):
    def __init__(self, client, provider):
        self.client = client
        self.provider = provider
        self.version = client.session.protocol_version

    async def tools(self):
        return [tool.name for tool in await self.client.list_tools()]

    async def call(self, name, **arguments):
        result = await self.client.call_tool(name, arguments, raise_on_error=False)
        if result.is_error:
            raise ToolFailed(result.content[0].text)
        return result.structured_content


@asynccontextmanager
async def connect(url, browser):
    auth = OAuthWithBrowser(
        client_name="fastmcp 4.0.11", callback_port=free_port(), additional_client_metadata={"token_endpoint_auth_method": "none"})
    auth.browser = browser
    async with Client(url, auth=auth) as client:
        yield Connected(client, auth)


define(connect, MODERN)


@test("fastmcp, through our consent and an identity provider: the tool knows the user")
def _():
    server = Server("--sign-in", "simulated")

    async def whoami(account):
        async with connect(server.url, Person("simulated", account)) as client:
            return (await client.call("whoami"))["subject"]

    try:
        ada = asyncio.run(whoami("Ada Lovelace"))
        check(ada.startswith("user-") and ada != asyncio.run(whoami("Grace Hopper")), ada)
    finally:
        server.remove()


if __name__ == "__main__":
    main("fastmcp")
