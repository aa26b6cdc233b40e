import pytest

from finer1.teacher.wording import (
    NAME,
    find_leak,
    find_refusal,
    find_residue,
    take_names_out,
)

LEAKS = [
    "As the description says, the tail is long.",
    "The crest is consistent with the description provided.",
    "This matches the description of having a sleek body.",
    "Based on the image and description, it is a wren.",
    "The text mentions a long tail.",
    "The tail is long, as the provided text has it.",
    "This fits the features provided.",
    "Based on the provided visual features, it is a wren.",
    "Given the visual features and the context provided, it is a wren.",
    "About 12 cm, consistent with the provided information.",
    "It shows all listed concepts.",
    "The year mentioned rules this out.",
    "Heated mirrors are mentioned but cannot be seen.",
    "The features that were given include a crest.",
    "The bird is described as medium-sized.",
    "Yellow eyes, as described.",
    "The given label agrees.",
    "The label is Bewick Wren.",
    "The concepts include a long tail.",
    "The concepts you listed are there.",
    "The question specifies the year 2012.",
    "A long tail, as stated in the question.",
    "The ground truth is a wren.",
    "It has the hooked bill you described.",
    "Your message calls it a wren.",
]

CLEAN = [
    "Given the visual features, the bird belongs to the wrens.",
    "Given these observations, it is a wren.",
    "Based on the visual features described above, it is a wren.",
    "This breed is often described as kind.",
    f"The bird matches the description of a {NAME}.",
    f"It fits the description of the male {NAME}.",
    "The image provided shows a bird.",
    "The text on the fuselage reads LAN.",
    "The car shares few features given its age.",
    "The flower in question has six petals.",
    "The texture is described below.",
    "The features mentioned above set it apart.",
    "The tail is long, as described in the analysis.",
    "This concept car has a label on its door.",
]


@pytest.mark.parametrize("text", LEAKS)
def test_talk_about_the_teachers_input_is_a_leak(text):
    assert find_leak(text)


@pytest.mark.parametrize("text", LEAKS)
def test_leak_is_found_whatever_the_case_and_the_white_space(text):
    assert find_leak(f"It is brown.\n{text.upper()}".replace(" ", "\n  "))


@pytest.mark.parametrize("text", CLEAN)
def test_talk_about_the_image_is_no_leak(text):
    assert find_leak(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Enclosed Tags: brown, long.",
        "$$ \\boxed{\\text{wren}} $$",
        "According to these instructions it is a wren.",
        "The user wants a name.",
        "As requested, four candidates follow.",
        "It is brown.\nLabel: Bewick Wren",
        "<|im_end|>",
        "I hope this helps!",
    ],
)
def test_words_of_prompt_and_chat_are_residue(text):
    assert find_residue(text)


@pytest.mark.parametrize(
    "text",
    [
        "As an AI this is hard.",
        "I\u2019m sorry.",
        "I cannot see the bird.",
        "No image is attached.",
        "No image attached.",
        "There is no image attached to this question.",
        "The image is missing.",
        "The provided image is not of an airplane but of a train.",
        "The image does not depict a plane.",
        "There is no airplane in the image.",
        "It is impossible to identify its type.",
    ],
)
def test_refusing_or_denying_the_image_is_a_refusal(text):
    assert find_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "There is no visible crest in the image.",
        "The image does not show the tail.",
        "The dog does not have spots.",
        "The sex cannot be determined.",
        "It has no visible winglets; question: none.",
    ],
)
def test_what_is_not_visible_may_be_said(text):
    assert find_refusal(text) is None
    assert find_residue(text) is None


def test_names_are_taken_out_longest_first_whatever_their_case_or_number():
    text = "Fish Crow, crows and FISH CROWS; Crowned birds stay."
    taken = take_names_out(text, ("Crow", "Fish Crow"))
    assert taken == f"{NAME}, {NAME} and {NAME}; Crowned birds stay."


def test_nothing_is_taken_out_without_names():
    assert take_names_out("a crow", ("",)) == "a crow"
