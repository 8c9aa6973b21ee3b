"""Real data sets that need no download: scikit-learn ships them.

scikit-learn is imported when a set is loaded, not before, so that `import nnlib.data` needs
NumPy alone.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from nnlib.data.dataset import Dataset


def load_digits() -> Dataset:
    """Handwritten digits, 8x8 pixels: 1,797 examples, 10 classes.

    Returns
    -------
    Dataset
        x (1797, 64) with pixel values 0 to 16, y (1797,) int64, images (1797, 1, 8, 8).

    Raises
    ------
    ImportError
        If scikit-learn is not installed.

    References
    ----------
    E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI repository, 1998.

    Examples
    --------
    >>> load_digits()
    Dataset(digits: x (1797, 64) float64, y (1797,) int64, 10 classes)
    """
    raw = _fetch("load_digits")
    names = tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8))
    x = np.array(raw.data, dtype=np.float64)
    return Dataset(
        "digits",
        x,
        np.array(raw.target, dtype=np.int64),
        names,
        tuple(str(digit) for digit in range(10)),
        "Handwritten digits from 43 people, scanned and counted down to 8x8 pixels. A pixel is the "
        "number of dark dots in its 4x4 block of the scan, 0 to 16.",
        x.reshape(-1, 1, 8, 8).copy(),
    )


def load_iris() -> Dataset:
    """Iris flowers: 150 examples, 4 lengths in cm, 3 species.

    Returns
    -------
    Dataset
        x (150, 4) in centimetres, y (150,) int64.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.

    References
    ----------
    R. A. Fisher, "The use of multiple measurements in taxonomic problems", 1936.

    Examples
    --------
    >>> load_iris().class_names
    ('setosa', 'versicolor', 'virginica')
    """
    return _classification(
        "iris",
        "load_iris",
        "Length and width in centimetres of the sepals and petals of 150 iris flowers, 50 of each "
        "of three species. Setosa is linearly separable from the other two; those two overlap.",
    )


def load_breast_cancer() -> Dataset:
    """Breast tumours, malignant or benign: 569 examples, 30 features.

    Returns
    -------
    Dataset
        x (569, 30), y (569,) int64 with 0 = malignant and 1 = benign.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.

    References
    ----------
    W. N. Street, W. H. Wolberg and O. L. Mangasarian, "Nuclear feature extraction for breast
    tumor diagnosis", 1993.

    Examples
    --------
    >>> load_breast_cancer().class_names
    ('malignant', 'benign')
    """
    return _classification(
        "breast cancer",
        "load_breast_cancer",
        "Mean, standard error and worst value of ten measurements of cell nuclei (radius, "
        "texture, ...) in images of breast tumours. The features differ in scale by a factor of "
        "100,000: standardise them first. 212 tumours are malignant, 357 benign.",
    )


def load_wine() -> Dataset:
    """Wines from three growers: 178 examples, 13 chemical measurements.

    Returns
    -------
    Dataset
        x (178, 13), y (178,) int64.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.

    References
    ----------
    M. Forina et al., "PARVUS: an extendible package for data exploration", 1988.

    Examples
    --------
    >>> load_wine()
    Dataset(wine: x (178, 13) float64, y (178,) int64, 3 classes)
    """
    return _classification(
        "wine",
        "load_wine",
        "Chemical analysis of wines from one region of Italy, grown by three different growers: "
        "alcohol, acids, colour and ten more. The features differ in scale by a factor of 1,000.",
    )


def load_diabetes() -> Dataset:
    """Diabetes progression after one year: 442 patients, 10 features, a regression target.

    Returns
    -------
    Dataset
        x (442, 10) unscaled, y (442, 1) float64, from 25 to 346.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.

    Notes
    -----
    The features come in their own units (years, kg/m², mmHg, ...), not centred and scaled as
    scikit-learn returns them by default: that scaling uses every row, and so would leak the
    test part's statistics into the training part.

    References
    ----------
    B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, "Least angle regression", 2004.

    Examples
    --------
    >>> load_diabetes()
    Dataset(diabetes: x (442, 10) float64, y (442, 1) float64, regression)
    """
    raw = _fetch("load_diabetes", scaled=False)
    return Dataset(
        "diabetes",
        np.array(raw.data, dtype=np.float64),
        np.array(raw.target, dtype=np.float64).reshape(-1, 1),
        tuple(str(name) for name in raw.feature_names),
        (),
        "Age, sex, body mass index, blood pressure and six blood serum values of 442 patients; "
        "the target measures how far the disease progressed in the year that followed.",
    )


def _classification(name: str, loader: str, description: str) -> Dataset:
    raw = _fetch(loader)
    return Dataset(
        name,
        np.array(raw.data, dtype=np.float64),
        np.array(raw.target, dtype=np.int64),
        tuple(str(feature) for feature in raw.feature_names),
        tuple(str(label) for label in raw.target_names),
        description,
    )


def _fetch(loader: str, **options: Any) -> Any:
    """Call `sklearn.datasets.<loader>`; say how to get scikit-learn where it is missing."""
    try:
        datasets = importlib.import_module("sklearn.datasets")
    except ImportError as error:
        raise ImportError(
            f"{loader}: scikit-learn must be installed, it ships this data set, but importing it "
            f'failed ({error}). Install it with: pip install "nncourse[data]"'
        ) from error
    return getattr(datasets, loader)(**options)
