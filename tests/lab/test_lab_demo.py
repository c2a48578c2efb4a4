"""The README's first command."""

import re
import subprocess
import sys

from lab import images


def test_it_shows_an_image_missing_then_copied_then_the_same() -> None:
    images.grub_iso()  # where it cannot be had, this test is skipped
    done = subprocess.run(
        [sys.executable, "-m", "lab.demo"], capture_output=True, text=True, check=True
    )
    assert re.findall(r"exit code (\d+)", done.stdout) == ["1", "0", "0"], done.stdout + done.stderr
    assert "grub-rescue" in done.stdout
