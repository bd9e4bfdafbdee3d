"""The line that says what machine a table was measured on."""

import platform
from pathlib import Path

import torch


def describe() -> str:
    """Processor, cores used and torch's version, as a Markdown line."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else ():
        if line.startswith("model name"):
            processor = line.split(":")[1].strip()
            break
    versions = f"torch {torch.__version__}, Python {platform.python_version()}"
    return f"{processor}, {torch.get_num_threads()} threads, {versions}\n"
