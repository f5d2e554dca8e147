"""Ctrl-C, SIGTERM and SIGHUP: one sentence, the shells' exit status, a second one ends at once."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from mixpo import cli, fields
from mixpo.signals import ENDING, Interrupted, interrupting


@pytest.fixture(autouse=True)
def not_ignored():
    """As a terminal starts a program, however the tests were started (`nohup`)."""
    before = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def interrupted_main(monkeypatch, capsys, command):
    """`mixpo fields` with something else in its place; its exit status and what it says."""
    before = [signal.getsignal(number) for number in ENDING]
    monkeypatch.setattr(fields, "show", command)
    monkeypatch.setattr(sys, "argv", ["mixpo", "fields"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert [signal.getsignal(number) for number in ENDING] == before
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize("number", ENDING, ids=lambda number: number.name)
def test_a_signal_ends_a_command_with_one_sentence(monkeypatch, capsys, number):
    status, said = interrupted_main(monkeypatch, capsys, lambda *given: signal.raise_signal(number))
    assert (status, said) == (128 + number, "mixpo: interrupted; the same command goes on where this stopped\n")


def test_what_a_signal_brings_about_is_no_fault(monkeypatch, capsys):
    """A process of a pool dies of the same signal, and its death is an error of its own."""

    def command(*given):
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise RuntimeError("a worker was killed by a signal") from None

    status, said = interrupted_main(monkeypatch, capsys, command)
    assert (status, said) == (143, "mixpo: interrupted; the same command goes on where this stopped\n")


def test_a_file_that_ends_early_is_no_interrupt(monkeypatch, capsys):
    """Else it were said for ever that the same command goes on."""

    def command(*given):
        raise EOFError("Ran out of input")

    status, said = interrupted_main(monkeypatch, capsys, command)
    assert status == 1
    assert "EOFError: Ran out of input" in said
    assert "interrupted" not in said


@pytest.mark.parametrize("number", ENDING, ids=lambda number: number.name)
def test_a_second_signal_ends_at_once(number):
    program = (
        "import os, signal\nfrom mixpo.signals import interrupting\nwith interrupting():\n    try:\n"
        f"        signal.raise_signal({int(number)})\n    except KeyboardInterrupt:\n"
        f"        signal.raise_signal({int(signal.SIGTERM)})\n        print('goes on')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, b"")


def test_what_is_ignored_stays_so():
    """`nohup mixpo run …`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupting() as statuses:
            signal.raise_signal(signal.SIGHUP)
        assert statuses == []
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_has_what_was_there_before():
    """A worker of a data loader, for example: it does not go on as if it were the command."""
    with interrupting():
        if (pid := os.fork()) == 0:
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM


def test_nothing_is_touched_elsewhere(monkeypatch):
    """In another thread, and in the processes of torchrun."""
    before = [signal.getsignal(number) for number in ENDING]
    seen = []

    def look():
        with interrupting():
            seen.append([signal.getsignal(number) for number in ENDING])

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    monkeypatch.setenv("WORLD_SIZE", "2")
    look()
    assert seen == [before, before]
    assert issubclass(Interrupted, KeyboardInterrupt)
