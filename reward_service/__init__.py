"""The reward service: scores radiology-report candidates against references over HTTP."""

__version__ = "0.1.0"
