"""One unmodified client library at the other end of a pipe: test_walks.py says what it is to do, and looks at what it did.

    VENV/bin/python walk.py LIBRARY URL

It connects to the MCP server at the URL with everything that the library does by itself: discovery, registration, PKCE, sign-in, tokens. Its first
line says how that went. After that it answers every line of its input with a line, both JSON, until its input ends. In its environment,
MCP_AUTH_DEMO_PASSWORD is the password of the person who signs in.
"""

import asyncio
import json
import os
import sys
import threading
import time
import traceback
import urllib.parse
import warnings
import webbrowser
from contextlib import asynccontextmanager

from sdk_scenarios import Connection, ToolFailed
from support import Browser, query_of, send

TIMEOUT = 30


# --- The person and the wire ----------------------------------------------------------------------------------------------------------------------


class Person(Browser):
    """Whoever is sent to the pages. Remembers for which scopes each application asked."""

    def __init__(self):
        super().__init__(password=os.environ["MCP_AUTH_DEMO_PASSWORD"])
        self.asked = []

    def authorize(self, url):
        self.asked.append(query_of(url).get("scope", "").split())
        return super().authorize(url)


class Screen(webbrowser.BaseBrowser):
    """What the library opens in place of a screen: the person does what the pages ask for, and ends at the library's own callback."""

    def __init__(self, person):
        super().__init__("screen")
        self.person = person

    def open(self, url, new=0, autoraise=True):
        threading.Thread(target=self.visit, args=(url,), daemon=True).start()
        return True

    def visit(self, url):
        try:
            callback = self.person.authorize(url)
            end = time.monotonic() + 10
            while True:
                try:
                    return send("GET", callback)
                except OSError:  # the library opens its port after the screen
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.05)
        except Exception:
            traceback.print_exc()  # the library waits on, and test_walks.py says so after a while


class Traffic:
    """What the library sent since it was last asked, as its own HTTP client tells."""

    def __init__(self):
        self.seen = []

    @property
    def hooks(self):
        return {"response": [self.note]}

    async def note(self, response):
        request = response.request
        body = request.content.decode()
        is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        form = dict(urllib.parse.parse_qsl(body)) if is_form else {}
        message = json.loads(body) if body and not is_form else {}
        self.seen.append({
            "at": time.time(), "method": request.method, "path": request.url.path, "status": response.status_code, "rpc": message.get("method"),
            "grant_type": form.get("grant_type"), "session": request.headers.get("mcp-session-id"),
            "challenge": response.headers.get("www-authenticate"),
        })

    def take(self):
        taken, self.seen = self.seen, []
        return taken


# --- The libraries --------------------------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def mcp1(url, person, traffic):
    import httpx
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    from test_sdk1 import Connected, provider

    auth = provider(url, person)
    async with httpx.AsyncClient(auth=auth, timeout=TIMEOUT, event_hooks=traffic.hooks) as http:
        async with streamable_http_client(url, http_client=http) as (reader, writer, _):
            async with ClientSession(reader, writer) as session:
                answer = await session.initialize()
                yield Connected(session, auth, answer.protocolVersion)


@asynccontextmanager
async def mcp2(url, person, traffic, **options):
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    from sdk2 import Connected, provider

    auth = provider(url, person)
    async with httpx2.AsyncClient(auth=auth, timeout=TIMEOUT, event_hooks=traffic.hooks) as http:
        async with Client(streamable_http_client(url, http_client=http), **options) as client:
            yield Connected(client, auth)


class FastMCP(Connection):
    """FastMCP of any version."""

    def __init__(self, client, provider, version):
        self.client = client
        self.provider = provider
        self.version = version

    async def tools(self):
        return [tool.name for tool in await self.client.list_tools()]

    async def call(self, name, **arguments):
        result = await self.client.call_tool(name, arguments, raise_on_error=False)
        if result.is_error:
            raise ToolFailed(result.content[0].text)
        return result.structured_content


@asynccontextmanager
async def fastmcp(url, person, traffic, http, version, **options):
    """It opens a screen and listens for its callback itself; nothing of it is replaced."""
    from fastmcp import Client
    from fastmcp.client.auth import OAuth
    from fastmcp.client.transports import StreamableHttpTransport

    warnings.filterwarnings("ignore")  # it warns that tokens are kept in memory, which is what tests want
    webbrowser.register("screen", None, Screen(person), preferred=True)
    auth = OAuth(mcp_url=url, additional_client_metadata={"token_endpoint_auth_method": "none"})

    def client_of_http(**settings):
        return http.AsyncClient(**{"timeout": TIMEOUT, **settings}, event_hooks=traffic.hooks)

    transport = StreamableHttpTransport(url, auth=auth, httpx_client_factory=client_of_http)
    async with Client(transport, **options) as client:
        yield FastMCP(client, auth, version(client))


def fastmcp_on_httpx(url, person, traffic, **options):
    import httpx

    return fastmcp(url, person, traffic, httpx, lambda client: client.initialize_result.protocolVersion, **options)


def fastmcp_on_httpx2(url, person, traffic, **options):
    import httpx2

    return fastmcp(url, person, traffic, httpx2, lambda client: client.session.protocol_version, **options)


LIBRARIES = {
    "mcp1": mcp1,
    "mcp2": mcp2,
    "mcp2 legacy": lambda *given: mcp2(*given, mode="legacy"),
    # An error of its OAuth ends the task of an open session and is told to nobody who waits for an answer: without a timeout they wait for ever.
    "fastmcp2": lambda *given: fastmcp_on_httpx(*given, timeout=8),
    "fastmcp3": fastmcp_on_httpx,
    "fastmcp": fastmcp_on_httpx2,
    "fastmcp legacy": lambda *given: fastmcp_on_httpx2(*given, mode="legacy"),
}


# --- The pipe -------------------------------------------------------------------------------------------------------------------------------------


def everything_said(error):
    """The texts of an error, of what caused it and of what was grouped with it."""
    said, seen, queue = [], set(), [error]
    while queue:
        error = queue.pop(0)
        if error is not None and id(error) not in seen:
            seen.add(id(error))
            said.append(f"{type(error).__name__}: {error}")
            queue += [error.__cause__, error.__context__, *getattr(error, "exceptions", ())]
    return said


async def obey(connection, person, command):
    match command["do"]:
        case "tools":
            return await connection.tools()
        case "call":
            return await connection.call(command["tool"], **command["arguments"])
        case "decide":
            person.decision = command["decision"]


async def main(library, url):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    person, traffic = Person(), Traffic()

    def answer(**what):
        said = {"visits": person.visits, "sign_ins": person.sign_ins, "asked": person.asked, "traffic": traffic.take(), **what}
        print(json.dumps(said), file=answers, flush=True)

    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    try:
        async with LIBRARIES[library](url, person, traffic) as connection:
            answer(value=connection.version)
            while line := await commands.readline():
                try:
                    answer(value=await obey(connection, person, json.loads(line)))
                except Exception as error:
                    answer(error=everything_said(error))
    except BaseException as error:  # the task groups of a library end their caller by cancelling it
        traceback.print_exc()
        answer(error=everything_said(error))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
