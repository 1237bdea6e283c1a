"""Lets one program write its files: `python programs.py PROGRAM FOLDER`, in the program's own environment.

FOLDER holds the table as `table.parquet`, `table.jsonl`, `table.csv` and `table.sql`; the files are named by their variant.
Prints the program's version.
"""

import csv
import getpass
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import table

SOURCE = "table.parquet"


def one_part(folder, name):
    """The only data file of a folder that a program wrote, moved to NAME."""
    (part,) = [p for p in glob.glob(f"{folder}/*") if not os.path.basename(p).startswith(("_", "."))]
    shutil.move(part, name)
    shutil.rmtree(folder)


def run(*command, stdin=None, to=None, **options):
    done = subprocess.run(command, input=stdin, capture_output=True, text=isinstance(stdin, str), **options)
    if done.returncode:
        raise SystemExit(f"{command[0]}: {done.stderr}")
    if to:
        Path(to).write_bytes(done.stdout.encode() if isinstance(done.stdout, str) else done.stdout)
    return done.stdout


def said(*command):
    """The version in a program's own words."""
    text = subprocess.run(command, capture_output=True, text=True).stdout
    return next(word.rstrip(",") for word in text.replace("jq-", "").split() if word[0].isdigit() and "." in word)


def python():
    def write(name, rows=table.rows(), **options):
        with open(name, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, **options)
            writer.writerow(table.NAMES)
            writer.writerows(rows)

    write("default.csv")
    write("excel-tab.tsv", dialect="excel-tab")
    write("quote-all.csv", quoting=csv.QUOTE_ALL)
    write("semicolon.csv", delimiter=";", lineterminator="\n")
    if hasattr(csv, "QUOTE_NOTNULL"):
        write("quote-notnull.csv", quoting=csv.QUOTE_NOTNULL)
    Path("json.jsonl").write_text(table.json_lines(), encoding="utf-8")
    return said(sys.executable, "--version")


def pandas():
    import pandas
    frame = pandas.read_parquet(SOURCE)
    frame.to_csv("default.csv")
    frame.to_csv("no-index.csv", index=False)
    frame.to_csv("na-rep.csv", index=False, na_rep="NULL")
    frame.to_csv("quote-all.csv", index=False, quoting=csv.QUOTE_ALL)
    frame.to_csv("comma.csv", index=False, sep=";", decimal=",")
    frame.to_json("json.jsonl", orient="records", lines=True)
    frame.to_json("json-iso.jsonl", orient="records", lines=True, date_format="iso")
    return version("pandas")


def polars():
    import polars
    frame = polars.read_parquet(SOURCE)
    frame.write_csv("default.csv")
    frame.write_csv("tab.tsv", separator="\t")
    frame.write_csv("null-value.csv", null_value="\\N")
    frame.write_csv("quote-always.csv", quote_style="always")
    frame.write_csv("no-header.csv", include_header=False)
    frame.write_ndjson("ndjson.jsonl")
    return version("polars")


def pyarrow():
    from pyarrow import csv as arrow, parquet
    data = parquet.read_table(SOURCE)
    arrow.write_csv(data, "default.csv")
    arrow.write_csv(data, "quote-valid.csv", arrow.WriteOptions(quoting_style="all_valid"))
    arrow.write_csv(data, "no-header.csv", arrow.WriteOptions(include_header=False, delimiter=";"))
    return version("pyarrow")


def duckdb():
    import duckdb
    for name, options in [
        ("default.csv", ""), ("pipe.csv", "delimiter '|', header false"), ("tab.tsv", "delimiter '\t'"),
        ("null-str.csv", "nullstr '\\N'"), ("force-quote.csv", "force_quote *"), ("json.jsonl", "format json"),
    ]:
        duckdb.sql(f"copy (from '{SOURCE}') to '{name}' ({options})" if options else f"copy (from '{SOURCE}') to '{name}'")
    return version("duckdb")


def clickhouse():
    import chdb
    for name, form in [
        ("default.csv", "CSVWithNames"), ("no-header.csv", "CSV"), ("names-types.csv", "CSVWithNamesAndTypes"),
        ("tab.tsv", "TSVWithNames"), ("tab-no-header.tsv", "TSV"), ("json.jsonl", "JSONEachRow"),
    ]:
        Path(name).write_bytes(chdb.query(f"select * from file('{SOURCE}') order by id", form).bytes())
    return str(chdb.query("select version()", "TSV")).strip()


def datafusion():
    from datafusion import SessionContext
    session = SessionContext()
    session.register_parquet("orders", SOURCE)
    for name, options in [
        ("default.csv", "'format.has_header' 'true'"), ("json.jsonl", ""),
        ("null-value.csv", "'format.has_header' 'true', 'format.null_value' '\\N'"),
    ]:
        form = "json" if name.endswith("jsonl") else "csv"
        options = f" options ({options})" if options else ""
        session.sql(f"copy (select * from orders order by id) to 'part' stored as {form}{options}").collect()
        if os.path.isdir("part"):
            one_part("part", name)
        else:
            shutil.move("part", name)
    return version("datafusion")


def daft():
    import daft
    frame = daft.read_parquet(SOURCE)
    frame.write_csv("part")
    one_part("part", "default.csv")
    frame.write_json("part")
    one_part("part", "json.jsonl")
    return version("daft")


