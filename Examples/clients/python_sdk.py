"""Connects to a protected MCP server with the official Python SDK, signing in with your browser.

    pip install 'mcp==2.3.0'
    python3 python_sdk.py http://127.0.0.1:8000/mcp                            list the tools, and say who you are if there is a tool for it
    python3 python_sdk.py http://127.0.0.1:8000/mcp add-note text="Buy milk"   call a tool; a value that is JSON is sent as JSON

The SDK finds out everything that OAuth needs: where to sign in, how to register, what to ask for. What is left to an application is to open a
browser, and to wait at a port of this machine for the browser to come back. It works with every server; without a tool it tries those of `mcp-auth demo`.
"""

import asyncio
import http.server
import json
import sys
import threading
import urllib.parse
import webbrowser

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata


class Browser:
    """Sends the user's browser to the sign-in, and takes the answer that it comes back with."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.state = None
        # Port 0: the system chooses a free one. 127.0.0.1: nobody else can reach it. Threads: browsers also open connections that they do not use.
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.callback = f"http://127.0.0.1:{self.server.server_port}/callback"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def handler(self):
        browser = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                parts = urllib.parse.urlsplit(self.path)
                parameters = dict(urllib.parse.parse_qsl(parts.query))
                # Any page can send a browser here. Only the answer to our own question counts, and others do not end the waiting.
                if parts.path != "/callback" or browser.state is None or parameters.get("state") != browser.state:
                    return self.send_error(404)
                text = b"Done. You can close this window and go back to the terminal."
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
                browser.loop.call_soon_threadsafe(browser.came_back, parameters)

            def log_message(self, *_):
                pass  # the address holds the authorization code, which belongs in no log

        return Handler

    async def open(self, url):
        self.answer = self.loop.create_future()
        self.state = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))["state"]
        print(f"Sign in with your browser. If none opens, go to:\n\n  {url}\n", flush=True)
        # Opening may wait for a browser that stays in the foreground, so it gets a thread.
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    def came_back(self, parameters):
        if not self.answer.done():
            self.answer.set_result(parameters)

    async def wait(self):
        parameters = await asyncio.wait_for(self.answer, timeout=300)
        self.state = None
        if "code" not in parameters:
            sys.exit(f"Not signed in: {parameters.get('error', 'no code')} {parameters.get('error_description', '')}")
        # The SDK compares state and issuer before it sends the code anywhere.
        return AuthorizationCodeResult(code=parameters["code"], state=parameters["state"], iss=parameters.get("iss"))


class MemoryStorage(TokenStorage):
    """Keeps tokens until the program ends. A real application keeps them in the system's keychain."""

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


def arguments(words):
    """key=value pairs. A value that is JSON, such as 5 or true, is sent as what it is; everything else as text."""
    result = {}
    for word in words:
        key, separator, value = word.partition("=")
        if not separator:
            sys.exit(f"an argument is key=value, not {word}")
        try:
            result[key] = json.loads(value)
        except ValueError:
            result[key] = value
    return result


async def main(url, tool=None, words=()):
    browser = Browser()
    auth = OAuthClientProvider(
        server_url=url,
        client_metadata=OAuthClientMetadata(
            client_name="Python example", redirect_uris=[browser.callback], token_endpoint_auth_method="none"),
        storage=MemoryStorage(), redirect_handler=browser.open, callback_handler=browser.wait)
    async with httpx2.AsyncClient(auth=auth, timeout=30) as http_client:
        async with Client(streamable_http_client(url, http_client=http_client)) as client:
            print(f"Connected by MCP {client.session.protocol_version}. Tools:")
            tools = (await client.list_tools()).tools
            for each in tools:
                print(f"  {each.name:16}{each.description}")

            if tool:
                result = await client.call_tool(tool, arguments(words))
                print(json.dumps(result.structured_content) if result.structured_content else "\n".join(c.text for c in result.content if c.type == "text"))
                if result.is_error:
                    sys.exit(1)
                return
            names = {each.name for each in tools}
            if {"create-task", "search-tasks"} <= names:
                await client.call_tool("create-task", {"text": "Try the Python example"})
                found = await client.call_tool("search-tasks", {"limit": 5})
                print("Tasks: " + ", ".join(task["text"] for task in found.structured_content["tasks"]))
            if "whoami" in names:
                result = await client.call_tool("whoami", {})
                me = result.structured_content or {}
                if "scopes" in me:
                    print(f"You are {me.get('name') or me.get('login') or me['subject']}, and this client may: {' '.join(me['scopes'])}")
                else:
                    print("You are " + "".join(c.text for c in result.content if c.type == "text"))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        asyncio.run(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None, sys.argv[3:]))
    except BaseExceptionGroup as group:
        # The SDK's tasks wrap what went wrong; one line of it is worth reading.
        error = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        sys.exit(error.code if isinstance(error, SystemExit) else f"{type(error).__name__}: {error}")
    except (OSError, httpx2.TransportError) as error:
        sys.exit(f"{sys.argv[1]} cannot be reached: {error}")
