"""The code that runs inside tool workers: nothing here runs in the program, which only starts `worker.py`."""
