"""What every unmodified client library has to be able to do. Each test_*.py brings one library, as a function `connect`.

`connect(url, browser)` is an async context manager that gives a Connection; the library does the rest: discovery, registration, PKCE, tokens.
"""

import asyncio

from support import MODERN, SECRETS, Browser, Failure, Forms, Server, call, check, equal, post_form, query_of, structured, test

SCOPES = {"read:tasks", "write:tasks", "delete:tasks"}
TOOLS = {"search-tasks", "create-task", "delete-task", "whoami"}


class ToolFailed(Exception):
    """The tool ran and said no."""


class Connection:
    """What the scenarios need of a connected client, whatever the library calls it."""

    version = None  # the protocol version that was negotiated
    provider = None  # the library's OAuth provider

    async def tools(self):
        raise NotImplementedError

    async def call(self, name, **arguments):
        raise NotImplementedError

    @property
    def tokens(self):
        tokens = self.provider.context.current_tokens
        SECRETS.update(text for text in (tokens.access_token, tokens.refresh_token) if text)
        return tokens

    @property
    def client_id(self):
        return self.provider.context.client_info.client_id


class Denied(Exception):
    """The callback came with an error in place of a code."""


def callback_parameters(url):
    """What an application reads from its callback. Raises Denied with the error code."""
    parameters = query_of(url)
    if "error" in parameters:
        raise Denied(f"{parameters['error']} iss={parameters.get('iss')} state={'state' in parameters}")
    return parameters


def counts(server):
    """How often each decision was recorded as allowed."""
    found = {}
    for event in server.audit(verdict="allowed"):
        found[event["action"]] = found.get(event["action"], 0) + 1
    return found


def refused_everywhere(server, tokens, client_id):
    """The access token is worth nothing at once, and the refresh token neither."""
    reply = call(server, tokens.access_token, "whoami")
    equal(reply.status, 401, "access token after its end")
    check('error="invalid_token"' in reply.header("WWW-Authenticate"), reply.header("WWW-Authenticate"))
    fields = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token, "client_id": client_id}
    reply = post_form(server.origin + "/token", fields)
    equal((reply.status, reply.error), (400, "invalid_grant"), "refresh token after its end")


