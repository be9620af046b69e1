"""A box in one file: taken while it works, whole or refused, and put back so that nothing is numbered twice."""

import asyncio
import grp
import io
import json
import os
import pwd
import sqlite3
import stat
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from hallctl.backup import pack, read_backup, restore
from hallctl.backup.manifest import decode, encode
from hallctl.cli.main import cli
from hallctl.clock import SystemClock
from hallctl.config import load_controller
from hallctl.errors import BackupError
from hallctl.link.configuration import document_hash
from hallctl.model import Event, EventType
from hallctl.outbox import Outbox
from hallctl.twin import TwinStore
from hallctl.twin.record import Record, Ref
from hallctl.twin.store import Step

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


class Box:
    """A box's two folders."""

    def __init__(self, folder: Path) -> None:
        self.config, self.state = folder / "etc", folder / "state"
        (self.config / "secrets").mkdir(parents=True)
        (self.config / "examples").mkdir()
        self.state.mkdir(mode=0o700)
        self.write("controller.yaml", "{site: gulou, controller: box-1, state_dir: ../state, hall: hall.yaml}\n")
        self.write("hall.yaml", "terminals: []\n")
        self.write("examples/hall.yaml", "terminals: []\n")
        self.write("secrets/broker", "geheim\n", 0o400)
        self.put("identity.pem", "key", 0o600)

    @property
    def document(self) -> Path:
        return self.config / "controller.yaml"

    def write(self, name: str, text: str, mode: int = 0o640) -> None:
        (self.config / name).write_text(text)
        (self.config / name).chmod(mode)

    def put(self, name: str, text: str, mode: int = 0o600) -> None:
        (self.state / name).parent.mkdir(exist_ok=True)
        (self.state / name).write_text(text)
        (self.state / name).chmod(mode)

    def log(self) -> Outbox:
        return Outbox.open(self.state / "outbox.db", "gulou", "box-1", SystemClock())

    def keep(self, file: Path, *, evidence: bool = False, now: datetime = NOW):
        with file.open("wb") as out:
            return pack(self.document, load_controller(self.document), out, now, evidence=evidence)


@pytest.fixture
def box(tmp_path):
    return Box(tmp_path / "old")


@pytest.fixture
def new(tmp_path):
    return tmp_path / "new" / "etc", tmp_path / "new" / "state"


def names(manifest):
    return {one.member for one in manifest.files}


async def test_a_box_comes_back_with_its_configuration_its_identity_and_its_log(box, new, tmp_path):
    log = box.log()
    await log.append(Event(EventType.KEY_PRESSED, {"n": 1}))
    await log.close()
    box.keep(tmp_path / "box.tar.gz")
    restore(tmp_path / "box.tar.gz", *new, NOW + timedelta(days=1))
    assert (new[0] / "secrets" / "broker").read_text() == "geheim\n"
    assert stat.S_IMODE((new[0] / "secrets" / "broker").stat().st_mode) == 0o400
    assert stat.S_IMODE(new[1].stat().st_mode) == 0o700
    assert (new[1] / "identity.pem").read_text() == "key"
    assert load_controller(new[0] / "controller.yaml").controller == "box-1"
    back = Outbox.open(new[1] / "outbox.db", "gulou", "box-1", SystemClock())
    assert [one.data for one in await back.unsent()] == [{"n": 1}]
    await back.close()


async def test_a_restored_box_gives_out_no_event_id_that_the_lost_one_may_have_given_out(box, new, tmp_path):
    log = box.log()
    await log.append(Event(EventType.KEY_PRESSED, {"n": 1}))
    await log.close()
    box.keep(tmp_path / "box.tar.gz")
    given = set()
    for _ in range(3):  # it lives on after the backup, and is lost
        log = box.log()
        given.add((log.identity.boot, (await log.append(Event(EventType.KEY_PRESSED, {"n": 2}))).seq))
        await log.close()
    for restored in range(2):  # the same backup is put back twice, a day apart, and lives in between
        folder = (new[0] / str(restored), new[1] / str(restored))
        restore(tmp_path / "box.tar.gz", *folder, NOW + timedelta(days=1 + restored))
        for _ in range(2):
            back = Outbox.open(folder[1] / "outbox.db", "gulou", "box-1", SystemClock())
            id_ = (back.identity.boot, (await back.append(Event(EventType.KEY_PRESSED, {"n": 3}))).seq)
            await back.close()
            assert id_ not in given
            given.add(id_)


