"""One scored pair as HTML: both texts side by side, findings and errors marked and linked, each with what it cost.

Knows nothing of the rest of the service: it takes texts and a result in the form of the wire contract.
"""
