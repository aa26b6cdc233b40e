import pytest
import torch

from finer1.records import ImageRecord
from finer1.tapo.agreement import compare_encoders

NAMES = ("a", "b", "c", "d")


def records(groups=(None,) * 4, dataset="bird"):
    return [
        ImageRecord(f"{dataset}/{name}", dataset, "bird", name, group, "0" * 64, "0" * 16, "train")
        for name, group in zip(NAMES, groups, strict=True)
    ]


def at(*degrees):
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_an_encoder_agrees_with_itself():
    (found,) = compare_encoders(records(), at(0, 10, 30, 60), 5 * at(0, 10, 30, 60))
    assert (found.same_nearest, found.spearman) == (1.0, pytest.approx(1.0))
    assert found.chance == pytest.approx(1 / 3)


def test_agreement_is_worked_out_by_hand():
    (found,) = compare_encoders(records(), at(0, 10, 30, 60), at(0, 30, 10, 90))
    # Degrees apart, pairs ab ac ad bc bd cd: 10 30 60 20 50 30 and 30 10 90 20 60 80.
    # Nearest: a b, b a, c b, d c and a c, b c, c a, d b: none is the same.
    assert found.same_nearest == 0
    # Ranks by cosine, so reversed: 6 3.5 1 5 2 3.5 and 4 6 1 5 3 2. Differences 2 -2.5 0 0 -1 1.5;
    # centred products: 2.5 0.5, 0 2.5, -2.5 -2.5, 1.5 1.5, -1.5 -0.5, 0 -1.5 sum to
    # 1.25 + 0 + 6.25 + 2.25 + 0.75 + 0 = 10.5; lengths squared 17 and 17.5.
    assert found.spearman == pytest.approx(10.5 / (17 * 17.5) ** 0.5)


def test_the_share_in_the_group_counts_classes_with_siblings():
    groups = ("x", "x", "y", None)
    (found,) = compare_encoders(records(groups), at(0, 10, 30, 60), at(0, 30, 10, 90))
    # Siblings have only a and b. First: a b, b a. Second: a c, b c.
    assert (found.in_group, found.baseline_in_group) == (1.0, 0.0)


def test_without_groups_there_is_no_share():
    (found,) = compare_encoders(records(), at(0, 10, 30, 60), at(0, 10, 30, 60))
    assert found.in_group is None


def test_each_dataset_is_compared_for_itself():
    both = [*records(), *records(dataset="dog")]
    first = torch.cat([at(0, 10, 30, 60), at(0, 10, 30, 60)])
    second = torch.cat([at(0, 10, 30, 60), at(0, 30, 10, 90)])
    bird, dog = compare_encoders(both, first, second)
    assert (bird.dataset, bird.same_nearest) == ("bird", 1.0)
    assert (dog.dataset, dog.same_nearest) == ("dog", 0.0)


@pytest.mark.parametrize(
    ("count", "second"), [(2, at(0, 10)), (4, at(5, 5, 5, 5))], ids=["two classes", "all alike"]
)
def test_without_an_order_there_is_no_rank_correlation(count, second):
    (found,) = compare_encoders(records()[:count], at(0, 10, 30, 60)[:count], second)
    assert found.spearman is None


def test_a_single_class_is_no_comparison():
    assert compare_encoders(records()[:1], at(0), at(0)) == []
