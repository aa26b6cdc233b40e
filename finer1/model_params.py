"""The settings of the stages that train, and of the machine: type, unit, bound, symbol."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from finer1.evaluation_params import ModelName
from finer1.section import Count, CountOrZero, Fraction, NonNegative, Positive, Section


def _not_committed(name: str) -> str:
    if name == "world":
        raise PydanticCustomError(
            "committed_base", "world is the committed base, which is not made; choose another name"
        )
    return name


class WorldBase(Section):
    """A base model of the embedded world to be made."""

    config: Path
    """Its recipe, YAML: architecture, renders, phases (finer1/world/configs)."""
    taxonomy: str
    """The classes that it knows: `embedded`, `large_<seed>` or `twins_<seed>`; as
    download.world.taxonomy."""
    seed: Annotated[int, Field(ge=0, lt=1 << 20)]
    """Of its weights, renders and exercises."""


class PretrainParams(Section):
    """Bases of the embedded world besides the committed one."""

    models: dict[Annotated[ModelName, AfterValidator(_not_committed)], WorldBase]
    """By name, each made by a stage `pretrain@<name>` into paths.bases/<name>; none by default."""


class SftParams(Section):
    """Stage 1: supervised fine-tuning on the completion tokens (TRL SFTTrainer)."""

    target: Literal["rationale", "prose", "free", "answer"]
    """Train on rationale and answer, the rationale in four tagged sections, in prose under the
    headings of the released ones, or free, its text alone without sections and list of options
    (both: tapo.format_rule tags); or on the answer alone (ablation)."""
    epochs: Positive
    """Passes over the rationales."""
    steps: CountOrZero | None
    """Optimizer steps in place of `epochs`; null makes `epochs` passes, 0 keeps the weights of the
    base. The other training methods make as many as both stages together."""
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
    min_pixels: Count | None
    """Smaller images are enlarged to this many pixels, 200,704 in the paper; null leaves it to the
    base's image processor. Stage 2 and predict see images as stage 1 did, the base as it always
    did."""
    max_pixels: Count | None
    """Larger images are made smaller, to this many pixels, 1,003,520 in the paper; null as
    above."""
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
    log_ratio_clamp: Positive
    """Clamp of the log-ratios, +-, in the surrogate and in the k3 estimate; 20 in the released
    code."""
    kl_clamp: Positive
    """Clamp of the per-token estimate, +-; 10 in the released code."""
    entropy_coef: NonNegative
    """Weight of the policy's entropy under the anchor (eta 1)."""
    negative_entropy_coef: NonNegative
    """Weight of the policy's entropy under the negative (eta 2)."""
    negative_gradient: bool
    """Let gradient flow through the negative's log-probs [P], or detach them (released code)."""
    strategy: Literal["trained", "think", "direct"]
    """How the policy is asked, as in predict.strategy: in the words of stage 1 [P]; to think first
    (CLS-RL, arXiv:2503.16188); for the name alone (No-Thinking-RL, same paper), where the
    completion is the answer."""
    question: Literal["open", "closed", "mixed", "class_list"]
    """Questions without options [P], with options, or either with equal chance; or with all seen
    sub-categories of the category as options, in alphabetical order (CLS-RL)."""
    num_options: Annotated[int, Field(ge=2)]
    """Options of a closed question, the truth included: seen sub-categories of the category, all of
    them when there are fewer."""
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
    dynamic_sampling: bool
    """Train on groups of mixed accuracy alone and refill the batch (Sec. 3.2 of DAPO); false trains
    on every group that is sampled, as GRPO does."""
    max_resamples: CountOrZero | None
    """Refills of a rollout batch at most; 20. null is no limit (released code), and needs
    keep_when_all_degenerate."""
    max_oversample: Count
    """Groups sampled at once at most, in rollout batches: memory is sized for about one."""
    oversample_margin: Annotated[float, Field(ge=1)]
    """Groups asked for per group needed, beyond what the running keep rate calls for; 1.1."""
    keep_rate_decay: Annotated[float, Field(ge=0, lt=1)]
    """What a step's groups count for in the running keep rate, one step later; 0 is the last step
    alone."""
    explore_rate: Annotated[float, Field(gt=0, le=1)]
    """Chance to sample an anchor after a degenerate group, its square after two in a row, and so
    on (GRESO, arXiv:2506.02177); 1 passes over none. It changes the distribution of the data."""
    keep_low: Fraction
    """A group counts when its mean accuracy is above this; 0.01 ..."""
    keep_high: Fraction
    """... and below this; 0.99."""
    keep_when_all_degenerate: bool
    """Train on all groups sampled at once when none of them survives (released code)."""
    require_rationales: bool
    """Refuse to train when a seen sub-category has lost all of its rationales; false tolerates
    it, as a large number of sub-categories may demand."""
    train_vision: bool
    """Train the vision tower, too [P]."""
    lora_rank: CountOrZero
    """Rank of low-rank adapters (LoRA, arXiv:2106.09685) trained instead of the weights; 0 trains
    the weights [P]."""
    lora_alpha: Count
    """Adapters are scaled by lora_alpha / lora_rank."""
    lora_targets: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of the linear layers that get an adapter: in the language model, and with
    train_vision in the vision tower."""
    augment: bool
    """Flip, shift and brighten the anchor and positive images at random."""
    augment_shift: Fraction
    """Largest shift in each direction, share of the side."""
    augment_brightness: Fraction
    """Brightness is scaled by 1 +- this at most."""


class VllmParams(Section):
    """Memory of vLLM where `runtime.engine` is vllm, in the process that trains or predicts."""

    memory_share: Annotated[float, Field(gt=0, le=1)]
    """Share of a GPU's memory for its weights and its cache of keys and values."""
    sleep_level: Literal[0, 1, 2]
    """On a GPU, between rollouts: 0 keeps all of it, 1 drops the cache and moves the weights to
    the host, 2 drops both; each step pushes the weights anew in any case. A server follows it
    when it was started with --enable-sleep-mode."""
    cpu_cache_mib: Count
    """Without a GPU: cache of keys and values, MiB."""
    tensor_parallel: Count
    """GPUs, or processes on a CPU, that hold the model together in `predict` and the stages like
    it; `tapo` has one vLLM per process, or a server, which has its own setting."""


