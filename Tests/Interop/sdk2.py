"""Connections of the official Python SDK, mcp 2.3.0, unmodified."""

from contextlib import asynccontextmanager

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

from sdk_scenarios import Connection, ToolFailed, callback_parameters
from support import REDIRECT


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
        return AuthorizationCodeResult(code=parameters["code"], state=parameters["state"], iss=parameters.get("iss"))

    return OAuthClientProvider(
        server_url=url,
        client_metadata=OAuthClientMetadata(client_name="mcp 2.3.0", redirect_uris=[REDIRECT], token_endpoint_auth_method="none"),
        storage=MemoryStorage(), redirect_handler=open_browser, callback_handler=wait_for_callback)


class Connected(Connection):
    def __init__(self, client, provider):
        self.client = client
        self.provider = provider
        self.version = client.session.protocol_version

    async def tools(self):
        return [tool.name for tool in (await self.client.list_tools()).tools]

    async def call(self, name, **arguments):
        result = await self.client.call_tool(name, arguments)
        if result.is_error:
            raise ToolFailed(result.content[0].text)
        return result.structured_content


@asynccontextmanager
async def connect(url, browser, **options):
    auth = provider(url, browser)
    async with httpx2.AsyncClient(auth=auth, timeout=30) as http:
        async with Client(streamable_http_client(url, http_client=http), **options) as client:
            yield Connected(client, auth)
