"""The audit of packages: what is known fails, what nobody answers for is said, and neither passes for the other."""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

pytest.importorskip("pip_audit")
SCRIPT = Path(__file__).parents[2] / "scripts" / "audit"
HASH = "--hash=sha256:" + "0" * 64
PINNED = f"pyserial==3.5 \\\n    {HASH}\nPyUSB==1.3.1 \\\n    {HASH}\n"
ADVISORY = {
    "id": "GHSA-aaaa-bbbb-cccc",
    "aliases": ["CVE-2026-0001"],
    "summary": "eats paper",
    "affected": [
        {
            "package": {"name": "pyusb", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.4"}]}],
        }
    ],
}


@contextlib.contextmanager
def advisories(known: dict[str, list[object]], status: int = 200) -> Iterator[str]:
    """A service that speaks OSV's API and knows this about packages."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            vulns = known.get(asked["package"]["name"])
            body = json.dumps({"vulns": vulns} if vulns else {}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def audit(*options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, str(SCRIPT), *options], capture_output=True, text=True, check=False)


@pytest.fixture
def pins(tmp_path):
    path = tmp_path / "pins.txt"
    path.write_text(PINNED)
    return str(path)


def test_packages_that_nothing_is_known_against_pass_and_are_counted(pins):
    with advisories({}) as url:
        done = audit("--strict", "--osv-url", url, pins)
    assert (done.returncode, done.stdout) == (0, "nothing is known against 2 of 2 packages\n")


def test_an_advisory_fails_and_names_package_version_advisory_and_the_version_that_mends_it(pins):
    with advisories({"pyusb": [ADVISORY]}) as url:
        done = audit("--osv-url", url, pins)
    assert done.returncode == 1
    assert "pyusb 1.3.1: CVE-2026-0001 GHSA-aaaa-bbbb-cccc (mended by: 1.4): eats paper" in done.stdout
    assert "nothing is known" not in done.stdout


def test_a_service_that_refuses_is_no_all_clear_and_fails_only_where_it_was_asked_to(pins):
    with advisories({}, status=503) as url:
        lenient, strict = audit("--osv-url", url, pins), audit("--strict", "--osv-url", url, pins)
    assert (lenient.returncode, strict.returncode) == (0, 1)
    for done in (lenient, strict):
        assert "NOT AUDITED: nobody answered for 2 of 2 packages" in done.stdout
        assert "nothing is known" not in done.stdout


@pytest.mark.slow
def test_a_service_that_is_not_there_is_said(pins):
    with advisories({}) as url:
        pass
    done = audit("--osv-url", url, pins)
    assert done.returncode == 0
    assert "NOT AUDITED" in done.stdout
    assert "Connection" in done.stdout


def test_a_package_without_a_hash_is_an_error_of_the_file_not_of_the_network(tmp_path):
    path = tmp_path / "pins.txt"
    path.write_text("pyserial==3.5\n")
    done = audit(str(path))
    assert done.returncode == 2
    assert str(path) in done.stderr
    assert "hash" in done.stderr


def loaded():
    loader = SourceFileLoader("audit_script", str(SCRIPT))
    spec = spec_from_loader("audit_script", loader)
    assert spec is not None
    module = sys.modules["audit_script"] = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_an_accepted_advisory_is_passed_over_by_any_of_its_names_until_its_date(tmp_path):
    script = loaded()
    accepted = tmp_path / "accepted.txt"
    accepted.write_text("# why\nCVE-2026-0001 2026-12-31 no paper here\n")
    vulns = [{"id": ADVISORY["id"], "aliases": ADVISORY["aliases"], "fix_versions": ["1.4"]}]
    until, after = (script.read_accepted(accepted, date(2027, 1, day) if day else date(2026, 12, 31)) for day in (0, 1))
    assert script.told("pyusb", "1.3.1", vulns, until) == []
    assert len(script.told("pyusb", "1.3.1", vulns, after)) == 1


@pytest.mark.parametrize("line", ["CVE-2026-0001", "CVE-2026-0001 2026-12-31", "CVE-2026-0001 soon no paper here"])
def test_a_line_of_accepted_advisories_that_lacks_its_date_or_reason_is_named(tmp_path, line):
    accepted = tmp_path / "accepted.txt"
    accepted.write_text(f"# why\n{line}\n")
    with pytest.raises(ValueError, match=r"accepted.txt:2: write ID YYYY-MM-DD WHY"):
        loaded().read_accepted(accepted, date(2026, 1, 1))
