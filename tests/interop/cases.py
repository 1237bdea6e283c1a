"""The tables that readers are asked about: pipeline files, inputs, and what is true of them."""

import json
import subprocess
from pathlib import Path

TYPES = {
    "flag": "bool",
    "i8": "int8",
    "i16": "int16",
    "i32": "int32",
    "i64": "int64",
    "u8": "uint8",
    "u16": "uint16",
    "u32": "uint32",
    "u64": "uint64",
    "f32": "float32",
    "f64": "float64",
    "d9": "decimal(9,2)",
    "d18": "decimal(18,4)",
    "d38": "decimal(38,10)",
    "text": "string",
    "day": "date",
    "at": "timestamp",
}
ROWS = [
    ["true", "-128", "-32768", "-2147483648", "-9223372036854775808", "0", "0", "0", "0", "-1.5", "-1e300",
     "-9999999.99", "-99999999999999.9999", "-9999999999999999999999999999.9999999999", "Zürich 😀",
     "1582-10-04", "1582-10-04T00:00:00.000001Z"],
    ["false", "127", "32767", "2147483647", "9223372036854775807", "255", "65535", "4294967295",
     "18446744073709551615", "0.5", "0.1", "0.01", "0.0001", "0.0000000001", 'a "b", c', "9999-12-31",
     "9999-12-31T23:59:59.999999Z"],
    ["true", "0", "0", "0", "0", "0", "0", "0", "0", "0.0", "0.0", "0.00", "0.0000", "0.0000000000", "x",
     "1970-01-01", "1969-12-31T23:59:59.999999Z"],
]
TIMES = ["10:11:12.000001", "23:59:59.000000", "00:00:00.000000"]

CODES = ["007", "7", "042"]
# What a text column may hold and a folder's name must give back, beside NULL.
SHOPS = ["007", "7", "042", "plain", "", "2026-01-01", "1.50", "true", "a/b", "50%", "Zürich", "NaN", "null"]


def toml(name, columns, sink, source=""):
    lines = [f'version = 1\nname = "{name}"\n[source]\nmatch = "in/{name}/*"\nformat = "csv"\n{source}\n[columns]']
    lines += [f"{column} = {{ {rest} }}" for column, rest in columns.items()]
    lines += [f'[sink.parquet]\npath = "curated/{name}"\n{sink}\n']
    return "\n".join(lines)


def csv(rows):
    def field(value):
        return "" if value is None else '"' + value.replace('"', '""') + '"'

    return "".join(",".join(field(value) for value in row) + "\n" for row in rows)


class World:
    """An output folder, and the `rowproof` that fills it."""

    def __init__(self, rowproof, folder):
        self.rowproof, self.folder = rowproof, Path(folder)
        self.out = self.folder / "out"

    def load(self, name, pipeline, key, header, rows):
        toml_path = self.folder / f"{name}.toml"
        toml_path.write_text(pipeline)
        input_path = self.folder / key
        input_path.write_text(csv([header, *rows]))
        ended = subprocess.run([self.rowproof, "run", toml_path, input_path, "--out", self.out],
                               capture_output=True, text=True)
        if ended.returncode != 0:
            raise SystemExit(f"{name}: {ended.stderr}{ended.stdout}")

    def sql(self, name):
        """The statement of each engine that has one."""
        def one(engine):
            return subprocess.run(
                [self.rowproof, "files", self.folder / f"{name}.toml", "--sql", "--engine", engine, "--out", self.out],
                capture_output=True, text=True, check=True).stdout
        return {engine: one(engine) for engine in ("duckdb", "spark", "clickhouse")}

    def table(self, name):
        return str(self.out / "output/curated" / name)


