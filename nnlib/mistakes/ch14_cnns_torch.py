"""Known mistakes of chapter 14's PyTorch exercises: blocks and a small ResNet."""

import torch
from torch import nn

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- vgg_block


@mistake("vgg_block", hint="""
    No ReLU stands between your convolutions. A row of convolutions without one is a single
    convolution, with a larger filter.""")
def vgg_without_relu(c_in, c_out, num_convs):
    layers = []
    for k in range(num_convs):
        layers.append(nn.Conv2d(c_in if k == 0 else c_out, c_out, 3, padding=1))
    return nn.Sequential(*layers, nn.MaxPool2d(2))


@mistake("vgg_block", hint="""
    Your convolutions have no padding: each takes two rows and two columns away. With padding 1 a
    3x3 filter keeps the size, and only the pooling halves it.""")
def vgg_without_padding(c_in, c_out, num_convs):
    layers = []
    for k in range(num_convs):
        layers += [nn.Conv2d(c_in if k == 0 else c_out, c_out, 3), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(2))


@mistake("vgg_block", hint="""
    Every convolution of yours expects `c_in` channels. From the second one on, what comes in is
    what the first one put out.""")
def vgg_all_from_c_in(c_in, c_out, num_convs):
    layers = []
    for _ in range(num_convs):
        layers += [nn.Conv2d(c_in, c_out, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(2))


@mistake("vgg_block", hint="""
    You pool after each convolution. A block pools once, at its end: until then its convolutions
    all work on images of the same size.""")
def vgg_pooled_each_time(c_in, c_out, num_convs):
    layers = []
    for k in range(num_convs):
        layers += [nn.Conv2d(c_in if k == 0 else c_out, c_out, 3, padding=1), nn.ReLU(),
                   nn.MaxPool2d(2)]
    return nn.Sequential(*layers)


@mistake("vgg_block", hint="""
    One convolution is repeated: the same object stands in several places, so all share one filter
    bank. Make a new layer in each round of the loop.""")
def vgg_of_one_convolution(c_in, c_out, num_convs):
    first, again = nn.Conv2d(c_in, c_out, 3, padding=1), nn.Conv2d(c_out, c_out, 3, padding=1)
    layers = [first, nn.ReLU()] + (num_convs - 1) * [again, nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(2))


@mistake("vgg_block", hint="""
    The pooling at the end is missing: the image keeps its size, and the next block works on four
    times as many places as it should.""")
def vgg_without_pooling(c_in, c_out, num_convs):
    layers = []
    for k in range(num_convs):
        layers += [nn.Conv2d(c_in if k == 0 else c_out, c_out, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers)


# ---------------------------------------------------------------- ResidualBlock


@mistake("ResidualBlock", hint="""
    The shortcut is added after the last ReLU. First the sum, then one ReLU: so it is in the
    picture of the block.""")
class ShortcutAfterReLU(nn.Module):
    def __init__(self, c_in, c_out, *, stride=1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(c_out), nn.ReLU(),
            nn.Conv2d(c_out, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out))
        self.shortcut = nn.Identity()
        if stride != 1 or c_in != c_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(c_in, c_out, 1, stride=stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        return torch.relu(self.body(x)) + self.shortcut(x)


@mistake("ResidualBlock", hint="""
    No ReLU after the addition. The body ends in batch norm, so the block's only ReLU behind it is
    the one that comes after the sum.""")
class NoReLUAfterTheSum(nn.Module):
    def __init__(self, c_in, c_out, *, stride=1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(c_out), nn.ReLU(),
            nn.Conv2d(c_out, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out))
        self.shortcut = nn.Identity()
        if stride != 1 or c_in != c_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(c_in, c_out, 1, stride=stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


@mistake("ResidualBlock", hint="""
    A ReLU bends the body before the addition, too. Then a block can only add to its input and
    never take anything away.""")
class ReLUBeforeTheSum(nn.Module):
    def __init__(self, c_in, c_out, *, stride=1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(c_out), nn.ReLU(),
            nn.Conv2d(c_out, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU())
        self.shortcut = nn.Identity()
        if stride != 1 or c_in != c_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(c_in, c_out, 1, stride=stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


@mistake("ResidualBlock", hint="""
    The shortcut has a projection only where the number of channels changes. With a stride the
    size changes as well, even between equally many channels.""", anchor="projection-shortcut")
class ProjectionForChannelsOnly(nn.Module):
    def __init__(self, c_in, c_out, *, stride=1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(c_out), nn.ReLU(),
            nn.Conv2d(c_out, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out))
        self.shortcut = nn.Identity()
        if c_in != c_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(c_in, c_out, 1, stride=stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


@mistake("ResidualBlock", hint="""
    The convolution of your shortcut has no stride: it keeps the size that the body halves. Both
    ways need the same one.""", anchor="projection-shortcut")
class ShortcutWithoutStride(nn.Module):
    def __init__(self, c_in, c_out, *, stride=1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(c_out), nn.ReLU(),
            nn.Conv2d(c_out, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out))
        self.shortcut = nn.Identity()
        if stride != 1 or c_in != c_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


@mistake("ResidualBlock", hint="""
    There is no batch norm behind your shortcut's convolution. The two summands then differ in
    size: one is normalised, the other is whatever the filters make of it.""",
         anchor="projection-shortcut")
class ShortcutWithoutNorm(nn.Module):
    def __init__(self, c_in, c_out, *, stride=1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(c_out), nn.ReLU(),
            nn.Conv2d(c_out, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out))
        self.shortcut = nn.Identity()
        if stride != 1 or c_in != c_out:
            self.shortcut = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride=stride, bias=False))

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


@mistake("ResidualBlock", hint="""
    Your batch norm keeps no running statistics: it uses those of the batch in evaluation, too. The
    answer for an image then depends on which others come with it.""", anchor="cnn-batch-norm")
class NormOfTheBatchAlways(nn.Module):
    def __init__(self, c_in, c_out, *, stride=1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(c_out, track_running_stats=False), nn.ReLU(),
            nn.Conv2d(c_out, c_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(c_out, track_running_stats=False))
        self.shortcut = nn.Identity()
        if stride != 1 or c_in != c_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(c_in, c_out, 1, stride=stride, bias=False),
                nn.BatchNorm2d(c_out, track_running_stats=False))

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


@mistake("ResidualBlock", hint="""
    Your convolutions have a bias. Batch norm subtracts each channel's mean right behind it, and the
    bias with it: parameters without any effect. Leave them out.""", anchor="cnn-batch-norm")
class ConvolutionsWithBias(nn.Module):
    def __init__(self, c_in, c_out, *, stride=1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1),
            nn.BatchNorm2d(c_out), nn.ReLU(),
            nn.Conv2d(c_out, c_out, 3, padding=1), nn.BatchNorm2d(c_out))
        self.shortcut = nn.Identity()
        if stride != 1 or c_in != c_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(c_in, c_out, 1, stride=stride), nn.BatchNorm2d(c_out))

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))



# ---------------------------------------------------------------- InceptionBlock


@mistake("InceptionBlock", hint="""
    You join the branches along the batch: four times as many images come out. They are to be put
    side by side as channels of the same image.""")
class JoinedAlongTheBatch(nn.Module):
    def __init__(self, c_in, c1, c3, c5, c_pool):
        super().__init__()
        self.branch1 = nn.Sequential(nn.Conv2d(c_in, c1, 1), nn.ReLU())
        self.branch3 = nn.Sequential(nn.Conv2d(c_in, c3[0], 1), nn.ReLU(),
                                     nn.Conv2d(c3[0], c3[1], 3, padding=1), nn.ReLU())
        self.branch5 = nn.Sequential(nn.Conv2d(c_in, c5[0], 1), nn.ReLU(),
                                     nn.Conv2d(c5[0], c5[1], 5, padding=2), nn.ReLU())
        self.branch_pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1),
                                         nn.Conv2d(c_in, c_pool, 1), nn.ReLU())

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch3(x), self.branch5(x), self.branch_pool(x)])


