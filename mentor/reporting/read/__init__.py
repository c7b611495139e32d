"""Read one run folder into a `Report`: numbers without formatting, and the trajectories to show."""
