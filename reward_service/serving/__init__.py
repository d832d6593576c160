"""The server process: sockets, signals, drain, and the supervisor of several HTTP processes.

The top floor but for the command line: may import everything but `evaluation`.
"""
