#!/usr/bin/env python3
"""Loads what real programs write: `run.py ROWPROOF`, with the path of a built `rowproof`.

Installs the pinned programs into a temporary folder, lets each write the same table, loads every file twice, by `rowproof init`'s
own proposal and by the setting that the page names, and compares cell by cell. Exits with 1 when a file has fewer right cells
than `expected.json` says. A program that is not there (Postgres, MariaDB, SQLite, R, Miller, jq, Node.js) is left out, and said so.
"""

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from datetime import datetime, timedelta
from pathlib import Path

import table
from variants import PROGRAMS, VARIANTS

HERE = Path(__file__).resolve().parent
EXPECTED = HERE / "expected.json"
PAGE = HERE.parents[2] / "shared" / "docs" / "writers.md"
CELLS = len(table.rows()) * len(table.NAMES)


def environment(program, envs):
    """The Python that runs a program, with its packages installed; None when the program is not to be had."""
    needs = PROGRAMS[program][1]
    if program == "node" or isinstance(needs, str):
        found = shutil.which(needs if isinstance(needs, str) else "npm")
        if found and program == "node" and not (envs / program).exists():
            subprocess.run([found, "install", "--silent", "--no-audit", "--prefix", envs / program, *needs], check=True)
        return sys.executable if found else None
    if not needs:
        return sys.executable
    python = envs / program / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", envs / program], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *needs], check=True)
    return python


def write_sources(folder):
    """The table in the forms that the programs start from."""
    import duckdb
    (folder / "table.jsonl").write_text(table.json_lines(), encoding="utf-8")
    for name, null in [("table.csv", ""), ("table-null.csv", "\\N")]:
        with open(folder / name, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(table.NAMES)
            writer.writerows([null if value is None else value for value in row] for row in table.rows())
    with duckdb.connect() as database:
        database.execute("set timezone = 'UTC'").execute(table.sql())
        database.execute(f"copy orders to '{folder}/table.parquet'")


def write_files(program, python, folder, envs):
    """Lets a program write its files; gives its version."""
    env = dict(os.environ, TZ="UTC", LC_ALL="C.UTF-8", NODE_PACKAGES=str(envs / "node"))
    done = subprocess.run([python, HERE / "programs.py", program, folder], env=env, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-2000:])
    return done.stdout.strip().splitlines()[-1]


def named_pipeline(variant):
    """The pipeline file that somebody writes by hand with the setting named on the page."""
    form = "jsonl" if variant.file.endswith("jsonl") else "csv"
    lines = ['version = 1\nname = "orders"\n[source]\nmatch = "incoming/*"\ntimezone = "UTC"', f'format = "{form}"']
    lines += [f"csv = {variant.csv}"] if variant.csv else []
    lines.append("[columns]")
    for name, kind, _ in table.COLUMNS:
        keys = [variant.columns[name]] if name in variant.columns else []
        if not any(key.startswith("type = ") for key in keys):
            keys.insert(0, f'type = "{kind}"')
        lines.append(f"{name} = {{ {', '.join(keys)}, nullable = true }}")
    return "\n".join([*lines, '[sink.parquet]\npath = "orders"\n'])


def loaded_rows(out):
    """The loaded rows as mappings of column to value; times are naive UTC."""
    import duckdb
    files = [str(path) for path in (out / "output").rglob("*.parquet") if "_staging" not in path.parts]
    if not files:
        return []
    source = duckdb.read_parquet(files, union_by_name=True, hive_partitioning=False)
    moments = {name for name, kind in zip(source.columns, source.types) if str(kind).startswith("TIMESTAMP")}
    quoted = ['"' + name.replace('"', '""') + '"' for name in source.columns]
    listed = [f"epoch_us({text})" if name in moments else text for name, text in zip(source.columns, quoted)]
    rows = source.project(", ".join(listed)).fetchall()
    return [{n: moment(v) if n in moments else v for n, v in zip(source.columns, row)} for row in rows]


def moment(microseconds):
    return None if microseconds is None else datetime(1970, 1, 1) + timedelta(microseconds=microseconds)


def columns_by_field(pipeline, variant):
    """The column of the pipeline file that reads each field of the table."""
    by_field = {}
    for place, (name, column) in enumerate(tomllib.loads(pipeline)["columns"].items(), 1):
        own = name if variant.header else place
        sources = column.get("from", own) if isinstance(column, dict) else own
        for source in sources if isinstance(sources, list) else [sources]:
            known = isinstance(source, int) and source <= len(table.NAMES)
            by_field[table.NAMES[source - 1] if known else source] = name
    return by_field


