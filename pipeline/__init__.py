"""From a folder of cardiac scans to masks, volumes and ejection fraction, with every experiment on record."""

__version__ = "0.1.0"
