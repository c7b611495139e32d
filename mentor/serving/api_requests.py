"""What a client of the chat API sends: its shape, what is accepted of it, and the conversation that it holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mentor.calls.schemas import check_schema
from mentor.chat.conversation import ordered
from mentor.errors import InputError
from mentor.types import TaskTools


class BadRequest(InputError):
    """A request that is refused. param: the field that is wrong, None where none is alone."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class Function(BaseModel):
    name: str
    arguments: str


class Call(BaseModel):
    id: str
    type: Literal["function"] = "function"
    function: Function


class Message(BaseModel):
    """A message in OpenAI's shape; keys that say nothing to a student (`refusal`, `annotations`) are let pass."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None

    @property
    def text(self) -> str:
        content = self.content or ""
        return content if isinstance(content, str) else "".join(part.text for part in content)


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")

    include_usage: bool = False
    include_obfuscation: bool = False


class TextFormat(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: Literal["text"]


Nothing = Annotated[float, Field(ge=0, le=0)]


class ChatRequest(BaseModel):
    """The body of /v1/chat/completions. Fields that are typed with one value are accepted with that value alone.

    tools: the client runs their calls; None: the run's own are run here. max_tokens: of each turn.
    return_token_ids: whether the reply has the token record of the conversation.
    """

    model_config = ConfigDict(extra="forbid")

    model: str
    messages: list[Message] = Field(min_length=1)
    tools: list[dict[str, Any]] | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    seed: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    return_token_ids: bool = False
    n: Literal[1] | None = None
    stop: None = None
    tool_choice: Literal["auto"] | None = None
    parallel_tool_calls: Literal[True] | None = None
    response_format: TextFormat | None = None
    logprobs: Literal[False] | None = None
    frequency_penalty: Nothing | None = None
    presence_penalty: Nothing | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    store: Literal[False] | None = None

    @model_validator(mode="before")
    @classmethod
    def _only_known(cls, values: Any) -> Any:
        if isinstance(values, dict) and (unknown := sorted(values.keys() - cls.model_fields.keys())):
            raise ValueError(f"`{unknown[0]}` is not known; accepted: {', '.join(cls.model_fields)}")
        return values

    @property
    def turn_tokens(self) -> int | None:
        """The limit of a turn's tokens, if one is given."""
        return min(
            (limit for limit in (self.max_tokens, self.max_completion_tokens) if limit is not None), default=None
        )

    def task_tools(self) -> TaskTools | None:
        """Return the client's tools. Raises BadRequest for one that is none."""
        if self.tools is None:
            return None
        try:
            return TaskTools(None, [check_schema(tool, f"tools[{place}]") for place, tool in enumerate(self.tools)])
        except InputError as error:
            raise BadRequest(str(error), "tools") from None


@dataclass(frozen=True)
class Conversation:
    """Messages as a rollout has them. earlier: before the last question. begun: the turns after it, with results."""

    earlier: tuple[dict[str, Any], ...]
    question: str
    begun: tuple[dict[str, Any], ...]


def read_request(body: bytes) -> ChatRequest:
    """Read a body. Raises BadRequest with the first problem and what is accepted."""
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        if first["type"] == "none_required":
            said = "Input should be null"
        shown = f", got {json.dumps(first['input'], ensure_ascii=False, default=str)[:80]}" if place else ""
        raise BadRequest(f"`{place}`: {said}{shown}" if place else said, place or None) from None


def conversation(messages: list[Message]) -> Conversation:
    """Read the messages as a rollout has them; each turn's results in the order of its calls.

    Raises BadRequest for an order that makes no sense, and for one that no turn of the assistant can follow.
    """
    if messages[-1].role not in ("user", "tool"):
        raise BadRequest(f"messages: the last is the {messages[-1].role}'s; accepted: a user's or a tool's", "messages")
    try:
        read = ordered([*(_read(message, place) for place, message in enumerate(messages)), {"role": "assistant"}])[:-1]
    except BadRequest:
        raise
    except InputError as error:
        raise BadRequest(f"messages: {error}", "messages") from None
    asked = max(place for place, message in enumerate(read) if message["role"] == "user")
    later = [message["role"] for message in read[asked + 1 :] if message["role"] == "system"]
    if later:
        raise BadRequest("messages: a system message after the last user message; accepted: before it", "messages")
    return Conversation(tuple(read[:asked]), read[asked]["content"], tuple(read[asked + 1 :]))


def _read(message: Message, place: int) -> dict[str, Any]:
    read: dict[str, Any] = {"role": "system" if message.role == "developer" else message.role, "content": message.text}
    if message.role == "assistant":
        if message.reasoning_content:
            read["reasoning_content"] = message.reasoning_content
        if message.tool_calls:
            read["tool_calls"] = [_read_call(call, f"messages.{place}") for call in message.tool_calls]
    if message.role == "tool":
        read["tool_call_id"] = message.tool_call_id
    return read


def _read_call(call: Call, place: str) -> dict[str, Any]:
    try:
        arguments = json.loads(call.function.arguments)
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        shown = call.function.arguments[:80]
        raise BadRequest(f"`{place}`: the arguments of {call.function.name} are {shown!r}; accepted: a JSON object")
    return {"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": arguments}}
