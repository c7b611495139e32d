"""The model card of a student, README.md in its folder: made of its run's files alone, anew when they grow."""

from mentor.cards.model_card import write_cards

__all__ = ["write_cards"]
