"""Put the book's prose into the package, so that `nnlib.data.book_text` works once installed.

Everything else about the package stands in pyproject.toml.
"""

import runpy
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class BuildWithProse(build_py):
    """Build the Python files, then write one text file per chapter next to them."""

    def run(self) -> None:
        """Build."""
        super().run()
        if self.editable_mode:
            return  # nnlib stays in the checkout and reads the book itself
        # Run by its path: importing the package would need NumPy, which a build does not have.
        prose = runpy.run_path(str(ROOT / "nnlib" / "data" / "prose.py"))
        written = prose["write_prose"](ROOT / "book", self._target())
        if not written:
            raise SystemExit(f"setup.py: {ROOT / 'book'} holds no chapters. Build from a checkout.")

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """List the text files too, so that installers know them."""
        texts = [str(path) for path in self._target().glob("*.txt")]
        return [*super().get_outputs(include_bytecode), *texts]

    def _target(self) -> Path:
        return Path(self.build_lib, "nnlib", "data", "book_text")


setup(cmdclass={"build_py": BuildWithProse})
