"""Known mistakes of chapter 10's PyTorch exercises: modules, penalties, blended labels."""

import torch
from torch import nn

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- DropoutModule


@mistake("DropoutModule", hint="""
    What stays is not rescaled. In training the next layer then gets less than in evaluation. Divide
    by the probability to stay.""", anchor="dropout-forward")
class StaysAsItIs(nn.Module):
    def __init__(self, drop_prob=0.5, *, generator):
        super().__init__()
        self.drop_prob, self.generator = drop_prob, generator

    def forward(self, x):
        if not self.training:
            return x
        return x * (torch.rand(x.shape, generator=self.generator) >= self.drop_prob)


@mistake("DropoutModule", hint="""
    It drops in evaluation mode too. `train()` and `eval()` set `self.training` on every module;
    read that flag in `forward`.""", anchor="regularization-failures")
class NeverSwitchedOff(nn.Module):
    def __init__(self, drop_prob=0.5, *, generator):
        super().__init__()
        self.drop_prob, self.generator = drop_prob, generator

    def forward(self, x):
        kept = torch.rand(x.shape, generator=self.generator) >= self.drop_prob
        return x * kept / (1 - self.drop_prob)


@mistake("DropoutModule", hint="""
    One mask serves the whole batch: a feature is dropped for all examples, or for none. The mask
    has the shape of x.""", anchor="dropout-forward")
class OneMaskPerFeature(nn.Module):
    def __init__(self, drop_prob=0.5, *, generator):
        super().__init__()
        self.drop_prob, self.generator = drop_prob, generator

    def forward(self, x):
        if not self.training:
            return x
        kept = torch.rand(x.shape[1:], generator=self.generator) >= self.drop_prob
        return x * kept / (1 - self.drop_prob)


@mistake("DropoutModule", hint="""
    The mask of the first call is kept and used again. Then always the same entries are off, and
    that is a smaller network, not dropout. Draw anew in each call.""")
class MaskKept(nn.Module):
    def __init__(self, drop_prob=0.5, *, generator):
        super().__init__()
        self.drop_prob, self.generator, self.kept = drop_prob, generator, None

    def forward(self, x):
        if not self.training:
            return x
        if self.kept is None:
            self.kept = torch.rand(x.shape, generator=self.generator) >= self.drop_prob
        return x * self.kept / (1 - self.drop_prob)


@mistake("DropoutModule", hint="""
    You draw from PyTorch's global generator, so the seed of yours decides nothing and a run can't
    be repeated. Pass `generator=` to the function that draws.""")
class GlobalGenerator(nn.Module):
    def __init__(self, drop_prob=0.5, *, generator):
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x):
        return nn.functional.dropout(x, self.drop_prob, training=self.training)


@mistake("DropoutModule", hint="""
    You keep with the probability with which you should drop. At 0.5 nobody notices; at 0.2 four
    fifths of the entries are gone.""", anchor="dropout-forward")
class KeepsInsteadOfDrops(nn.Module):
    def __init__(self, drop_prob=0.5, *, generator):
        super().__init__()
        self.drop_prob, self.generator = drop_prob, generator

    def forward(self, x):
        if not self.training:
            return x
        kept = torch.rand(x.shape, generator=self.generator) < self.drop_prob
        return x * kept / (1 - self.drop_prob)


@mistake("DropoutModule", hint="""
    The values are right and no gradient comes back: something cut the graph, `detach()`, `.data` or
    `torch.no_grad()`. What stays must pass its gradient on.""", anchor="dropout-backward")
class GraphCut(nn.Module):
    def __init__(self, drop_prob=0.5, *, generator):
        super().__init__()
        self.drop_prob, self.generator = drop_prob, generator

    def forward(self, x):
        if not self.training:
            return x
        kept = torch.rand(x.shape, generator=self.generator) >= self.drop_prob
        return x.detach() * kept / (1 - self.drop_prob)


# ---------------------------------------------------------------- RandomShift


@mistake("RandomShift", hint="""
    The images are moved in evaluation mode too, so the model is tested on pictures that nobody
    took. Read `self.training` in `forward`.""", anchor="regularization-failures")
