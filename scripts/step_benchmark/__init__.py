"""Parts of `scripts/bench_step.py`: the steps of this project, those of TRL, and the products of an update."""
