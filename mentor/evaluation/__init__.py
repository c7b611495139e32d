"""Measures of trajectories: rollout metrics, accuracy with intervals, similarity of tool use."""
