"""One exception tree: a subclass per boundary. Bad model output is data, not an exception."""


class MentorError(Exception):
    """A failure with a one-line message for the user; `exit_code` is what the process ends with."""

    exit_code = 1


class ConfigError(MentorError):
    """A key, value or combination of the configuration is not accepted."""

    exit_code = 2


class InputError(MentorError):
    """Something the user brought (task file, tools.py, model folder) is not usable."""

    exit_code = 2


class RunFolderError(MentorError):
    """The run folder is locked, holds another configuration, or lacks what this stage needs."""

    exit_code = 2


class StorageError(MentorError):
    """The run folder cannot be written any more: the disk is full, or the folder was deleted or moved."""


class ToolError(MentorError):
    """The tool executor itself failed (a failing tool is a ToolResult, not this)."""


class GraderError(MentorError):
    """Too many answers could not be graded."""


class SamplerError(MentorError):
    """The sampler cannot serve a request."""


class PolicyError(MentorError):
    """The policy cannot be loaded, updated or saved."""


class StageError(MentorError):
    """A stage ran and cannot go on."""


def one_line(error: BaseException, limit: int | None = None) -> str:
    """The message of an error with its lines joined, at most `limit` characters; its type's name where it has none."""
    return " ".join(str(error).split())[:limit] or type(error).__name__
