"""`stage=serve`: a model of the run behind OpenAI's chat API, with what it was trained with."""

from __future__ import annotations

import os
import socket
from time import perf_counter

from mentor.config import Config, ServeStage, ToolsConfig
from mentor.errors import ConfigError, InputError
from mentor.loggers import Logger
from mentor.runs import RunFolder
from mentor.runs.model_folders import model_name
from mentor.serving.http_server import ChatServer, Serving
from mentor.stages import StageResult
from mentor.stages.chat_partner import answering
from mentor.stages.student import student_environment
from mentor.stages.tooling import configured_toolbox, say_counts


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    """Answer requests until SIGINT or SIGTERM."""
    stage, tools = config.stage, config.tools
    assert isinstance(stage, ServeStage) and isinstance(tools, ToolsConfig)
    began = perf_counter()
    key = read_key(stage.api_key_env)
    model, loading, sampling = answering(config, folder.root)
    serving = Serving(
        model if isinstance(model, str) else model_name(model),
        key,
        sampling.max_running + stage.max_waiting,
        stage.max_body_kib * 1024,
        stage.greedy,
        sampling.temperature,
        sampling.top_p,
        sampling.top_k,
        config.seed,
    )
    toolbox = configured_toolbox(tools, logger.message)
    with (
        listen(stage.host, stage.port) as listening,
        student_environment(model, toolbox, loading, sampling, lockstep=False) as environment,
    ):
        server = ChatServer(environment, serving)
        logger.message(f"serving {serving.model} at {address(listening)}/v1 until Ctrl-C")
        if key is None and stage.without_key:
            logger.message("no key is asked for: whoever reaches this address is answered (stage.without_key)")
        server.run(listening)
    say_counts(toolbox, logger)
    return StageResult(counts={"requests": server.answered}, seconds={"total": perf_counter() - began})


def read_key(variable: str | None) -> str | None:
    """Read the key that clients send. Raises ConfigError where the variable holds none."""
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(f"`stage.api_key_env={variable}`: this environment variable holds no key")
    return key


def listen(host: str, port: int) -> socket.socket:
    """Open the socket that requests come in at. Raises InputError where the host or port cannot be had."""
    try:
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(place[:2], family=family)
    except OSError as error:
        raise InputError(
            f"`stage.host={host} stage.port={port}` cannot be listened at: {error.strerror or error}; "
            "port 0 takes a free one"
        ) from None


def address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
