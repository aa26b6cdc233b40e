"""Where the six published datasets are, with sizes and hashes.

Hashes are those of torchvision and tensorflow-datasets; SHA-256 of the pet and aircraft archives
come from several public projects that also give the MD5 of torchvision's list. Every archive is
unpacked into the dataset's folder and every other file copied there; that gives the official
layout.
"""

from dataclasses import dataclass

from finer1.downloads.fetching import RemoteFile


@dataclass(frozen=True)
class Source:
    """A dataset as it is published."""

    files: tuple[RemoteFile, ...]
    holds: tuple[str, ...]
    """Paths that are there once all is unpacked; the layout that the readers know."""
    terms: str
    """What the images may be used for."""
    gone: str | None = None
    """What to do by hand, where the source has left the network."""


_OXFORD = "https://www.robots.ox.ac.uk/~vgg/data"

AIRCRAFT = Source(
    files=(
        RemoteFile(
            "fgvc-aircraft-2013b.tar.gz",
            (f"{_OXFORD}/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz",),
            2_753_340_328,
            "e4e323d410e29f0370c81eabdcbb0e2b813acea1de22891b70b58ff41bfc9834",
            "d4acdd33327262359767eeaa97a4f732",
        ),
    ),
    holds=("fgvc-aircraft-2013b/data/images", "fgvc-aircraft-2013b/data/variants.txt"),
    terms="FGVC-Aircraft: for non-commercial research only; the photographers keep the copyright",
)

BIRD = Source(
    files=(
        RemoteFile(
            "CUB_200_2011.tgz",
            (
                "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
                "https://s3.amazonaws.com/fast-ai-imageclas/CUB_200_2011.tgz",
            ),
            1_150_585_339,
            "0c685df5597a8b24909f6a7c9db6d11e008733779a671760afef78feb49bf081",
            "97eceeb196236b17998738112f37df78",
        ),
    ),
    holds=("CUB_200_2011/images", "CUB_200_2011/images.txt"),
    terms="CUB-200-2011: no terms are stated; take it as for non-commercial research only",
)

CAR = Source(
    files=(
        RemoteFile(
            "cars_train.tgz",
            ("http://ai.stanford.edu/~jkrause/car196/cars_train.tgz",),
            979_269_282,
            "512b227b30e2f0a8aab9e09485786ab4479582073a144998da74d64b801fd288",
        ),
        RemoteFile(
            "cars_test.tgz",
            ("http://ai.stanford.edu/~jkrause/car196/cars_test.tgz",),
            977_350_468,
            "bffea656d6f425cba3c91c6d83336e4c5f86c6cffd8975b0f375d3a10da8e243",
        ),
        RemoteFile(
            "car_devkit.tgz",
            ("https://ai.stanford.edu/~jkrause/cars/car_devkit.tgz",),
            330_960,
            "b97deb463af7d58b6bfaa18b2a4de9829f0f79e8ce663dfa9261bf7810e9accd",
        ),
        RemoteFile(
            "cars_test_annos_withlabels.mat",
            ("http://ai.stanford.edu/~jkrause/car196/cars_test_annos_withlabels.mat",),
            185_758,
            "790f75be8ea34eeded134cc559332baf23e30e91367e9ddca97d26ed9b895f05",
        ),
    ),
    holds=("cars_train", "cars_test", "devkit/cars_meta.mat", "cars_test_annos_withlabels.mat"),
    terms="Stanford Cars: no terms are stated; take it as for non-commercial research only",
    gone=(
        "its site at ai.stanford.edu has been gone since 2023. With the four files {names} in "
        "one folder DIR, run `finer1 data get car --from DIR`. Copies in use: the images from "
        "Kaggle (jessicali9530/stanford-cars-dataset), the devkit from "
        "https://github.com/pytorch/vision/files/11644847/car_devkit.tgz, the labelled test file "
        "as told in https://github.com/pytorch/vision/issues/7545. Kaggle's folders, laid out as "
        "cars_train/, cars_test/ and devkit/ with the labelled test file beside them, are read "
        "by `finer1 run --root DIR` and download.car.source: folder; or set download.car.source "
        "to a copy on the Hugging Face hub (hub:<id>@<revision>)"
    ),
)

DOG = Source(
    files=(
        RemoteFile(
            "images.tar",
            ("http://vision.stanford.edu/aditya86/ImageNetDogs/images.tar",),
            793_579_520,
            "a443fc2f9a851aa1a7b8e4fa4af94b8459fce2c9f5a2f4dd4669cf9673a4ec58",
        ),
        RemoteFile(
            "lists.tar",
            ("http://vision.stanford.edu/aditya86/ImageNetDogs/lists.tar",),
            481_280,
            "34b47cacd9a98b5d150e084f24d29391c084c55272295ec65c85651bc35f4d6c",
        ),
    ),
    holds=("Images", "train_list.mat", "test_list.mat"),
    terms="Stanford Dogs: photographs of ImageNet, for non-commercial research and education only",
)

FLOWER = Source(
    files=(
        RemoteFile(
            "102flowers.tgz",
            (f"{_OXFORD}/flowers/102/102flowers.tgz",),
            344_862_509,
            md5="52808999861908f626f3c1f4e79d11fa",
        ),
        RemoteFile(
            "imagelabels.mat",
            (f"{_OXFORD}/flowers/102/imagelabels.mat",),
            502,
            md5="e0620be6f572b9609742df49c70aed4d",
        ),
        RemoteFile(
            "setid.mat",
            (f"{_OXFORD}/flowers/102/setid.mat",),
            14_989,
            md5="a5357ecc9cb78c4bef273ce3793fc85c",
        ),
    ),
    holds=("jpg", "imagelabels.mat", "setid.mat"),
    terms="Oxford Flowers: no terms are stated; take it as for non-commercial research only",
)

PET = Source(
    files=(
        RemoteFile(
            "images.tar.gz",
            (
                f"{_OXFORD}/pets/data/images.tar.gz",
                "https://thor.robots.ox.ac.uk/~vgg/data/pets/images.tar.gz",
            ),
            791_918_971,
            "67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d",
            "5c4f3ee8e5d25df40f4fd59a7f44e54c",
        ),
        RemoteFile(
            "annotations.tar.gz",
            (
                f"{_OXFORD}/pets/data/annotations.tar.gz",
                "https://thor.robots.ox.ac.uk/~vgg/data/pets/annotations.tar.gz",
            ),
            19_173_078,
            md5="95a8c909bbe2e81eed6a22bccdf3f68f",
        ),
    ),
    holds=("images", "annotations/trainval.txt", "annotations/test.txt"),
    terms="Oxford-IIIT Pet: CC BY-SA 4.0, and for research only by its README",
)

SOURCES = {
    "aircraft": AIRCRAFT,
    "bird": BIRD,
    "car": CAR,
    "dog": DOG,
    "flower": FLOWER,
    "pet": PET,
}
