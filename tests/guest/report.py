"""One line for one test."""


def show(name: str, seconds: float, *, ok: bool, detail: str = "") -> None:
    """How it went and how long it took; why it failed goes below."""
    print(f"{'ok  ' if ok else 'FAIL'} {seconds:5.1f} s  {name}", flush=True)
    if not ok:
        print("\n".join(f"       {line}" for line in detail.splitlines()), flush=True)
