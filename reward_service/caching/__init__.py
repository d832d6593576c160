"""Raw component results, kept in memory and in Redis.

May import the modules at the top of the package. No method of a cache raises.
"""
