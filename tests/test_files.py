import multiprocessing
import os
import random
import resource
import signal
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpo.checksums import whole_lines
from mixpo.errors import DataError, UserError
from mixpo.files import RunFiles, Shards
from mixpo.json_lines import from_json, to_json
from mixpo.records import (
    AnswerKind,
    Dropped,
    DropReason,
    FinishReason,
    Origin,
    Outcome,
    PreferencePair,
    Question,
    Response,
    Verdict,
)
from mixpo.text_files import STAGED, lies_in, staged, write_text

RECORDS = [
    Question(id="q-1", text="How many?", images=("s/1.png",), answer="3", kind=AnswerKind.INTEGER, meta={"steps": 2}),
    Question(id="q-2", text="Describe.", choices=("a", "b"), precision=0),
    Response(id="q-1/0", question_id="q-1", sample=0, text="3\n", finish_reason=FinishReason.STOP, token_ids=(1, 0)),
    Verdict(id="q-1/0", question_id="q-1", outcome=Outcome.CORRECT, extracted="3", span=(0, 1)),
    PreferencePair(id="p", question_id="q", prompt="?", chosen="a", rejected="b", origin=Origin.FORMAT),
    Dropped(id="f:3", step="questions", reason=DropReason.TORN_LINE, count=2),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_records_survive_the_disk(record):
    assert from_json(type(record), to_json(record)) == record


def test_fields_at_their_default_are_left_out():
    assert to_json(RECORDS[1]) == '{"id": "q-2", "text": "Describe.", "choices": ["a", "b"], "precision": 0}'


@given(st.text(), st.text())
def test_any_text_survives_the_disk(text, prompt):
    record = Response(id="a", question_id="b", sample=1, text=text, finish_reason=FinishReason.LENGTH, prompt=prompt)
    line = to_json(record)
    assert "\n" not in line
    assert from_json(Response, line) == record


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "q", "te', "^Invalid JSON: EOF while parsing a string"),
        ("[1]", r"^must be a mapping, not \[1\]"),
        ('{"id": "q"}', "^'text' is missing"),
        ('{"id": "q", "text": "", "txt": 1}', "^txt: unknown key; did you mean 'text'"),
        ('{"id": "q", "text": "", "kind": "poem"}', "^kind: 'poem' is none of choice, yes_no,"),
        ('{"id": 3, "text": null, "choices": "abc"}', "^id: must be text, not 3"),
        ('{"id": "q", "text": null, "choices": "abc"}', "^text: must be text, not None"),
        ('{"id": "q", "text": "", "choices": "abc"}', "^choices: must be a list, not 'abc'"),
        ('{"id": "q", "text": "", "choices": ["a", 1]}', r"^choices\.1: must be text, not 1"),
        ('{"id": "q", "text": "", "precision": true}', "^precision: must be a whole number, not True"),
        ('{"id": "q", "text": "", "meta": []}', r"^meta: must be a mapping, not \[\]"),
    ],
)
def test_bad_lines_say_what_is_wrong(line, message):
    with pytest.raises(ValueError, match=message):
        from_json(Question, line)


def test_half_a_surrogate_pair_is_a_question_mark_where_a_model_wrote_it():
    """JSON can carry it, UTF-8 cannot: what is read can be written again. Data are not changed: the row is bad."""
    line = (
        '{"id": "q/0", "question_id": "q", "sample": 0, "text": "a\\uD83D b \\ud83d\\ude00", "finish_reason": "stop"}'
    )
    assert from_json(Response, line).text == "a? b \N{GRINNING FACE}"
    for data in (line.replace('"q"', '"q\\udfff"'), line.replace("q/0", "q/\\udfff")):
        with pytest.raises(ValueError, match="a text is not valid Unicode"):
            from_json(Response, data)
    for field in ('"text": "', '"text": "", "answer": "', '"text": "", "meta": {"a": "'):
        with pytest.raises(ValueError, match="a text is not valid Unicode"):
            from_json(Question, f'{{"id": "q", {field}\\ud800"{"}" * (1 + field.count("{"))}')


def test_what_is_left_out_may_have_a_name_that_is_no_text(tmp_path):
    """A file's name is bytes: those that are not UTF-8 come as lone surrogates."""
    shards = Shards(tmp_path, Dropped)
    shards.append([Dropped(id="caf\udce9:1", step="verify", reason="bad_row", detail="caf\udce9:1: torn")])
    assert [(record.id, record.detail) for record in shards] == [("caf?:1", "caf?:1: torn")]


def questions(numbers):
    return [Question(id=f"q-{number}", text="x" * (number % 50)) for number in numbers]