def define(connect, version=MODERN, tag=""):
    """Registers the scenarios for one library. `version` is what it is to negotiate."""

    def scenario(name, *options):
        def register(body):
            @test(name + tag)
            def run():
                with Server(*options) as server:
                    asyncio.run(asyncio.wait_for(body(server), 90))

        return register

    @scenario("R2, R16, R38, R43: from 401 to every tool: discovery, registration, sign-in, consent, PKCE, token")
    async def _(server):
        browser = Browser()
        async with connect(server.url, browser) as c:
            equal(c.version, version, "negotiated version")
            equal(set(await c.tools()), TOOLS, "tools")
            created = await c.call("create-task", text="Käse & <Brot> 🧀")
            found = await c.call("search-tasks", text="käse")
            equal(found["tasks"], [created], "search")
            equal(await c.call("search-tasks", text="no such thing"), {"tasks": []}, "empty search")
            equal(await c.call("delete-task", id=created["id"]), {"deleted": created["id"]}, "delete")
            try:
                await c.call("delete-task", id=created["id"])
                raise Failure("a task could be deleted twice")
            except ToolFailed as error:
                check("no task" in str(error), error)
            me = await c.call("whoami")
            equal(set(me["scopes"]), SCOPES | {"profile"}, "scopes")
            equal((me["issuer"], me["client"]), (server.origin, c.client_id), "whoami")
            check(me["subject"].startswith("user-"), me)
        equal((browser.visits, browser.sign_ins, browser.consents), (1, 1, 1), "visits, sign-ins, consents")
        recorded = counts(server)
        for action in ("client.registered", "sign_in", "consent", "token.issued"):
            equal(recorded.get(action), 1, f"audit of {action}")

    @scenario("R-11: many calls at once over one connection")
    async def _(server):
        async with connect(server.url, Browser()) as c:
            created = await asyncio.gather(*(c.call("create-task", text=f"task {n}") for n in range(20)))
            equal(len({task["id"] for task in created}), 20, "different ids")
            equal({task["text"] for task in created}, {f"task {n}" for n in range(20)}, "each answer belongs to its request")

    @scenario("R7, R56: an expired token is refreshed without anybody noticing", "--token-lifetime", "3")
    async def _(server):
        browser = Browser()
        async with connect(server.url, browser) as c:
            first = c.tokens.model_copy()
            subject = (await c.call("whoami"))["subject"]
            for _ in range(2):
                await asyncio.sleep(3.6)
                equal((await c.call("whoami"))["subject"], subject, "the same person")
            check(c.tokens.access_token != first.access_token and c.tokens.refresh_token != first.refresh_token, "the tokens did not change")
        recorded = counts(server)
        equal((recorded.get("token.refreshed"), recorded["sign_in"], recorded["token.issued"]), (2, 1, 1), "refreshes, sign-ins, codes")
        equal(browser.visits, 1, "visits")

    @scenario("R9, R10, R32: a tool that needs more leads to consent for exactly that, then works", "--initial-scope", "read:tasks")
    async def _(server):
        browser = Browser()
        async with connect(server.url, browser) as c:
            equal((await c.call("whoami"))["scopes"], ["read:tasks"], "scopes at first")
            await c.call("search-tasks")
            equal(browser.visits, 1, "visits before the step")
            task = await c.call("create-task", text="needs write:tasks")
            equal(browser.visits, 2, "visits after the step")
            equal(set((await c.call("whoami"))["scopes"]), {"read:tasks", "write:tasks"}, "scopes after one step")
            await c.call("delete-task", id=task["id"])
            equal(set((await c.call("whoami"))["scopes"]), SCOPES, "scopes after two steps")
            equal((await c.call("search-tasks"))["tasks"], [], "tasks")
        equal((browser.visits, browser.sign_ins), (3, 1), "visits, sign-ins")
        missing = [event.get("missing_scope") for event in server.audit("access", "denied") if event["reason"] == "insufficient_scope"]
        equal(missing, ["write:tasks", "delete:tasks"], "what was missing, by the audit log")

    @scenario("R122, F-09: a revoked refresh token takes the access token with it, and the client signs in again")
    async def _(server):
        browser = Browser()
        async with connect(server.url, browser) as c:
            await c.call("whoami")
            old = c.tokens.model_copy()
            reply = post_form(server.origin + "/revoke", {"token": old.refresh_token, "client_id": c.client_id})
            equal(reply.status, 200, "revocation")
            refused_everywhere(server, old, c.client_id)
            # A client that finds its token dead asks its user again.
            await c.call("whoami")
            check(c.tokens.access_token != old.access_token, "the client went on with a revoked token")
        equal(browser.visits, 2, "visits")

    @scenario("F-06, I3: Disconnect on the account page ends access at once")
    async def _(server):
        browser = Browser()
        async with connect(server.url, browser) as c:
            await c.call("whoami")
            old = c.tokens.model_copy()
            page = browser.get(server.origin + "/account")
            check(any(form["action"] == "/account/disconnect" for form in Forms(page.text).forms), "the connection is not on the page")
            # Somebody else's page does not show it, and cannot end it.
            equal(Browser("grace").disconnect_all(server.origin), 0, "connections that grace sees")
            equal(structured(call(server, old.access_token, "whoami"))["client"], c.client_id, "still connected")
            equal(browser.disconnect_all(server.origin), 1, "connections of ada")
            refused_everywhere(server, old, c.client_id)
            equal(browser.disconnect_all(server.origin), 0, "connections that are left")
        equal(len([e for e in server.audit("grant.revoked") if e["reason"] == "disconnected"]), 1, "audit of the disconnection")

    @scenario("I4: ada and grace never see or delete each other's tasks, whatever ids they send")
    async def _(server):
        async with connect(server.url, Browser("ada")) as ada, connect(server.url, Browser("grace")) as grace:
            people = {"ada": ada, "grace": grace}
            subjects = {name: (await c.call("whoami"))["subject"] for name, c in people.items()}
            check(subjects["ada"] != subjects["grace"], "one subject for two people")
            own = {name: [] for name in people}
            for n in range(8):
                for name, c in people.items():
                    own[name].append((await c.call("create-task", text=f"{name} {n}"))["id"])
            everything = range(-1, max(own["ada"] + own["grace"]) + 2)
            for name, c in people.items():
                for id in everything:
                    if id not in own[name]:
                        try:
                            await c.call("delete-task", id=id)
                            raise Failure(f"{name} deleted task {id}")
                        except ToolFailed:
                            pass
            for name, c in people.items():
                for text in ("", "a", "ada", "grace", "%", "_", "' OR 1=1 --"):
                    for task in (await c.call("search-tasks", text=text, limit=100))["tasks"]:
                        check(task["id"] in own[name] and task["text"].startswith(name), f"{name} sees {task}")
                equal([task["id"] for task in (await c.call("search-tasks"))["tasks"]], own[name], f"tasks of {name}")

    @scenario("R37, R54: consent that is denied reaches the client as access_denied")
    async def _(server):
        browser = Browser(decision="deny")
        try:
            async with connect(server.url, browser) as c:
                await c.call("whoami")
            raise Failure("a client got in without consent")
        except Failure:
            raise
        except BaseException as error:
            cause = find(error, Denied)
            check(cause is not None, f"not the error that the server sent, but {error!r}")
            equal(str(cause), f"access_denied iss={server.origin} state=True", "error at the callback")
        equal((browser.sign_ins, browser.consents), (1, 1), "sign-ins, consents")
        check("token.issued" not in counts(server), "a token was issued all the same")


def find(error, kind):
    """An error of a kind, in an exception or whatever caused it or was grouped with it."""
    seen, queue = set(), [error]
    while queue:
        error = queue.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        if isinstance(error, kind):
            return error
        queue += [error.__cause__, error.__context__, *getattr(error, "exceptions", ())]
    return None
