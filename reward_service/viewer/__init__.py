"""One scored pair as HTML or for a terminal: both texts, findings and errors marked, each with what it cost.

Knows nothing of the rest of the service: it takes texts and a result in the form of the wire contract.
"""
