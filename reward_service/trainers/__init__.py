"""What RL trainers send and what they expect: labels, references, chat markup, and one file for each dialect.

Pure functions without HTTP. May import `contracts`, `text`, `settings` and `errors`.
"""