class TeacherParams(Section):
    """How the teachers of `concepts.engine` and `cot.engine` are run, where they are models."""

    in_flight: Count
    """openai: requests under way at once."""
    timeout_s: Positive
    """openai: seconds of silence after which a request is sent again."""
    memory_share: Annotated[float, Field(gt=0, le=1)]
    """vllm: share of each GPU's memory for its weights and its cache of keys and values."""
    cpu_cache_mib: Count
    """vllm without a GPU: cache of keys and values, MiB."""
    tensor_parallel: Count
    """vllm: GPUs, or processes on a CPU, that hold the model together."""


class LauncherParams(Section):
    """How the stages `sft` and `tapo` are started: in one process, or by accelerate in several."""

    strategy: Literal["none", "ddp", "fsdp2", "zero3"]
    """none: one process. Else several, by setup/accelerate/<strategy>.yaml: each with the whole
    model, or with a part of weights, gradients and moments."""
    processes: Count
    """Processes on each node, one per GPU."""
    nodes: Count
    """Machines; of several each starts the stage, as docs/scale.md says."""

    @model_validator(mode="after")
    def _check_number(self) -> Self:
        """Several processes need a strategy, and one alone none."""
        if (self.strategy == "none") != (self.processes * self.nodes == 1):
            raise PydanticCustomError(
                "other_number",
                "runtime.launcher has {processes} x {nodes} processes with strategy {strategy}; "
                "one process goes with none, several with ddp, fsdp2 or zero3",
                {"processes": self.processes, "nodes": self.nodes, "strategy": self.strategy},
            )
        return self


class RuntimeParams(Section):
    """The machine. No stage depends on these; results are equal where these are, and nearly so
    elsewhere: threads and sizes change the order of sums, device the number format as well."""

    device: Literal["auto", "cpu", "cuda"]
    """Where models run."""
    launcher: LauncherParams
    threads: CountOrZero
    """CPU threads of torch per process; 0 leaves it to torch."""
    engine: Literal["transformers", "vllm", "vllm_server"]
    """What runs the project's own models in `predict` and samples the rollouts of `tapo`:
    transformers; vLLM in the same process; a vLLM server, at FINER1_VLLM_SERVER. Each draws
    other samples from the same seeds."""
    shards: Count
    """Processes that generate side by side, over Ray, each with an engine of its own: in the stages
    that ask models and teachers, not in `tapo`. An engine that asks a server is not split."""
    vllm: VllmParams
    teacher: TeacherParams
    batch_size: Count
    """Requests generated at once. At predict.temperature > 0 another value draws other samples;
    the rollouts of TAPO stay."""
    micro_batch: Count
    """Completions per training forward."""
    forward: Literal["packed", "plain"]
    """Training forward: prompts shared by their completions, or repeated for each as in TRL."""
    gradient_checkpointing: bool
    """Compute activations again in the backward: less memory, about a third more time."""
    guards: bool
    """In the first two TAPO steps of a process, end the run when sampler and trainer do not see
    the same prompt, image or weights; finer1/tapo/guards.py says what that costs."""
    save_steps: Count
    """Training steps between checkpoints for resuming."""
    sheet_steps: CountOrZero
    """TAPO steps between sheets, pictures of one group with its answers, each with a table of
    several groups; 0 makes none."""
