"""What other programs read out of mixpo's exports: TRL, ms-swift, LLaMA-Factory and InternVL, with their own code.

    python benchmarks/other_readers.py [--trl PYTHON] [--ms-swift PYTHON] [--llama-factory PYTHON]
                                       [--internvl CHECKOUT] [--out FOLDER]

PYTHON is the python of an environment that has the program (they want different releases of transformers, so each its
own: `pip install trl`, `ms-swift qwen_vl_utils`, `llamafactory torchaudio`, each with torch, torchvision). CHECKOUT is
internvl_chat of OpenGVLab/InternVL, whose class for MMPR runs in mixpo's environment. No network, 4 GB of memory.

Every case below is exported in every format; mixpo imports it again, and the program tokenizes both sides for a tiny
Qwen2.5-VL. The decoded tokens must be the conversation that mixpo trains on: the same turns, the same words, the
pictures in the same places and order, and a label for every token of the answer and for no other. The table says
`same`, `left out` (the export says so itself) or what differs; then the exit status is 1. --out keeps all files.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import transformers as t
from PIL import Image

from mixpo.files import RunFiles
from mixpo.json_lines import from_json
from mixpo.messages import PICTURE
from mixpo.models.base_model import make_tokenizer
from mixpo.pairs.export import LEFT_OUT, export
from mixpo.pairs.import_pairs import WRITERS, Config, Format
from mixpo.pairs.import_pairs import run as run_import
from mixpo.records import Dropped, Origin, PreferencePair, Question, Role, Turn
from readers.reading import COLOURS

READERS = Path(__file__).parent / "readers"
PROGRAMS = {
    "trl": (Format.TRL,),
    "ms-swift": (Format.MS_SWIFT, Format.RLAIF_V),
    "llama-factory": (Format.LLAMA_FACTORY,),
    "internvl": (Format.MMPR,),
}
"""The formats that a program reads; its reader is `readers/read_….py`."""
TURN = re.compile(r"<\|im_start\|>(\w+)\n(.*?)<\|im_end\|>\n?", re.DOTALL)
VISION = re.compile(r"<\|vision_start\|>(?:<\|image_pad\|>)+<\|vision_end\|>|<img>(?:<IMG_CONTEXT>)+</img>\n?")
"""A picture in the tokens; InternVL's templates put a line break behind it, its data have it there already."""
TOKENS = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
SAME = "same"


def case(name: str, prompt: str, *colours: str, **more: Any) -> PreferencePair:
    images = tuple(f"colours/{colour}.png" for colour in colours)
    texts = {"chosen": "It is warm.", "rejected": "It is\ncold.", **more}
    return PreferencePair(
        id=name, question_id=name, prompt=prompt, images=images, origin=Origin.CORRECTNESS, rejected_ended=True, **texts
    )