async def test_a_backup_is_taken_while_the_log_is_being_written_and_is_one_moment_of_it(box, tmp_path):
    log = box.log()
    done = asyncio.Event()

    async def work():
        number = 0
        while not done.is_set():
            number += 1
            await log.append(Event(EventType.KEY_PRESSED, {"n": number}))

    working = asyncio.create_task(work())
    await log.wait_beyond(20)
    manifest = await asyncio.to_thread(box.keep, tmp_path / "box.tar.gz")
    done.set()
    await working
    await log.close()
    assert not {"state/outbox.db-wal", "state/outbox.db-shm"} & names(manifest)
    with tarfile.open(tmp_path / "box.tar.gz") as archive:
        archive.extract("state/outbox.db", tmp_path)
    database = sqlite3.connect(tmp_path / "state" / "outbox.db")
    rows = [row[0] for row in database.execute("SELECT seq FROM log ORDER BY seq")]
    database.close()
    assert len(rows) >= 20
    assert rows == list(range(1, len(rows) + 1))


def test_examples_damaged_logs_and_without_being_told_evidence_stay_behind(box, tmp_path):
    for name in ("outbox.db.corrupt-1", "evidence/a.mp4", "cameras/camera-1.npy"):
        box.put(name, "x")
    without, with_it = box.keep(tmp_path / "1.tar.gz"), box.keep(tmp_path / "2.tar.gz", evidence=True)
    assert names(with_it) - names(without) == {"state/evidence/a.mp4"}
    assert "state/cameras/camera-1.npy" in names(without)
    assert not [one for one in names(with_it) if "examples" in one or "corrupt" in one]


def test_the_centres_document_comes_with_its_record(box, new, tmp_path):
    document = {"version": 1, "terminals": []}
    hash_ = document_hash(document)
    store = TwinStore(box.state / "twin")
    store.save_document(hash_, document)
    store.save(Record(good=(Ref(7, hash_),), known=Ref(7, hash_)), Step.SWAP)
    box.keep(tmp_path / "box.tar.gz")
    restore(tmp_path / "box.tar.gz", *new, NOW)
    back = TwinStore(new[1] / "twin")
    assert back.peek().runs == Ref(7, hash_)
    assert back.document(hash_) == document


def test_a_record_whose_document_is_gone_makes_no_backup(box, tmp_path):
    TwinStore(box.state / "twin").save(Record(good=(Ref(7, "0" * 64),)), Step.SWAP)
    with pytest.raises(BackupError, match="no record with all its documents"):
        box.keep(tmp_path / "box.tar.gz")


def test_a_damaged_log_makes_no_backup(box, tmp_path):
    box.put("outbox.db", "no database at all, and long enough to look like one" * 10)
    with pytest.raises(BackupError):
        box.keep(tmp_path / "box.tar.gz")


def test_files_that_controller_yaml_names_elsewhere_are_told_as_left_out(box, tmp_path):
    elsewhere = tmp_path / "ca.pem"
    elsewhere.write_text("ca")
    tls = f"{{ca_file: {elsewhere}, identity: ../state/identity.pem}}"
    box.write(
        "controller.yaml", f"{{site: gulou, controller: box-1, state_dir: ../state, broker: {{host: b, tls: {tls}}}}}"
    )
    assert box.keep(tmp_path / "box.tar.gz").left_out == (str(elsewhere),)


def test_a_folder_that_holds_more_than_a_configuration_is_refused(box, tmp_path):
    with (box.config / "film.mp4").open("wb") as film:
        film.truncate(65 << 20)
    with pytest.raises(BackupError, match="more than 64 MiB"):
        box.keep(tmp_path / "box.tar.gz")


def test_configuration_in_the_state_directory_is_refused(box, tmp_path):
    path = box.state / "controller.yaml"
    path.write_text("{site: gulou, controller: box-1, state_dir: .}\n")
    with pytest.raises(BackupError, match="stands in the state directory"), (tmp_path / "f").open("wb") as out:
        pack(path, load_controller(path), out, NOW, evidence=False)


def test_any_byte_that_is_not_what_was_kept_is_noticed_before_anything_is_written(box, new, tmp_path):
    file = tmp_path / "box.tar.gz"
    box.keep(file)
    whole = file.read_bytes()
    flipped = [whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :] for at in range(12, len(whole), 37)]
    for damaged in [*flipped, *(whole[:length] for length in range(0, len(whole), 97))]:
        file.write_bytes(damaged)
        with pytest.raises(BackupError):
            restore(file, *new, NOW)
        assert not new[0].exists()
        assert not new[1].exists()


