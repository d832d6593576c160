"""From pairs of reports to rewards: the engine, one scorer for each profile, the composite, single-flight, admission.

May import `workers`, `profiles` and every floor below them. Knows no HTTP.
"""
