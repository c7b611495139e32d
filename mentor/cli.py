"""The `mentor` command: compose and check here, then start each stage in a child process.

Without arguments it lists stages and presets, with `stage=rl --help` the keys of a stage. Nothing here imports torch,
and the help does not import Hydra either.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from mentor import __version__
from mentor.conf_dir import conf_dir
from mentor.errors import MentorError, one_line

GROUPS = ("task", "teacher", "tools", "model", "sampler", "reward", "judge", "trainer", "benchmark")
SETTINGS = ("logger", "launcher", "paths", "experiment", "debug")

EXAMPLES = """\
  mentor experiment=demo_full                               # every stage on a CPU, with a report at the end
  mentor stage=rl reward=flexible seed=1                    # one stage; it reads what earlier stages of the run left
  mentor -m stage=rl reward.weights.tool=0.1,0.3 seed=0,1   # a sweep: one process and one folder per point"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 2 bad input (one line), 1 failed, 130 or 143 stopped."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "--version" in arguments:
        sys.stdout.write(f"mentor {__version__}\n")
        return 0
    if not arguments or "--help" in arguments or "-h" in arguments:
        sys.stdout.write(_help(arguments))
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


def _help(arguments: Sequence[str]) -> str:
    """The keys of the stage that the arguments name, else the table of contents."""
    given = dict(entry.split("=", 1) for entry in arguments if re.fullmatch(r"\w+=\w+", entry))
    if given.get("stage") not in presets_of("stage"):
        return help_text()
    from mentor.key_help import stage_help

    return stage_help(given["stage"], given)


def help_text() -> str:
    """List stages, presets and examples."""
    folder = conf_dir()
    lines = ["mentor: distil tool use from a teacher into a small student (arXiv 2510.18383)", "", "Stages (stage=...)"]
    lines += [f"  {path.stem:<9} {_first_comment(path)}" for path in sorted((folder / "stage").glob("*.yaml"))]
    lines += ["", "Presets (<group>=<preset>; keys are <group>.<key>=<value>)"]
    lines += [f"  {group:<10} {' '.join(presets_of(group)) or '(none)'}" for group in (*GROUPS, *SETTINGS)]
    lines += ["", "Top level: run= name= seed= init=base|sft|<path> overwrite=true", "", "Examples", EXAMPLES, ""]
    lines += ["mentor stage=rl --help lists the keys of a stage; --cfg job shows what a command composes to,"]
    lines += ["--config-dir adds a folder of your own presets, --shell-completion install=bash prints completion.", ""]
    return "\n".join(lines)


def presets_of(group: str) -> list[str]:
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


def _first_comment(path: Path) -> str:
    for line in path.read_text().splitlines():
        if line.startswith("# ") and not line.startswith("# @package"):
            return line[2:]
    return ""


if __name__ == "__main__":
    sys.exit(main())
