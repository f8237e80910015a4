"""The official Python SDK, mcp 1.30.0, unmodified: the wire with a handshake."""

from contextlib import asynccontextmanager

import httpx
from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

from sdk_scenarios import Connection, ToolFailed, callback_parameters, define
from support import HANDSHAKE, REDIRECT, main


class MemoryStorage(TokenStorage):
    tokens = None
    client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info


def provider(url, browser):
    callback = {}

    async def open_browser(authorization_url):
        callback["url"] = browser.authorize(authorization_url)

    async def wait_for_callback():
        parameters = callback_parameters(callback["url"])
        return parameters["code"], parameters["state"]

    return OAuthClientProvider(
        server_url=url,
        client_metadata=OAuthClientMetadata(client_name="mcp 1.30.0", redirect_uris=[REDIRECT], token_endpoint_auth_method="none"),
        storage=MemoryStorage(), redirect_handler=open_browser, callback_handler=wait_for_callback)


class Connected(Connection):
    def __init__(self, session, provider, version):
        self.session = session
        self.provider = provider
        self.version = version

    async def tools(self):
        return [tool.name for tool in (await self.session.list_tools()).tools]

    async def call(self, name, **arguments):
        result = await self.session.call_tool(name, arguments)
        if result.isError:
            raise ToolFailed(result.content[0].text)
        return result.structuredContent


@asynccontextmanager
async def connect(url, browser):
    auth = provider(url, browser)
    async with httpx.AsyncClient(auth=auth, timeout=30) as http:
        async with streamable_http_client(url, http_client=http) as (reader, writer, _):
            async with ClientSession(reader, writer) as session:
                answer = await session.initialize()
                yield Connected(session, auth, answer.protocolVersion)


define(connect, HANDSHAKE)

if __name__ == "__main__":
    main("sdk1")
