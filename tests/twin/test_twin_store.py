"""Files against power cuts: whatever is on disk after a cut loads to the old or the new, never to nothing."""

import json
import os
import shutil
import stat
from hashlib import sha256

import pytest
from twin.world import document

from hallctl.errors import TwinError
from hallctl.link.configuration import document_hash
from hallctl.twin.record import Record, Ref, Trial, decode, encode
from hallctl.twin.store import Step, TwinStore

ONE, TWO = document("a"), document("a", "b")
OLD = Record(good=(Ref(1, document_hash(ONE)),), known=Ref(1, document_hash(ONE)))
NEW = Record(
    good=(Ref(1, document_hash(ONE)),),
    trial=Trial(Ref(2, document_hash(TWO)), 30.0, 1, frozenset({"a", "b"}), boots=1, rollout="r", by="li"),
    known=Ref(2, document_hash(TWO)),
)


def store_of(folder):
    store = TwinStore(folder / "twin")
    store.save_document(document_hash(ONE), ONE)
    store.save(OLD, Step.SWAP)
    return store


class Cut(BaseException):
    """The power is gone."""


def cut_at(step):
    def checkpoint(name):
        if name == step:
            raise Cut

    return checkpoint


def test_a_record_is_read_as_it_was_written():
    for record in (Record(), OLD, NEW):
        assert decode(encode(record)) == record


def test_a_record_to_which_the_next_release_added_is_read_as_far_as_this_one_knows_it():
    body = json.loads(json.loads(encode(NEW))["record"])
    for part in (body, body["good"][0], body["trial"], body["trial"]["document"], body["known"]):
        part["signed_by"] = "desk-7"
    text = json.dumps(body)
    assert decode(json.dumps({"sha256": sha256(text.encode()).hexdigest(), "record": text}).encode()) == NEW


STEPS = [f"{kind}.{what}" for kind in ("stage", Step.SWAP) for what in ("written", "synced", "renamed", "done")]


@pytest.mark.rule("MQ-16")
@pytest.mark.parametrize("step", STEPS)
def test_a_cut_at_any_step_leaves_the_old_record_or_the_new_one_and_every_document_that_it_names(tmp_path, step):
    store_of(tmp_path)
    store = TwinStore(tmp_path / "twin", cut_at(step))
    with pytest.raises(Cut):
        store.save_document(document_hash(TWO), TWO)
        store.save(NEW, Step.SWAP)
    after = TwinStore(tmp_path / "twin")
    record, wrong = after.load()
    assert (record, wrong) == (NEW if step in ("swap.renamed", "swap.done") else OLD, "")
    for hash_ in record.needs:
        assert document_hash(after.document(hash_)) == hash_
    after.remove_others(record.needs)
    assert not [path for path in (tmp_path / "twin").iterdir() if path.name.endswith(".new")]
    assert all(after.document(hash_) for hash_ in record.needs)


@pytest.mark.rule("MQ-16")
def test_a_file_that_was_half_written_when_the_power_went_counts_for_nothing(tmp_path):
    """What was written aside and never fsynced may be on disk in any part, and with holes."""
    store_of(tmp_path)
    folder = tmp_path / "twin"
    text, aside = json.dumps(TWO).encode(), folder / f"{document_hash(TWO)}.json.new"
    record, record_aside = encode(NEW), folder / "twin.json.new"
    torn = [data[:length] for data in (record,) for length in range(0, len(data) + 1, 7)] + [b"\0" * len(record)]
    for part in torn:
        record_aside.write_bytes(part)
        aside.write_bytes(text[: len(part)])
        assert TwinStore(folder).load() == (OLD, "")


@pytest.mark.rule("MQ-16")
@pytest.mark.parametrize("kept", range(3))
def test_renames_that_reached_the_disk_only_up_to_one_of_them_load_to_old_or_new(tmp_path, kept):
    """A journaling file system may lose the last renames, never an earlier one."""
    store_of(tmp_path)
    before, after = tmp_path / "twin", tmp_path / "after"
    shutil.copytree(before, after)
    store = TwinStore(after)
    store.save_document(document_hash(TWO), TWO)
    store.save(NEW, Step.SWAP)
    for name in (f"{document_hash(TWO)}.json", "twin.json")[:kept]:
        shutil.copy(after / name, before / name)
    record, _ = TwinStore(before).load()
    assert record == (NEW if kept == 2 else OLD)
    assert all(TwinStore(before).document(hash_) for hash_ in record.needs)


