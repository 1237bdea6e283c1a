"""One reader, in its own environment: answers every question about the tables of a description.

    python engines.py ENGINE DESCRIPTION.json > answers.json
"""

import datetime
import decimal
import json
import math
import sys


def text(value):
    """A value of any library as text; None for NULL."""
    if hasattr(value, "item") and not isinstance(value, (list, tuple)):
        value = value.item()
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "nan" if math.isnan(value) else repr(value)
    if isinstance(value, decimal.Decimal):
        plain = format(value, "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    if isinstance(value, datetime.datetime):
        if value.tzinfo:
            value = value.astimezone(datetime.timezone.utc)
        return f"{value.year:04}-{value:%m-%dT%H:%M:%S.%f}Z"
    if isinstance(value, datetime.date):
        return f"{value.year:04}-{value:%m-%d}"
    if isinstance(value, datetime.time):
        return f"{value:%H:%M:%S.%f}"
    if isinstance(value, bytes):
        return value.decode()
    return str(value)


def records(names, rows):
    return [{name: text(value) for name, value in zip(names, row)} for row in rows]


class Duckdb:
    def __init__(self):
        import duckdb
        self.db = duckdb.connect()
        self.db.sql("set timezone = 'UTC'")

    def query(self, sql):
        found = self.db.sql(sql)
        return records(found.columns, found.fetchall())

    def read(self, folder):
        return self.query(f"from read_parquet('{folder}/**/*.parquet', hive_partitioning = true)")

    def nan(self, folder):
        source = f"read_parquet('{folder}/*.parquet')"
        self.db.sql(f"create or replace table plain as from {source}")
        ask = "select (select count(*) from {0} where isnan(x)) a, (select count(*) from {0} where x > 10) b, " \
              "(select count(*) from {0} where y = 'nan') c, (select max(x) from {0}) d"
        return self.query(ask.format(source)), self.query(ask.format("plain"))

    def view(self, sql, name):
        self.db.sql(sql["duckdb"])
        return self.query(f'from "{name}"')


class Polars:
    def frame(self, frame):
        return records(frame.columns, frame.rows())

    def read(self, folder):
        import polars
        return self.frame(polars.scan_parquet(folder).collect())

    def nan(self, folder):
        import polars as pl
        lazy, eager = pl.scan_parquet(folder), pl.read_parquet(folder).lazy()
        def ask(f):
            x = pl.col("x")
            return [f.filter(x.is_nan()).collect().height, f.filter(x > 10).collect().height,
                    text(f.select(x.max()).collect().item())]
        return ask(lazy), ask(eager)


class Pyarrow:
    def table(self, table):
        return records(table.column_names, zip(*(column.to_pylist() for column in table.columns)))

    def read(self, folder):
        import pyarrow.dataset as ds
        return self.table(ds.dataset(folder, partitioning="hive", exclude_invalid_files=True).to_table())

    def nan(self, folder):
        import pyarrow.compute as pc
        import pyarrow.dataset as ds
        data = ds.dataset(folder)
        def ask(filtered):
            return [filtered(pc.is_nan(ds.field("x"))).num_rows, filtered(ds.field("x") > 10).num_rows]
        plain = data.to_table()
        return ask(lambda f: data.to_table(filter=f)), ask(plain.filter)


class Pandas:
    backend = {}

    def read(self, folder):
        import pandas
        frame = pandas.read_parquet(folder, **self.backend)
        # pandas has NaN where there is a NULL.
        frame = frame.astype(object).where(frame.notna(), None)
        return records(frame.columns, frame.itertuples(index=False, name=None))

    def nan(self, folder):
        import pandas
        found = pandas.read_parquet(folder, filters=[("x", "<", 10)], **self.backend)
        return len(found), 2


class PandasArrow(Pandas):
    by_order = True
    backend = {"dtype_backend": "pyarrow"}


class Spark:
    def __init__(self):
        from pyspark.sql import SparkSession
        build = SparkSession.builder.master("local[1]").config("spark.sql.session.timeZone", "UTC")
        self.spark = build.config("spark.ui.enabled", "false").config("spark.log.level", "OFF").getOrCreate()

    def frame(self, frame):
        # Texts, since Python's own moments do not reach year 9999 in every zone.
        table = frame.toArrow()
        return Pyarrow().table(table)

    def read(self, folder):
        return self.frame(self.spark.read.parquet(folder))

    def nan(self, folder):
        def ask():
            frame = self.spark.read.parquet(folder)
            frame.createOrReplaceTempView("t")
            return [self.spark.sql(f"select count(*) from t where {where}").first()[0]
                    for where in ("isnan(x)", "x > 10", "x = double('NaN')", "y = float('NaN')")]
        pushed = ask()
        self.spark.conf.set("spark.sql.parquet.filterPushdown", "false")
        plain = ask()
        self.spark.conf.set("spark.sql.parquet.filterPushdown", "true")
        return pushed, plain

    def view(self, sql, name):
        self.spark.sql(sql["spark"].strip().removesuffix(";"))
        return self.frame(self.spark.table(f"`{name}`"))


class Clickhouse:
    def __init__(self):
        from chdb import session
        self.session = session.Session()

    def query(self, sql):
        import io
        import pyarrow.parquet
        found = self.session.query(sql, "Parquet").bytes()
        return Pyarrow().table(pyarrow.parquet.read_table(io.BytesIO(found))) if found else []

    def read(self, folder):
        return self.query(f"select * from file('{folder}/**/*.parquet', Parquet)")

    def nan(self, folder):
        def ask(settings):
            return [self.query(f"select count() as n from file('{folder}/*.parquet', Parquet) where {where} {settings}")
                    for where in ("isNaN(x)", "x > 10", "x < 10")]
        off = "settings input_format_parquet_filter_push_down = 0, input_format_parquet_page_filter_push_down = 0"
        return ask(""), ask(off)

    def view(self, sql, name):
        self.session.query("create database if not exists d")
        self.session.query("use d")
        self.session.query(sql["clickhouse"].strip().removesuffix(";"))
        return self.query(f"select * from d.`{name}`")


class Datafusion:
    def __init__(self):
        from datafusion import SessionContext
        self.context, self.count = SessionContext(), 0

    def query(self, sql):
        import pyarrow
        return Pyarrow().table(pyarrow.table(self.context.sql(sql)))

    def external(self, folder):
        self.count += 1
        name = f"t{self.count}"
        self.context.sql(f"create external table {name} stored as parquet location '{folder}/'")
        return name

    def read(self, folder):
        return self.query(f"select * from {self.external(folder)}")

    def nan(self, folder):
        name = self.external(folder)
        self.context.sql(f"create table plain as select * from {name}").collect()
        def ask(table):
            return [self.query(f"select count(*) n from {table} where {where}") for where in ("isnan(x)", "x > 10")] \
                + [self.query(f"select max(x) m from {table}")]
        return ask(name), ask("plain")


class Daft:
    by_order = True

    def read(self, folder):
        import daft
        found = daft.read_parquet(f"{folder}/**/*.parquet", hive_partitioning=True).to_pydict()
        return records(found.keys(), zip(*found.values()))

    def nan(self, folder):
        import daft
        def ask(frame):
            return [frame.where(frame["x"].is_nan()).count_rows(), frame.where(frame["x"] > 10).count_rows()]
        lazy = daft.read_parquet(f"{folder}/*.parquet")
        return ask(lazy), ask(daft.read_parquet(f"{folder}/*.parquet").collect())


ENGINES = {"duckdb": Duckdb, "polars": Polars, "pyarrow": Pyarrow, "pandas": Pandas, "pandas_pyarrow": PandasArrow,
           "spark": Spark, "clickhouse": Clickhouse, "datafusion": Datafusion, "daft": Daft}


def same(found, true):
    """Whether a value is the true one, however a library writes numbers."""
    if found is None or true is None or found == true:
        return found == true
    try:
        return decimal.Decimal(found) == decimal.Decimal(true)
    except decimal.InvalidOperation:
        return False


def judge_types(found, truth):
    """The columns whose values are not the true ones."""
    found = sorted(found, key=lambda row: float(row["id"]))
    if len(found) != len(truth["rows"]):
        return f"{len(found)} rows"
    wrong = []
    for index, column in enumerate(truth["columns"]):
        values = [row.get(column) for row in found]
        expected = [row[index] for row in truth["rows"]]
        if not all(same(value, true) for value, true in zip(values, expected)):
            wrong.append(column)
    return "ok" if not wrong else "differs: " + " ".join(wrong)


def judge_shops(found, truth):
    found = {str(int(float(row["id"]))): row.get("shop") for row in found}
    wrong = [f"{true!r} is {found.get(number)!r}" for number, true in truth.items() if found.get(number) != true]
    return "ok" if not wrong else f"{len(wrong)} of {len(truth)} differ: {wrong[0]}"


def judge_changed(found, truth):
    def fits(row, true):
        return set(row) == set(true) and all(same(row[name], true[name]) for name in true)
    found = sorted(found, key=lambda row: float(row["id"] or 0))
    return "ok" if len(found) == 2 and all(map(fits, found, truth)) else BY_CHANCE


# Engines take the columns of one of the files, and the files' names decide which it is.
BY_CHANCE = "fails, or the columns are those of one of the two files"

# What an engine makes of mixed folder values, where the order of a listing decides.
BY_ORDER = "fails or differs, as the first folder in the listing has it"


def judge_failures(found, _):
    ok = len(found) == 2 and sorted(row["pipeline"] for row in found) == ["rejected", "rejected2"]
    return "ok" if ok else f"{len(found)} rows"


def questions(made):
    """Name of the question, what is read, how it is judged, and by what truth."""
    tables, truth = made["tables"], made["truth"]
    for name in ("types", "time", "time_int64", "time_string"):
        yield name, tables[name], judge_types, truth[name]
    for name in ("codes", "codes_text", "shops", "shops_text"):
        yield name, tables[name], judge_shops, truth[name]
    yield "changed", tables["changed"], judge_changed, truth["changed"]
    yield "empty", tables["empty"], lambda found, _: "ok" if found == [] else f"{len(found)} rows", None
    yield "failures", made["failures"], judge_failures, None


def in_micros(found, name):
    """Times as microseconds, which is what the true texts stand for."""
    for row in found if name == "time_int64" else []:
        value = row.get("clock")
        if value is not None and ":" not in value:
            micros = int(float(value))
            moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=micros)
            row["clock"] = f"{moment:%H:%M:%S.%f}"
    return found


def attempt(ask):
    try:
        return ask()
    except BaseException as error:  # Some engines panic.
        words = " ".join(str(error).split())
        return f"error: {type(error).__name__}: {words}"


def main(engine, description):
    made = json.load(open(description))
    reader = ENGINES[engine]()
    answers = {}
    for name, folder, judge, truth in questions(made):
        answers[name] = attempt(lambda: judge(in_micros(reader.read(folder), name), truth))
        if name == "changed" and answers[name].startswith("error: "):
            answers[name] = BY_CHANCE
        if name == "shops" and getattr(reader, "by_order", False):
            answers[name] = BY_ORDER
        if hasattr(reader, "view") and name in made["sql"]:
            view = lambda: judge(in_micros(reader.view(made["sql"][name], name), name), truth)
            answers[f"{name}, files --sql"] = attempt(view)

    def nan():
        pruned, plain = reader.nan(made["tables"]["nan"])
        return "ok" if pruned == plain else f"{pruned} instead of {plain}"

    answers["nan"] = attempt(nan)
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
