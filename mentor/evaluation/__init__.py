"""What is measured on trajectories: rollout metrics, accuracy with intervals, similarity of tool use."""
