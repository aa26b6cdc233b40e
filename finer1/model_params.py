"""The settings of the stages that train, ask and report: type, unit, bound, symbol."""

from typing import Annotated, Literal

from pydantic import Field

from finer1.section import Count, CountOrZero, Fraction, NonNegative, Positive, Section


class SftParams(Section):
    """Stage 1: supervised fine-tuning on the completion tokens (TRL SFTTrainer)."""

    target: Literal["rationale", "answer"]
    """Train on rationale and answer, or on the answer alone (ablation)."""
    epochs: Positive
    """Passes over the rationales."""
    batch_size: Count
    """Rationales per optimizer step."""
    lr: Positive
    """Peak learning rate of AdamW, cosine schedule."""
    warmup_steps: CountOrZero
    """Linear warm-up, optimizer steps."""
    weight_decay: NonNegative
    """AdamW weight decay."""
    adam_beta1: Annotated[float, Field(gt=0, lt=1)]
    """AdamW first-moment decay."""
    adam_beta2: Annotated[float, Field(gt=0, lt=1)]
    """AdamW second-moment decay."""
    max_grad_norm: Positive
    """Gradient clipping by global norm."""
    train_vision: bool
    """Train the vision tower, too."""
    min_format_rate: Fraction
    """Train on until this share of greedy training completions is in the format ..."""
    max_epochs: Positive
    """... or this many epochs are done. Equal to `epochs`: no further training."""
    format_prompts: Count
    """Training prompts, at most, that the share is measured on."""


class PromptParams(Section):
    """Wording shared by training and evaluation."""

    system: Literal["plain", "r1"]
    """Named system prompt."""


class TapoParams(Section):
    """Stage 2: triplet-augmented policy optimization (Sec. 4.3 of Fine-R1)."""

    steps: CountOrZero
    """Rollout batches; 0 keeps the weights of stage 1."""
    prompts_per_step: Count
    """Prompts (groups) per rollout batch (B)."""
    minibatches: Count
    """Optimizer updates per rollout batch; divides prompts_per_step."""
    anchor_rollouts: CountOrZero
    """Completions sampled under the anchor image (n1)."""
    positive_rollouts: CountOrZero
    """Completions sampled under a positive image (n2)."""
    lr: Positive
    """Learning rate of AdamW, constant after warm-up."""
    warmup_steps: CountOrZero
    """Linear warm-up, optimizer steps."""
    weight_decay: NonNegative
    """AdamW weight decay."""
    adam_beta1: Annotated[float, Field(gt=0, lt=1)]
    """AdamW first-moment decay."""
    adam_beta2: Annotated[float, Field(gt=0, lt=1)]
    """AdamW second-moment decay; 0.999 in the released configuration."""
    max_grad_norm: Positive
    """Gradient clipping by global norm."""
    temperature: Positive
    """Sampling temperature of the rollouts."""
    top_p: Annotated[float, Field(gt=0, le=1)]
    """Nucleus of the rollouts."""
    max_completion_tokens: Count
    """Longest completion, tokens."""
    clip_low: Positive
    """Lower clip of the ratio, 1 - clip_low (eps_low)."""
    clip_high: Positive
    """Upper clip of the ratio, 1 + clip_high (eps_high)."""
    clip_dual: Annotated[float, Field(gt=1)] | None
    """Dual clip for negative advantages; null is off [P], 3.0 in the released code."""
    advantage_eps: Positive
    """Added to the standard deviation of a group's rewards; 1e-6."""
    inter_class_coef: NonNegative
    """Weight of the inter-class KL (gamma)."""
    kl_ratio: Literal["neg_over_pos", "pos_over_neg"]
    """Ratio in the k3 estimate: released code, or Eq. 3-4 of the paper."""
    kl_log_ratio_clamp: Positive
    """Clamp of the log-ratio, +-; 20 in the released code."""
    kl_clamp: Positive
    """Clamp of the per-token estimate, +-; 10 in the released code."""
    entropy_coef: NonNegative
    """Weight of the policy's entropy under the anchor (eta 1)."""
    negative_entropy_coef: NonNegative
    """Weight of the policy's entropy under the negative (eta 2)."""
    negative_gradient: bool
    """Let gradient flow through the negative's log-probs [P], or detach them (released code)."""
    update_image: Literal["anchor", "own"]
    """Image that positive rollouts are trained under: the anchor [P], or the one they were
    sampled with (released code)."""
    negative_image: Literal["nearest", "blackened"]
    """Negative image: from the triplet, or the anchor with patches blackened (PAPO)."""
    blackened_fraction: Fraction
    """Share of patches blackened; 0.6."""
    accuracy_weight: Fraction
    """Weight of the accuracy reward; 0.9. The format reward weighs the rest."""
    answer_match: Literal["exact", "inclusion"]
    """Accuracy: one name, equal after normalisation; or the truth contained in the answer [P]."""
    format_rule: Literal["sections", "tags"]
    """Format: all four sections inside the tags; or the tags alone [P]."""
    max_resamples: CountOrZero
    """Refills of a rollout batch at most; 20."""
    max_oversample: Count
    """Groups sampled at once at most, in rollout batches: memory is sized for about one."""
    keep_low: Fraction
    """A group counts when its mean accuracy is above this; 0.01 ..."""
    keep_high: Fraction
    """... and below this; 0.99."""
    keep_when_all_degenerate: bool
    """Train on the whole batch when no group survives (released code)."""
    require_rationales: bool
    """Refuse to train when a seen sub-category has lost all of its rationales; false tolerates
    it, as a large number of sub-categories may demand."""
    train_vision: bool
    """Train the vision tower, too [P]."""
    augment: bool
    """Flip, shift and brighten the anchor and positive images at random."""
    augment_shift: Fraction
    """Largest shift in each direction, share of the side."""
    augment_brightness: Fraction
    """Brightness is scaled by 1 +- this at most."""


class PredictParams(Section):
    """Completions of each model for each question."""

    max_tokens: Count
    """Longest completion, tokens."""
    temperature: NonNegative
    """0 is greedy."""
    top_p: Annotated[float, Field(gt=0, le=1)]
    """Nucleus; without effect when greedy."""


class ScoreParams(Section):
    """Accuracies and their intervals."""

    bootstrap_samples: Count
    """Bootstrap resamples of classes."""
    confidence: Annotated[float, Field(gt=0, lt=1)]
    """Level of the intervals; 0.95."""


class ReportParams(Section):
    """The HTML page."""

    samples: CountOrZero
    """Images shown with rationale and verdict, per model."""
    title: str
    """Headline of the page."""
    caveats: dict[str, tuple[str, ...]]
    """Dataset -> sentences that must stand beside its result table."""


class RuntimeParams(Section):
    """The machine. No stage depends on these; results are equal where these are, and nearly so
    elsewhere: threads and sizes change the order of sums, device the number format as well."""

    device: Literal["auto", "cpu", "cuda"]
    """Where models run."""
    threads: CountOrZero
    """CPU threads of torch per process; 0 leaves it to torch."""
    engine: Literal["transformers"]
    """Engine that runs the project's own models in `predict`."""
    batch_size: Count
    """Requests generated at once. At predict.temperature > 0 another value draws other samples;
    the rollouts of TAPO stay."""
    micro_batch: Count
    """Completions per training forward."""
    save_steps: Count
    """Training steps between checkpoints for resuming."""
