"""Requests that are answered later: a trainer submits them, goes on generating, and asks for the answer.

A request is kept until it is answered, then its answer. May import `caching`, `observability` and every floor below.
"""
