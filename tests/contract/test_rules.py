"""Every rule of docs/mqtt-contract.md has a test that names it, and no test names a rule that is not there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MARK = re.compile(r"mark\.rule\(\"(MQ-\d+)\"\)")


def rules_of_the_page() -> list[str]:
    return re.findall(r"^\| (MQ-\d+) \|", (ROOT / "docs/mqtt-contract.md").read_text(encoding="utf-8"), flags=re.M)


def rules_of_the_tests() -> set[str]:
    files = (ROOT / "tests").rglob("test_*.py")
    return {rule for path in files for rule in MARK.findall(path.read_text(encoding="utf-8"))}


def test_every_rule_has_a_test():
    assert sorted(set(rules_of_the_page()) - rules_of_the_tests()) == []


def test_every_rule_that_a_test_names_stands_in_the_contract():
    assert sorted(rules_of_the_tests() - set(rules_of_the_page())) == []


def test_rules_are_numbered_without_a_gap():
    assert len(rules_of_the_page()) >= 28
    assert rules_of_the_page() == [f"MQ-{number:02}" for number in range(1, len(rules_of_the_page()) + 1)]
