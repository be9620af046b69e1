"""How long `hallctl check` takes for the county hall, beside PyYAML's own safe_load of the same bytes.

Run: .venv/bin/python bench/config_check.py. Prints milliseconds (best of five) and the ratio; asserts nothing.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from hallctl.config import load_hall
from hallctl.driver.hallcheck import check_hall

ROOT = Path(__file__).resolve().parents[1]


def best_ms(action: Callable[[], object], rounds: int = 5) -> float:
    """The shortest of several runs, milliseconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times) * 1000


def main() -> None:
    """Generate, measure, print."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, ROOT / "scripts" / "county-hall", folder], check=True)
        path = Path(folder) / "hall.yaml"
        text = path.read_text(encoding="utf-8")
        plain = best_ms(lambda: yaml.safe_load(text), rounds=2)
        load = best_ms(lambda: load_hall(path))
        check = best_ms(lambda: check_hall(load_hall(path)))
    terminals = text.count("    driver:")
    print(f"{len(text)} characters, {terminals} terminals")
    print(f"yaml.safe_load          {plain:8.0f} ms")
    print(f"load_hall               {load:8.0f} ms  {load / plain:.2f} x safe_load")
    print(f"load_hall + check_hall  {check:8.0f} ms  {check / plain:.2f} x safe_load")


if __name__ == "__main__":
    main()
