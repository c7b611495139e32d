"""The text of single tokens, for byte-level tokenizers and for those with byte fallback."""

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from mentor.reporting.page.token_text import byte_alphabet, token_bytes, token_text, token_texts


def test_pieces_of_a_byte_level_tokenizer_spell_the_text(chat) -> None:
    text = "<|im_start|>user\nWhat is 12 plus 3? <tool_call>"
    ids = chat.encode(text)
    table = token_texts(Tokenizer.from_str(chat.tokenizer.backend_tokenizer.to_str()), ids)
    assert "".join(table[token] for token in ids) == text
    assert list(table) == sorted(set(ids))


def test_parts_of_a_character_are_shown_as_bytes(chat) -> None:
    tokenizer = Tokenizer.from_str(chat.tokenizer.backend_tokenizer.to_str())
    ids = chat.encode("€")
    assert [token_text(tokenizer, token) for token in ids] == ["‹e2›", "‹82›", "‹ac›"]
    assert token_text(tokenizer, 10**6) == "‹token 1000000›"


def test_byte_fallback_and_spaces_of_a_metaspace_tokenizer() -> None:
    vocabulary = {"<unk>": 0, "<0xE2>": 1, "▁the": 2, "re": 3}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Strip(" ", 1, 0)]
    )
    assert [token_text(tokenizer, token) for token in (1, 2, 3)] == ["‹e2›", " the", "re"]


def test_the_byte_alphabet_is_the_tokenizers_own() -> None:
    assert set(byte_alphabet()) == set(pre_tokenizers.ByteLevel.alphabet())
    assert sorted(byte_alphabet().values()) == list(range(256))
    assert token_bytes("ĠA") == b" A" and token_bytes("日") is None
