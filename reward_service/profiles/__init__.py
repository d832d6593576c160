"""What a profile is, the profiles that are shipped, and the fingerprint of what was served.

May import `components`, `text` and the modules at the top of the package.
"""
