"""A process that leaves waits for its threads, runs its exit functions and writes what it has said."""

import subprocess
import sys

CODE = """
import atexit, sys, threading, time
from mentor.runs.leave import leave
class Slow:
    def __del__(self): sys.stdout.write("freed ")
kept = Slow()
atexit.register(lambda: sys.stdout.write("exit function "))
threading.Thread(target=lambda: (time.sleep(0.3), sys.stdout.write("thread "))).start()
leave(5)
"""


def test_it_ends_as_the_interpreter_does_but_for_freeing_its_objects():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (5, "thread exit function ", "")
