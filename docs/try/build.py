"""Make the page complete: python docs/try/build.py FOLDER  (then: python -m http.server -d FOLDER)

Puts the page, its Python, the wheel of fnet and the two example models into a folder that any web server can serve.
Pyodide itself comes from its content network, or, with --pyodide DIR, from a copy: the files of the npm package
`pyodide`, and the wheel of NumPy that its pyodide-lock.json names.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
EXAMPLES = ("nusax-lstm.safetensors", "cifar10-cnn.safetensors")

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=Path)
parser.add_argument("--pyodide", type=Path, help="a copy of Pyodide to serve with the page")
args = parser.parse_args()

args.folder.mkdir(parents=True, exist_ok=True)
with tempfile.TemporaryDirectory() as made:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", made]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = Path(made).glob("*.whl")
    shutil.copy(wheel, args.folder)
source = (HERE / "page.py").read_text("utf-8").replace("from params.", "from fnet.params.")  # as in the wheel
(args.folder / "page.py").write_text(source, "utf-8")
shutil.copy(HERE / "index.html", args.folder)
for name in EXAMPLES:
    shutil.copy(ROOT / "examples" / "models" / name, args.folder)
if args.pyodide:
    shutil.copytree(args.pyodide, args.folder / "pyodide", dirs_exist_ok=True)
settings = {"wheel": wheel.name, "examples": EXAMPLES, "pyodide": "pyodide/" if args.pyodide else None}
(args.folder / "settings.json").write_text(json.dumps(settings), "utf-8")
print(f"wrote {args.folder}: python -m http.server -d {args.folder}")
