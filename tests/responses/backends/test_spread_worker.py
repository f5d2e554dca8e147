"""A worker process whose backend has processes of its own, as vLLM's engine does."""

import os
import sys
from multiprocessing import Pipe
from subprocess import Popen

FORKS = """
import os, sys, time
from multiprocessing.connection import Connection
from mixpo.responses.backends.spread_worker import Line
line = Line(Connection(int(sys.argv[1])))
child = os.fork()
if not child:
    time.sleep(60)
    os._exit(0)
line.say("loaded", child)
line.told.get()
os.kill(os.getpid(), 9)
"""


def test_its_death_is_noticed_while_what_it_has_forked_lives_on():
    ours, its = Pipe()
    process = Popen([sys.executable, "-c", FORKS, str(its.fileno())], pass_fds=[its.fileno()], start_new_session=True)
    its.close()
    _, child = ours.recv()
    try:
        ours.send(("end", None))
        assert process.wait(10) == -9
        assert ours.poll(5)  # the end of the pipe
    finally:
        os.kill(child, 9)
