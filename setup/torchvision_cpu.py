"""Lets `import torchvision` succeed beside a CPU build of torch.

torchvision is published with CUDA kernels only, and its import then fails with "operator
torchvision::nms does not exist", which takes open_clip down with it. Set-up copies this module
and `torchvision_cpu.pth` into site-packages, so that every process of the environment declares
the two operators just before torchvision is first imported. Transforms work, box operations do
not. Nothing happens on a CUDA build of torch, and torch is not imported unless torchvision is.
Remove it when the package index serves a CPU build of torchvision.
"""

import sys
import threading
from importlib.abc import MetaPathFinder

SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_lock = threading.Lock()
_libraries = []  # A torch.library.Library takes its operators with it when it is collected.


class _BeforeTorchvision(MetaPathFinder):
    """Finds nothing; declares the operators when torchvision is asked for."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname == "torchvision":
            _declare_operators()


def _declare_operators():
    """Declare them once per process, also when two threads ask for torchvision at once."""
    import torch

    with _lock:
        if torch.version.cuda is not None or _libraries:
            return
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}{SIGNATURE}")
        _libraries.append(library)


def install():
    """Put the finder in front of the import system; called once per process by the .pth file."""
    sys.meta_path.insert(0, _BeforeTorchvision())
