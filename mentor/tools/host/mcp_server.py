"""Tools of an MCP server (Model Context Protocol), over stdio or HTTP.

Each trajectory has its own connection, and with stdio its own server process, so no state passes between trajectories;
with `shared` all use one. The next call replaces a connection that failed. The server runs with
this user's rights: what its tools do is not sandboxed.
"""

from __future__ import annotations

import asyncio
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TextIO

from mentor.errors import ConfigError, ToolError, one_line
from mentor.tools.engine import ISOLATION, CallOutcome, Limits, ToolEngine, cut
from mentor.types import CallError

CONNECT_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 10.0  # past it a server that does not end is left to the client's own kill


@dataclass(frozen=True)
class ServerAddress:
    """A command line for stdio, or a URL for streamable HTTP."""

    text: str

    @property
    def is_url(self) -> bool:
        return self.text.startswith(("http://", "https://"))

    def client(self, errors: TextIO) -> Any:
        """Make the `mcp` package's client, not yet connected. Raises ConfigError without the package.

        errors: where a stdio server's standard error goes.
        """
        try:
            from mcp import Client, StdioServerParameters, stdio_client
        except ImportError as error:
            raise ConfigError("tools=mcp needs the package mcp: pip install 'mentor[mcp]'") from error
        if self.is_url:
            return Client(self.text)
        command, *arguments = shlex.split(self.text)
        return Client(stdio_client(StdioServerParameters(command=command, args=arguments), errlog=errors))


class Connection:
    """One open client. A single asyncio task opens and closes it, as the client requires."""

    def __init__(self, address: ServerAddress) -> None:
        self._address = address
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115  closed by the task
        self._closing = asyncio.Event()
        self._ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._hold())

    async def _hold(self) -> None:
        try:
            async with self._address.client(self._errors) as client:
                self._ready.set_result(client)
                await self._closing.wait()
        except Exception as error:  # of connecting; one of closing has nobody left to tell
            if not self._ready.done():
                self._ready.set_exception(ToolError(f"{_first_cause(error)}{self._said()}"))
        finally:
            self._errors.close()

    async def client(self) -> Any:
        """Raises ToolError where the server cannot be reached."""
        try:
            return await asyncio.wait_for(asyncio.shield(self._ready), CONNECT_TIMEOUT_S)
        except TimeoutError:
            reason = f"no answer within {CONNECT_TIMEOUT_S:g} s"
        except ToolError as error:
            reason = str(error)
        await self.close()
        raise ToolError(f"the MCP server {self._address.text!r} cannot be used: {reason}")

    def _said(self) -> str:
        """The last line that a stdio server wrote to its standard error."""
        self._errors.seek(0)
        lines = self._errors.read().split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f" ({last[:200]})" if last else ""

    async def close(self) -> None:
        self._closing.set()
        done, _ = await asyncio.wait([self._task], timeout=CLOSE_TIMEOUT_S)
        if not done:
            self._task.cancel()


class McpEngine(ToolEngine):
    """Calls the tools of a server, over a connection for each session or over one where `shared`."""

    isolation = ISOLATION[0]  # the server has the user's rights

    def __init__(self, address: ServerAddress, limits: Limits, shared: bool) -> None:
        self._address, self._limits, self._shared = address, limits, shared
        self._connections: dict[str, Connection] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Connections are made by the first call that needs one."""

    async def call(self, name: str, arguments: dict[str, Any], session: str | None) -> CallOutcome:
        """Call a tool: the text of the result's parts. Raises ToolError where the server cannot be reached."""
        key = "" if self._shared else session
        lone = Connection(self._address) if key is None else None
        connection = lone or self._connections.get(str(key)) or Connection(self._address)
        if key is not None:
            self._connections[key] = connection
        client = await connection.client()
        start = perf_counter()
        try:
            result = await asyncio.wait_for(client.call_tool(name, arguments), self._limits.timeout_s)
            error, text = (CallError.EXCEPTION if result.is_error else None), result_text(result)
        except TimeoutError:
            error, text = CallError.TIMEOUT, f"no result within {self._limits.timeout_s:g} s"
        except Exception as failure:  # of the protocol or the transport: the server is in doubt
            error, text = CallError.CRASH, _first_cause(failure)
        seconds = perf_counter() - start
        if lone or error in (CallError.TIMEOUT, CallError.CRASH):
            self._connections.pop(str(key), None)
            self._end(connection)
        return CallOutcome(error, cut(text, self._limits.max_output_chars), seconds)

    async def end_session(self, session: str) -> None:
        connection = self._connections.pop(session, None)
        if connection is not None:
            self._end(connection)

    def _end(self, connection: Connection) -> None:
        """Close a connection in the background: a server may take seconds to end."""
        ending = asyncio.create_task(connection.close())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        for session in list(self._connections):
            await self.end_session(session)
        await asyncio.gather(*self._ending)


def _first_cause(error: Exception) -> str:
    """Return the first error of a group, in one line."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return one_line(error, 300)


def result_text(result: Any) -> str:
    """Join the text parts of a call's result, one a line; other parts are named by their kind."""
    parts = [part.text if part.type == "text" else f"[{part.type}]" for part in result.content]
    return "\n".join(parts) or '""'


async def list_schemas(address: ServerAddress) -> list[dict[str, Any]]:
    """Ask the server for its tools, in the OpenAI shape. Raises ToolError where it cannot be reached."""
    connection = Connection(address)
    client = await connection.client()
    try:
        tools, cursor = [], None
        while True:
            page = await asyncio.wait_for(client.list_tools(cursor=cursor), CONNECT_TIMEOUT_S)
            tools += page.tools
            cursor = page.next_cursor
            if not cursor:
                return [_schema(tool) for tool in tools]
    finally:
        await connection.close()


def _schema(tool: Any) -> dict[str, Any]:
    parameters: Mapping[str, Any] = tool.input_schema or {"type": "object"}
    function = {"name": tool.name, "description": tool.description or "", "parameters": dict(parameters)}
    return {"type": "function", "function": function}
