"""DeepSpeed's own operators, compiled once per environment and safe against a process that dies while compiling.

torch guards a build with a file that its maker removes, so one left by a killed process makes every later one wait for
ever. Here one process at a time builds, in a folder of this environment's own, holding a lock that ends with it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SHARED_MEMORY = "ShareMemCommBuilder"
CPU_ADAM = "CPUAdamBuilder"

FOLDER_KEY = "TORCH_EXTENSIONS_DIR"


def build_operators(names: list[str]) -> None:
    """Load the operators of DeepSpeed's builders into this process, compiling those that are not there yet.

    DeepSpeed then finds them loaded. A builder that this machine's accelerator does not have is left out.
    """
    from deepspeed.accelerator import get_accelerator
    from deepspeed.ops import __compatible_ops__ as compatible

    builders = [get_accelerator().create_op_builder(name) for name in names]
    with _alone() as folder:
        for left in folder.glob("*/lock"):
            left.unlink()  # its maker is gone: we hold the lock
        for builder in builders:
            if builder is not None and compatible.get(builder.NAME, False):
                builder.load()


def operators_folder() -> Path:
    """Where this environment's operators are, below TORCH_EXTENSIONS_DIR or torch's own cache folder."""
    from torch.utils.cpp_extension import get_default_build_root

    root = os.environ.get(FOLDER_KEY) or get_default_build_root()
    return Path(root) / f"mentor-{hashlib.sha256(sys.prefix.encode()).hexdigest()[:12]}"


@contextmanager
def _alone() -> Iterator[Path]:
    folder = operators_folder()
    folder.mkdir(parents=True, exist_ok=True)
    before = os.environ.get(FOLDER_KEY)
    with open(folder / ".building", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.environ[FOLDER_KEY] = str(folder)
        try:
            yield folder
        finally:
            del os.environ[FOLDER_KEY]
            if before is not None:
                os.environ[FOLDER_KEY] = before
