"""Several points of one command: what each does, where it runs (this machine, Slurm), and the manifest of the sweep."""
