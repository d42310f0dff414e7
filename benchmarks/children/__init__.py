"""Measurements of this project that want a process of their own; each prints JSON as its last line."""
