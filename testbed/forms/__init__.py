"""One report in many forms: wrapped, listed, as JSON, with a prompt before it. What it says is the same in all of them.

Every form is a pure function of the report. A third of those in `exported` is looked at and run only when the work on
reading forms is finished.
"""