def test_nothing_that_is_there_is_overwritten(box, new, tmp_path):
    box.keep(tmp_path / "box.tar.gz")
    new[1].mkdir(parents=True)
    (new[1] / "outbox.boot").write_text("9")
    with pytest.raises(BackupError, match="is there already") as refused:
        restore(tmp_path / "box.tar.gz", *new, NOW)
    assert f"mv {new[1]} {new[1]}.before" in refused.value.hint
    assert not new[0].exists()
    assert (new[1] / "outbox.boot").read_text() == "9"


def test_a_clock_that_is_before_the_backup_is_not_begun_with(box, new, tmp_path):
    box.keep(tmp_path / "box.tar.gz")
    with pytest.raises(BackupError, match="clock"):
        restore(tmp_path / "box.tar.gz", *new, NOW - timedelta(days=1))
    assert not new[0].exists()


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/../../b", "x\0y"])
def test_a_list_that_leads_out_of_the_backup_is_refused(box, tmp_path, name):
    manifest = box.keep(tmp_path / "box.tar.gz")
    body = json.loads(encode(manifest))
    body["files"][0]["name"] = name
    with pytest.raises(BackupError, match="no place in it"):
        decode(json.dumps(body).encode())


def test_an_archive_of_something_else_is_refused(tmp_path):
    path = tmp_path / "other.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("readme")
        entry.size = 1
        archive.addfile(entry, io.BytesIO(b"x"))
    with pytest.raises(BackupError, match="no backup of hallctl"):
        read_backup(path)
    path.write_bytes(b"hello")
    with pytest.raises(BackupError, match="can't be read as a backup"):
        read_backup(path)
    with pytest.raises(BackupError, match="there is no file"):
        read_backup(tmp_path / "none")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owners_are_found_by_name_and_a_box_without_them_is_told_to_be_installed_first(box, new, tmp_path):
    user, group = pwd.getpwuid(1).pw_name, grp.getgrgid(2).gr_name
    os.chown(box.state / "identity.pem", 1, 2)
    manifest = box.keep(tmp_path / "box.tar.gz")
    assert [(one.user, one.group) for one in manifest.files if one.name == "identity.pem"] == [(user, group)]
    restore(tmp_path / "box.tar.gz", *new, NOW)
    found = (new[1] / "identity.pem").stat()
    assert (found.st_uid, found.st_gid) == (1, 2)
    os.chown(box.state / "identity.pem", 65123, 2)
    body = encode(box.keep(tmp_path / "2.tar.gz")).replace(b'"65123"', b'"nobody-of-this-name"')
    _with_list(tmp_path / "2.tar.gz", tmp_path / "3.tar.gz", body)
    with pytest.raises(BackupError, match="no user nobody-of-this-name") as refused:
        restore(tmp_path / "3.tar.gz", tmp_path / "a", tmp_path / "b", NOW)
    assert "install.sh" in refused.value.hint
    assert not (tmp_path / "a").exists()


def _with_list(source: Path, target: Path, body: bytes) -> None:
    with tarfile.open(source) as old, tarfile.open(target, "w:gz") as archive:
        for entry in old:
            data = body if entry.name == "manifest.json" else old.extractfile(entry).read()
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def test_the_command_writes_for_its_owner_only_overwrites_nothing_and_the_other_one_looks_into_it(box, tmp_path):
    file = str(tmp_path / "box.tar.gz")
    arguments = ["backup", file, "--config", str(box.document)]
    done = CliRunner().invoke(cli, arguments)
    assert (done.exit_code, "gulou/box-1: 4 files" in done.output) == (0, True)
    assert stat.S_IMODE(Path(file).stat().st_mode) == 0o600
    assert not Path(f"{file}.part").exists()
    again = CliRunner().invoke(cli, arguments)
    assert (again.exit_code, "is there already" in again.output) == (1, True)
    look = CliRunner().invoke(cli, ["restore", "--check", file])
    assert look.exit_code == 0
    assert "config/secrets/broker (7 bytes)" in look.output
    piped = CliRunner().invoke(cli, ["backup", "-", "--config", str(box.document)])
    Path(f"{file}.piped").write_bytes(piped.stdout_bytes)
    assert names(read_backup(Path(f"{file}.piped"))) == names(read_backup(Path(file)))
