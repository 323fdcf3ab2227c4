"""The table of versions in docs/versions.md, from the archives: python -m tests.golden.table > table.md"""

import zipfile
from pathlib import Path

FOLDER = Path(__file__).parent
WRITERS = {
    "2.2.4": "Keras 2.2.4, TensorFlow 1.13.2",
    "2.2.4-tf1.15.5": "TensorFlow 1.15.5",
    "2.3.0-tf2.1.4": "TensorFlow 2.1.4",
    "2.4.0-tf2.3.4": "TensorFlow 2.3.4",
    "2.4.0-tf2.4.4": "TensorFlow 2.4.4",
    "2.16.0": "tf-keras 2.16.0, TensorFlow 2.16.2",
    "2.18.0": "tf-keras 2.18.0, TensorFlow 2.18.1",
    "2.20.1": "tf-keras 2.20.1, TensorFlow 2.20.0",
    "3.10.0": "Keras 3.10.0, TensorFlow 2.21.0",
    "3.12.4": "Keras 3.12.4, TensorFlow 2.20.0",
    "3.13.0": "Keras 3.13.0, TensorFlow 2.20.0",
    "3.15.1": "Keras 3.15.1, TensorFlow 2.21.0",
}


def writer(version):
    if version in WRITERS:
        return WRITERS[version]
    return f"Keras {version}" + (", TensorFlow 2.15.1" if version.startswith("3") else " of TensorFlow")


def number(path):
    return [int(part) for part in path.stem.split("-")[1].split(".")]


def table():
    """A line for each archive: the version that wrote it, the number of files of each kind, the models."""
    lines = ["| written by | `.keras` | `.h5` | `.weights.h5` | refused |", "|---|---|---|---|---|"]
    for path in sorted(FOLDER.glob("keras-*.zip"), key=lambda path: (number(path), path.stem)):
        names = [name.partition(".")[::2] for name in zipfile.ZipFile(path).namelist()]
        counts = [
            sum(s == kind and not n.startswith("refused") for n, s in names) for kind in ("keras", "h5", "weights.h5")
        ]
        refused = sum(n.startswith("refused") and suffix != "npz" for n, suffix in names)
        lines.append(f"| {writer(path.stem.partition('-')[2])} | {' | '.join(map(str, [*counts, refused]))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
