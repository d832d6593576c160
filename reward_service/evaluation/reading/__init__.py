"""From files of reports, in whatever format they are, to a stream of validated entries.

`formats` turns bytes into rows, `columns` says which column is what, `entries` turns rows into what is scored.
"""
