"""Everything that the MCP server sends, on every revision, held against the official SDK's types for the wire.

The messages come from a test in Swift, whose server has every kind of definition (Tests/MCPServerTests/SentMessagesTests.swift). With MCP_SCHEMAS, a
folder with the published JSON schemas (REVISION.json), also against those.
"""

import json
import os
import subprocess
import tempfile

import jsonschema
import mcp_types._v2025_11_25 as v2025
import mcp_types._v2026_07_28 as v2026
import pydantic

from support import check, equal, main, test

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
RESULTS = {
    "initialize": "InitializeResult", "ping": "EmptyResult", "logging/setLevel": "EmptyResult", "server/discover": "DiscoverResult",
    "tools/list": "ListToolsResult", "tools/call": "CallToolResult", "resources/list": "ListResourcesResult",
    "resources/templates/list": "ListResourceTemplatesResult", "resources/read": "ReadResourceResult", "prompts/list": "ListPromptsResult",
    "prompts/get": "GetPromptResult",
}
NOTIFICATIONS = {"notifications/progress": "ProgressNotification", "notifications/message": "LoggingMessageNotification"}
REVISIONS = {"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"}


def sent():
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "sent")
        done = subprocess.run(
            ["swift", "test", "--skip-build", "--filter", "SentMessagesTests"], cwd=ROOT, env=dict(os.environ, MCP_AUTH_SENT=file),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        check(done.returncode == 0, lambda: done.stdout[-2000:])
        with open(file) as lines:
            return [json.loads(line) for line in lines]


def kinds(message, method):
    """What the whole message is, and what is inside: the names of their definitions."""
    if "method" in message:
        return NOTIFICATIONS[message["method"]], None
    return ("error", None) if "error" in message else ("response", RESULTS[method])


@test("everything that is sent fits the schema of its revision")
def _():
    messages = sent()
    equal({line["version"] for line in messages}, REVISIONS, "revisions")
    seen = set()
    for line in messages:
        version, method, message = line["version"], line["method"], line["message"]
        kind, result = kinds(message, method)
        seen.add((version, result or kind))
        types = v2026 if version == "2026-07-28" else v2025
        errors = "JSONRPCErrorResponse"
        name = {"error": errors, "response": "JSONRPCResultResponse"}.get(kind, kind)
        for definition, value in ((name, message), (result, message.get("result"))):
            if definition:
                try:
                    pydantic.TypeAdapter(getattr(types, definition)).validate_json(json.dumps(value), strict=True)
                except pydantic.ValidationError as error:
                    raise AssertionError(f"{version} {method}: {definition}: {error}: {json.dumps(value)[:600]}") from None
        against_published(version, kind, result, message)
    for version in REVISIONS:
        wanted = set(RESULTS.values()) | set(NOTIFICATIONS.values()) | {"error"}
        wanted -= {"InitializeResult", "EmptyResult"} if version == "2026-07-28" else {"DiscoverResult"}
        equal({name for other, name in seen if other == version}, wanted, f"kinds of message on {version}")


def against_published(version, kind, result, message):
    folder = os.environ.get("MCP_SCHEMAS")
    if not folder:
        return
    with open(os.path.join(folder, version + ".json")) as file:
        schema = json.load(file)
    key = "$defs" if "$defs" in schema else "definitions"
    old = "JSONRPCResponse" in schema[key] and "JSONRPCResultResponse" not in schema[key]
    name = {"error": "JSONRPCError" if old else "JSONRPCErrorResponse", "response": "JSONRPCResponse" if old else "JSONRPCResultResponse"}.get(kind, kind)
    for definition, value in ((name, message), (result, message.get("result"))):
        if definition:
            jsonschema.validate(value, {"$ref": f"#/{key}/{definition}", key: schema[key]})


if __name__ == "__main__":
    main("schemas")