@mistake("InceptionBlock", hint="""
    The branches are added. That asks for equally many channels in each and mixes what they found;
    an Inception block keeps them apart, one behind the other along the channels.""")
class BranchesAdded(nn.Module):
    def __init__(self, c_in, c1, c3, c5, c_pool):
        super().__init__()
        self.branch1 = nn.Sequential(nn.Conv2d(c_in, c1, 1), nn.ReLU())
        self.branch3 = nn.Sequential(nn.Conv2d(c_in, c3[0], 1), nn.ReLU(),
                                     nn.Conv2d(c3[0], c3[1], 3, padding=1), nn.ReLU())
        self.branch5 = nn.Sequential(nn.Conv2d(c_in, c5[0], 1), nn.ReLU(),
                                     nn.Conv2d(c5[0], c5[1], 5, padding=2), nn.ReLU())
        self.branch_pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1),
                                         nn.Conv2d(c_in, c_pool, 1), nn.ReLU())

    def forward(self, x):
        return self.branch1(x) + self.branch3(x) + self.branch5(x) + self.branch_pool(x)


@mistake("InceptionBlock", hint="""
    The branches stand in the wrong order. Here it is 1x1, 3x3, 5x5, pooling: the next layer's
    filters rely on it.""")
class BranchesInAnotherOrder(nn.Module):
    def __init__(self, c_in, c1, c3, c5, c_pool):
        super().__init__()
        self.branch1 = nn.Sequential(nn.Conv2d(c_in, c1, 1), nn.ReLU())
        self.branch3 = nn.Sequential(nn.Conv2d(c_in, c3[0], 1), nn.ReLU(),
                                     nn.Conv2d(c3[0], c3[1], 3, padding=1), nn.ReLU())
        self.branch5 = nn.Sequential(nn.Conv2d(c_in, c5[0], 1), nn.ReLU(),
                                     nn.Conv2d(c5[0], c5[1], 5, padding=2), nn.ReLU())
        self.branch_pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1),
                                         nn.Conv2d(c_in, c_pool, 1), nn.ReLU())

    def forward(self, x):
        return torch.cat([self.branch_pool(x), self.branch1(x), self.branch3(x), self.branch5(x)],
                         dim=1)


