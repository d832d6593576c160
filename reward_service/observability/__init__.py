"""Logs, Prometheus metrics and traces. None of them ever holds report text.

May import the modules at the top of the package.
"""
