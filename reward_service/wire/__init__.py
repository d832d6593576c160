"""The native wire contract, as JSON in and JSON out: schemas, decoding, parsing, rendering.

Knows no HTTP, so that files are scored the same way as requests. May import `scoring` and every floor below it.
"""
