"""Which engine reads the tables right: makes tables with rowproof, reads each with each engine, and
compares what came out with what is true. Not part of CI: it installs the engines.

    python tests/interop/readers.py [--rowproof target/debug/rowproof] [--venvs FOLDER] [--update]

Prints the table, and ends with 1 where it differs from readers.expected.md beside it; `--update` writes
that file. `--venvs` keeps the environments between runs. Spark needs Java 17 or later.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import cases

HERE = Path(__file__).parent
EXPECTED = HERE / "readers.expected.md"
NOTE_CHARS_MAX = 150

# Two environments: chDB and daft want another pyarrow than the newest.
PINS = {
    "new": ["duckdb==2.0.0", "polars==2.1.0", "pyarrow==26.0.1", "pandas==3.1.1", "pyspark==4.3.0",
            "datafusion==55.0.0", "pytz==2026.6"],
    "old": ["chdb==4.4.0", "daft==0.7.26", "pyarrow==25.0.1", "pandas==3.1.1"],
}
# Engine, environment, and what its column is called.
ENGINES = [
    ("duckdb", "new", "DuckDB 2.0.0"),
    ("polars", "new", "Polars 2.1.0"),
    ("pyarrow", "new", "pyarrow 26.0.1 dataset, hive"),
    ("pandas", "new", "pandas 3.1.1"),
    ("pandas_pyarrow", "new", "pandas 3.1.1, dtype_backend pyarrow"),
    ("spark", "new", "Spark 4.3.0"),
    ("clickhouse", "old", "chDB 4.4.0 (ClickHouse 26.9)"),
    ("datafusion", "new", "DataFusion 55.0.0"),
    ("daft", "old", "daft 0.7.26"),
]


def environment(folder, name):
    """The interpreter of an environment, made when it is not there."""
    python = folder / name / "bin/python"
    if not python.exists():
        print(f"installing {' '.join(PINS[name])}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder / name], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PINS[name]], check=True)
    return python


def shortened(answer, folder):
    """An answer that is the same in every run: without paths and hashes, and not too long."""
    answer = re.sub(r"[0-9a-f]{16,}|\bo\d+\.|\bt\d+\.", "*", answer.replace(str(folder), "").replace("|", "/"))
    return answer if len(answer) <= NOTE_CHARS_MAX else answer[:NOTE_CHARS_MAX - 3] + "..."


def ask(rowproof, venvs):
    with tempfile.TemporaryDirectory() as folder:
        description = Path(folder) / "description.json"
        description.write_text(json.dumps(cases.build(rowproof, folder)))
        answers = {}
        for engine, venv, title in ENGINES:
            ended = subprocess.run([environment(venvs, venv), HERE / "engines.py", engine, description],
                                   capture_output=True, text=True, env={**os.environ, "TZ": "UTC"}, cwd=folder)
            if ended.returncode != 0:
                raise SystemExit(f"{title} ended with {ended.returncode}:\n{ended.stderr[-4000:]}")
            found = json.loads(ended.stdout.strip().splitlines()[-1])
            answers[title] = {name: shortened(answer, folder) for name, answer in found.items()}
        return answers


def table(answers):
    """A line for each question: `ok`, nothing where an engine was not asked, or the number of a note below."""
    names = list(dict.fromkeys(name for found in answers.values() for name in found))
    lines = ["| Question | " + " | ".join(answers) + " |", "|---|" + "---|" * len(answers)]
    notes = []
    for name in names:
        cells = []
        for found in answers.values():
            answer = found.get(name, "")
            if answer not in ("", "ok"):
                if answer not in notes:
                    notes.append(answer)
                answer = f"[{notes.index(answer) + 1}]"
            cells.append(answer)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    noted = [f"{number}. {note}" for number, note in enumerate(notes, 1)]
    return "\n".join([*lines, "", *noted]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rowproof", default=HERE.parent.parent / "target/debug/rowproof", type=Path)
    parser.add_argument("--venvs", type=Path)
    parser.add_argument("--update", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        found = table(ask(args.rowproof.resolve(), args.venvs or Path(fresh)))
    print(found)
    if args.update:
        EXPECTED.write_text(found)
    elif not EXPECTED.exists() or found != EXPECTED.read_text():
        print(f"not as {EXPECTED} has it; --update when that is right", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
