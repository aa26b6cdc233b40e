"""Every phase of a run that holds a model on a GPU, in the order of the stages."""

from finer1.params import Params
from finer1.planning.architecture import Architecture
from finer1.planning.assumptions import ENCODER_BYTES
from finer1.planning.counts import Counts
from finer1.planning.fit import Machine, Phase
from finer1.planning.generating import predict_phase, teacher_phase
from finer1.planning.stage_training import sft_phases, tapo_phases


def list_phases(
    params: Params, model: Architecture, counts: Counts, machine: Machine
) -> list[Phase]:
    """The phases; teachers behind a server, and those without a model, have none."""
    engines = {"concepts": params.concepts.engine}
    if params.cot.source == "teacher":
        engines["cot"] = params.cot.engine
    teachers = [
        teacher_phase(stage, engine, params, counts, machine) for stage, engine in engines.items()
    ]
    encoder = Phase("triplets", "encoder", {"encoder": ENCODER_BYTES}, 1)
    return [
        *(phase for phase in teachers if phase is not None),
        *sft_phases(params, model, counts, machine),
        encoder,
        *tapo_phases(params, model, counts, machine),
        predict_phase(params, model, counts, machine),
    ]
