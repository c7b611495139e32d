"""What tools there are: source text for the sandbox and the schemas shown to the model.

task -> **toolset** -> executor. Sources: the built-in calculator, a user's `tools.py`, a data row's code and schemas.
"""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from mentor.calls.schemas import check_schema, schemas_text
from mentor.errors import ConfigError, InputError
from mentor.tools.cpython.cpython_engine import CPythonEngine
from mentor.tools.definitions import definitions, public, refuse_shared_names
from mentor.tools.engine import DEFAULT_LIMITS, Limits, ToolEngine
from mentor.tools.host.corpus import SEARCH_SCHEMA, Corpus
from mentor.tools.host.listed import ListedEngine
from mentor.tools.host.mcp_server import McpEngine, ServerAddress, list_schemas
from mentor.tools.host.search import SearchEngine
from mentor.tools.monty.monty_engine import MontyEngine
from mentor.tools.perturbed.shown_tools import ShownTools, draw_shown
from mentor.tools.signatures import check_parameters, function_schema
from mentor.tools.source import Source, imported_modules, parse_source
from mentor.tools.stateless import keeps_state
from mentor.tools.user_source import chosen_engine, converted_arguments, given_schemas, load_source, read_text
from mentor.types import Perturbation

BUILTIN = Path(__file__).with_name("builtin")
BUILTIN_SOURCES = {
    "calculator": BUILTIN / "calculator.py",
    "python": BUILTIN / "interpreter.py",
}
CPYTHON_NOTES = {"python": "code of any kind"}  # built-in toolsets that monty does not serve, and why
BUILTIN_FLOAT_DIGITS = 12
SOURCE_ENGINES: dict[str, Callable[[Source, Limits], ToolEngine]] = {"monty": MontyEngine, "cpython": CPythonEngine}


