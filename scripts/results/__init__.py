"""What scripts/write_results.py stores of the runs of an experiment, compares and writes."""
