"""This project beside its peers, one command: ``python -m benchmarks.bench``."""
