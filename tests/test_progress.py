"""What reaches the screen: bars that end whole, and no warnings of libraries that mean nothing to the user."""

import logging

from mixpo.progress import say, show_warnings, track


def test_what_libraries_say_when_they_are_merely_imported_is_not_shown(caplog):
    level = logging.getLogger().level
    for _ in range(2):
        show_warnings()
    try:
        logging.getLogger("bitsandbytes.backends.cpu.ops").warning("Failed to load CPU gemm_4bit_forward from %s", "x")
        logging.getLogger("bitsandbytes.backends.cpu.ops").warning("another")
    finally:
        logging.getLogger().setLevel(level)
    assert [record.getMessage() for record in caplog.records] == ["another"]


def test_a_bar_without_a_total_ends_full_and_a_passing_one_is_gone(capsys):
    assert list(track(iter("abc"), "read")) == [*"abc"]
    assert "3/3" in capsys.readouterr().err
    assert list(track(iter("abc"), "read", passing=True)) == [*"abc"]
    assert "read" not in capsys.readouterr().err


def test_a_long_path_is_one_line_where_nothing_folds_it(capsys):
    say("in /" + "long/" * 40 + "path")
    assert "in /" + "long/" * 40 + "path\n" in capsys.readouterr().err


def test_what_models_and_users_wrote_moves_no_cursor_and_makes_no_pictograms(capsys):
    say("ends: [b]1:100:3[/b] \x1b[2Jgone\x07")
    assert capsys.readouterr().err == "ends: [b]1:100:3[/b]  [2Jgone \n"
