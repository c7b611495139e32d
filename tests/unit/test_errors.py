"""Exit codes of errors, and their messages in one line."""

import pytest

from mentor import errors
from mentor.errors import ConfigError, InputError, MentorError, RunFolderError, one_line


def test_bad_input_ends_with_2_and_everything_else_with_1():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MentorError)]
    assert {kind for kind in kinds if kind.exit_code == 2} == {ConfigError, InputError, RunFolderError}
    assert {kind.exit_code for kind in kinds} == {1, 2}


@pytest.mark.parametrize(
    ("message", "limit", "line"),
    [
        ("two\n  lines\t here ", None, "two lines here"),
        ("two\n  lines", 5, "two l"),
        ("", None, "ValueError"),
        (" \n", 3, "ValueError"),
    ],
)
def test_a_message_is_one_line_or_the_name_of_its_type(message: str, limit: int | None, line: str):
    assert one_line(ValueError(message), limit) == line
