"""Which file systems are somebody else's disk, by made-up tables of mounts."""

from pathlib import Path

import pytest

from nostro.database.mounts import network_filesystem

ROOT = r"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"


@pytest.fixture
def kind(tmp_path):
    """The network file system that a path lies on, by these lines of /proc/self/mountinfo."""

    def find(path: str, *lines: str) -> str | None:
        mounts = tmp_path / "mountinfo"
        mounts.write_text("".join(f"{line}\n" for line in (ROOT, *lines)))
        return network_filesystem(Path(path), mounts)

    return find


def mount(point: str, kind: str, fields: str = "shared:7") -> str:
    return f"36 22 0:31 /export {point} rw,noatime {fields} - {kind} server:/export rw,vers=4.2"


@pytest.mark.parametrize(
    "name",
    [
        *("nfs", "nfs4", "cifs", "smb3", "ceph", "lustre", "glusterfs", "gpfs", "beegfs", "ocfs2", "afs"),
        *("fuse.sshfs", "fuse.s3fs", "fuse.glusterfs", "fuse.juicefs"),
    ],
)
def test_a_network_file_system_is_known(kind, name):
    """Where locks are not one machine's."""
    assert kind("/mnt/share/sub/nostro.db", mount("/mnt/share", name)) == name


@pytest.mark.parametrize(
    "name", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "fuse.mergerfs", "fuseblk", "ecryptfs"]
)
def test_a_local_file_system_is_fine(kind, name):
    """A container's layers, and what only sounds like a network, are this machine's own."""
    assert kind("/mnt/share/nostro.db", mount("/mnt/share", name)) is None


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/mnt/nostro.db", "nfs4"),
        ("/mnt/local/nostro.db", None),
        ("/mnt/local/share/nostro.db", "cifs"),
        ("/mnt/localshare/nostro.db", "nfs4"),  # begins like a mount point, and does not lie in it
        ("/mntx/nostro.db", None),
        ("/mnt", "nfs4"),
    ],
)
def test_the_nearest_mount_counts(kind, path, found):
    """The longest mount point that the path lies under, in whatever order the kernel lists them."""
    lines = [mount("/mnt/local/share", "cifs"), mount("/mnt", "nfs4"), mount("/mnt/local", "xfs")]
    assert kind(path, *lines) == found
    assert kind(path, *reversed(lines)) == found


def test_what_was_mounted_last_lies_on_top(kind):
    """Of two mounts at one point the later one is seen."""
    assert kind("/mnt/x.db", mount("/mnt", "nfs4"), mount("/mnt", "ext4")) is None
    assert kind("/mnt/x.db", mount("/mnt", "ext4"), mount("/mnt", "nfs4")) == "nfs4"
    assert kind("/x.db", mount("/", "nfs")) == "nfs"


@pytest.mark.parametrize(
    ("written", "meant"),
    [(r"/mnt/bank\040files", "/mnt/bank files"), (r"/mnt/a\011b", "/mnt/a\tb"), (r"/mnt/a\134040b", r"/mnt/a\040b")],
)
def test_the_kernels_octal_numbers_are_read(kind, written, meant):
    """Blanks, tabs and backslashes in a mount point are written as octal numbers, once."""
    assert kind(f"{meant}/nostro.db", mount(written, "nfs4")) == "nfs4"


@pytest.mark.parametrize("fields", ["", "shared:7", "shared:7 master:3 propagate_from:2 unbindable"])
def test_optional_fields_are_skipped(kind, fields):
    """A line has none, one or many of them before its dash."""
    assert kind("/mnt/x.db", mount("/mnt", "nfs4", fields)) == "nfs4"


def test_a_link_is_followed(kind, tmp_path):
    """It is where the file really lies that counts."""
    (tmp_path / "link").symlink_to("/mnt/share")
    assert kind(f"{tmp_path}/link/nostro.db", mount("/mnt/share", "nfs4")) == "nfs4"


def test_where_the_system_does_not_tell_nothing_is_refused(tmp_path):
    """Other systems have no such table."""
    assert network_filesystem(tmp_path, tmp_path / "missing") is None


def test_this_machines_own_table_is_read(tmp_path):
    """The real one, whatever stands in it, is no obstacle."""
    assert network_filesystem(tmp_path) in (None, network_filesystem(tmp_path.parent))