@dataclass(frozen=True)
class Toolset:
    """Tools by name. `source` never runs in this process; `stateless` tools may share one session of monty."""

    name: str
    source: str
    schemas: list[dict[str, Any]]  # [{"type": "function", "function": {name, description, parameters}}]
    stateless: bool = False
    engine: str = "monty"  # of SOURCE_ENGINES; or search or mcp, which have no source
    note: str = ""  # why this engine
    trusted: bool = False  # no sandbox; only with cpython
    folder: Path | None = None  # of the user's file: where trusted tools import from besides the installed packages
    host: Callable[[Limits], ToolEngine] | None = None  # makes the engine of tools without source
    origin: str = ""  # the file or row that errors name
    converts: bool = False  # arguments arrive as what the type hints say, else as JSON values
    float_digits: int | None = None  # significant digits of floats in results; None shows them in full
    checked: bool = True  # the engine need not look for what the source lacks
    shown: ShownTools | None = None  # of a perturbed toolset: what its schemas stand for

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(schema["function"]["name"] for schema in self.schemas)

    @cached_property
    def schemas_json(self) -> str:
        """The schemas as compact JSON text, as trajectories store them."""
        return schemas_text(self.schemas)

    @cached_property
    def parallel(self) -> bool:
        """Whether the calls of one turn may run at once: no call sees what another left, in the module or outside."""
        if self.stateless or self.host is not None or self.trusted:
            return self.stateless
        return not self.loaded.owners and not keeps_state(ast.parse(self.source))

    @cached_property
    def loaded(self) -> Source:
        """What an engine loads."""
        tree = ast.parse(self.source)
        defined = definitions(tree)
        tools = {name: defined[name] for name in self.names if name in defined}
        return Source(
            self.name,
            self.source,
            self.names,
            imports=imported_modules(tree),
            folder=self.folder,
            trusted=self.trusted,
            stateless=self.stateless,
            owners={name: (tool.owner.name, tool.owner.lineno) for name, tool in tools.items() if tool.owner},
            converted=converted_arguments(tools) if self.converts else {},
            float_digits=self.float_digits,
            origin=self.origin,
            checked=self.checked,
        )

    def new_engine(self, limits: Limits) -> ToolEngine:
        """Make an engine that runs the tools; it is not open yet."""
        return SOURCE_ENGINES[self.engine](self.loaded, limits) if self.host is None else self.host(limits)

    def own_call(self, name: str | None, arguments: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """Return a call of a tool as it is shown by the tool's own names, which the teacher's calls have."""
        return (name, arguments) if self.shown is None or name is None else self.shown.own_call(name, arguments)

    def perturbed(self, perturbation: Perturbation | None) -> Toolset:
        """Return these tools as a perturbed task is shown them; the same where there are none, or no perturbation.

        Their calls run in an executor of the toolset itself (`ToolExecutor.perturbed`).
        """
        if perturbation is None or not self.schemas:
            return self
        shown = draw_shown(self.schemas, perturbation)
        return replace(self, schemas=shown.schemas, shown=shown)

    @classmethod
    def builtin(cls, name: str) -> Toolset:
        """Load a toolset that ships with the project. Raises InputError for an unknown name."""
        if name not in BUILTIN_SOURCES:
            raise InputError(f"toolset {name!r} is not built in, accepted: {', '.join(BUILTIN_SOURCES)}")
        path = BUILTIN_SOURCES[name]
        source = path.read_text(encoding="utf-8")
        tools = public(definitions(parse_source(source, path.name)))
        schemas = [function_schema(tool, definition, path.name) for tool, definition in tools.items()]
        toolset = cls(name, source, schemas, float_digits=BUILTIN_FLOAT_DIGITS)
        if name in CPYTHON_NOTES:
            return replace(toolset, engine="cpython", note=CPYTHON_NOTES[name])
        return replace(toolset, stateless=True)

    @classmethod
    def none(cls) -> Toolset:
        """Make a toolset without tools: every call is of an unknown one."""
        return cls("none", "", [], stateless=True)

    @classmethod
    def listed(cls, schemas: list[dict[str, Any]]) -> Toolset:
        """Make a toolset that is only shown: the task is judged by its calls, and none of them runs."""
        return cls("listed", "", schemas, stateless=True, engine="listed", host=ListedEngine)

    @classmethod
    def search(cls, path: str | Path, top_k: int = 3) -> Toolset:
        """Make `search` over a corpus file; top_k: passages where a call names none. Raises InputError for the file."""
        corpus = Corpus(path, top_k)
        host = partial(SearchEngine, corpus)
        return cls("search", "", [check_schema(SEARCH_SCHEMA, "search")], stateless=True, engine="search", host=host)

    @classmethod
    def from_mcp(cls, server: str, shared: bool = False) -> Toolset:
        """Ask an MCP server for its tools; `server` is a command line or a URL.

        shared: all sessions use one connection. Raises ToolError where the server cannot be used, InputError for a tool
        whose schema is none.
        """
        address = ServerAddress(server)
        schemas = [check_schema(schema, f"MCP server {server!r}") for schema in asyncio.run(list_schemas(address))]
        if not schemas:
            raise InputError(f"MCP server {server!r} has no tools")
        return cls("mcp", "", schemas, engine="mcp", host=partial(McpEngine, address, shared=shared))

    @classmethod
    def from_python(
        cls,
        path: str | Path,
        engine: str = "auto",
        trusted: bool = False,
        schemas: str | Path | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> Toolset:
        """Load a user's file: functions and methods of tool classes (`definitions`) without a leading underscore.

        engine: auto, monty or cpython. trusted: run it without the sandbox. schemas: a JSON file whose schemas replace
        those derived from type hints. limits: of loading. Raises InputError, naming file, line and construct, when it
        is missing, is not Python, defines no tool, lacks a type hint, or holds what the engine cannot run; ConfigError
        for settings that the host or each other exclude.
        """
        source, origin = read_text(Path(path), "tools file"), str(path)
        tree = parse_source(source, origin)
        refuse_shared_names(tree, origin)
        tools = public(definitions(tree))
        if not tools:
            raise InputError(
                f"tools file {path} has no tool; accepted are public top-level functions, and public methods of a "
                "top-level class that nothing else in the file uses"
            )
        given = {} if schemas is None else given_schemas(Path(schemas), tools, origin)
        for name in tools.keys() - given.keys():
            check_parameters(name, tools[name], origin)
        engine, note = chosen_engine(engine, trusted)
        placeholders = [{"function": {"name": name}} for name in tools]
        toolset = cls(
            Path(path).stem,
            source,
            placeholders,
            engine=engine,
            note=note,
            trusted=trusted,
            folder=Path(path).resolve().parent,
            origin=origin,
            converts=True,
            checked=False,
        )
        told = load_source(toolset.loaded, tools, engine, limits)
        made = [
            given[name] if name in given else check_schema(function_schema(name, tool, origin, told.get(name)), origin)
            for name, tool in tools.items()
        ]
        return replace(toolset, schemas=made, checked=True)

    @classmethod
    def from_row(
        cls,
        env: str,
        func_schemas: str | list[dict[str, Any]],
        origin: str = "row",
        engine: str = "auto",
        trusted: bool = False,
    ) -> Toolset:
        """Read the tools of a data row: Python source, and schemas of functions in it as a list or its JSON text.

        Arguments arrive as JSON values. The source runs first when an executor opens, which raises InputError where it
        does not load. Raises InputError when a schema is not one or names no function of the source.
        """
        if isinstance(func_schemas, str):
            try:
                func_schemas = json.loads(func_schemas)
            except ValueError as error:
                raise InputError(f"{origin}: func_schemas is not JSON: {error}") from None
        if not isinstance(func_schemas, list) or not func_schemas:
            raise InputError(f"{origin}: func_schemas must be a list of tool schemas that is not empty")
        schemas = [check_schema(schema, origin) for schema in func_schemas]
        place = f"{origin} env"
        defined = definitions(parse_source(env, place))
        names = [schema["function"]["name"] for schema in schemas]
        for name in names:
            if name not in defined or names.count(name) > 1:
                problem = "comes twice" if name in defined else "names no function of env"
                raise InputError(f"{origin}: schema {name!r} {problem}; functions: {', '.join(defined) or 'none'}")
        engine, note = chosen_engine(engine, trusted)
        return cls(origin, env, schemas, engine=engine, note=note, trusted=trusted, origin=place, checked=False)


def build_toolset(
    name: str,
    path: str | Path | None = None,
    engine: str = "auto",
    trusted: bool = False,
    top_k: int = 3,
    server: str | None = None,
    shared: bool = False,
    schemas: str | Path | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Toolset:
    """Build the toolset of a `tools` group: a built-in by name, `file` or `search` with a path, `mcp` with a server.

    Raises ConfigError for a setting that is missing or does not go with the name, and what the toolset's own
    constructor raises.
    """
    accepted = [*BUILTIN_SOURCES, "file", "search", "mcp"]
    if name not in accepted:
        raise ConfigError(f"tools.name={name} is not known, accepted: {', '.join(accepted)}")
    readers = {
        **{"path": ("file", "search"), "server": ("mcp",)},
        **{"trusted": ("file",), "shared": ("mcp",), "schemas": ("file",)},
    }
    given = {"path": path, "server": server, "trusted": trusted, "shared": shared, "schemas": schemas}
    for key, value in given.items():
        if value and name not in readers[key]:
            raise ConfigError(f"tools.{key}={value} is read with tools={' or '.join(readers[key])}, not tools={name}")
        if value is None and name in readers[key] and key in ("path", "server"):
            raise ConfigError(f"tools.{key} is missing: tools={name} needs it")
    if path is not None and name == "file":
        return Toolset.from_python(path, engine, trusted, schemas, limits)
    if path is not None:
        return Toolset.search(path, top_k)
    if server is not None:
        return Toolset.from_mcp(server, shared)
    toolset = Toolset.builtin(name)
    if engine == "cpython":
        return replace(toolset, stateless=False, engine=engine, note="as tools.engine says")
    if engine == "monty" and toolset.engine != engine:
        raise ConfigError(f"tools.engine=monty cannot run tools={name}: {toolset.note}")
    return toolset
