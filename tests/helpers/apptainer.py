"""What ``apptainer run`` does to a program, by bubblewrap: an emulation, for lack of the real one.

Of Apptainer's documented defaults: a read-only image; the caller's user, environment, home,
working directory and ``/tmp``; the image's environment only where the caller has none, its
``PATH`` excepted. And of a compute node: no network.
"""

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Folders of the caller, or in which a folder of the caller is to appear.
_OF_THE_CALLER = frozenset(("dev", "home", "mnt", "proc", "root", "sys", "tmp", "var"))


def reason_to_skip() -> str | None:
    """Why Apptainer cannot be emulated here; None if it can."""
    missing = [name for name in ("bwrap", "mksquashfs") if shutil.which(name) is None]
    return f"needs {' '.join(missing)} (bubblewrap, squashfs-tools)" if missing else None


@contextmanager
def squashed(image: Path, folder: Path) -> Iterator[Path]:
    """An image's files as Apptainer has them: one read-only file, mounted."""
    file, root = folder / "image.sqfs", folder / "image"
    file.unlink(missing_ok=True)
    root.mkdir(exist_ok=True)
    subprocess.run(
        ["mksquashfs", str(image), str(file), "-comp", "lz4", "-no-progress"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    subprocess.run(["mount", "-t", "squashfs", "-o", "ro,loop", str(file), str(root)], check=True)
    try:
        yield root
    finally:
        subprocess.run(["umount", str(root)], check=True)
        file.unlink()


@dataclass(frozen=True)
class Apptainer:
    """An image's mounted files, its configuration, and who calls."""

    root: Path
    config: Mapping[str, Sequence[str]]
    user: int
    home: Path

    def run(
        self,
        *words: str,
        binds: Mapping[Path, str],
        environment: Mapping[str, str],
        read_only: Sequence[Path] = (),
    ) -> "subprocess.CompletedProcess[str]":
        """``apptainer run`` from the home directory."""
        command = ["bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-net", "--die-with-parent"]
        for path in sorted(self.root.iterdir()):
            target = f"/{path.name}"
            if path.name in _OF_THE_CALLER:
                continue
            if path.is_symlink():
                command += ["--symlink", str(path.readlink()), target]
            else:
                command += ["--ro-bind", str(path), target]
        command += ["--proc", "/proc", "--dev-bind", "/dev", "/dev", "--ro-bind", "/sys", "/sys"]
        command += ["--bind", "/tmp", "/tmp", "--bind", str(self.home), str(self.home)]
        for source, target in binds.items():
            kind = "--ro-bind" if source in read_only else "--bind"
            command += [kind, str(source), target]
        command += ["--remount-ro", "/", "--chdir", str(self.home)]
        return subprocess.run(
            [*command, *self.config["Entrypoint"], *words],
            env=self._environment(environment),
            user=self.user,
            group=self.user,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )

    def _environment(self, caller: Mapping[str, str]) -> dict[str, str]:
        image = dict(line.split("=", 1) for line in self.config["Env"])
        inherited = {name: value for name, value in caller.items() if name != "LD_LIBRARY_PATH"}
        own = {"PATH": image["PATH"], "HOME": str(self.home), "APPTAINER_CONTAINER": "image.sif"}
        return {**image, **inherited, **own}
