"""Captions, as the teacher is asked for them: what to look at in each super-category (Sec. 4.2).

An image gets every instruction. Each stresses other attributes, so that together the captions
cover what can tell the sub-categories apart; which of it does, the selection finds out. The label
is never given, and guesses of it are unwanted: a caption that names a class describes the class.
"""

from finer1.prompts import MADE_CATEGORIES

FRAME = (
    "Describe the {category} in this image in one or two sentences. Stress {stress}. Say only what "
    "is visible; do not describe the background, and do not guess the {kind}."
)

GENERAL = (
    "its overall shape and its proportions",
    "its colours, markings and texture",
    "the small parts that tell it from similar ones",
)
"""What is stressed where a super-category has no wording of its own."""

STRESSED: dict[str, tuple[str, str, str]] = {
    "aircraft": (
        "the fuselage, the wings and the tail: length, height, sweep and where they are joined",
        "the engines: number, size, kind and where they are mounted",
        "windows, doors, nose, winglets and landing gear",
    ),
    "bird": (
        "size, build and the shape and length of beak, wings, tail and legs",
        "the colours of crown, throat, breast, back and wings, and where they change",
        "eye rings, eyebrow stripes, wing bars, spots, streaks and the tip of the tail",
    ),
    "car": (
        "the body: number of doors, roof line, proportions and stance",
        "the front: grille, headlights, bumper and badge",
        "wheels, windows, mirrors, rear lights and trim",
    ),
    "dog": (
        "size, build, the shape of the head and the length of the muzzle and legs",
        "the coat: length, texture, colours and where they lie",
        "ears, eyes, nose, tail and the markings of the face",
    ),
    "fish": (
        "the outline of the body and the shape and place of every fin",
        "colours, bands, dots and the look of the scales",
        "mouth, eyes, gills, spines and the edge of the tail",
    ),
    "flower": (
        "the shape of the bloom, and the number and arrangement of its petals",
        "the colours of the petals, and how they run, vein or spot",
        "the centre: stamens, pistil and throat; and buds, stem and leaves that belong to it",
    ),
    "pet": (
        "size, build, the shape of the head and the length of the muzzle",
        "the coat: length, texture, colours and pattern",
        "ears, eyes, nose, tail and the markings of the face",
    ),
}
"""Super-category -> what each of its three instructions stresses."""
STRESSED["cat"] = STRESSED["pet"]

KINDS = dict.fromkeys(MADE_CATEGORIES, "model") | {
    "bird": "species",
    "fish": "species",
    "flower": "species",
    "dog": "breed",
    "cat": "breed",
    "pet": "breed",
}
"""What a sub-category is called; `kind` for one's own super-categories."""

NUM_INSTRUCTIONS = len(GENERAL)


def caption_prompt(category: str, instruction: int) -> str:
    """Ask for a caption of the image, stressing the attributes of instruction 0, 1 or 2."""
    stress = STRESSED.get(category, GENERAL)[instruction]
    return FRAME.format(category=category, stress=stress, kind=KINDS.get(category, "kind"))
