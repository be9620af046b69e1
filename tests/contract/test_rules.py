"""Every rule of docs/mqtt-contract.md has a test that names it, and no test names a rule that is not there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


def rules_of_the_page() -> list[str]:
    return re.findall(r"^\| (MQ-\d+) \|", (ROOT / "docs/mqtt-contract.md").read_text(encoding="utf-8"), flags=re.M)


def rules_of_the_tests() -> set[str]:
    return {rule for path in (ROOT / "tests").rglob("test_*.py") for rule in rules_in(path.read_text(encoding="utf-8"))}


def rules_in(source: str) -> list[str]:
    """The rules that tests name, each for itself or their file for all; a mark on anything else proves nothing."""
    tree = ast.parse(source)
    tests = [node for node in ast.walk(tree) if isinstance(node, FUNCTION) and node.name.startswith("test_")]
    marks: list[ast.expr] = [mark for test in tests for mark in test.decorator_list]
    for node in tree.body if tests else ():
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            marks += node.value.elts if isinstance(node.value, ast.List) else [node.value]
    calls = [mark for mark in marks if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.rule"]
    return [ast.literal_eval(rule) for call in calls for rule in call.args]


def test_every_rule_has_a_test():
    assert sorted(set(rules_of_the_page()) - rules_of_the_tests()) == []


def test_every_rule_that_a_test_names_stands_in_the_contract():
    assert sorted(rules_of_the_tests() - set(rules_of_the_page())) == []


def test_rules_are_numbered_without_a_gap():
    assert len(rules_of_the_page()) >= 28
    assert rules_of_the_page() == [f"MQ-{number:02}" for number in range(1, len(rules_of_the_page()) + 1)]


@pytest.mark.parametrize(
    ("source", "rules"),
    [
        ('@pytest.mark.rule("MQ-01", "MQ-02")\ndef test_one(): ...', ["MQ-01", "MQ-02"]),
        ('@pytest.mark.slow\n@pytest.mark.rule("MQ-01")\nasync def test_one(): ...', ["MQ-01"]),
        ('@pytest.mark.rule("MQ-01")\ndef helper(): ...', []),
        ('pytestmark = pytest.mark.rule("MQ-01")\ndef test_one(): ...', ["MQ-01"]),
        ('pytestmark = [pytest.mark.slow, pytest.mark.rule("MQ-01")]\ndef test_one(): ...', ["MQ-01"]),
        ('pytestmark = pytest.mark.rule("MQ-01")\ndef helper(): ...', []),
        ('# @pytest.mark.rule("MQ-01")\ndef test_one(): ...', []),
    ],
)
def test_a_rule_counts_where_a_test_is_marked_with_it(source, rules):
    assert rules_in(source) == rules
