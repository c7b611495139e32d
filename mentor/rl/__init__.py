"""One step of reinforcement learning: draw tasks, sample groups, score them, assign advantages, update the policy."""
