"""Which file systems are somebody else's disk."""

import re
from pathlib import Path

# Linux' names of those whose locks and shared memory are not those of one machine.
_NETWORK = re.compile(
    r"(nfs\d?|cifs|smb\d?|smbfs|ncpfs|afs|ceph|lustre|gpfs|beegfs|glusterfs|ocfs2|gfs2|pvfs2|orangefs|coda)"
    r"|fuse\.(sshfs|s3fs|gcsfuse|blobfuse2?|rclone|glusterfs|ceph|juicefs|goofys|davfs2?|smbnetfs|nfs)"
)


def network_filesystem(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str | None:
    """The kind of network file system that `path` lies on; None for a local one, or where Linux does not tell."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    wanted, found, kind = path.resolve(), Path("/"), ""
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = Path(_unescaped(fields.split()[4]))
        # A later line lies over an earlier one at the same point.
        if wanted.is_relative_to(point) and len(point.parts) >= len(found.parts):
            found, kind = point, rest.split()[0]
    return kind if _NETWORK.fullmatch(kind) else None


def _unescaped(text: str) -> str:
    """The kernel writes a space as backslash 040, and so on."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)
