"""The `mentor` command: compose and check here, then start each stage in a child process.

Without arguments it lists what there is, from the files in conf/ alone. Nothing here imports torch, and the help does
not import Hydra either.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mentor.conf_dir import conf_dir
from mentor.errors import MentorError, one_line

GROUPS = ("task", "teacher", "tools", "model", "sampler", "reward", "trainer", "benchmark")
SETTINGS = ("logger", "launcher", "paths", "experiment", "debug")

EXAMPLES = """\
  mentor experiment=demo                                    # every stage on a CPU, with a report at the end
  mentor stage=rl reward=flexible seed=1                    # one stage; it reads what earlier stages of the run left
  mentor -m stage=rl reward.weights.tool=0.1,0.3 seed=0,1   # a sweep: one process and one folder per point"""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 done, 2 bad input (one line on stderr), 1 failed while running, 130 or 143 stopped."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or "--help" in arguments or "-h" in arguments:
        sys.stdout.write(help_text())
        return 0
    from mentor.command import run_command  # Hydra takes a third of a second to import
    from mentor.runs.launch import ChildFailed, ChildStopped
    from mentor.runs.storage import disk_full

    try:
        run_command(arguments)
    except (ChildFailed, ChildStopped) as error:
        return error.exit_code  # the child has said why
    except OSError as error:
        if not disk_full(error):
            raise
        sys.stderr.write(f"mentor: {one_line(error)}; free some space and run the same command again\n")
        return 1
    except MentorError as error:
        sys.stderr.write(f"mentor: {one_line(error)}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("mentor: stopped by SIGINT\n")
        return 130
    return 0


def help_text() -> str:
    """Stages, presets and examples."""
    folder = conf_dir()
    lines = ["mentor: distil tool use from a teacher into a small student (arXiv 2510.18383)", "", "Stages (stage=...)"]
    lines += [f"  {path.stem:<9} {_first_comment(path)}" for path in sorted((folder / "stage").glob("*.yaml"))]
    lines += ["", "Presets (<group>=<preset>; keys are <group>.<key>=<value>)"]
    lines += [f"  {group:<10} {_presets(folder / group)}" for group in (*GROUPS, *SETTINGS)]
    lines += ["", "Top level: run= name= seed= init=base|sft|<path> overwrite=true", "", "Examples", EXAMPLES, ""]
    lines += ["--cfg job shows the composed config, --config-dir adds a folder of your own presets.", ""]
    return "\n".join(lines)


def _presets(folder: Path) -> str:
    return " ".join(path.stem for path in sorted(folder.glob("*.yaml"))) or "(none)"


def _first_comment(path: Path) -> str:
    for line in path.read_text().splitlines():
        if line.startswith("# ") and not line.startswith("# @package"):
            return line[2:]
    return ""


if __name__ == "__main__":
    sys.exit(main())
