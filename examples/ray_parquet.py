"""A folder of Parquet files through a model on Ray, to a folder of Parquet files; goes on where it was interrupted.

python examples/ray_parquet.py MODEL IN OUT --id id --column text    (needs fnet-layers[ray])

With --checkpoint FOLDER, Ray records there which ids are written; the same command after a crash, or with more files,
computes only the others.
"""

import argparse
import sys
from pathlib import Path

try:
    import ray
    from ray.data import DataContext
    from ray.data.checkpoint import CheckpointConfig
except ModuleNotFoundError as error:
    sys.exit(f"{error}: pip install '.[ray]'")

import fnet

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model")
parser.add_argument("source")
parser.add_argument("target")
parser.add_argument("--column", help="what the model reads (a column for each input, or the only one)")
parser.add_argument("--id", default="id", help="a column that tells rows apart (id)")
parser.add_argument("--checkpoint", type=Path, help="folder of what is done")
parser.add_argument("--batch-size", type=int, default=256)
parser.add_argument("--cpus", type=int, help="of a new local cluster, at least 4; none: the cluster that runs")
args = parser.parse_args()

ray.init(num_cpus=args.cpus, log_to_driver=False, include_dashboard=False)
context = DataContext.get_current()
context.enable_progress_bars = False
if args.checkpoint:
    place = str(args.checkpoint.resolve())
    context.checkpoint_config = CheckpointConfig(args.id, place, delete_checkpoint_on_success=False)

place = str(Path(args.model).resolve())
predict = fnet.Predict(place, columns=args.column, batch_size=args.batch_size)  # each worker loads the file once
rows = ray.data.read_parquet(args.source)
rows.map_batches(predict, batch_size=args.batch_size).write_parquet(args.target)
print(f"wrote {args.target}")
