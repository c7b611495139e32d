"""Between messages and token ids: render, append turn by turn, parse what the student wrote."""

from mentor.chat.format import ChatFormat
from mentor.chat.messages import assistant_message
from mentor.chat.parse import AssistantTurn, parse_turn
from mentor.chat.parsed import ParsedCall

__all__ = ["AssistantTurn", "ChatFormat", "ParsedCall", "assistant_message", "parse_turn"]
