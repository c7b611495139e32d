"""A `Report` as figures."""
