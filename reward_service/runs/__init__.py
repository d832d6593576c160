"""What training runs looked like: totals by run and step, the store that keeps them, and alarms computed from them.

No report text is kept. Totals add up over requests, processes and steps, so a point of a chart is any sum of them.
"""