@pytest.mark.rule("MQ-16")
def test_every_damage_to_the_record_is_seen_set_aside_and_answered_with_the_one_before(tmp_path):
    for number in range(0, len(encode(NEW)), 11):
        folder = tmp_path / str(number)
        store_of(folder).save(NEW, Step.SWAP)
        path = folder / "twin" / "twin.json"
        data = bytearray(path.read_bytes())
        data[number] ^= 0x04
        path.unlink()  # the record before is another file
        path.write_bytes(data)
        record, wrong = TwinStore(folder / "twin").load()
        assert record in (OLD, NEW)
        if bytes(data) != encode(NEW) and record == OLD:
            assert "damaged" in wrong
            assert (folder / "twin" / "twin.json.damaged-1").read_bytes() == data


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b'"x"', b"{}", b'{"record": 5, "sha256": ""}', b"\xff" * 9])
def test_a_record_that_is_none_is_set_aside_never_deleted(tmp_path, content):
    store = TwinStore(tmp_path)
    for number in (1, 2):
        (tmp_path / "twin.json").write_bytes(content)
        record, wrong = store.load()
        assert record == Record()
        assert "damaged" in wrong
        assert (tmp_path / f"twin.json.damaged-{number}").read_bytes() == content


def test_a_record_of_a_newer_hallctl_is_set_aside_and_said(tmp_path):
    body = json.loads(json.loads(encode(OLD))["record"]) | {"format": 99}
    text = json.dumps(body)

    (tmp_path / "twin.json").write_text(json.dumps({"record": text, "sha256": sha256(text.encode()).hexdigest()}))
    record, wrong = TwinStore(tmp_path).load()
    assert record == Record()
    assert "format 99" in wrong


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", json.dumps(TWO).encode()])
def test_a_damaged_document_is_refused(tmp_path, damage):
    store = store_of(tmp_path)
    (tmp_path / "twin" / f"{document_hash(ONE)}.json").write_bytes(damage)
    with pytest.raises(TwinError, match="damaged"):
        store.document(document_hash(ONE))


@pytest.mark.rule("MQ-19")
def test_only_the_owner_can_read_what_is_kept(tmp_path):
    old_mask = os.umask(0)
    try:
        store_of(tmp_path)
    finally:
        os.umask(old_mask)
    folder = tmp_path / "twin"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_files_that_are_not_ours_are_never_removed(tmp_path):
    store = store_of(tmp_path)
    for name in ("notes.txt", "twin.json.damaged-1", "abc.json", f"{document_hash(TWO)}.json.damaged-1"):
        (tmp_path / "twin" / name).write_text("x")
    store.save_document(document_hash(TWO), TWO)
    store.remove_others({document_hash(ONE)})
    assert sorted(path.name for path in (tmp_path / "twin").iterdir()) == sorted(
        [
            "notes.txt",
            "twin.json",
            "twin.json.damaged-1",
            "abc.json",
            f"{document_hash(ONE)}.json",
            f"{document_hash(TWO)}.json.damaged-1",
        ]
    )


def test_a_disk_that_refuses_is_an_error_with_a_hint(tmp_path):
    (tmp_path / "twin").write_text("a file where the folder should be")
    with pytest.raises(TwinError, match="can't be used") as caught:
        TwinStore(tmp_path / "twin").save(OLD, Step.SWAP)
    assert "df" in caught.value.hint
    with pytest.raises(TwinError):
        TwinStore(tmp_path / "twin").load()


def test_looking_at_a_record_changes_nothing(tmp_path):
    store = store_of(tmp_path)
    assert store.peek() == OLD
    (tmp_path / "twin" / "twin.json").write_bytes(b"{")
    with pytest.raises(TwinError):
        store.peek()
    assert (tmp_path / "twin" / "twin.json").read_bytes() == b"{"
    assert TwinStore(tmp_path / "nothing").peek() == Record()
