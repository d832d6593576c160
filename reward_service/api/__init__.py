"""HTTP and nothing else: routes, request bodies, status codes, keys.

May import `wire`, `scoring` and every floor below them. Only `serving` and the command line import it.
"""
