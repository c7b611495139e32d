"""The tokenizer and template of the student made from scratch."""

import json

import pytest
from transformers import AutoTokenizer

from mentor.chat import ChatFormat
from mentor.chat.tiny import SPECIAL, TAGS, render_text, train_tokenizer
from tests.fixtures.trajectories import parallel_calls


def test_the_tiny_format_spells_what_its_template_renders(chat, calculator_tools):
    trajectory = parallel_calls(calculator_tools)
    tokens = chat.render(trajectory)
    whole = chat.tokenizer.apply_chat_template(
        trajectory.messages,
        tools=json.loads(calculator_tools),
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    assert tokens.token_ids == whole["input_ids"][:-1]  # the template adds a line end after the last turn
    assert tokens.loss_mask == [bool(bit) for bit in whole["assistant_masks"][:-1]]


def test_a_saved_tokenizer_reads_its_own_turns_with_parse_response(chat, calculator_tools, tmp_path):
    chat.tokenizer.save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    message = parallel_calls(calculator_tools).messages[1]
    parsed = tokenizer.parse_response(chat.turn_text(message), prefix="<|im_start|>assistant\n")
    assert [call["function"] for call in parsed["tool_calls"]] == [call["function"] for call in message["tool_calls"]]
    assert tokenizer.parse_response("Hello.<|im_end|>", prefix="<|im_start|>assistant\n")["content"] == "Hello."
    assert tokenizer.encode("47 and 3.25") == chat.encode("47 and 3.25")


def test_digits_are_single_tokens_and_a_call_is_short(chat):
    assert [chat.decode([token]) for token in chat.encode("1047")] == ["1", "0", "4", "7"]
    assert len(chat.encode('<tool_call>\n{"name": "add", "arguments": {"a": 5, "b": 7}}\n</tool_call>')) <= 16


def test_any_text_survives_the_tokenizer(chat):
    for text in ("naïve → 数学 🙂", "tabs\tand\r\nlines", "  two  spaces ", "<tool_call>x", '"\\u00e9"'):
        assert chat.decode(chat.encode(text)) == text


def test_vllms_hermes_parser_reads_the_tiny_students_turns(chat, calculator_tools, tmp_path):
    hermes = pytest.importorskip("vllm.tool_parsers.hermes_tool_parser", reason="vllm is not installed")
    chat.tokenizer.save_pretrained(tmp_path)
    parser = hermes.Hermes2ProToolParser(AutoTokenizer.from_pretrained(tmp_path))
    message = parallel_calls(calculator_tools).messages[1]
    read = parser.extract_tool_calls(chat.turn_text(message).removesuffix("<|im_end|>"), None)
    assert read.tools_called
    assert [(call.function.name, json.loads(call.function.arguments)) for call in read.tool_calls] == [
        (call["function"]["name"], call["function"]["arguments"]) for call in message["tool_calls"]
    ]


def test_a_conversation_is_rendered_with_tools_as_signatures():
    parameters = {"properties": {"a": {"type": "number"}, "b": {"type": ["number", "null"]}}, "required": ["a"]}
    tools = [{"type": "function", "function": {"name": "add", "parameters": parameters}}]
    messages = [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "2"}]
    assert render_text(messages, tools) == (
        "<|im_start|>system\nTools:\nadd(a:number,b?:number|null)<|im_end|>\n"
        "<|im_start|>user\n1 + 1?<|im_end|>\n<|im_start|>assistant\n2<|im_end|>\n"
    )


def test_a_tokenizer_has_the_size_asked_for_and_every_tag_as_one_token():
    tokenizer = train_tokenizer(["<|im_start|>user\nWhat is 1 plus 2?<|im_end|>\n" * 3] * 40, 268)
    assert len(tokenizer) == 268 and tokenizer.eos_token == "<|im_end|>"
    for tag in (*SPECIAL, *TAGS):
        assert len(tokenizer.encode(tag, add_special_tokens=False)) == 1


def test_whole_words_have_the_same_tokens_in_a_question_a_listing_and_a_call():
    text = 'Find the stone. find_stone(id:string)\n{"name": "find_stone", "arguments": {"id": "AB-1"}}\n'
    tokenizer = train_tokenizer([text] * 50, 330, whole_words=True)
    unseen = tokenizer.encode("größeTevudoki", add_special_tokens=False)
    for shown in ("the {} here", "{}(id:string", '{{"name": "{}", "arguments": {{"a": 1}}}}', ' "{}-4"'):
        ids = tokenizer.encode(shown.format("größeTevudoki"), add_special_tokens=False)
        assert tokenizer.decode(ids) == shown.format("größeTevudoki")
        assert any(ids[place : place + len(unseen)] == unseen for place in range(len(ids)))
    assert len(tokenizer.encode('{"name": "', add_special_tokens=False)) == 1


def listed(schema, name="send", **more):
    """The line of a tool whose one required parameter `x` has the schema; `more` goes beside the properties."""
    return line({"type": "object", "properties": {"x": schema}, "required": ["x"], **more}, name)


def line(parameters, name="send"):
    tools = [{"type": "function", "function": {"name": name, "parameters": parameters}}]
    text = render_text([{"role": "user", "content": "question"}], tools)
    return text.removeprefix("<|im_start|>system\nTools:\n").split("<|im_end|>")[0]


STRING, INTEGER, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}
ADDRESS = {"type": "object", "properties": {"street": STRING, "zip": STRING}, "required": ["street"]}