class MovesTestImages(nn.Module):
    def __init__(self, max_shift, *, generator):
        super().__init__()
        self.max_shift, self.generator = max_shift, generator

    def forward(self, images):
        m, (h, w) = self.max_shift, images.shape[2:]
        padded = nn.functional.pad(images, (m, m, m, m))
        moves = torch.randint(-m, m + 1, (len(images), 2), generator=self.generator).tolist()
        return torch.stack([image[:, m - a : m - a + h, m - b : m - b + w]
                            for image, (a, b) in zip(padded, moves, strict=True)])


@mistake("RandomShift", hint="""
    `torch.roll` lets in on one side what leaves on the other. Zeros must come in: pad first, then
    cut out.""", anchor="random-shift")
class RollsRound(nn.Module):
    def __init__(self, max_shift, *, generator):
        super().__init__()
        self.max_shift, self.generator = max_shift, generator

    def forward(self, images):
        if not self.training:
            return images
        m = self.max_shift
        moves = torch.randint(-m, m + 1, (len(images), 2), generator=self.generator).tolist()
        return torch.stack([torch.roll(image, (a, b), dims=(1, 2))
                            for image, (a, b) in zip(images, moves, strict=True)])


@mistake("RandomShift", hint="""
    The whole batch moves alike. Each image needs a draw of its own.""", anchor="random-shift")
class OneMoveForTheBatch(nn.Module):
    def __init__(self, max_shift, *, generator):
        super().__init__()
        self.max_shift, self.generator = max_shift, generator

    def forward(self, images):
        if not self.training:
            return images
        m, (h, w) = self.max_shift, images.shape[2:]
        padded = nn.functional.pad(images, (m, m, m, m))
        a, b = torch.randint(-m, m + 1, (2,), generator=self.generator).tolist()
        return padded[:, :, m - a : m - a + h, m - b : m - b + w]


@mistake("RandomShift", hint="""
    `torch.randint(low, high, ...)` leaves out `high`: your images never move by the full distance
    down or right.""", anchor="random-shift")
class HighLeftOut(nn.Module):
    def __init__(self, max_shift, *, generator):
        super().__init__()
        self.max_shift, self.generator = max_shift, generator

    def forward(self, images):
        if not self.training or self.max_shift == 0:
            return images
        m, (h, w) = self.max_shift, images.shape[2:]
        padded = nn.functional.pad(images, (m, m, m, m))
        moves = torch.randint(-m, m, (len(images), 2), generator=self.generator).tolist()
        return torch.stack([image[:, m - a : m - a + h, m - b : m - b + w]
                            for image, (a, b) in zip(padded, moves, strict=True)])


@mistake("RandomShift", hint="""
    The distances are drawn once, in `__init__`. An image that moves the same way in every epoch is
    one image, not many. Draw in `forward`.""", anchor="augmentation")
class DrawnOnce(nn.Module):
    def __init__(self, max_shift, *, generator):
        super().__init__()
        self.max_shift = max_shift
        self.moves = torch.randint(-max_shift, max_shift + 1, (1000, 2),
                                   generator=generator).tolist()

    def forward(self, images):
        if not self.training:
            return images
        m, (h, w) = self.max_shift, images.shape[2:]
        padded = nn.functional.pad(images, (m, m, m, m))
        return torch.stack([image[:, m - a : m - a + h, m - b : m - b + w]
                            for image, (a, b) in zip(padded, self.moves, strict=False)])


# ---------------------------------------------------------------- weight_penalty


@mistake("weight_penalty", hint="""
    Biases and the factors of normalization are penalised too. They set thresholds and scales;
    pulling them to 0 does harm and prevents nothing. Only parameters with two or more axes count.
    """)
def biases_penalised(model, *, l1=0.0, l2=0.0):
    trained = [p for p in model.parameters() if p.requires_grad]
    return sum(l1 * p.abs().sum() + l2 / 2 * (p * p).sum() for p in trained)


@mistake("weight_penalty", hint="""
    You go by the name "weight". The factors of a normalization are called so too; and other
    modules name their matrices as they like. Look at the number of axes.""")
