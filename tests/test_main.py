import subprocess
import sys

from thinnet import __version__


def test_the_package_runs_as_the_command_line() -> None:
    for words, status, out in [(["--version"], 0, f"thinnet {__version__}\n"), (["fiit"], 2, "")]:
        command = [sys.executable, "-m", "thinnet", *words]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout) == (status, out), ended.stderr
        assert ended.stderr.startswith("thinnet: ") == (status == 2)
