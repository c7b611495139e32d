"""`stage=push`: what the Hugging Face Hub would be sent of a model, and, with stage.dry_run=false, the upload.

Of a checkpoint the model is written first, so that a dry run is also how to export one.
"""

from __future__ import annotations

import json
from hashlib import file_digest
from pathlib import Path
from time import perf_counter

from mentor import progress
from mentor.cards import write_cards
from mentor.config import Config, PushStage
from mentor.errors import InputError, StageError, one_line
from mentor.loggers import Logger
from mentor.runs import RunFolder
from mentor.runs.as_trained import chosen_model
from mentor.runs.folder import stored_config
from mentor.runs.identity import config_hash, identity
from mentor.runs.model_folders import as_checkpoint, model_name, stage_of
from mentor.stages import StageResult


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    """Raises InputError for a model that is on the Hub already and for adapters that are not there."""
    stage, began = config.stage, perf_counter()
    assert isinstance(stage, PushStage)
    path = config.model.path if config.model is not None else None
    model = chosen_model(folder.root, stage.model, path)
    if isinstance(model, str):
        raise InputError(f"`model.path={model}` is no folder, and only a folder can be sent to the Hub")
    source = folder_to_send(model, stage.what)
    if stored_config(stage_of(source)) is not None:
        write_cards(source.parent / "model")
    files = [entry for entry in sorted(source.rglob("*")) if entry.is_file()]
    logger.message(f"{source}:")
    for entry in files:
        logger.message(f"  {line_of(entry, source)}")
    if stage.what == "adapter":
        say_base(source, logger)
    title = commit_message(model)
    if stage.dry_run:
        where = f" to {stage.repo} ({'private' if stage.private else 'public'}, {title!r})" if stage.repo else ""
        logger.message(f"nothing was sent; stage.dry_run=false sends these files{where}")
    else:
        assert stage.repo is not None
        logger.message(f"sent: {send(source, stage.repo, stage.private, title)}")
    size = sum(entry.stat().st_size for entry in files)
    return StageResult(
        counts={"files": len(files), "bytes": size, "sent": not stage.dry_run},
        seconds={"total": perf_counter() - began},
    )


def folder_to_send(model: Path, what: str) -> Path:
    """Return the folder of the model, or of its adapters. Of a checkpoint both are written where they are not there."""
    if as_checkpoint(model) is not None:
        from mentor.stages.checkpoint_model import loadable

        model = Path(loadable(model))
    if what == "model":
        return model
    adapter = model.parent / "adapter"
    if not adapter.is_dir():
        raise InputError(f"`stage.what=adapter`: {adapter} is not there, which a stage with trainer.lora leaves")
    return adapter


def line_of(path: Path, folder: Path) -> str:
    """Return the file's name in the folder, its size and its SHA-256."""
    progress.beat()
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return f"{path.relative_to(folder)}  {path.stat().st_size:,} bytes  sha256 {digest}"


def say_base(adapter: Path, logger: Logger) -> None:
    """Say where adapters name a base that is a folder of this machine."""
    base = json.loads((adapter / "adapter_config.json").read_bytes())["base_model_name_or_path"]
    if Path(base).is_absolute():
        logger.message(f"adapter_config.json names a base on this machine, which nobody else has: {base}")


def commit_message(model: Path) -> str:
    """Name the model, and the configuration of the stage that made it."""
    stored = stored_config(stage_of(model))
    return model_name(model) + (f", configuration {config_hash(identity(stored))}" if stored else "")


def send(folder: Path, repo: str, private: bool, title: str) -> str:
    """Make the repository where it is not there, and send the folder as one commit; return the commit's address.

    Raises InputError where the hub client is offline, StageError where the Hub refuses or cannot be reached.
    """
    import httpx
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        raise InputError("`stage.dry_run=false` sends to the Hub, and HF_HUB_OFFLINE is set; accepted: without it")
    api = HfApi()
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        sent = api.upload_folder(repo_id=repo, folder_path=folder, commit_message=title)
    except (httpx.HTTPError, OSError) as error:
        raise StageError(f"{repo} was not sent to {api.endpoint}: {one_line(error)}") from error
    return sent.commit_url