def chosen_by_name(model, *, l1=0.0, l2=0.0):
    trained = [p for name, p in model.named_parameters()
               if p.requires_grad and name.endswith("weight")]
    return sum(l1 * p.abs().sum() + l2 / 2 * (p * p).sum() for p in trained)


@mistake("weight_penalty", hint="""
    The factor 1/2 of the L2 part is missing. With it the gradient is l2 times the weight, as with
    `weight_decay` in an optimizer.""", anchor="l2")
def half_missing(model, *, l1=0.0, l2=0.0):
    trained = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
    return sum(l1 * p.abs().sum() + l2 * (p * p).sum() for p in trained)


@mistake("weight_penalty", hint="""
    The value is right and has no gradient: `detach()`, `.data` or `torch.no_grad()` cut it off the
    weights. A penalty that does not reach them changes nothing.""")
def cut_off_the_weights(model, *, l1=0.0, l2=0.0):
    trained = [p.detach() for p in model.parameters() if p.requires_grad and p.ndim >= 2]
    return sum(l1 * p.abs().sum() + l2 / 2 * (p * p).sum() for p in trained)


@mistake("weight_penalty", hint="""
    You add up Euclidean norms. The norm is the root of the sum of squares; the penalty has no
    root, and its gradient is proportional to the weight.""", anchor="l2")
def norms_added(model, *, l1=0.0, l2=0.0):
    trained = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
    return sum(l1 * p.abs().sum() + l2 / 2 * p.norm() for p in trained)


@mistake("weight_penalty", hint="""
    Only linear layers are penalised. Filters and embeddings are weights as well: go through the
    parameters, not through the kinds of layers.""")
def linear_layers_only(model, *, l1=0.0, l2=0.0):
    layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
    trained = {id(m.weight): m.weight for m in layers if m.weight.requires_grad}.values()
    return sum(l1 * p.abs().sum() + l2 / 2 * (p * p).sum() for p in trained)


# ---------------------------------------------------------------- mixup_loss


@mistake("mixup_loss", hint="""
    You average the class numbers: half a 3 and half a 7 becomes a 5. Classes have no mean; average
    the two losses.""")
def class_numbers_averaged(logits, labels, partner_labels, shares):
    blended = shares * labels + (1 - shares) * partner_labels
    return nn.functional.cross_entropy(logits, blended.round().long())


@mistake("mixup_loss", hint="""
    The shares are swapped: the first label counts with 1 - s. It has the share s, as its image
    has.""")
def label_shares_swapped(logits, labels, partner_labels, shares):
    own, other = (nn.functional.cross_entropy(logits, y, reduction="none")
                  for y in (labels, partner_labels))
    return ((1 - shares) * own + shares * other).mean()


@mistake("mixup_loss", hint="""
    Both losses are averaged over the rows before the shares come in. Each row has a share of its
    own: weight first, then take the mean.""")
def averaged_before_the_shares(logits, labels, partner_labels, shares):
    own, other = (nn.functional.cross_entropy(logits, y) for y in (labels, partner_labels))
    return shares.mean() * own + (1 - shares.mean()) * other


@mistake("mixup_loss", hint="""
    You give probabilities to the cross-entropy, which takes logits: it applies softmax itself, and
    now it is applied twice.""")
def softmax_first(logits, labels, partner_labels, shares):
    own, other = (nn.functional.cross_entropy(logits.softmax(dim=1), y, reduction="none")
                  for y in (labels, partner_labels))
    return (shares * own + (1 - shares) * other).mean()


@mistake("mixup_loss", hint="""
    The partner's label is missing. Its part of the picture is then worth nothing, and the network
    learns only to be less sure.""")
def partner_forgotten(logits, labels, partner_labels, shares):
    own = nn.functional.cross_entropy(logits, labels, reduction="none")
    return (shares * own).mean()


@mistake("mixup_loss", hint="""
    You return the sum over the rows. Then the loss, and with it the step, grows with the batch.
    Take the mean.""")
def sum_over_the_rows(logits, labels, partner_labels, shares):
    own, other = (nn.functional.cross_entropy(logits, y, reduction="none")
                  for y in (labels, partner_labels))
    return (shares * own + (1 - shares) * other).sum()
