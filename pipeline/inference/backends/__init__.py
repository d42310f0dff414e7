"""What runs the network: PyTorch itself, or a runtime that computes the same faster."""

from pipeline.inference.backends.choice import Backend, check_backend, default_backend, open_exported, with_backend

__all__ = ["Backend", "check_backend", "default_backend", "open_exported", "with_backend"]
