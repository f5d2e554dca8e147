"""What tests/verdicts/test_parallel.py runs and kills: `python parallel_work.py FOLDER`; its processes import it."""

import os
import sys
import time
from pathlib import Path

from mixpo.records import FinishReason, Question, Response
from mixpo.verdicts import parallel

FOLDER = Path(sys.argv[-1])


def judge(question, response):
    """Takes its time, and is asked 60 seconds long."""
    (FOLDER / f"judging-{os.getpid()}").touch()
    time.sleep(0.1)
    return response.id


def die(question, response):
    os._exit(1)


def pairs(count=600):
    for number in range(count):
        response = Response(id=f"q/{number}", question_id="q", sample=0, text="", finish_reason=FinishReason.STOP)
        yield Question(id="q", text="?", answer="1"), response


if __name__ == "__main__":
    parallel.WORTHWHILE = 1
    list(parallel.in_parallel(judge, pairs(), 2, 1.5))
elif "starting" in FOLDER.name:  # a process of the pool, on its way
    (FOLDER / f"starting-{os.getpid()}").touch()
    time.sleep(1)
