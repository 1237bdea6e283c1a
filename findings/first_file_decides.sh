#!/usr/bin/env bash
# A folder of Parquet files whose first file has a narrower integer column: two engines read it without an error, and wrong.
#
# Guess: an engine that takes the columns' types from one file refuses a value of another file that does not fit, as an
# overflow in a CAST is refused.
# Seen with chdb 4.4.0 (ClickHouse 26.9.2.1): the types are those of the first file by name, and 9223372036854775807 of a
# later file's int64 column comes back as -1.
# Seen with daft 0.7.26: the types are those of the first path of the list, and the same value comes back as NULL.
# With the wide file first both return the value. The view that `rowproof files --sql` prints names the types, so that no
# file decides for the others.
#
# Exits with 1 when an engine does something else. Needs Python 3.10 to 3.13 and a network; not part of the tests.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check chdb==4.4.0 daft==0.7.26 pyarrow==25.0.1

cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import chdb
import daft
import pyarrow as pa
import pyarrow.parquet as pq

LARGEST = 2**63 - 1


def write(name, row_id, value, kind):
    columns = {"id": pa.array([row_id], pa.int64()), "n": pa.array([value], kind)}
    pq.write_table(pa.table(columns), name)


def clickhouse(pattern):
    rows = str(chdb.query(f"select id, n from file('{pattern}', Parquet) order by id")).split()
    return [None if n == "\\N" else int(n) for n in (row.split(",")[1] for row in rows)]


def daft_rows(*names):
    return daft.read_parquet(list(names)).sort("id").to_pydict()["n"]


write("narrow-a.parquet", 1, 7, pa.int32())
write("narrow-b.parquet", 2, LARGEST, pa.int64())
write("wide-a.parquet", 2, LARGEST, pa.int64())
write("wide-b.parquet", 1, 7, pa.int32())

seen = {
    "ClickHouse, narrow file first": (clickhouse("narrow-{a,b}.parquet"), [7, -1]),
    "ClickHouse, wide file first": (clickhouse("wide-{a,b}.parquet"), [7, LARGEST]),
    "daft, narrow file first": (daft_rows("narrow-a.parquet", "narrow-b.parquet"), [7, None]),
    "daft, wide file first": (daft_rows("wide-a.parquet", "wide-b.parquet"), [7, LARGEST]),
}
for what, (found, _) in seen.items():
    print(f"{what}: {found}")
sys.exit(any(found != expected for found, expected in seen.values()))
PYTHON
