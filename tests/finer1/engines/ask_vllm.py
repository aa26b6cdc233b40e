"""Asks a model by vLLM in a process of its own, where no other vLLM has been.

python ask_vllm.py REQUESTS OUTPUT MODEL [ADAPTER SCRATCH]
"""

import json
import pickle
import sys
from dataclasses import asdict
from pathlib import Path


def main(requests, output, model, adapter=None, scratch=None):
    """Write the samples of the pickled requests to `output`; MODEL `-` is the adapter's own."""
    from finer1.engines.interface import EngineSettings, Sampling, load_engine
    from finer1.model_params import VllmParams

    settings = EngineSettings(
        None if model == "-" else Path(model),
        {},
        "cpu",
        adapter=Path(adapter) if adapter else None,
        scratch=Path(scratch) if scratch else None,
        vllm=VllmParams(memory_share=0.5, sleep_level=0, cpu_cache_mib=64, tensor_parallel=1),
        max_images=3,
    )
    engine = load_engine("vllm", settings)
    answers = engine.generate(pickle.loads(Path(requests).read_bytes()), Sampling(1, 0.0, 1.0, 8))
    samples = [[asdict(sample) for sample in samples] for samples in answers]
    Path(output).write_text(json.dumps({"identity": engine.identity, "samples": samples}))


if __name__ == "__main__":
    main(*sys.argv[1:])