@mistake("InceptionBlock", hint="""
    The 5x5 convolution has padding 1, as a 3x3 one would: its maps come out two pixels too small
    and can't be joined with the others.""")
class PaddingOneForFive(nn.Module):
    def __init__(self, c_in, c1, c3, c5, c_pool):
        super().__init__()
        self.branch1 = nn.Sequential(nn.Conv2d(c_in, c1, 1), nn.ReLU())
        self.branch3 = nn.Sequential(nn.Conv2d(c_in, c3[0], 1), nn.ReLU(),
                                     nn.Conv2d(c3[0], c3[1], 3, padding=1), nn.ReLU())
        self.branch5 = nn.Sequential(nn.Conv2d(c_in, c5[0], 1), nn.ReLU(),
                                     nn.Conv2d(c5[0], c5[1], 5, padding=1), nn.ReLU())
        self.branch_pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1),
                                         nn.Conv2d(c_in, c_pool, 1), nn.ReLU())

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch3(x), self.branch5(x), self.branch_pool(x)],
                         dim=1)


@mistake("InceptionBlock", hint="""
    No ReLU follows the 1x1 convolutions that reduce the channels. Without it the pair is one
    convolution of lower rank; with it the block gains a layer.""")
class NoReLUAfterReducing(nn.Module):
    def __init__(self, c_in, c1, c3, c5, c_pool):
        super().__init__()
        self.branch1 = nn.Sequential(nn.Conv2d(c_in, c1, 1), nn.ReLU())
        self.branch3 = nn.Sequential(nn.Conv2d(c_in, c3[0], 1), nn.Identity(),
                                     nn.Conv2d(c3[0], c3[1], 3, padding=1), nn.ReLU())
        self.branch5 = nn.Sequential(nn.Conv2d(c_in, c5[0], 1), nn.Identity(),
                                     nn.Conv2d(c5[0], c5[1], 5, padding=2), nn.ReLU())
        self.branch_pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1),
                                         nn.Conv2d(c_in, c_pool, 1), nn.ReLU())

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch3(x), self.branch5(x), self.branch_pool(x)],
                         dim=1)


@mistake("InceptionBlock", hint="""
    The pooling branch has an average where the block has a maximum. Both keep the size; they don't
    say the same of a place.""")
class AverageForMaximum(nn.Module):
    def __init__(self, c_in, c1, c3, c5, c_pool):
        super().__init__()
        self.branch1 = nn.Sequential(nn.Conv2d(c_in, c1, 1), nn.ReLU())
        self.branch3 = nn.Sequential(nn.Conv2d(c_in, c3[0], 1), nn.ReLU(),
                                     nn.Conv2d(c3[0], c3[1], 3, padding=1), nn.ReLU())
        self.branch5 = nn.Sequential(nn.Conv2d(c_in, c5[0], 1), nn.ReLU(),
                                     nn.Conv2d(c5[0], c5[1], 5, padding=2), nn.ReLU())
        self.branch_pool = nn.Sequential(nn.AvgPool2d(3, stride=1, padding=1),
                                         nn.Conv2d(c_in, c_pool, 1), nn.ReLU())

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch3(x), self.branch5(x), self.branch_pool(x)],
                         dim=1)