def test_a_torn_last_line_is_cut_and_made_again(tmp_path):
    shards = Shards(tmp_path / "q", Question)
    assert shards.append(questions(range(3))) == 3
    path = shards.paths()[0]
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        missing = [record for record in questions(range(3)) if record.id not in shards.ids()]
        shards.append(missing)
        assert list(shards) == questions(range(3))
        assert path.read_bytes() == whole


@pytest.mark.parametrize("torn", [1, 65_535, 65_536, 65_537, 200_000])
def test_a_torn_line_is_cut_at_the_last_newline_however_far_back(tmp_path, torn):
    """The end is looked at in pieces of 65,536 bytes; the newline may be the first byte of one."""
    shards = Shards(tmp_path / "q", Question)
    shards.append(questions(range(2)))
    path = shards.paths()[0]
    whole = path.read_bytes()
    path.write_bytes(whole + b"x" * torn)
    shards.append(questions(range(2, 3)))
    assert path.read_bytes().startswith(whole + b'{"id":')
    assert list(shards) == questions(range(3))


def test_a_bad_line_in_the_middle_is_skipped_with_a_warning(tmp_path, caplog):
    shards = Shards(tmp_path / "q", Question)
    shards.append(questions(range(3)))
    path = shards.paths()[0]
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + "{broken\n" + lines[2])
    assert [record.id for record in shards] == ["q-0", "q-2"]
    assert "part-00000.jsonl:2" in caplog.text


def test_repeated_ids_are_read_once(tmp_path):
    shards = Shards(tmp_path / "q", Question)
    shards.append([Question(id="q", text="first")])
    shards.append([Question(id="q", text="second")])
    assert [record.text for record in shards] == ["first"]


def test_shards_roll_over(tmp_path, monkeypatch):
    monkeypatch.setattr("mixpo.shards.SHARD_RECORDS", 2)
    shards = Shards(tmp_path / "q", Question)
    shards.append(questions(range(3)))
    shards.append(questions(range(3, 5)))
    assert [len(list(whole_lines(path))) for path in shards.paths()] == [2, 2, 1]
    assert list(shards) == questions(range(5))


def test_replace_is_whole(tmp_path):
    shards = Shards(tmp_path / "q", Question)
    shards.append(questions(range(3)))

    def failing():
        yield questions([7])[0]
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        shards.replace(failing())
    assert list(shards) == questions(range(3))
    shards.replace(questions([7]))
    assert list(shards) == questions([7])


@pytest.mark.parametrize("gone", [0, 2, 6], ids=["nothing removed", "a shard removed", "all removed"])
def test_a_replacement_counts_from_the_moment_it_is_whole(tmp_path, monkeypatch, gone):
    """Killed while what it replaces goes, no record is lost: neither to who reads, nor to who appends."""
    monkeypatch.setattr("mixpo.shards.SHARD_RECORDS", 2)
    files, other = RunFiles(tmp_path), RunFiles(tmp_path / "never killed")
    for one in (files, other):
        one.questions("q").append(questions(range(5)))
    shards, unkilled = files.questions("q"), other.questions("q")

    def killed(folder, *names):
        if folder == shards.folder:
            for path in sorted(folder.iterdir())[:gone]:
                path.unlink()
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("mixpo.shards.remove", killed)
        with pytest.raises(KeyboardInterrupt):
            shards.replace(question for question in shards if question.id != "q-1")
    unkilled.replace(question for question in unkilled if question.id != "q-1")
    assert [question.id for question in shards] == [question.id for question in unkilled]
    assert shards.folder.with_name("q.whole") in files.of_section("q"), "`--redo` sets it aside, too"
    for one in (shards, unkilled):
        one.append(())
    assert not shards.folder.with_name("q.whole").exists()
    assert [(path.name, path.read_bytes()) for path in sorted(shards.folder.iterdir())] == [
        (path.name, path.read_bytes()) for path in sorted(unkilled.folder.iterdir())
    ]


def test_an_unwritable_folder_gives_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        Shards(tmp_path / "file" / "q", Question).append(questions([1]))
    with pytest.raises(UserError, match="cannot be written"):
        write_text(tmp_path / "file" / "x", "")


def _append_with_limit(folder, answer):
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        Shards(folder, Question).append(questions(range(100)))
    except UserError as error:
        answer.put(str(error))


def test_a_disk_that_fills_up_loses_nothing(tmp_path):
    """The kernel refuses writes beyond 200 bytes: the whole records before stay, the torn one is made again."""
    context = multiprocessing.get_context("fork")
    answer = context.Queue()
    process = context.Process(target=_append_with_limit, args=(tmp_path / "q", answer))
    process.start()
    assert "cannot be written (File too large); make room" in answer.get(timeout=60)
    process.join()
    shards = Shards(tmp_path / "q", Question)
    kept = [record.id for record in shards]
    assert kept == [f"q-{number}" for number in range(len(kept))]
    assert kept
    shards.append(record for record in questions(range(20)) if record.id not in kept)
    assert list(shards) == questions(range(20))


