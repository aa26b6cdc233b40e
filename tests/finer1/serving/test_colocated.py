import random

import numpy as np
import torch

from finer1.serving.colocated import unmoved_generators


def test_generators_are_given_back_as_they_were():
    def draw():
        return random.random(), np.random.random(), torch.rand(()).item()

    with unmoved_generators():
        expected = draw()
    with unmoved_generators():
        for seed in (random.seed, np.random.seed, torch.manual_seed):
            seed(0)
    assert draw() == expected
