"""What keeps the tools that the project uses from reporting to their makers."""

from collections.abc import Mapping

TELEMETRY_OFF: Mapping[str, str] = {
    "DO_NOT_TRACK": "1",  # Prefect's SDK, vLLM, MLflow and others that keep to it
    "DVC_NO_ANALYTICS": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",  # transformers, datasets and the hub's client
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "WANDB_MODE": "disabled",  # where someone has installed it, trainers find it by themselves
}
"""Environment variables; each is read while its tool is imported or starts."""
