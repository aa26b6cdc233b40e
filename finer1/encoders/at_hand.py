"""Whether the weights of an open_clip model are on this machine, without loading or fetching."""

from pathlib import Path


def missing_open_clip(name: str, home: Path) -> str | None:
    """What is missing of `open_clip:<model>:<tag or file>` or `open_clip:<folder>`, and the remedy.

    None when the weights are there. home: what a relative folder or file is relative to.
    """
    rest = name.partition(":")[2]
    model, _, weights = rest.partition(":")
    if (home / rest).is_dir() or (weights and (home / weights).is_file()):
        return None
    from huggingface_hub import try_to_load_from_cache
    from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME
    from open_clip.pretrained import get_pretrained_cfg

    published = get_pretrained_cfg(model, weights)
    hub = str(published.get("hf_hub", "")).rstrip("/")
    if hub:
        owner, repository, *file = hub.split("/")
        hub_id = f"{owner}/{repository}"
        names = ["/".join(file)] if file else [HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME]
        if any(isinstance(try_to_load_from_cache(hub_id, item), str) for item in names):
            return None
        return f"the weights {name} are not on this disk; fetch them: hf download {hub_id}"
    file_name = Path(str(published.get("url", ""))).name
    if file_name and (Path("~/.cache/clip").expanduser() / file_name).is_file():
        return None
    return f"the weights {name} are not on this disk; fetch them, or name a file of yours"
