"""Whole files in and out, agreement with labelled counts, and the check of an installation.

May import `scoring` and every floor below it, and `wire`. Never imports `api` or `serving`.
"""
