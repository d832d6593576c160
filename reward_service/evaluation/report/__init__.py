"""One HTML file about scored reports: summary, plots, and every study with its texts and errors.

`page` gathers the content, `plots` draws; `page.css` and `page.js` are put into the file, which loads nothing.
"""
