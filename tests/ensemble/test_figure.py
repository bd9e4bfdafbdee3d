import subprocess
import sys


def test_a_missing_plotly_is_named_with_its_remedy() -> None:
    code = (
        "import sys; sys.modules['plotly'] = None\n"
        "import torch, thinnet as tn\n"
        "found = tn.calibration(torch.full((4, 2), 0.5), [0, 1, 0, 1])\n"
        "try: found.figure()\n"
        "except ModuleNotFoundError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "thinnet[tabular]"' in done.stdout
