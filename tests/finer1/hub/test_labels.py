import pytest

from finer1.hub.labels import class_groups, released_names
from finer1.reference.classes import released_classes


def test_two_names_of_one_class_are_refused():
    with pytest.raises(ValueError, match=r"'Shiba_Inu' and 'shiba inu' are both Shiba Inu"):
        released_names("pet", ["Shiba_Inu", "shiba inu", "pug"], "a/b@c", subset=True)


@pytest.mark.parametrize(
    ("dataset", "name", "released"),
    [
        ("bird", "009.Brewer_Blackbird", "Brewer Blackbird"),
        ("bird", "Black_footed_Albatross", "Black Footed Albatross"),
        ("dog", "n02085936-Maltese_dog", "Maltese Dog"),
        ("dog", "n02086240-Shih-Tzu", "Shih Tzu"),
        ("pet", "staffordshire_bull_terrier", "Staffordshire Bull Terrier"),
        ("car", "Ram C-V Cargo Van Minivan 2012", "Ram C/V Cargo Van Minivan 2012"),
        ("flower", "globe-flower", "globe flower"),
        ("flower", "pink-yellow dahlia?", "pink and yellow dahlia"),
        ("flower", "ball moss", "air plant"),
        ("flower", "lotus lotus", "lotus"),
        ("flower", "Colts Foot", "colt's foot"),
        ("aircraft", "A340-600", "Airbus A340-600"),
        ("aircraft", "F-16A-B", "F-16A/B"),
    ],
)
def test_spellings_of_copies_are_known(dataset, name, released):
    assert released_names(dataset, [name], "a/b@c", subset=True) == {name: released}


@pytest.mark.parametrize("dataset", ["aircraft", "bird", "car", "dog", "flower", "pet"])
def test_every_released_name_stands_for_itself(dataset):
    names = released_classes(dataset)
    assert released_names(dataset, names, "a/b@c", subset=False) == {name: name for name in names}
    shouted = {name.upper().replace("-", "_"): name for name in names}
    assert released_names(dataset, shouted, "a/b@c", subset=False) == shouted


def test_every_class_has_its_group():
    assert class_groups("car")["Aston Martin Virage Coupe 2012"] == "Aston Martin"
    assert class_groups("dog")["Yorkshire Terrier"] == "Terrier"
    assert set(class_groups("aircraft").values()) == {None}
