"""What travels as stable words (statuses, codes), as a person reads it: translated, explained by the book of faults.

In English a state's own message and hint are best, since they name the device. In another language the book's title
and remedy go first, and what came over the wire stands behind them as the detail.
"""

from hallctl.cli.language import _, language, marked
from hallctl.driver.book import explain
from hallctl.faultbook import ENGLISH

STATUSES = (
    marked("online"),
    marked("offline"),
    marked("starting"),
    marked("quarantined"),
    marked("unknown"),
    marked("raised"),
    marked("acknowledged"),
    marked("cleared"),
    marked("applied"),
    marked("partial"),
    marked("rejected"),
    marked("rolled back"),
    marked("applying"),
    marked("succeeded"),
    marked("failed"),
    marked("running"),
    marked("aborting"),
    marked("aborted"),
    marked("done"),
    marked("yes"),
    marked("no"),
    marked("clip"),
    marked("snapshot"),
    marked("nothing reported"),
    marked("not known"),
)


def status_word(status: str) -> str:
    """A status of the contract in the person's language; one of a newer release stays as it is."""
    return _(status.replace("_", " "))


def code_word(code: str) -> str:
    """A code's title where the book knows it and the person does not read English, else the code."""
    found = explain(code) if language() != ENGLISH else None
    return f"{found.title(language())} [{code}]" if found is not None else code


def explained(code: str, message: str, hint: str) -> tuple[str, str]:
    """What is wrong, and what to do about it, for two cells of a table."""
    found = explain(code) if language() != ENGLISH else None
    if found is None:
        return message or code, hint
    detail = "; ".join(part for part in (message, hint) if part)
    title = found.title(language())
    return _("{title} ({detail})").format(title=title, detail=detail) if detail else title, found.remedy(language())


def lines_of(code: str, message: str, hint: str) -> list[str]:
    """An error for standard error, line by line."""
    found = explain(code) if code and language() != ENGLISH else None
    if found is None:
        return [error_line(message), *([hint_line(hint)] if hint else [])]
    detail = f"{message} ({hint})" if hint else message
    return [
        error_line(f"{found.title(language())} [{code}]"),
        *([_("detail: {detail}").format(detail=detail)] if detail else []),
        hint_line(found.remedy(language())),
    ]


def book_lines(code: str) -> list[str]:
    """Title and remedy of a code, for below a message that is English; nothing where the person reads English."""
    found = explain(code) if code and language() != ENGLISH else None
    return [found.title(language()), hint_line(found.remedy(language()))] if found is not None else []


def error_line(message: str) -> str:
    """``error: ...``."""
    return _("error: {message}").format(message=message)


def hint_line(hint: str) -> str:
    """``hint: ...``."""
    return _("hint: {hint}").format(hint=hint)


def warning_line(message: str) -> str:
    """``warning: ...``."""
    return _("warning: {message}").format(message=message)
