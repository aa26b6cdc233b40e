"""The linear probe of Table 4 of Fine-R1: one linear layer over frozen features.

The paper's figure is the best accuracy on the test images over all epochs. That choice has seen
the test, so it leaks: it stands here beside the accuracy of the last epoch, and beside that of the
epoch that is best on validation images.

Shape letters: N images, D features, K classes, E epochs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from finer1.evaluation_params import ProbeParams


@dataclass(frozen=True)
class ProbeImages:
    """Features of one side of the data, with the classes by number."""

    features: torch.Tensor
    """[N, D]"""
    classes: torch.Tensor
    """[N]"""


@dataclass(frozen=True)
class ProbeChoice:
    """The test images after the epoch that a rule chose."""

    epoch: int
    """From 1."""
    is_right: tuple[bool, ...]
    """Of each test image."""


@dataclass(frozen=True)
class Probed:
    """A trained probe by three rules."""

    best_on_test: ProbeChoice
    """The paper's rule, which looks at the test images: an upper bound."""
    last: ProbeChoice
    best_on_validation: ProbeChoice


def train_probe(
    train: ProbeImages,
    validation: ProbeImages,
    test: ProbeImages,
    settings: ProbeParams,
    seed: int,
) -> Probed:
    """Train with Adam on the cross entropy; of equally good epochs the first is chosen.

    Equal seeds give equal probes on one machine and thread count; so on the CPU.
    """
    generator = torch.Generator().manual_seed(seed)
    num_classes = int(train.classes.max()) + 1
    layer = _linear(train.features.shape[1], num_classes, generator)
    optimizer = torch.optim.Adam(layer.parameters(), lr=settings.lr)
    on_validation, on_test = [], []
    for _ in range(settings.epochs):
        order = torch.randperm(len(train.classes), generator=generator)
        for batch in order.split(settings.batch_size):
            loss = torch.nn.functional.cross_entropy(
                layer(train.features[batch]), train.classes[batch]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        on_validation.append(_is_right(layer, validation))
        on_test.append(_is_right(layer, test))
    rights = torch.stack(on_test)  # [E, N]
    best = int(rights.sum(dim=1).argmax())
    validated = int(torch.stack(on_validation).sum(dim=1).argmax())
    return Probed(
        _choice(rights, best), _choice(rights, settings.epochs - 1), _choice(rights, validated)
    )


def number_classes(
    names: Sequence[tuple[str, str, str]], known: Sequence[tuple[str, str, str]]
) -> torch.Tensor:
    """[N], the place of each class among the sorted distinct `known` ones."""
    places = {name: place for place, name in enumerate(sorted(set(known)))}
    return torch.tensor([places[name] for name in names])


def _linear(num_features: int, num_classes: int, generator: torch.Generator) -> torch.nn.Linear:
    """A layer that starts as torch starts one, but from a generator of its own."""
    layer = torch.nn.utils.skip_init(torch.nn.Linear, num_features, num_classes)
    bound = num_features**-0.5
    for value in layer.parameters():
        torch.nn.init.uniform_(value, -bound, bound, generator=generator)
    return layer


@torch.no_grad()
def _is_right(layer: torch.nn.Linear, images: ProbeImages) -> torch.Tensor:
    """[N]"""
    return layer(images.features).argmax(dim=1) == images.classes


def _choice(rights: torch.Tensor, place: int) -> ProbeChoice:
    return ProbeChoice(place + 1, tuple(rights[place].tolist()))
