"""A `Report` as tables."""
