"""Whole files in and out, what their scores say, `Scorer`, agreement with labels, and the check of an installation.

May import `scoring` and every floor below it, and `wire`. Never imports `api` or `serving`.
"""