EARLIER = (Turn(role=Role.USER, text="Is it warm?"), Turn(role=Role.ASSISTANT, text="It may be."))
PAIRS = [
    case("text only", "What is 2 + 2?"),
    case("one picture first", "Which colour?", "red"),
    case("three pictures first", "Compare them.", "red", "green", "blue"),
    case("three between words", f"First {PICTURE}, then {PICTURE}\n{PICTURE} last?", "blue", "red", "green"),
    case("numbered pictures", f"Image-1: {PICTURE}\nImage-2: {PICTURE}\nWhich?", "green", "blue"),
    case("picture at the end", f"Which colour? {PICTURE}", "red"),
    case("picture on its line", f"{PICTURE}\nWhich colour?", "red"),
    case("words between two", f"{PICTURE} or {PICTURE}", "green", "red"),
    case("system", "Which colour?", "red", system="You see colours."),
    case("system and two turns", "And now?", "red", system="Be brief.", turns=EARLIER),
    case("text, system and two turns", "And now?", system="Be brief.", turns=EARLIER),
    case("pictures in two turns", f"And this {PICTURE}?", "green", "red", turns=(
        Turn(role=Role.USER, text=f"Is {PICTURE} warm?"), EARLIER[1])),
    case("picture in the second turn", f"{PICTURE}And this?", "blue", turns=EARLIER),
    case("white space", "\n  two  spaces\t\n", "blue", chosen=" warm\n", rejected="\tcold "),
    case("other scripts", "数は何ですか? Größe, ½ 🙂", chosen="数は3です", rejected="é"),
    case("tags", "<b>bold</b> <think> \\frac{1}{2} $x$ {{name}} %s", chosen="<think>\nso\n</think>\nwarm"),
    case("marks of boxes", "Where is <ref-object>? <bbox>", "red", chosen="<bbox>", rejected="<ref-object>"),
    case("tag of a file", "Why <img>a.png</img>?", chosen="<img>b.png</img>"),
    case("mark of a picture", "What does <image> mean?"),
    case("mark in the answer", "Which tag?", "red", chosen="It is <image>."),
    case("token of a picture", "What does <|image_pad|> mean?"),
    case("mark of a video", "What do <video> and <audio> mean?", "red"),
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for program in PROGRAMS:
        parser.add_argument(f"--{program}", dest=program, metavar="CHECKOUT" if program == "internvl" else "PYTHON")
    parser.add_argument("--out", type=Path, help="a folder to keep")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = (args.out or Path(temporary)).absolute()
        files = write_run(out / "run")
        checkpoint = write_checkpoint(out / "checkpoint")
        columns: dict[str, dict[str, str]] = {}
        for form in WRITERS:
            export(files, form, out / form)
            columns[f"{form}: imported again"] = imported(form, out)
            for program, forms in PROGRAMS.items():
                if form in forms and (given := getattr(args, program)):
                    columns[f"{form}: {program} itself"] = read(program, given, out / form, checkpoint)
        sys.exit(table(columns))


def write_run(folder: Path) -> RunFiles:
    files = RunFiles(folder)
    for colour in COLOURS:
        path = files.pictures("questions") / "colours" / f"{colour}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (56, 56), colour).save(path)
    files.image_roots_file("questions").write_text(json.dumps({"colours": "images/colours"}), encoding="utf-8")
    files.questions("questions").append([Question(id=pair.id, text=pair.prompt) for pair in PAIRS])
    files.pairs("pair").append(PAIRS)
    return files


def write_checkpoint(folder: Path) -> Path:
    """A tiny Qwen2.5-VL with random weights: four image tokens for a picture of 56 x 56 pixels."""
    tokenizer = make_tokenizer([pair.prompt for pair in PAIRS], 400)
    tokenizer.add_special_tokens({"additional_special_tokens": list(TOKENS)})
    image, video, start, end = tokenizer.convert_tokens_to_ids(list(TOKENS))
    template = tokenizer.chat_template.replace("<IMG_CONTEXT>\n", "<|vision_start|><|image_pad|><|vision_end|>")
    tokenizer.chat_template = template
    tokenizer.image_token, tokenizer.video_token = TOKENS[:2]
    vision = {
        "depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 32,
        "fullatt_block_indexes": [0], "window_size": 56,
    }  # fmt: skip
    text = {
        "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
        "intermediate_size": 48, "vocab_size": len(tokenizer), "max_position_embeddings": 4096,
        "bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id,
        "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0},
    }  # fmt: skip
    config = t.Qwen2_5_VLConfig(
        vision_config=vision, text_config=text, image_token_id=image, video_token_id=video, tie_word_embeddings=False,
        vision_start_token_id=start, vision_end_token_id=end,
    )  # fmt: skip
    t.Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    size = {"shortest_edge": 28**2, "longest_edge": 56**2}
    t.Qwen2_5_VLProcessor(
        image_processor=t.Qwen2VLImageProcessor(size=size), tokenizer=tokenizer,
        video_processor=t.Qwen2VLVideoProcessor(), chat_template=template,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def left_out(folder: Path) -> dict[str, str]:
    """What the export itself says that it could not write, by case."""
    path = folder / LEFT_OUT
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {record.id: f"left out: {record.detail}" for record in (from_json(Dropped, line) for line in lines)}


def imported(form: Format, out: Path) -> dict[str, str]:
    files = RunFiles(out / f"{form}-imported")
    run_import(Config(format=form, path=str(out / form)), files)
    back = {pair.id: pair for pair in files.pairs("import")}
    dropped = {record.id.rpartition(":")[2]: f"dropped: {record.detail}" for record in files.dropped("import")}
    found = left_out(out / form)
    for number, pair in enumerate([pair for pair in PAIRS if pair.id not in found], 1):
        other = back.get(pair.id)
        found[pair.id] = SAME if other == pair else f"became {other}" if other else dropped[str(number)]
    return found


def read(program: str, given: str, folder: Path, checkpoint: Path) -> dict[str, str]:
    """What the program reads of each case."""
    python, checkout = (sys.executable, Path(given).absolute()) if program == "internvl" else (given, "")
    result = folder.with_name(f"{folder.name}-{program}.json")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {
        "HF_HUB_OFFLINE": "1", "HF_HOME": str(checkpoint.parent / "cache"),
        "MODELSCOPE_CACHE": str(checkpoint.parent / "cache"), "INTERNVL": str(checkout),
    }  # fmt: skip
    command = [python, str(READERS / f"read_{program.replace('-', '_')}.py"), str(folder), str(checkpoint), str(result)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder.parent)
    if not result.is_file():
        sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    content = json.loads(result.read_text(encoding="utf-8"))
    print(f"{folder.name}: {', '.join(f'{name} {number}' for name, number in content['versions'].items())};",
          content["batch"])  # fmt: skip
    found = left_out(folder)
    written = [pair for pair in PAIRS if pair.id not in found]
    if len(content["rows"]) != len(written):
        return found | {pair.id: f"{len(content['rows'])} of {len(written)} rows were read" for pair in written}
    return found | {pair.id: judged(pair, row) for pair, row in zip(written, content["rows"], strict=True)}


def judged(pair: PreferencePair, row: dict[str, Any]) -> str:
    if "error" in row:
        return row["error"].splitlines()[0]
    return (
        "; ".join(difference for name in ("chosen", "rejected") for difference in differences(pair, name, row)) or SAME
    )


def differences(pair: PreferencePair, name: str, row: dict[str, Any]) -> Iterator[str]:
    side, answer = row[name], getattr(pair, name)
    turns = [(role, text) for role, text in TURN.findall(VISION.sub(PICTURE, side["text"]))]
    if turns and turns[0][0] == "system" and not pair.system:
        turns = turns[1:]  # a template's own system prompt, where the pair has none
    expected = [*conversation(pair), (str(Role.ASSISTANT), answer)]
    if "</img>" in side["text"] and PICTURE in pair.prompt:  # `VISION` takes a line break there for the template's
        expected = [(role, text.replace(f"{PICTURE}\n", PICTURE)) for role, text in expected]
    if turns != expected:
        yield f"{name}: {turns!r} for {expected!r}"
    pictures = [f"colours/{colour}.png" for colour in side["pictures"]]
    if pictures != list(pair.images):
        yield f"{name}: the pictures {', '.join(side['pictures']) or 'none'}"
    if side["trained"].removesuffix("\n").removesuffix("<|im_end|>") != answer:
        yield f"{name}: labels for {side['trained']!r}"


def conversation(pair: PreferencePair) -> list[tuple[str, str]]:
    """The turns before the answer, in the record's own words."""
    turns = [*pair.turns, Turn(role=Role.USER, text=pair.prompt)]
    ahead = "" if any(PICTURE in turn.text for turn in turns) else PICTURE * len(pair.images)
    said = [(str(turn.role), turn.text) for turn in turns]
    said[0] = (said[0][0], ahead + said[0][1])
    return [("system", pair.system), *said] if pair.system else said


def table(columns: dict[str, dict[str, str]]) -> int:
    """Prints it; returns 1 when anything differs."""
    notes: list[str] = []
    print("\n| case |", " | ".join(columns), "|\n| --- |" + " --- |" * len(columns))
    for pair in PAIRS:
        cells = []
        for found in columns.values():
            said = found[pair.id]
            if said != SAME and said not in notes:
                notes.append(said)
            label = "left out" if said.startswith("left out") else "differs"
            cells.append(said if said == SAME else f"{label} [{notes.index(said) + 1}]")
        print(f"| {pair.id} |", " | ".join(cells), "|")
    print()
    for number, said in enumerate(notes, 1):
        print(f"[{number}] {said}")
    return int(not all(said.startswith("left out") for said in notes))


if __name__ == "__main__":
    main()
