import base64
import io
from dataclasses import replace

from PIL import Image

from finer1.engines.interface import EngineSettings, Request, Sampling, load_engine
from finer1.model_params import TeacherParams

TEACHER = TeacherParams(
    in_flight=2, timeout_s=10.0, memory_share=0.5, cpu_cache_mib=64, tensor_parallel=1
)
ONE = Sampling(n=1, temperature=0.0, top_p=1.0, max_tokens=8)


def test_several_images_reach_a_server_in_their_order_before_the_text(server):
    settings = EngineSettings(None, {}, "cpu", server=server.url, teacher=TEACHER)
    images = tuple(Image.effect_noise((5 + i, 4), 80).convert("RGB") for i in range(3))
    asked = Request("which is the last?", images, system="look")
    load_engine("openai", settings).generate([asked, replace(asked, images=images[::-1])], ONE)
    arrived = []
    for _, _, body in server.requests:
        system, user = body["messages"]
        *pictures, text = user["content"]
        assert (system["content"], text["text"]) == ("look", "which is the last?")
        urls = [part["image_url"]["url"].partition(",")[2] for part in pictures]
        arrived.append([Image.open(io.BytesIO(base64.b64decode(url))).tobytes() for url in urls])
    sent = [image.tobytes() for image in images]
    assert sorted(arrived) == sorted([sent, sent[::-1]])