@pytest.mark.parametrize(
    ("schema", "shown"),
    [
        (NUMBER, "number"),
        ({}, "any"),
        (True, "any"),
        ({"type": "string", "enum": ["km", "mile"]}, '"km"|"mile"'),
        ({"enum": ['say "hi"', "é\n", 1, None, True]}, r'"say \"hi\""|"é\n"|1|null|true'),
        ({"const": 3}, "3"),
        (ADDRESS, "{street:string,zip?:string}"),
        ({"type": "object"}, "object"),
        ({"type": "object", "properties": {}}, "object"),
        ({"type": "object", "additionalProperties": INTEGER}, "{*:integer}"),
        ({**ADDRESS, "additionalProperties": STRING}, "{street:string,zip?:string,*:string}"),
        ({**ADDRESS, "additionalProperties": False}, "{street:string,zip?:string}"),
        ({"type": "array"}, "array"),
        ({"type": "array", "items": NUMBER}, "array"),
        ({"type": "array", "items": STRING}, "[string]"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, '["a"|"b"]'),
        ({"type": "array", "items": ADDRESS}, "[{street:string,zip?:string}]"),
        ({"type": "array", "items": {"type": "array", "items": NUMBER}}, "[array]"),
        ({"type": "array", "prefixItems": [INTEGER, INTEGER, STRING]}, "[integer,integer,string]"),
        ({"type": ["number", "null"]}, "number|null"),
        ({"type": ["array", "null"], "items": STRING}, "[string]|null"),
        ({"anyOf": [{"enum": ["a"]}, ADDRESS, {"type": "null"}]}, '"a"|{street:string,zip?:string}|null'),
        ({"oneOf": [STRING, {"type": "string", "format": "date"}]}, "string"),
        ({"allOf": [ADDRESS, {"properties": {"floor": INTEGER}}]}, "{street:string,zip?:string}&{floor?:integer}"),
    ],
)
def test_a_parameter_is_listed_as_its_schema_says(schema, shown):
    assert listed(schema) == f"send(x:{shown})"


def test_references_are_resolved_inside_the_schema():
    definitions = {"Order": {"type": "object", "properties": {"to": {"$ref": "#/$defs/a~1b"}}}, "a/b": ADDRESS}
    assert listed({"$ref": "#/$defs/Order"}, **{"$defs": definitions}) == "send(x:{to?:{street:string,zip?:string}})"
    twice = {"x": {"anyOf": [NUMBER, ADDRESS]}, "y": {"$ref": "#/properties/x/anyOf/1"}}
    assert line({"properties": twice}) == ("send(x?:number|{street:string,zip?:string},y?:{street:string,zip?:string})")


def test_a_type_that_holds_itself_is_listed_once():
    node = {
        "type": "object",
        "properties": {"value": INTEGER, "below": {"type": "array", "items": {"$ref": "#/$defs/N"}}},
    }
    assert listed({"$ref": "#/$defs/N"}, **{"$defs": {"N": node}}) == "send(x:{value?:integer,below?:[...]})"


def test_deep_schemas_are_listed_to_a_depth_of_sixteen():
    def nested(depth):
        return {"type": "object", "properties": {"k": nested(depth - 1)}} if depth else STRING

    assert listed(nested(5)) == "send(x:{k?:{k?:{k?:{k?:{k?:string}}}}})"
    assert listed(nested(60)) == "send(x:" + "{k?:" * 16 + "object" + "}" * 16 + ")"


def test_names_that_are_no_words_are_listed_as_json_strings():
    properties = dict.fromkeys(("unit-price", "größe", "a b", "a:b", 'say "hi"', "items"), INTEGER)
    assert line({"properties": properties}, "shop.find-item") == (
        r'shop.find-item(unit-price?:integer,größe?:integer,"a b"?:integer,"a:b"?:integer,'
        r'"say \"hi\""?:integer,items?:integer)'
    )
    assert line({"type": "object"}, "two words") == '"two words"()'


def test_a_call_is_valid_json_whatever_the_tool_is_called(chat):
    call = {"id": "call_0", "type": "function", "function": {"name": 'say "hi"', "arguments": {"a b": "é"}}}
    read = chat.parse(chat.turn_ids({"role": "assistant", "content": "", "tool_calls": [call]})).calls
    assert [(found.name, found.arguments) for found in read] == [('say "hi"', {"a b": "é"})]


def test_the_calculator_is_listed_as_in_every_version_before(calculator_tools):
    assert render_text([{"role": "user", "content": "1 + 1?"}], json.loads(calculator_tools)) == (
        "<|im_start|>system\nTools:\nadd(a:number,b:number)\nsubtract(a:number,b:number)\n"
        "multiply(a:number,b:number)\ndivide(a:number,b:number)\nmodulo(a:number,b:number)\n"
        "power(base:number,exponent:number)\nsum_numbers(numbers:array)\nfloor(x:number)\nceil(x:number)\n"
        "round_number(x:number,digits?:integer)\nsqrt(x:number)\nabs_value(x:number)<|im_end|>\n"
        "<|im_start|>user\n1 + 1?<|im_end|>\n"
    )


def test_a_saved_tokenizer_keeps_the_template_it_was_saved_with(chat, calculator_tools, tmp_path):
    chat.tokenizer.save_pretrained(tmp_path)
    template = tmp_path / "chat_template.jinja"
    template.write_text(template.read_text(encoding="utf-8").replace("Tools:", "Functions:"), encoding="utf-8")
    prompt = ChatFormat.from_pretrained(tmp_path).prompt_ids("1 + 1?", calculator_tools)
    assert chat.decode(list(prompt)).startswith("<|im_start|>system\nFunctions:\nadd(a:number,b:number)")
