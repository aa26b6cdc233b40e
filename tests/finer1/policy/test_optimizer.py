import torch

from finer1.policy.optimizer import build_optimizer, schedule_from
from finer1.policy.schedules import warm_up_cosine


def test_vectors_are_not_decayed():
    model = torch.nn.Linear(2, 2)
    groups = build_optimizer(model, 1e-3, 0.1, (0.9, 0.98)).param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert decay == {id(model.weight): 0.1, id(model.bias): 0.0}


def test_frozen_parameters_are_left_out():
    model = torch.nn.Linear(2, 2)
    model.weight.requires_grad_(False)
    groups = build_optimizer(model, 1e-3, 0.1, (0.9, 0.98)).param_groups
    # The group of the matrices would be empty, and DeepSpeed would drop it.
    assert [group["params"] for group in groups] == [[model.bias]]


def test_a_continued_schedule_begins_where_the_first_ended():
    def rates(first, count):
        optimizer = build_optimizer(torch.nn.Linear(1, 1), 1.0, 0.0, (0.9, 0.98))
        scheduler = schedule_from(optimizer, lambda step: warm_up_cosine(step, 2, 8), first)
        found = []
        for _ in range(count):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        return found

    assert rates(0, 8)[3:] == rates(3, 5)
