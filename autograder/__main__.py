"""Run ``nncourse``, or say what to install where its libraries are missing."""

import sys


def main() -> None:
    """Start the command line; `nnlib` alone installs without what it needs."""
    try:
        from autograder.cli import main as run
    except ModuleNotFoundError as error:
        sys.exit(f"nncourse needs the package {error.name!r}, which is not installed.\n"
                 "Student: pip install 'nncourse[learn]' adds what `nncourse check` needs.\n"
                 "Instructor: pip install 'nncourse[grade]'.")
    run()


if __name__ == "__main__":
    main()
