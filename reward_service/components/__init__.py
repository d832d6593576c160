"""The registry of metrics and judges, and the canary pairs with the values they must keep.

May import `metrics`, `judges`, and the modules at the top of the package.
"""
