"""The pages that the service shows in a browser: hand-written HTML, style sheets and modules, without a build step.

They load nothing from elsewhere, and their content security policy lets nothing else run. The routes are in `api`.
"""