def types(world, name, time_form=None):
    """One column of every type, extremes, and a row of NULLs."""
    columns = {column: f'type = "{kind}", nullable = true' for column, kind in TYPES.items()}
    rows = [list(row) for row in ROWS]
    if time_form:
        columns["clock"] = 'type = "time", nullable = true'
        rows = [[*row, clock] for row, clock in zip(rows, TIMES)]
    rows.append([None] * len(columns))
    numbered = [[str(number), *row] for number, row in enumerate(rows)]
    pipeline = toml(name, {"id": 'type = "int32"', **columns}, f'time = "{time_form}"' if time_form else "")
    world.load(name, pipeline, f"{name}.csv", ["id", *columns], numbered)
    return {"columns": list(columns), "rows": rows}


def nan(world, name):
    """A NaN among small numbers, in both widths."""
    columns = {"id": 'type = "int64"', "x": 'type = "float64"', "y": 'type = "float32"'}
    rows = [["1", "1.0", "1.0"], ["2", "2.0", "2.0"], ["3", "NaN", "NaN"]]
    world.load(name, toml(name, columns, ""), f"{name}.csv", list(columns), rows)


def shops(world, name, by, values):
    """Folders for texts."""
    columns = {"id": 'type = "int64"', "shop": 'type = "string", nullable = true'}
    rows = [[str(number), value] for number, value in enumerate(values)]
    world.load(name, toml(name, columns, f"partition_by = {json.dumps([by])}"), f"{name}.csv", list(columns), rows)
    return {str(number): value for number, value in enumerate(values)}


def changed(world, name):
    """A column of another type, one that came, one that went: two files under two pipeline files."""
    before = {"id": 'type = "int32"', "amount": 'type = "decimal(9,2)"', "gone": 'type = "string"'}
    after = {"new": 'type = "string", nullable = true', "id": 'type = "int64"', "amount": 'type = "decimal(18,4)"'}
    world.load(name, toml(name, before, ""), f"{name}_a.csv", list(before), [["1", "1.50", "x"]])
    world.load(name, toml(name, after, ""), f"{name}_b.csv", list(after), [["n", "9223372036854775807", "0.0001"]])
    return [{"new": None, "id": "1", "amount": "1.5"}, {"new": "n", "id": "9223372036854775807", "amount": "0.0001"}]


def empty(world, name):
    """Loaded, and no row in it."""
    columns = {"id": 'type = "int64"', "amount": 'type = "decimal(12,2)"'}
    source = 'empty = "accept"' if accepts_empty(world) else ""
    world.load(name, toml(name, columns, "", source), f"{name}.csv", list(columns), [])


def accepts_empty(world):
    """Whether this rowproof wants to be told that a file may be empty."""
    path = world.folder / "probe.toml"
    path.write_text(toml("probe", {"id": 'type = "int64"'}, "", 'empty = "accept"'))
    return subprocess.run([world.rowproof, "check", path], capture_output=True).returncode == 0


def rejected(world, name):
    """Two pipelines with a rejected row each."""
    columns = {"id": 'type = "int64"', "n": 'type = "int8"'}
    for each in (name, f"{name}2"):
        world.load(each, toml(each, columns, ""), f"{each}.csv", list(columns), [["1", "1"], ["2", "many"]])


def build(rowproof, folder):
    """Makes everything; the description goes to the readers as JSON."""
    world = World(rowproof, folder)
    made = {"types": types(world, "types"), "time": types(world, "time", "time"),
            "time_int64": types(world, "time_int64", "int64"), "time_string": types(world, "time_string", "string")}
    nan(world, "nan")
    for name, values in (("codes", CODES), ("shops", [*SHOPS, None])):
        made[name] = shops(world, name, "shop", values)
        made[f"{name}_text"] = shops(world, f"{name}_text", "text(shop)", values)
    made["changed"] = changed(world, "changed")
    empty(world, "empty")
    rejected(world, "rejected")
    tables = ["types", "time", "time_int64", "time_string", "nan", "codes",
              "codes_text", "shops", "shops_text", "changed", "empty"]
    return {"truth": made, "tables": {name: world.table(name) for name in tables},
            "sql": {name: world.sql(name) for name in tables}, "failures": str(world.out / "failures")}
