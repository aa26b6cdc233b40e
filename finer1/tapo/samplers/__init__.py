"""Engines that sample rollouts: transformers, vLLM in this process, a vLLM server."""
