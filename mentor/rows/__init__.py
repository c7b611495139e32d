"""Rows of the user's data: from which files, of which format, and the fields of a row.

path or Hub name -> `row_sources` (files, splits) -> `row_files` (rows with their places) -> `row_fields` (values).
"""

from mentor.rows.row_fields import (
    Row,
    answer_field,
    describe,
    json_field,
    parse_row,
    text_field,
    value_field,
    without_nulls,
)
from mentor.rows.row_files import read_rows
from mentor.rows.row_sources import is_hub_name, source_rows

__all__ = [
    "Row",
    "answer_field",
    "describe",
    "is_hub_name",
    "json_field",
    "parse_row",
    "read_rows",
    "source_rows",
    "text_field",
    "value_field",
    "without_nulls",
]
