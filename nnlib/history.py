"""What happened in training: one list of numbers for every quantity, one entry for every epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nnlib.errors import check_choice

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["History"]


class History:
    """The course of a training, by name: ``history["loss"]`` is a list with one entry an epoch.

    Parameters
    ----------
    values : mapping of str to sequence of float, optional
        What to start from.

    Attributes
    ----------
    values : dict of str to list of float
        "loss", "learning_rate" (of the epoch's last step), and, where `fit` was given them, the
        metrics and the same with "validation_" in front.
    seconds : list of float
        How long each epoch took. Apart from the values, since no two runs agree in it.
    step : int
        Number of updates so far.
    state : dict or None
        The optimizer's state after the last update.
    stopped : str
        Why training ended before its last epoch; empty if it did not.

    Examples
    --------
    >>> history = History({"loss": [0.9, 0.5, 0.6], "validation_loss": [1.0, 0.7, 0.8]})
    >>> history["loss"][-1], history.epochs, history.best("validation_loss")
    (0.6, 3, (1, 0.7))
    """

    def __init__(self, values: Mapping[str, Sequence[float]] | None = None) -> None:
        self.values = {name: [float(v) for v in column] for name, column in (values or {}).items()}
        self.seconds: list[float] = []
        self.step = 0
        self.state: dict[str, Any] | None = None
        self.stopped = ""

    def __getitem__(self, name: str) -> list[float]:
        """Return the list of one quantity."""
        if name not in self.values:
            raise KeyError(f"History: there is no {name!r}. There are: {sorted(self.values)}.")
        return self.values[name]

    def __contains__(self, name: object) -> bool:
        return name in self.values

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def __len__(self) -> int:
        return self.epochs

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {column[-1]:.4g}" for name, column in self.values.items()
                         if column)
        return f"History({self.epochs} epochs{': ' if last else ''}{last})"

    @property
    def names(self) -> list[str]:
        """Names of the quantities."""
        return list(self.values)

    @property
    def epochs(self) -> int:
        """Number of epochs so far."""
        return max((len(column) for column in self.values.values()), default=0)

    def append(self, **entries: float) -> None:
        """Add one epoch's numbers."""
        for name, value in entries.items():
            self.values.setdefault(name, []).append(float(value))

    def best(self, name: str, *, mode: str = "min") -> tuple[int, float]:
        """Return the epoch, counted from 0, and the value where a quantity is best.

        Parameters
        ----------
        name : str
        mode : "min" or "max"

        Returns
        -------
        epoch : int
        value : float
        """
        check_choice("History.best", "mode", mode, ("min", "max"))
        sign = 1 if mode == "min" else -1
        column = self[name]
        # A nan compares as neither smaller nor larger: it must never win.
        epoch = min(range(len(column)),
                    key=lambda k: (column[k] != column[k], sign * column[k]))
        return epoch, column[epoch]

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain data for JSON; the optimizer's state is not among them."""
        return {"values": {name: list(column) for name, column in self.values.items()},
                "seconds": list(self.seconds), "step": self.step, "stopped": self.stopped}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, state: dict[str, Any] | None = None) -> History:
        """Make a history again from `to_dict` and the optimizer's state.

        Examples
        --------
        >>> History.from_dict(History({"loss": [0.5]}).to_dict())["loss"]
        [0.5]
        """
        history = cls(data["values"])
        history.seconds = [float(s) for s in data["seconds"]]
        history.step, history.stopped = int(data["step"]), str(data["stopped"])
        history.state = state
        return history

    def plot(self, names: Sequence[str] | None = None, *, ax: Axes | None = None) -> Axes:
        """Draw quantities over the epochs; those of the validation part are dashed.

        Parameters
        ----------
        names : sequence of str, optional
            What to draw; "loss" and "validation_loss" unless given.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure unless given.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        KeyError
            If a name is unknown.
        """
        from nnlib.viz.style import CYCLE, MARKERS

        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=(6.4, 3.8))
        chosen = [n for n in ("loss", "validation_loss") if n in self] if names is None else names
        bases = list(dict.fromkeys(name.removeprefix("validation_") for name in chosen))
        for name in chosen:
            column = self[name]
            kind = bases.index(name.removeprefix("validation_"))
            validation = name.startswith("validation_")
            ax.plot(
                range(1, len(column) + 1), column,
                color=CYCLE[kind % len(CYCLE)],
                linestyle="--" if validation else "-",
                marker=MARKERS[kind % len(MARKERS)] if len(column) == 1 else None,
                label=name.replace("_", " "),
            )
        ax.set_xlabel("epoch")
        ax.set_ylabel(bases[0].replace("_", " ") if len(bases) == 1 else "value")
        ax.legend(frameon=False)
        return ax
