"""What happens to a report before it is scored: normaliser, sections, guards.

May import `judges` and the modules at the top of the package. Knows neither components nor profiles.
"""
