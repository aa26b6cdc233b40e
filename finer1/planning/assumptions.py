"""What planning cannot read anywhere, each number with its reason; `finer1 plan` prints them."""

from dataclasses import dataclass

QUESTION_TOKENS = 110
"""System prompt `r1` (63 words), chat marks and an open question."""
OPTIONS_TOKENS = 60
"""Four names of sub-categories in a closed question."""
TOKENS_PER_WORD = 1.4
"""Of an English rationale with names of species, Qwen's tokenizer."""
RATIONALE_WORDS = 535
"""Mean of the 404 released rationales."""
IMAGE_TOKENS = 640
"""Mean of a photograph: 0.5 megapixel; a smaller bound of the image processor counts instead."""
KEEP_RATE = 0.5
"""Groups of a TAPO step that are neither all right nor all wrong."""
MFU = 0.45
"""Share of a GPU's dense bfloat16 speed that a training or prompt pass reaches."""
BANDWIDTH_SHARE = 0.5
"""Share of a GPU's memory bandwidth that generation token by token reaches."""
TRANSFORMERS_LAYER_S = 0.0005
"""Least time of one layer for one token in transformers: Python and kernel launches."""
VLLM_SEQUENCES = 256
"""Most sequences that vLLM runs at once."""
RESERVED_SHARE = 0.05
"""Of a GPU's memory: CUDA context, communication, fragmentation."""
ENCODER_BYTES = 4 * 2**30
"""A CLIP or SigLIP of the stages triplets, questions and score with a batch of images."""
PROCESS_BYTES = 3 * 2**30
"""Host memory of a process with torch, transformers and CUDA loaded."""


@dataclass(frozen=True)
class Gpu:
    """A kind of GPU, by its maker's data sheet."""

    memory_gib: float
    tflops: float
    """Dense bfloat16."""
    terabytes_per_s: float
    """Memory bandwidth."""


GPUS = {
    "h200": Gpu(139, 989, 4.8),
    "h100": Gpu(79, 989, 3.35),
    "a100": Gpu(79, 312, 2.04),
}
"""By name; memory as CUDA reports it, a little under what is sold."""


def sentences() -> tuple[str, ...]:
    """The assumptions as lines of text."""
    return (
        f"a question is {QUESTION_TOKENS} tokens, options {OPTIONS_TOKENS} more; a word is "
        f"{TOKENS_PER_WORD} tokens",
        f"times: rationales of {RATIONALE_WORDS} words (mean of the released ones), images of "
        f"{IMAGE_TOKENS} tokens, or their bound where it is smaller",
        f"times: {KEEP_RATE:.0%} of the groups survive dynamic sampling; {MFU:.0%} MFU; generation "
        f"at {BANDWIDTH_SHARE:.0%} of the memory bandwidth, with transformers at "
        f"{1000 * TRANSFORMERS_LAYER_S:g} ms a layer at least, with vLLM {VLLM_SEQUENCES} "
        "sequences at once",
        "memory: every completion and image as long and large as the settings allow; "
        f"{RESERVED_SHARE:.0%} of a GPU is not to be had (context, communication, fragmentation)",
        f"encoders of images and texts take {ENCODER_BYTES / 2**30:g} GiB, a process "
        f"{PROCESS_BYTES / 2**30:g} GiB of the host",
    )
