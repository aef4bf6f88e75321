"""The suite of `python -m benchmarks`: earmark beside other ways, stage by stage, in one run."""
