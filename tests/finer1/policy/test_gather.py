import torch

from finer1.policy.gather import build_gather

CPU = torch.device("cpu")


def test_rows_are_gathered():
    gather = build_gather(torch.tensor([2, 0, 2]), torch.ones(3).bool(), [3], CPU)
    assert gather(torch.tensor([[1.0], [2.0], [3.0]])).flatten().tolist() == [3, 1, 3]


def test_a_rows_gradient_is_the_sum_over_its_readers():
    # Row 0 is read by gathered rows 1 and 3, row 1 by none, row 2 by row 0; row 2 is padding.
    index = torch.tensor([2, 0, 0, 0])
    gather = build_gather(index, torch.tensor([True, True, False, True]), [2, 1], CPU)
    source = torch.zeros(3, 1, requires_grad=True)
    gather(source).backward(torch.tensor([[1.0], [10.0], [100.0], [1000.0]]))
    assert source.grad.flatten().tolist() == [1010, 0, 1]


def test_a_gradient_in_bfloat16_is_rounded_once():
    # 256 + 1 + 1 = 258 is a bfloat16; added one by one, 256 + 1 rounds to 256 each time.
    gather = build_gather(torch.zeros(3).long(), torch.ones(3).bool(), [1], CPU)
    source = torch.zeros(1, 1, dtype=torch.bfloat16, requires_grad=True)
    gather(source).backward(torch.tensor([[256.0], [1.0], [1.0]], dtype=torch.bfloat16))
    assert source.grad.item() == 258
