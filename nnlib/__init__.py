"""nnlib: the reference library of the course.

One contract (`nnlib.contract`), two implementations of it (`nnlib.numpy_track`,
`nnlib.torch_track`), and the checks (`nnlib.checks`) that hold any third one,
a student's included, against them.

Importing `nnlib` imports neither torch nor matplotlib.
"""

__version__ = "0.1.0"
