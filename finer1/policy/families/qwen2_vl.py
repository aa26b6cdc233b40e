"""Qwen2-VL (arXiv:2409.12191): takes images and positions as Qwen2.5-VL does, without windows."""

from finer1.policy.families import qwen2_5_vl

FAMILY = qwen2_5_vl.FAMILY
