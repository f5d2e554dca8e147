import pytest

from mixpo.errors import DataError, first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one"), "one"),
        (DataError("\n  one\r\ntwo"), "one"),
        (OSError(), "OSError"),
        (ValueError(" \n"), "ValueError"),
        (KeyError("name"), "'name'"),
    ],
)
def test_what_an_error_says_in_a_line(error, line):
    assert first_line(error) == line
