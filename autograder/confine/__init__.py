"""What runs inside the sandbox: the zygote, and the confinement of each of its children.

The folder is bound into the sandbox on its own, where the rest of `autograder` does not exist.
Hence its files import one another relatively, and nothing else but the standard library.
"""
