"""A Parquet folder through a model on Spark, as a column of scores; needs pyspark, pandas, pyarrow and Java.

python examples/spark_parquet.py MODEL IN OUT --column text
"""

import argparse
import os
import sys
from pathlib import Path

try:
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql import SparkSession
    from pyspark.sql.types import ArrayType, FloatType
except ModuleNotFoundError as error:
    sys.exit(f"{error}: pip install pyspark pandas pyarrow")

import fnet

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model")
parser.add_argument("source")
parser.add_argument("target")
parser.add_argument("--column", default="text", help="what the model reads (text)")
args = parser.parse_args()

os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # a local cluster runs this Python, which has fnet
spark = SparkSession.builder.getOrCreate()
predict = fnet.Predict(str(Path(args.model).resolve()))
scores = predict_batch_udf(lambda: predict, return_type=ArrayType(FloatType()), batch_size=256)
rows = spark.read.parquet(args.source)
rows.withColumn("output", scores(args.column)).write.mode("overwrite").parquet(args.target)
print(f"wrote {args.target}")
