"""Known mistakes of chapter 0 that only PyTorch invites."""

import torch

from nnlib.contract import SplitIndices, Standardized
from nnlib.mistakes.registry import mistake

TORCH = ("torch",)


@mistake("one_hot", tracks=TORCH, anchor="dtypes",
         hint="The numbers are right, their type is not float64. torch.eye and torch.zeros make "
              "float32 and functional.one_hot makes int64, unless a dtype is given or the result "
              "is converted.")
def default_dtype(labels, num_classes):
    return torch.eye(num_classes)[labels]


@mistake("standardize", tracks=TORCH,
         hint="Tensor.std divides by n - 1 unless told otherwise: its default is correction=1, "
              "where NumPy's is 0. The equation divides by n.")
def default_correction(x_train, x_test):
    if not x_train.is_floating_point():
        x_train, x_test = x_train.double(), x_test.double()
    mean, std = x_train.mean(dim=0), x_train.std(dim=0)
    std = torch.where(std == 0, torch.ones_like(std), std)
    return Standardized((x_train - mean) / std, (x_test - mean) / std, mean, std)


@mistake("standardize", tracks=TORCH, anchor="views-and-copies",
         hint="Your function changes the caller's tensors: methods that end in an underscore, and "
              "`-=`, `/=`, write into the tensor that was passed in. Use sub and div without the "
              "underscore.")
def writes_into_the_tensors(x_train, x_test):
    if not x_train.is_floating_point():
        x_train, x_test = x_train.double(), x_test.double()
    mean, std = x_train.mean(dim=0), x_train.std(dim=0, correction=0)
    std = torch.where(std == 0, torch.ones_like(std), std)
    for part in (x_train, x_test):
        part.sub_(mean).div_(std)
    return Standardized(x_train, x_test, mean, std)


@mistake("standardize", tracks=TORCH,
         hint="Whole numbers end in an error: a tensor of integers has no mean. Convert integer "
              "tensors to float64 first and leave floats as they are.", anchor="dtypes")
def integers_not_converted(x_train, x_test):
    mean, std = x_train.mean(dim=0), x_train.std(dim=0, correction=0)
    std = torch.where(std == 0, torch.ones_like(std), std)
    return Standardized((x_train - mean) / std, (x_test - mean) / std, mean, std)


@mistake("split_indices", tracks=TORCH,
         hint="The same seed gives two different splits: torch.randperm draws from PyTorch's "
              "global generator unless generator=rng is passed.")
def generator_not_passed_on(n, *, test_fraction, rng):
    rows = torch.randperm(n)
    n_test = round(n * test_fraction)
    return SplitIndices(rows[n_test:], rows[:n_test])


@mistake("split_indices", tracks=TORCH,
         hint="Some rows are in both parts. A test on rows that were trained on measures memory. "
              "Permute once, then cut: each row number lands on one side of the cut.")
def two_permutations(n, *, test_fraction, rng):
    n_test = round(n * test_fraction)
    return SplitIndices(torch.randperm(n, generator=rng)[n_test:],
                        torch.randperm(n, generator=rng)[:n_test])


@mistake("as_model_input",
         hint="The channel axis is missing. Models take images as (n, channels, h, w), and a grey "
              "image has one channel.")
def channel_axis_missing(images):
    x = torch.tensor(images, dtype=torch.float32)
    return x / 255 if images.dtype == "uint8" else x


@mistake("as_model_input",
         hint="The channel axis stands last. Many image files are stored that way; PyTorch wants "
              "it second: (n, channels, h, w).")
def channel_axis_last(images):
    x = torch.tensor(images, dtype=torch.float32).unsqueeze(-1)
    return x / 255 if images.dtype == "uint8" else x


@mistake("as_model_input",
         hint="Bytes are passed on as 0 to 255. The docstring asks for the scale from 0 to 1.")
def bytes_not_scaled(images):
    return torch.tensor(images, dtype=torch.float32).unsqueeze(1)


@mistake("as_model_input", anchor="dtypes",
         hint="The division is done in integers, so every pixel below 255 becomes 0. Convert to "
              "float32 before you divide, or use `/`.")
def divided_in_integers(images):
    if images.dtype == "uint8":
        images = images // 255
    return torch.tensor(images, dtype=torch.float32).unsqueeze(1)


@mistake("as_model_input", anchor="dtypes",
         hint="The numbers are right, their type is float64: NumPy's division makes float64, and "
              "from_numpy keeps it. Layers hold float32 and refuse a float64 input.")
def float64_kept(images):
    scaled = images / 255 if images.dtype == "uint8" else images.copy()
    return torch.from_numpy(scaled).unsqueeze(1)


@mistake("as_model_input", anchor="views-and-copies",
         hint="Overwriting the array changed your tensor: they share memory. from_numpy never "
              "copies, and .to or .float copy only where the dtype changes, so a float32 array "
              "stays shared.")
def memory_shared(images):
    x = torch.from_numpy(images).float().unsqueeze(1)
    return x / 255 if images.dtype == "uint8" else x


@mistake("as_model_input",
         hint="Floats are divided by 255 too. They are on the scale from 0 to 1 already; only "
              "bytes need it. Look at images.dtype.")
def floats_divided_too(images):
    return torch.tensor(images, dtype=torch.float32).unsqueeze(1) / 255


@mistake("as_model_input",
         hint="White becomes 0.996 instead of 1: a byte counts from 0 to 255, so its largest value "
              "is 255, not 256.")
def divided_by_256(images):
    x = torch.tensor(images, dtype=torch.float32).unsqueeze(1)
    return x / 256 if images.dtype == "uint8" else x


@mistake("as_model_input", anchor="leak",
         hint="You divide by the largest pixel that occurs, so the same grey gets another number "
              "in another batch. The scale must not depend on the data: divide by 255.")
def divided_by_the_largest_pixel(images):
    x = torch.tensor(images, dtype=torch.float32).unsqueeze(1)
    return x / x.max() if images.dtype == "uint8" and x.numel() else x