def test_a_missing_file_gives_a_sentence(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        list(whole_lines(tmp_path / "none.jsonl"))


def _append_for_ever(folder):
    shards = Shards(folder, Question)
    done = shards.ids()
    shards.append(record for record in questions(range(100_000)) if record.id not in done)


def test_sigkill_while_appending_loses_at_most_the_record_in_flight(tmp_path):
    shards = Shards(tmp_path / "q", Question)
    rng = random.Random(0)
    count = size = 0
    context = multiprocessing.get_context("fork")
    for _ in range(5):
        process = context.Process(target=_append_for_ever, args=(tmp_path / "q",))
        process.start()
        deadline = time.monotonic() + 60
        while written(shards) <= size and time.monotonic() < deadline:
            time.sleep(rng.uniform(0, 0.01))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        size = written(shards)
        found = [record.id for record in shards]
        assert found == [f"q-{number}" for number in range(len(found))]
        assert len(found) >= count
        count = len(found)
    assert count > 0


def written(shards):
    return sum(path.stat().st_size for path in shards.paths())


def test_what_is_staged_appears_whole_or_not_at_all(tmp_path):
    file, folder = tmp_path / "new" / "a.txt", tmp_path / "b"
    with staged(file) as place:
        place.write_text("first")
        assert not file.exists()
    with pytest.raises(ZeroDivisionError), staged(file) as place:
        place.write_text(f"second {1 / (place.write_text('half') - 4)}")
    assert file.read_text() == "first"
    (tmp_path / f".b{STAGED}" / "left by a killed process").mkdir(parents=True)
    folder.mkdir()
    with staged(folder) as place:
        place.mkdir()
        (place / "in.txt").write_text("x")
    assert [path.name for path in folder.iterdir()] == ["in.txt"]
    with pytest.raises(UserError, match=r"b cannot be written \(.*\); make room"), staged(folder) as place:
        place.mkdir()  # a folder that holds something is not replaced
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.txt", "b", "in.txt", "new"]


def test_staging_removes_nothing_that_others_wrote(tmp_path):
    for name in (".a.staged", "a.staged", "of others"):
        (tmp_path / name).write_text("mine")
    (tmp_path / ".b.staged").mkdir()
    (tmp_path / f".a{STAGED}").symlink_to(tmp_path / "of others")  # in a folder that others may write to
    with staged(tmp_path / "b") as place:
        place.mkdir()
    write_text(tmp_path / "a", "ours")
    assert (tmp_path / "a").read_text() == "ours"
    assert [(tmp_path / name).read_text() for name in (".a.staged", "a.staged", "of others")] == ["mine"] * 3
    assert (tmp_path / ".b.staged").is_dir()


def test_a_line_that_is_not_utf8_makes_no_record(tmp_path, caplog):
    """ "café" in Latin-1 is not "cafè", nor any other text."""
    shards = Shards(tmp_path, Question)
    shards.append(questions(range(2)))
    path = tmp_path / "part-00000.jsonl"
    latin = '{"id": "x", "text": "\\ud83d\\ude00 café", "answer": "1"}\n'.encode("latin-1")
    path.write_bytes(latin + path.read_bytes())
    path.with_suffix(".crc32").unlink()
    assert [record.id for record in shards] == [record.id for record in questions(range(2))]
    assert "part-00000.jsonl:1 is damaged" in caplog.text


def test_models_of_a_recipe(tmp_path):
    files = RunFiles(tmp_path)
    assert files.model("org/name") == "org/name"
    assert files.model("base").endswith("base")
    with pytest.raises(UserError, match="has not finished"):
        files.model("step:train")
    (files.checkpoints("train") / "model").mkdir(parents=True)
    assert files.model("step:train") == str(files.checkpoints("train") / "model")


def test_a_pipe_in_a_shards_place_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "part-00000.jsonl")
    with pytest.raises(UserError, match="cannot be written"):
        Shards(tmp_path, Question).append(questions(range(1)))


def test_links_in_a_circle_lie_where_the_first_is(tmp_path):
    """Opening it then says what it is."""
    (tmp_path / "a").symlink_to("a")
    assert lies_in(tmp_path / "a", tmp_path)
    assert not lies_in(tmp_path / "a", tmp_path / "b")


def test_a_models_path_below_the_home_folder_is_filled_in(tmp_path, monkeypatch):
    """Else nobody who looks into the folder finds it: a changed model went unnoticed."""
    monkeypatch.setenv("HOME", str(tmp_path))
    names = ("~/mine", "~nobody-of-this-name/x", "org/name", "./~/x")
    assert [RunFiles(tmp_path).model(name) for name in names] == [str(tmp_path / "mine"), *names[1:]]
