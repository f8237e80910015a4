"""The peer: a FastMCP server with one tool behind its JWTVerifier. Arguments: port, issuer, audience, file with the public key in PEM."""

import sys

from fastmcp import FastMCP
from fastmcp.server.auth.providers.jwt import JWTVerifier

port, issuer, audience, key = sys.argv[1:]
verifier = JWTVerifier(public_key=open(key).read(), issuer=issuer, audience=audience, algorithm="RS256", required_scopes=["read:tasks"])
server = FastMCP("bench", auth=verifier)


@server.tool
def add(a: int, b: int) -> dict[str, int]:
    """Adds two numbers"""
    return {"sum": a + b}


server.run(
    transport="http", host="127.0.0.1", port=int(port), stateless_http=True, json_response=True, show_banner=False, uvicorn_config={"access_log": False, "log_level": "error"}
)
