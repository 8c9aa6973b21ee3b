"""Release, grade and report the course's assignments, on top of nbgrader.

Importing this package is cheap: nothing heavy (nbgrader, jupytext, a kernel) is loaded before a
command needs it.
"""
