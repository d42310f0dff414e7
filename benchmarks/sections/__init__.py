"""The sections of the benchmark, one file each; every one has ``measure(settings) -> Section``."""