def judge(rowproof, pipeline, path, variant):
    """Right, wrong and rejected cells of a file that is loaded by a pipeline file; `extra` are rows that nobody wrote."""
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        (work / "p.toml").write_text(pipeline, encoding="utf-8")
        subprocess.run([rowproof, "run", work / "p.toml", path, "--out", work / "out"], capture_output=True)
        rows = loaded_rows(work / "out")
    column = columns_by_field(pipeline, variant)
    by_id = {str(row.get(column.get("id"))): row for row in rows}
    right = wrong = 0
    for row in table.rows():
        got = by_id.get(str(row[0]), {})
        for name, value in zip(table.NAMES, row) if got else []:
            values = table.accepted(name, value, variant.losses.split())
            fits = column.get(name) in got and any(table.same(one, got[column[name]]) for one in values)
            right, wrong = right + fits, wrong + (not fits)
    return dict(right=right, wrong=wrong, rejected=CELLS - right - wrong, extra=max(0, len(rows) - len(table.rows())))


def load(rowproof, variant, path):
    """Both ways of loading a file, and what `init` takes it for."""
    init = subprocess.run([rowproof, "init", path], capture_output=True, text=True)
    writer = re.search(r"^#.*\blooks like (.+?)\.?$", init.stdout, re.M) or re.search(r"^csv = (.+)$", init.stdout, re.M)
    looks = "refused" if init.returncode else writer[1] if writer else "-"
    none = dict(right=0, wrong=0, rejected=CELLS, extra=0)
    by_init = none if init.returncode else judge(rowproof, init.stdout, path, variant)
    return {"init": by_init, "named": judge(rowproof, named_pipeline(variant), path, variant)}, looks


def lost(variant):
    return "; ".join(table.LOSSES[loss] for loss in variant.losses.split())


def write_page(path, results, versions):
    """Puts the table into the page, in the order of the variants."""
    lines = ["| Program | Asked | Name | The program itself loses |", "|---|---|---|---|"]
    for variant in (one for one in VARIANTS if f"{one.program}/{one.file}" in results):
        program = f"{PROGRAMS[variant.program][0]} {versions[variant.program]}"
        keys = [f"`csv = {variant.csv}`".replace("|", "\\|")] if variant.csv else []
        keys += [f"`{column}`: `{more}`" for column, more in variant.columns.items()]
        lines.append(f"| {program} | {variant.how} | {'; '.join(keys) or '-'} | {lost(variant) or '-'} |")
    marked = re.compile(r"(?<=<!-- table -->\n).*?(?=<!-- end -->)", re.S)
    path.write_text(marked.sub(lambda _: "\n".join([*lines, ""]), path.read_text(encoding="utf-8")), encoding="utf-8")


def worse(results, expected):
    """Says which files have fewer right cells, or more wrong ones, than the table beside the script says."""
    for name, result in results.items():
        if name not in expected:
            yield f"{name}: not in {EXPECTED.name}; run with --accept"
            continue
        for way, was in expected[name].items():
            now = result[way]
            if now["right"] < was["right"] or now["wrong"] + now["extra"] > was["wrong"] + was["extra"]:
                yield f"{name}: {way}: {now} is worse than {was}"


def compare(args, envs, files):
    results, versions = {}, {}
    print(f"{'file':28} {'init takes it for':44} {'init':>9} {'named':>9}  the program itself loses")
    for program in args.program or PROGRAMS:
        python = environment(program, envs)
        if not python:
            print(f"{PROGRAMS[program][0]}: not installed, left out")
            continue
        (files / program).mkdir(parents=True)
        write_sources(files / program)
        versions[program] = write_files(program, python, files / program, envs)
        print(f"{PROGRAMS[program][0]} {versions[program]}")
        for variant in (one for one in VARIANTS if one.program == program):
            path = files / program / variant.file
            if not path.exists():
                print(f"  {variant.file:26} not written by this version")
                continue
            result, looks = load(args.rowproof.absolute(), variant, path)
            results[f"{program}/{variant.file}"] = result
            shares = "".join(f" {100 * result[way]['right'] / CELLS:7.2f} %" for way in result)
            print(f"  {variant.file:26} {looks[:44]:44}{shares}  {lost(variant)}", flush=True)
    expected = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    if args.accept:
        expected.update(results)
        lines = [f"  {json.dumps(name)}: {json.dumps(result)}" for name, result in sorted(expected.items())]
        EXPECTED.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    if args.docs:
        write_page(args.docs, results, versions)
    lines = list(worse(results, expected))
    print("\n".join(lines) or f"{len(results)} files: none is worse than {EXPECTED.name}")
    return 1 if lines else 0


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("rowproof", type=Path)
    arguments.add_argument("--program", action="append", choices=PROGRAMS, help="this program only; may be repeated")
    arguments.add_argument("--envs", type=Path, help="folder that keeps the installed programs for the next time")
    arguments.add_argument("--keep", type=Path, help="folder that keeps the written files")
    arguments.add_argument("--accept", action="store_true", help=f"write {EXPECTED.name} from what is seen")
    arguments.add_argument("--docs", nargs="?", type=Path, const=PAGE, help="write the table of the page")
    args = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        envs = (args.envs or Path(scratch) / "envs").absolute()
        # The files are read back with the DuckDB that is one of the programs.
        reader = environment("duckdb", envs)
        sys.path += map(str, reader.parents[1].glob("lib/python*/site-packages"))
        return compare(args, envs, (args.keep or Path(scratch) / "files").absolute())


if __name__ == "__main__":
    raise SystemExit(main())
