"""Faults under load: a service that 256 requests are always at, what strikes it, and the account of every request."""
