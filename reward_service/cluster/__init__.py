"""More than one machine, by Ray (extra `ray`): files are scored by a pool of actors, requests by Ray Serve's replicas.

Scores, batches and fingerprints are those of `evaluation`, `api` and `workers`; here is only what spreads them.
"""
