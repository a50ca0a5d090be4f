"""The container image, built and run for real with buildah, podman and runc."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

STORE = Path(os.environ.get("MRI2QMAP_IMAGE_STORE", "/var/tmp/mri2qmap-image"))
BASE = "docker.io/library/debian:bookworm-slim"
NEEDED = ("buildah", "podman", "runc", "mmdebstrap")
# Not about where packages come from.
_LOCAL_ONLY = ("disable-pip-version-check", "no-input", "cache-dir", "target", "user")


def reason_to_skip() -> str | None:
    """Why images cannot be built here; None if they can."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"needs {' '.join(missing)} (apt-get install {' '.join(NEEDED)})"
    if os.geteuid() != 0:
        return "needs root, to build and run images without a daemon"
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        return "needs mount namespaces, which are not allowed here"
    return None


class Engine:
    """Images and containers, all of whose state is in one folder."""

    def __init__(self, store: Path) -> None:
        self.store = store
        store.mkdir(parents=True, exist_ok=True)
        driver = "overlay" if _overlay_works(store) else "vfs"
        self._state = ["--root", str(store / "root"), "--runroot", str(store / "run")]
        self._state += ["--storage-driver", driver, "--log-level", "error"]
        # crun, podman's default, refuses a machine with both kinds of control groups.
        runtime = ["--runtime", "runc", "--cgroup-manager", "cgroupfs"]
        self.podman = ["podman", *self._state, *runtime]

    def build(self, context: Path, tag: str, arguments: Sequence[str]) -> None:
        """Build a Dockerfile; the machine's settings of pip reach it, and leave no trace."""
        self._make_base()
        with tempfile.TemporaryDirectory() as folder:
            settings = Path(folder) / "pip.conf"
            text, mounts = pip_settings()
            settings.write_text(text)
            command = ["buildah", *self._state, "bud", "--pull=never", "--layers"]
            command += ["--isolation", "chroot", "--network", "host"]
            command += ["--secret", f"id=pip_conf,src={settings}"]
            command += [word for mount in mounts for word in ("-v", f"{mount}:ro")]
            subprocess.run([*command, *arguments, "-t", tag, str(context)], check=True)

    def command(self, tag: str, *words: str, options: Sequence[str] = ()) -> list[str]:
        """A container with no network, capability or way to more rights."""
        limits = ["--network", "none", "--cap-drop", "all", "--security-opt", "no-new-privileges"]
        # More is more than root may ask for where it lacks CAP_SYS_RESOURCE.
        limits += ["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"]
        return [*self.podman, "run", "--rm", *limits, *options, tag, *words]

    def run(self, tag: str, *words: str, options: Sequence[str] = ()) -> str:
        """What a container prints; an error if it fails."""
        command = self.command(tag, *words, options=options)
        process = subprocess.run(command, capture_output=True, text=True, check=False)
        assert process.returncode == 0, (
            f"{shlex.join(words)}: {process.returncode}\n{process.stderr}"
        )
        return process.stdout

    def config(self, tag: str) -> dict:
        """Environment, entry point and labels of an image."""
        return json.loads(self._podman("image", "inspect", "-f", "{{json .Config}}", tag))

    def size(self, tag: str) -> int:
        """Bytes of an image."""
        return int(self._podman("image", "inspect", "-f", "{{.Size}}", tag))

    @contextmanager
    def mounted(self, tag: str) -> Iterator[Path]:
        """An image's files."""
        try:
            yield Path(self._podman("image", "mount", tag).strip())
        finally:
            self._podman("image", "umount", tag)

    def remove(self) -> None:
        """Forget all images, and the folder with them."""
        subprocess.run([*self.podman, "rmi", "-af"], check=False, capture_output=True)
        # buildah leaves the layers' folder mounted on itself.
        subprocess.run(["umount", str(self.store / "root" / "overlay")], check=False)
        shutil.rmtree(self.store)

    def _make_base(self) -> None:
        """Debian's base image, made from Debian's packages instead of pulled."""
        exists = subprocess.run([*self.podman, "image", "exists", BASE], check=False)
        if exists.returncode == 0:
            return
        archive = self.store / "base.tar"
        sources = Path("/etc/apt/sources.list.d/debian.sources")
        command = ["mmdebstrap", "--quiet", "--variant=minbase"]
        command += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "doc")]
        command += ["bookworm", str(archive), *([str(sources)] if sources.exists() else [])]
        subprocess.run(command, check=True)
        self._podman("import", "-q", "--change", "CMD=bash", str(archive), BASE)
        archive.unlink()

    def _podman(self, *words: str) -> str:
        return subprocess.run(
            [*self.podman, *words], check=True, text=True, stdout=subprocess.PIPE
        ).stdout


def pip_settings() -> tuple[str, list[str]]:
    """A pip.conf like this machine's for within a build, and what must be mounted for it.

    Folders and files that the settings name are mounted below ``/run/host``.
    """
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    ).stdout
    values: dict[str, str] = {}
    mounts: dict[str, str] = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in ("global", ":env:") and key not in _LOCAL_ONLY:
            values[key] = " ".join(_within(word, mounts) for word in value.strip("'\"").split())
    text = "".join(f"{key} = {value}\n" for key, value in values.items())
    return f"[global]\n{text}", [f"{source}:{target}" for source, target in mounts.items()]


def _within(word: str, mounts: dict[str, str]) -> str:
    """A word of pip's settings as it is to be within the build."""
    if word.startswith("file://"):
        # An index's pages point to files beside its folder.
        path = Path(word.removeprefix("file://"))
        return f"file://{_mounted(path.parent, mounts)}/{path.name}"
    if word.startswith("/") and Path(word).exists():
        return _mounted(Path(word), mounts)
    return word


def _mounted(path: Path, mounts: dict[str, str]) -> str:
    return mounts.setdefault(str(path.resolve()), f"/run/host/{len(mounts)}")


def _overlay_works(store: Path) -> bool:
    folders = {name: store / "overlay" / name for name in ("lower", "upper", "work", "merged")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    options = ",".join(f"{name}dir={folders[name]}" for name in ("lower", "upper", "work"))
    command = ["mount", "-t", "overlay", "overlay", "-o", options, str(folders["merged"])]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return False
    subprocess.run(["umount", str(folders["merged"])], check=True)
    return True


if __name__ == "__main__":
    Engine(STORE).remove()
