"""What a technician does before anything runs: look at a ticket, try a printer."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
from hallctl_drivers.escpos.sim import EscposSimulator

from hallctl.driver import on_tcp

cv2 = pytest.importorskip("cv2", reason="tickets are drawn with OpenCV")

HALL = """\
terminals:
  - {{id: p1, driver: escpos, port: "{address}"}}
  - {{id: p2, driver: escpos, port: "tcp://127.0.0.1:9", options: {{profile: pos-58}}}}
tickets:
  - id: queue
    lines:
      - {{text: "{{number}}", size: [3, 3]}}
      - {{columns: ["业务", "{{service}}"]}}
      - {{qr: "https://example.invalid/t/{{number}}"}}
  - id: other
    lines: [{{text: "{{who}}"}}]
"""


def write(folder: Path, address: str = "tcp://127.0.0.1:8") -> Path:
    (folder / "hall.yaml").write_text(HALL.format(address=address), encoding="utf-8")
    (folder / "controller.yaml").write_text("site: a\ncontroller: b\nstate_dir: state\n")
    return folder / "controller.yaml"


async def hallctl(*arguments: object) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hallctl.cli.main", *map(str, arguments),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_a_preview_shows_the_ticket_with_given_and_sample_fields(tmp_path):
    config = write(tmp_path)
    target = tmp_path / "ticket.png"
    code, out, err = await hallctl("ticket", "preview", "queue", "number=B017", "--png", target, "--config", config)
    assert (code, err) == (0, "")
    assert "as p1 would print it" in out
    assert "service=户籍业务" in out
    assert "number" not in out
    wide = cv2.imread(str(target))
    readers = (cv2.QRCodeDetector, cv2.QRCodeDetectorAruco)
    assert "https://example.invalid/t/B017" in {reader().detectAndDecode(wide)[0] for reader in readers}
    await hallctl("ticket", "preview", "queue", "--printer", "p2", "--png", target, "--config", config)
    assert cv2.imread(str(target)).shape[1] < wide.shape[1], "58 mm paper is narrower"


async def test_a_preview_says_what_is_wrong_and_what_there_is(tmp_path):
    config, target = write(tmp_path), tmp_path / "x.png"
    for arguments, words in (
        (("nothing",), ("'nothing'", "other, queue")),
        ((), ("name the layout", "other, queue")),
        (("queue", "--printer", "p9"), ("'p9'", "p1, p2")),
        (("queue", "number=\U0001f9ff"), ("U+1F9FF",)),
    ):
        code, _, err = await hallctl("ticket", "preview", *arguments, "--png", target, "--config", config)
        assert code != 0
        assert all(word in err for word in words), err
    code, _, err = await hallctl("ticket", "preview", "queue", "--png", tmp_path / "no" / "x.png", "--config", config)
    assert (code, "No such file" in err) == (78, True)
    assert not target.exists()


async def test_a_box_without_a_broker_tests_its_printer_directly(tmp_path):
    simulator = EscposSimulator()
    async with on_tcp(simulator) as address:
        config = write(tmp_path, address)
        code, out, err = await hallctl("printer", "test", "p1", "--config", config)
        assert (code, err) == (0, "")
        assert "confirmed by gs_h" in out
        simulator.remove_paper()
        code, out, err = await hallctl("printer", "test", "p1", "--config", config, "--json")
    assert code == 1
    reply = json.loads(out)
    assert (reply["state"], reply["code"]) == ("failed", "paper.end")
    assert {one["name"]: one["state"] for one in reply["data"]["abilities"]}["answers DLE EOT 4 (paper)"] == "yes"
    assert len(simulator.tickets) == 1
    assert any(line.startswith("123456789") for line in simulator.tickets[0].lines)


@pytest.mark.parametrize(("name", "code", "words"), [("p2", 1, "Connection refused"), ("p9", 78, "p1, p2")])
async def test_a_direct_test_says_why_it_can_not_be(tmp_path, name, code, words):
    ran = await hallctl("printer", "test", name, "--config", write(tmp_path), "--direct")
    assert ran[0] == code
    assert words in ran[2]
