"""Qwen3-VL: as Qwen2.5-VL, but features of the tower's inner layers enter later layers (DeepStack,
arXiv:2406.04334), so that prompts are run with their pixels."""

from dataclasses import replace

from finer1.policy.families import qwen2_5_vl

FAMILY = replace(qwen2_5_vl.FAMILY, packs=False, is_deep=True)
