"""English or Chinese, by locale: help, errors, tables; never what is meant for programs."""

import ast
import io
import json
import os
import re
import shutil
import string
from datetime import UTC, datetime
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from click.testing import CliRunner, Result

from hallctl.cli import language as languages
from hallctl.cli.language import FOLDER, _, counted, language, ngettext
from hallctl.cli.main import cli
from hallctl.link.configuration import ApplyStatus, Mistake, Reported, encode_reported
from hallctl.link.payloads import FaultPayload
from hallctl.model import AlertState, Reply, ReplyState, Severity

BROKER = "mosquitto" if shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin") else "iotcore"
CHINESE = re.compile("[\u4e00-\u9fff]")
CATALOGUE = read_po(io.BytesIO((FOLDER / "zh" / "LC_MESSAGES" / "hallctl.po").read_bytes()), locale="zh")
TEXTS = [message for message in CATALOGUE if message.id]


def ran(*arguments: str, **variables: str) -> Result:
    nothing = dict.fromkeys(("HALLCTL_LANG", "LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE"))
    return CliRunner(env={**nothing, **variables}).invoke(cli, arguments, prog_name="hallctl")


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALLCTL_LANG", "zh")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.GBK"}, "zh"),
        ({"LANG": "zh"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LC_ALL": "C", "HALLCTL_LANG": "zh"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "HALLCTL_LANG": "en"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh"),
    ],
)
def test_the_first_variable_that_is_set_says_the_language(monkeypatch, variables, expected) -> None:
    for name in ("HALLCTL_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert language() == expected


def test_help_is_chinese_in_a_chinese_locale_with_click_s_own_words() -> None:
    out = ran("--help", LANG="zh_CN.UTF-8").output
    assert "用法：" in out and "命令:" in out and "显示本说明并退出" in out
    assert "检查 controller.yaml 及其指定的大厅文档" in out
    assert "Show" not in out


def test_help_is_english_elsewhere_also_after_somebody_asked_in_chinese() -> None:
    ran("ticket", "print", "--help", LANG="zh_CN.UTF-8")
    out = ran("ticket", "print", "--help", LANG="en_US.UTF-8").output
    assert not CHINESE.search(out.replace("户籍", ""))
    assert "Usage:" in out and "Show this message and exit." in out


@pytest.mark.parametrize("path", [("ticket", "print"), ("fleet", "push"), ("enroll", "request"), ("camera", "replay")])
def test_options_of_subcommands_are_explained_in_chinese(path) -> None:
    out = ran(*path, "--help", HALLCTL_LANG="zh").output
    explained = [line for line in out.splitlines() if re.match(r"  -+\w", line)]
    assert explained and CHINESE.search(out)
    assert not re.search(r"\b(the|is|of)\b", out)


def test_chinese_help_is_no_wider_than_the_terminal() -> None:
    out = ran("discover", "--help", HALLCTL_LANG="zh", COLUMNS="80").output
    widths = [sum(2 if character > "\x7f" else 1 for character in line) for line in out.splitlines()]
    assert max(widths) <= 80


def test_a_typing_error_is_answered_in_chinese() -> None:
    result = ran("statsu", HALLCTL_LANG="zh")
    assert result.exit_code == 2
    assert "错误：没有命令 'statsu'。" in result.output


def test_an_error_without_a_code_is_said_in_chinese_with_its_hint(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    result = ran("sim", "escpos", HALLCTL_LANG="zh")
    assert result.exit_code == 2
    assert "请只给其中一个" in result.output


def test_an_error_with_a_code_is_explained_by_the_book_and_keeps_its_own_words() -> None:
    result = ran("status", "--broker", "mqtt://127.0.0.1:1", HALLCTL_LANG="zh")
    assert result.exit_code == 1
    error, detail, hint = result.output.splitlines()
    assert error == "错误：消息服务器未运行 [link.refused]"
    assert detail.startswith("详情：nothing listens at 127.0.0.1:1")
    assert hint == "提示：启动消息服务器，或改正 broker.host 和 broker.port（--broker）。"


def test_an_error_in_english_is_told_in_its_own_words_alone() -> None:
    result = ran("status", "--broker", "mqtt://127.0.0.1:1")
    assert result.output.splitlines()[0] == "error: nothing listens at 127.0.0.1:1"


def test_each_mistake_of_a_document_is_explained_below_it(tmp_path: Path) -> None:
    hall = tmp_path / "hall.yaml"
    hall.write_text("terminals:\n  - id: p\n    driver: escpos\n    prot: tcp://127.0.0.1:9100\n", "utf-8")
    words = ran("check", "--hall", str(hall), HALLCTL_LANG="zh").output
    assert "unknown key 'prot'" in words
    assert "  未知的键" in words and "  提示：改为提示中建议的键，或删除。" in words
    assert re.search(r"\d+ 处错误。", words)


def test_json_is_the_same_in_every_language(tmp_path: Path) -> None:
    hall = tmp_path / "hall.yaml"
    hall.write_text("terminals:\n  - id: p\n    driver: escpso\n", "utf-8")
    one, other = (ran("check", "--hall", str(hall), "--json", HALLCTL_LANG=name) for name in ("zh", "en"))
    assert json.loads(one.output) == json.loads(other.output)


def test_numbers_go_with_their_words(chinese) -> None:
    assert counted(1200, "controller") == "1,200 台控制器"
    assert counted(1, "bus", "buses") == "1 条总线"
    assert ngettext("no such text", "no such texts", 2) == "no such texts"


def test_a_text_that_nobody_has_translated_stays_english(chinese) -> None:
    assert _("a text of a later release") == "a text of a later release"
    assert _("") == ""


def test_the_catalogue_is_part_of_the_package() -> None:
    assert (Path(languages.__file__).parent / "locale" / "zh" / "LC_MESSAGES" / "hallctl.mo").is_file()


@pytest.mark.parametrize("message", TEXTS, ids=lambda message: str(message.id)[:40])
def test_every_text_has_a_chinese_one_with_the_same_values(message) -> None:
    ids, strings = _all(message.id), _all(message.string)
    assert all(strings), "it has no translation: scripts/translations, then write msgstr"
    known = {name for text in ids for name in _values(text)}
    for text in strings:
        assert set(_values(text)) <= known, "a value that the source does not give"
    assert set(_values(ids[-1])) == set(_values(strings[-1]))


def test_texts_are_translated_before_values_are_put_in() -> None:
    wrong = []
    for path in sorted(FOLDER.parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = getattr(getattr(node, "func", None), "id", "")
            if name in ("_", "marked") and isinstance(node, ast.Call) and isinstance(node.args[0], ast.JoinedStr):
                wrong.append(f"{path.name}:{node.lineno}")
    assert not wrong, "an f-string is no text of the catalogue: _('{name} ...').format(name=name)"


@pytest.mark.parametrize("any_broker", [BROKER], indirect=True)
async def test_a_hall_s_state_is_told_in_chinese_with_the_remedy_of_each_code(controller, hallctl, chinese) -> None:
    await controller.say_state()
    await controller.say_terminal("display-1", "offline", reason="device.mute", message="address 3 does not answer")
    fault = FaultPayload(code="paper.end", severity=Severity.ERROR, message="there is no paper", hint="put in a roll")
    await controller.say_terminal("printer-1", faults=[fault.model_dump()])
    ran = await hallctl("status")
    assert "在线" in ran.out and "离线" in ran.out and "处理办法" in ran.out
    assert "设备没有应答（address 3 does not answer）" in ran.out
    assert "缺纸（there is no paper; put in a roll）" in ran.out
    assert "装入新纸卷" in ran.out


@pytest.mark.parametrize("any_broker", [BROKER], indirect=True)
async def test_an_alert_is_told_in_chinese_and_json_is_not(controller, hallctl, chinese) -> None:
    await controller.say_state()
    await controller.say_alert("a-1", AlertState.RAISED)
    words, values = await hallctl("alerts"), await hallctl("alerts", "--json")
    assert "岗位无人 [post.empty]" in words.out
    assert json.loads(values.out)["kind"] == "post.empty"


@pytest.mark.parametrize("any_broker", [BROKER], indirect=True)
async def test_a_refused_command_is_explained_in_chinese(controller, hallctl, chinese) -> None:
    refused = ("window.unknown", "there is no window 'w9'", "windows here: w1")
    controller.answer = lambda command: [Reply(command.id, ReplyState.REJECTED, *refused)]
    ran = await hallctl("call", "w9", "A001")
    assert "错误：已拒绝: 没有这个窗口（there is no window 'w9'; windows here: w1） [window.unknown]" in ran.err
    assert "提示：从详细信息列出的窗口中选择。" in ran.err


@pytest.mark.parametrize("any_broker", [BROKER], indirect=True)
async def test_what_a_controller_refused_is_explained_in_chinese_at_the_desk(controller, hallctl, chinese) -> None:
    await controller.say_state()
    mistake = Mistake(pointer="/terminals/0/driver", code="driver", message="no driver is called 'x'", hint="")
    reported = Reported(
        at=datetime.now(UTC),
        boot=7,
        status=ApplyStatus.REJECTED,
        desired_version=4,
        desired_hash="a" * 64,
        applied_version=3,
        applied_hash="b" * 64,
        errors=[mistake],
    )
    await controller.session.publish(controller.topics.reported, encode_reported(reported), retain=True)
    ran = await hallctl("fleet", "status", "--all", target=False)
    assert "版本 4 已拒绝: /terminals/0/driver: 没有这个驱动（no driver is called 'x'）" in ran.out
    assert "改正名称或安装该包" in ran.out


def _all(text: object) -> list[str]:
    return [text] if isinstance(text, str) else list(text)  # type: ignore[call-overload]


def _values(text: str) -> list[str]:
    if '{"kind"' in text or "{names} become" in text or "版式中的 {names}" in text or '{"' in text:
        return []  # braces of an example
    return [name for _text, name, _spec, _kind in string.Formatter().parse(text) if name is not None]
