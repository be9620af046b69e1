"""Each failure is staged for real, and the first line of `hallctl diagnose` names its true cause."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from diagnose import box_stages, camera_stages, device_stages, line_stages, port_stages
from diagnose.staging import STAGES, Stage, Stand, table
from local_box import Box

from hallctl.cli.diagnose.shown import show
from hallctl.faultbook import entry

assert box_stages and camera_stages and device_stages and line_stages and port_stages
DOC = Path(__file__).parents[2] / "docs" / "diagnose.md"


PARAMS = [pytest.param(one, id=one.name, marks=[pytest.mark.slow] if one.slow else []) for one in STAGES]


@pytest.mark.parametrize("stage", PARAMS)
async def test_the_first_line_names_the_true_cause(stage: Stage, tmp_path, monkeypatch, request):
    box = Box(tmp_path)
    about = [stage.terminal] if stage.terminal else []
    async with stage.enter(box, Stand(monkeypatch, request)) as then:
        if stage.daemon:
            async with box.running():
                if then is not None:
                    await then()
                document = await diagnosis(box, about)
        else:
            document = await diagnosis(box, about)
    lines = shown(document)
    assert stage.first in lines[0], "\n".join(lines)
    assert document["findings"][0]["code"] == stage.code
    assert lines[1].startswith("what to do: ")


async def diagnosis(box, about):
    ran = await box.hallctl("diagnose", "--json", *about)
    assert ran.exit_code == 1, ran.stdout + ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])  # the daemon of the test logs there, too


def shown(document):
    """The same document as people see it."""
    runner = CliRunner()
    with runner.isolation() as (out, *_):
        show(document)
        return out.getvalue().decode().splitlines()


def test_there_are_at_least_25_of_them_and_no_two_alike():
    assert len(STAGES) >= 25
    assert len({one.name for one in STAGES}) == len(STAGES)


@pytest.mark.parametrize("code", sorted({one.code for one in STAGES}))
def test_the_book_of_faults_explains_its_code(code):
    assert entry(code) is not None or code == "pad.absent"


def test_the_table_of_the_documentation_is_the_one_that_is_staged():
    text = DOC.read_text(encoding="utf-8")
    assert re.findall(r"^\| .+ \| `.+` \| .+ \|$", text, re.M) == table()
