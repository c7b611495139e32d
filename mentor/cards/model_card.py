"""Write the card of a model, and of its adapters: README.md with the Hub's front matter."""

from __future__ import annotations

import shlex
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from huggingface_hub import ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mentor.cards.facts import CardFacts, read_facts
from mentor.files import write_file

FILE = "README.md"
HOW = {"sft": "supervised fine-tuning on a teacher's trajectories", "rl": "reinforcement learning with tools"}
DOMAINS = {"id": "in domain", "ood": "out of domain"}
PACKAGES = ("mentor", "torch", "transformers", "deepspeed", "vllm", "peft")


def write_cards(model: Path) -> list[Path]:
    """Write the card into `model/` of a stage or a checkpoint, and into `adapter/` beside it; return their paths."""
    facts, adapter = read_facts(model), model.parent / "adapter"
    written = []
    for folder in (model, adapter):
        if folder.is_dir():
            write_file(folder / FILE, card_text(facts, adapter=folder == adapter), durable=False)
            written.append(folder / FILE)
    return written


def card_text(facts: CardFacts, adapter: bool = False) -> str:
    """Return the card as Markdown. adapter: of the adapters alone."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    versions = facts.summary.get("versions", {})
    return environment.get_template("card.jinja").render(
        facts=facts,
        adapter=adapter,
        front_matter=front_matter(facts, adapter).to_yaml(),
        how=HOW.get(facts.stage),
        reward=facts.config.get("reward"),
        trainer=yaml.safe_dump({"trainer": facts.trainer}, sort_keys=False, default_flow_style=None).rstrip(),
        versions=", ".join(f"{name} {versions[name]}" for name in PACKAGES if name in versions),
        ends=" or ".join(f"`{end}`" for end in facts.certificate.ends) if facts.certificate else "",
        domains=DOMAINS,
        percent=lambda share: "–" if share is None else f"{100 * share:.1f}",
        quote=shlex.quote,
    )


def front_matter(facts: CardFacts, adapter: bool = False) -> ModelCardData:
    """Return what the Hub reads of a card. It takes names on the Hub alone, and a licence only where it is known."""
    return ModelCardData(
        base_model=facts.hub_base,
        datasets=[facts.hub_data] if facts.hub_data else None,
        library_name="peft" if adapter else "transformers",
        license=facts.license,
        pipeline_tag="text-generation",
        tags=["tool-use", "mentor", facts.stage, *(["lora"] if adapter else [])],
    )
