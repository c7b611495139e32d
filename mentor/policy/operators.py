"""The operators DeepSpeed has on a CPU: which it compiles, once per environment and safe against a process that dies.

torch guards a build with a file that its maker removes, so one left by a killed process makes every later one wait for
ever. Here one process at a time builds, in a folder of this environment's own, holding a lock that ends with it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mentor.errors import InputError

FOLDER_KEY = "TORCH_EXTENSIONS_DIR"


def skip_shared_memory() -> None:
    """Skip the all-reduce for inference that DeepSpeed compiles on a CPU at its start; nothing here calls it."""
    from deepspeed.accelerator import get_accelerator

    builder = get_accelerator().create_op_builder("ShareMemCommBuilder")
    if builder is not None:
        from deepspeed.ops import __compatible_ops__ as compatible

        compatible[builder.NAME] = False


def build_cpu_adam() -> None:
    """Load DeepSpeed's Adam for states in the CPU's memory into this process, compiling it where it is not there yet.

    DeepSpeed then finds it loaded. Raises InputError where it is to be compiled and there is no compiler.
    """
    from deepspeed.accelerator import get_accelerator
    from torch.utils.cpp_extension import get_cxx_compiler

    builder = get_accelerator().create_op_builder("CPUAdamBuilder")
    with building_alone() as folder:
        for left in folder.glob("*/lock"):
            left.unlink()  # its maker is gone: we hold the lock
        compiler = get_cxx_compiler()
        if shutil.which(compiler) is None and not any(folder.glob("cpu_adam/*.so")):
            raise InputError(
                f"trainer/deepspeed=zero3_offload compiles DeepSpeed's Adam once, and no `{compiler}` is on PATH: "
                "install a C++ compiler (g++), or name one in the environment variable CXX"
            )
        builder.load()


def operators_folder() -> Path:
    """Return the folder of this environment's operators, below TORCH_EXTENSIONS_DIR or torch's cache folder."""
    from torch.utils.cpp_extension import get_default_build_root

    root = os.environ.get(FOLDER_KEY) or get_default_build_root()
    return Path(root) / f"mentor-{hashlib.sha256(sys.prefix.encode()).hexdigest()[:12]}"


@contextmanager
def building_alone() -> Iterator[Path]:
    """Give access to the folder of the operators while no other process builds in it."""
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
