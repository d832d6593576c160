"""Where a component runs: on this event loop, on a thread, in processes, in a model worker, behind a network.

May import `profiles`, `components`, `caching`, `observability` and every floor below them.
"""
