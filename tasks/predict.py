"""Stage `predict@<model>`: the completions of one model for every question.

    python -m tasks.predict {base,sft,tapo}

Reads paths.questions, paths.index, paths.images and the model's folder; writes
`<paths.predictions>/<model>.jsonl`. One load answers closed and open, seen and unseen questions.
"""

import sys
from functools import partial

from finer1.draws import derive_seed
from finer1.engines.interface import EngineSettings, Request, Sampling, load_engine
from finer1.engines.store import GenerationStore
from finer1.images import ImageArchive
from finer1.prompts import SYSTEM_PROMPTS, closed_question
from finer1.records import ImageRecord, Prediction, Question, read_jsonl, write_jsonl
from tasks.exit_codes import BAD_INPUT
from tasks.stage import Context, main

MODELS = ("base", "sft", "tapo")


def predict(context: Context, model: str) -> dict[str, float]:
    """Generate, or take from the store, one completion per question."""
    paths, settings = context.params.paths, context.params.predict
    questions = read_jsonl(paths.questions, Question)
    images = {record.id: record for record in read_jsonl(paths.index, ImageRecord)}
    archive = ImageArchive(paths.images)
    system = SYSTEM_PROMPTS[context.params.prompt.system]
    requests = [
        Request(
            user=user_text(question),
            images=(archive.read(question.image_id),),
            image_hashes=(images[question.image_id].sha256,),
            system=system,
            seed=derive_seed(context.params.seed, question.id) if settings.temperature > 0 else 0,
        )
        for question in questions
    ]
    runtime = context.params.runtime
    engine = load_engine(
        runtime.engine,
        EngineSettings(
            model=getattr(paths, model),
            labels={},
            device=runtime.device,
            vllm=runtime.vllm,
            vllm_server=context.vllm_server,
            scratch=context.resume,
        ),
    )
    sampling = Sampling(1, settings.temperature, settings.top_p, settings.max_tokens)
    store = GenerationStore(context.store, runtime.batch_size)
    samples = store.generate(engine, requests, sampling, progress=f"predict {model}")
    predictions = [
        Prediction(
            question_id=question.id,
            model=model,
            identity=engine.identity,
            prompt="\n\n".join(text for text in (system, request.user) if text),
            completion=sample.text,
            num_tokens=sample.num_tokens,
            finish_reason=sample.finish_reason,
        )
        for question, request, (sample,) in zip(questions, requests, samples, strict=True)
    ]
    write_jsonl(paths.predictions / f"{model}.jsonl", predictions)
    return _metrics(predictions)


def user_text(question: Question) -> str:
    """The user's turn: the question, with its options when it is closed."""
    if question.setting == "open":
        return question.text
    return closed_question(question.text, question.options)


def _metrics(predictions: list[Prediction]) -> dict[str, float]:
    tokens = [prediction.num_tokens for prediction in predictions]
    cut = sum(prediction.finish_reason == "length" for prediction in predictions)
    return {
        "predict/questions": len(predictions),
        "predict/completion_tokens_mean": sum(tokens) / len(tokens),
        "predict/cut_off": cut,
    }


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    if name not in MODELS:
        print(f"usage: python -m tasks.predict {{{','.join(MODELS)}}}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    main(f"predict@{name}", partial(predict, model=name))
