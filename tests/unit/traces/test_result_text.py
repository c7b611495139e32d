"""One result, or several in one message."""

from mentor.traces.result_text import Result, only_results, results_of


def test_a_text_is_one_result():
    for text in ("140", '{"pieces": 140}', "[1, 2, 3]", "", '[{"name": "x", "results": 1, "more": 2}]'):
        assert results_of(text, 1) == [Result(text)]


def test_tags_are_taken_off_and_name_the_tool():
    text = (
        '<tool_response>\n{"name": "stock", "content": {"pieces": 3}}\n</tool_response>\n'
        "<tool_response>{'tool_call_id': 'c2', 'name': 'price', 'content': '9'}</tool_response>"
        "<tool_response>ok</tool_response>"
    )
    assert results_of(text, 3) == [Result('{"pieces": 3}', "stock"), Result("9", "price", "c2"), Result("ok")]


def test_a_list_of_as_many_results_as_there_were_calls_is_taken_apart():
    both = '[{"name": "Get Weather", "results": {"sun": true}}, {"name": "Now", "results": "noon"}]'
    assert results_of(both, 2) == [Result('{"sun": true}', "Get Weather"), Result("noon", "Now")]
    assert results_of('[{"name": "Now", "results": "noon"}]', 1) == [Result("noon", "Now")]
    assert results_of("[3, {}]", 2) == [Result("3"), Result("{}")]
    assert results_of("[3, 9]", 3) == [Result("[3, 9]")]


def test_a_message_of_tagged_results_alone():
    assert only_results("<tool_response>\n1\n</tool_response>\n<tool_response>2</tool_response>")
    assert not any(map(only_results, ("What does <tool_response>1</tool_response> mean?", "", None, "<tool_response>")))
