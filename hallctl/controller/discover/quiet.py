"""Discovery tries a thousand things that fail: what drivers and buses log of it would bury what was found."""


class _Quiet:
    """A logger that says nothing."""

    def debug(self, event: str, **fields: object) -> None:
        """Nothing."""

    info = warning = debug


QUIET = _Quiet()
