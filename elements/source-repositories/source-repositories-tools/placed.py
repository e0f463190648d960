"""Sources as they lie in the tree, and the lists of them."""

import pathlib
import shutil
import subprocess
import tempfile

import declared
import fetched

# As many as the kernel follows.
LINKS = 40


class Tree:
    """The image's tree, and what was put into it."""

    def __init__(self, root):
        self.root = root
        self.placed = {}
        self.paths = []
        self.commits = []

    def inside(self, path):
        """Where a path of the image is, out here.

        Its symlinks are followed as they are in the image: one that leads to
        /etc leads to the image's. What is returned has none.

        :raises declared.Mistake: it goes round in circles.
        """
        done = self.root
        left = list(reversed(pathlib.PurePath(path).parts))
        links = 0
        while left:
            part = left.pop()
            if part == "/":
                done = self.root
            elif part == "..":
                done = done if done == self.root else done.parent
            elif (done / part).is_symlink():
                links += 1
                if links > LINKS:
                    raise declared.Mistake(f"{path}: too many symlinks")
                target = (done / part).readlink()
                left.extend(reversed(target.parts))
            else:
                done /= part
        return done

    def write_lists(self, manifests, image):
        """Say in the image where its sources came from."""
        if self.paths:
            with self._list("/etc/dib-source-repositories") as file:
                file.writelines(f"{path}\n" for path in self.paths)
        if self.commits:
            name = f"{manifests}/dib-manifest-git-{image}"
            with self._list(name) as file:
                file.writelines(f"{line}\n" for line in self.commits)

    def _list(self, path):
        file = self.inside(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        return file.open("a", encoding="utf-8")


def place(source, store, tree):
    """Bring a source to its destination.

    :raises declared.Mistake: it is not there, or something else is.
    """
    if not (source.kind == "git" and same(source, tree)):
        target = tree.inside(source.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with store.held(source) as cached:
            KINDS[source.kind](source, cached, target, tree)
    tree.placed[source.path] = source
    # As often as it was asked for: as diskimage-builder has it.
    tree.paths.append(source.path)


def same(source, tree):
    """Whether two elements want the same checkout, which one makes."""
    other = tree.placed.get(source.path)
    if not other:
        return False
    if (other.kind, other.location, other.ref) != (
        source.kind,
        source.location,
        source.ref,
    ):
        raise declared.Mistake(
            f"{source.path} is wanted for '{other}' and for '{source}'"
        )
    return True


def place_git(source, cached, target, tree):
    if target.is_dir() and any(target.iterdir()):
        raise declared.Mistake(
            f"{source.name}: {source.path} is there already"
        )
    # What the chroot writes must not reach the cache by way of a hard link,
    # and no file of the checkout is to name the cache.
    quiet = ("-c", "core.logAllRefUpdates=false")
    fetched.git(
        None,
        *(*quiet, "clone", "--quiet", "--no-hardlinks", "--", cached, target),
    )
    if source.ref == "*":
        fetched.git(
            target,
            *(*quiet, "fetch", "--quiet", "--prune", "--update-head-ok"),
            *(cached, *fetched.EVERYTHING),
        )
    else:
        branch = f"{source.ref}:fetch_{source.ref}"
        fetched.git(target, *quiet, "fetch", "--quiet", cached, branch)
        fetched.git(target, *quiet, "reset", "--quiet", "--hard", "FETCH_HEAD")
    sha = fetched.commit(target, "HEAD")
    fetched.git(target, "remote", "set-url", "origin", source.shown)
    (target / ".git/FETCH_HEAD").unlink(missing_ok=True)
    line = ("git", source.path, source.shown, sha)
    tree.commits.append(f"{source.name} {' '.join(line)}")


def place_tar(source, cached, target, tree):
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        # The owners are those of whoever packed it, and nobody here.
        subprocess.run(
            [
                *("tar", "--extract", "--no-same-owner"),
                *("--directory", folder, "--file", cached),
            ],
            check=True,
        )
        chosen = (
            [folder] if source.ref in ("", ".") else matching(source, folder)
        )
        target.mkdir(parents=True, exist_ok=True)
        for each in chosen:
            # Never through a symlink of the tree: rsync replaces it.
            subprocess.run(
                ["rsync", "--archive", f"{each}/.", target], check=True
            )


def matching(source, folder):
    """The directories of a tarball that its reference means."""
    found = sorted(
        path
        for path in folder.glob(source.ref)
        if path.is_dir() and not path.is_symlink()
    )
    if not found:
        raise declared.Mistake(
            f"{source.name}: no directory '{source.ref}' in the tarball"
        )
    return found


def place_file(source, cached, target, tree):
    if target.is_dir():
        raise declared.Mistake(f"{source.name}: {source.path} is a directory")
    shutil.copyfile(cached, target)
    target.chmod(0o644)


KINDS = {"git": place_git, "tar": place_tar, "file": place_file}