def spark():
    from pyspark.sql import SparkSession
    session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    session = session.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    session = session.config("spark.sql.session.timeZone", "UTC").getOrCreate()
    frame = session.read.parquet(SOURCE).coalesce(1)

    def write(name, form="csv", **options):
        frame.write.format(form).options(**options).save("part")
        one_part("part", name)

    write("default.csv")
    write("header.csv", header=True)
    write("quote-all.csv", header=True, quoteAll=True)
    write("rfc-quotes.csv", header=True, escape='"')
    write("null-value.csv", header=True, nullValue="\\N", emptyValue="")
    write("tab.tsv", header=True, sep="\t")
    write("json.jsonl", "json")
    write("json-nulls.jsonl", "json", ignoreNullFields=False)
    session.conf.set("spark.sql.session.timeZone", "America/New_York")
    write("new-york.csv", header=True)
    return version("pyspark")


def postgres():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    bin_folder = Path(shutil.which("initdb") or f"{found[-1]}/initdb").parent
    home = Path(tempfile.mkdtemp())
    other = {"user": "nobody"} if os.geteuid() == 0 else {}
    if other:  # Postgres does not run as root.
        shutil.chown(home, "nobody")

    def server(program, *words):
        run(bin_folder / program, "-D", home / "data", *words, cwd="/", **other)

    server("initdb", "-U", "me", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
    settings = f"-c listen_addresses='' -c unix_socket_directories='{home}' -c timezone=UTC"
    server("pg_ctl", "-w", "-l", home / "log", "-o", settings, "start")
    sql = ["psql", "-q", "-h", str(home), "-U", "me", "-d", "postgres", "-v", "ON_ERROR_STOP=1"]
    try:
        run(*sql, stdin=table.sql())
        for name, options, before in [
            ("copy-csv.csv", "format csv, header", ""), ("copy-text.tsv", "", ""),
            ("copy-text-header.tsv", "header", ""), ("null-n.csv", "format csv, header, null '\\N'", ""),
            ("force-quote.csv", "format csv, header, force_quote *", ""),
            ("escape.csv", "format csv, header, escape '\\'", ""),
            ("new-york.csv", "format csv, header", "set timezone = 'America/New_York';"),
        ]:
            options = f" with ({options})" if options else ""
            run(*sql, "-c", f"{before}copy (table orders order by id) to stdout{options}", to=name)
        run(*sql, "--csv", "-c", "table orders", to="psql.csv")
        run(*sql, "-At", "-c", "select row_to_json(o) from orders o order by id", to="row-to-json.jsonl")
    finally:
        server("pg_ctl", "-w", "-m", "fast", "stop")
        shutil.rmtree(home)
    return said(bin_folder / "postgres", "--version")


def mariadb():
    home = Path(tempfile.mkdtemp())
    me, login = f"--user={getpass.getuser()}", ["--no-defaults", f"--socket={home}/s", "--user=root"]
    run("mariadb-install-db", "--no-defaults", f"--datadir={home}/data", "--auth-root-authentication-method=normal",
        "--skip-test-db", me)
    words = ["mariadbd", "--no-defaults", f"--datadir={home}/data", "--skip-networking", f"--socket={home}/s", me]
    with subprocess.Popen([*words, "--character-set-server=utf8mb4"], stderr=subprocess.DEVNULL) as server:
        client = ["mariadb", *login, "--default-character-set=utf8mb4"]
        try:
            run("mariadb-admin", *login, "--wait=30", "ping")
            mode = "set sql_mode = 'NO_BACKSLASH_ESCAPES'; create database test; use test;\n"
            run(*client, stdin=mode + table.sql(zone=False))
            for name, options in [
                ("outfile.tsv", ""), ("outfile-quotes.csv", "fields terminated by ',' optionally enclosed by '\"'"),
            ]:
                query = f"select * from orders into outfile '{home}/{name}' character set utf8mb4 {options};"
                run(*client, "test", stdin=query)
                shutil.move(home / name, name)
            run(*client, "-B", "test", "-e", "select * from orders", to="batch.tsv")
        finally:
            server.terminate()
    shutil.rmtree(home)
    return said("mariadbd", "--version").split("-")[0]


def sqlite():
    run("sqlite3", "t.db", stdin=table.sql())
    run("sqlite3", "-csv", "-header", "t.db", "select * from orders", to="csv.csv")
    run("sqlite3", "-csv", "-header", "-nullvalue", "NULL", "t.db", "select * from orders", to="null-value.csv")
    run("sqlite3", "t.db", stdin=".mode csv\n.headers on\n.once mode-csv.csv\nselect * from orders;\n")
    return said("sqlite3", "--version")


def r():
    run("Rscript", "--vanilla", str(Path(__file__).with_name("export.R")))
    return said("Rscript", "--version")


def miller():
    for name, form in [("csv.csv", "--ocsv"), ("tab.tsv", "--otsv")]:
        run("mlr", "--icsv", form, "cat", "table.csv", to=name)
    return said("mlr", "--version")


def jq():
    names = ", ".join(f".{name}" for name in table.NAMES)
    header = json.dumps(table.NAMES)
    for name, form in [("csv.csv", "@csv"), ("tab.tsv", "@tsv")]:
        run("jq", "-rn", f"{header}, (inputs | [{names}]) | {form}", "table.jsonl", to=name)
    run("jq", "-c", ".", "table.jsonl", to="compact.jsonl")
    return said("jq", "--version")


def node():
    return run("node", str(Path(__file__).with_name("export.mjs")), os.environ["NODE_PACKAGES"]).decode().strip()


if __name__ == "__main__":
    program = globals()[sys.argv[1]]
    os.chdir(sys.argv[2])
    print(program())
