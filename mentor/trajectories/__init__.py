"""Stored trajectories: one JSON record a line."""
