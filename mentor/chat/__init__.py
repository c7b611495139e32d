"""Between messages and token ids: rendering, appending turn by turn, parsing what the student wrote."""

from mentor.chat.format import ChatFormat, assistant_message
from mentor.chat.parse import AssistantTurn, parse_turn
from mentor.chat.syntax import ParsedCall

__all__ = ["AssistantTurn", "ChatFormat", "ParsedCall", "assistant_message", "parse_turn"]
