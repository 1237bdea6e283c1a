"""The table that every program writes, and what a program may lose of it."""

from datetime import date, datetime, timedelta, timezone
from decimal import Context, Decimal
import json

UTC = timezone.utc
# Column, type as Rowproof names it, type in SQL.
COLUMNS = [
    ("id", "int64", "bigint"),
    ("customer", "string", "text"),
    ("remark", "string", "text"),
    ("price", "decimal(12,2)", "decimal(12,2)"),
    ("quantity", "int64", "bigint"),
    ("account", "int64", "bigint"),
    ("paid", "bool", "boolean"),
    ("weight", "float64", "double precision"),
    ("ordered", "date", "date"),
    ("placed", "timestamp", "timestamptz"),
    ("packed", "timestamp", "timestamp"),
]
NAMES = [name for name, _, _ in COLUMNS]
TYPES = {name: kind for name, kind, _ in COLUMNS}
CUSTOMERS = [
    "Ada Byron", 'Grace "Amazing" Hopper', "Meier, Söhne & Co", "O'Hara", "two\nlines", "C:\\temp\\new",
    "tab\there", "ends with \\", "semi;colon", "pipe|d", '"', "007", "true", "日本 ☕", "#hash", 'a\\"b', "=1+1",
    "  padded  ", "back\\slash, comma", "2024-01-01", "-", "'quoted'", "100%",
]
REMARKS = [None, "", "fine", "line one\nline two", "a\\nb", 'said "no", left', "x"]


def rows(count=60):
    """Rows of Python values: `placed` has an offset, `packed` has none."""
    made = []
    for i in range(1, count + 1):
        placed = datetime(2024, 3, 1, 8, tzinfo=UTC) + timedelta(hours=37 * i)
        made.append((
            i,
            CUSTOMERS[i % len(CUSTOMERS)],
            "NULL" if i == 50 else REMARKS[i % len(REMARKS)],
            None if i % 11 == 0 else Decimal(i * i * 977 % 1_000_003 - 4000) / 100,
            None if i % 13 == 0 else i * 3 % 50 - 5,
            9_007_199_254_740_993 + 2 * i,
            None if i % 10 == 9 else i % 3 == 0,
            None if i % 8 == 0 else (1e-7 if i == 20 else i / 7),
            None if i % 12 == 0 else date(2023, 12, 30) + timedelta(days=11 * i),
            None if i % 9 == 0 else placed + timedelta(microseconds=0 if i % 4 == 0 else 1001 * i),
            None if i % 14 == 0 else datetime(2024, 2, 29, 23, 58) + timedelta(minutes=51 * i),
        ))
    return made


def sql(zone=True):
    """A script that makes the table `orders`. Texts are standard SQL: a backslash is a backslash."""
    def literal(value):
        if value is None:
            return "null"
        if isinstance(value, (bool, int, float, Decimal)):
            return str(value).lower()
        if isinstance(value, datetime) and not zone:
            value = value.replace(tzinfo=None)
        return "'" + str(value).replace("'", "''") + "'"

    plain = lambda kind: kind if zone or not kind.startswith("timestamp") else "datetime(6)"  # noqa: E731
    columns = ", ".join(f"{name} {plain(kind)}" for name, _, kind in COLUMNS)
    values = ",\n".join("(" + ", ".join(map(literal, row)) + ")" for row in rows())
    return f"create table orders ({columns});\ninsert into orders values\n{values};\n"


def json_lines():
    """The table as JSON Lines for programs that convert: decimals and times are texts."""
    lines = (json.dumps(dict(zip(NAMES, row)), default=str, ensure_ascii=False) for row in rows())
    return "".join(line + "\n" for line in lines)


# What a program itself loses, or shows in another way.
LOSSES = {
    "empty": "NULL and the empty text are one",
    "word": "NULL and the text NULL are one",
    "trim": "blanks around a text",
    "ms": "digits finer than a millisecond",
    "s": "fractions of a second",
    "double": "integers over 2^53 are rounded",
    "digits15": "numbers have 15 digits",
    "digits10": "floats have 10 decimals",
    "decimals15": "floats have 15 decimals",
    "last15": "the last of 15 digits may be one too many",
    "false": "false and NULL are one",
    "bits": "bools are 1 and 0",
    "midnight": "dates are times at midnight",
}
ALSO = {  # The other value that a cell may have after a loss; not given for NULL.
    ("string", "trim"): lambda text: text.strip(" "),
    ("timestamp", "ms"): lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000),
    ("timestamp", "s"): lambda time: time.replace(microsecond=0),
    ("int64", "double"): lambda number: int(float(number)),
    ("int64", "digits15"): lambda number: Decimal(f"{number:.14e}"),
    ("int64", "last15"): lambda number: Decimal(f"{float(number):.14e}").next_plus(Context(prec=15)),
    ("float64", "decimals15"): lambda number: round(number, 15),
    ("float64", "digits15"): lambda number: float(f"{number:.15g}"),
    ("float64", "digits10"): lambda number: round(number, 10),
    ("bool", "bits"): int,
    ("bool", "false"): lambda truth: 1 if truth else None,
    ("date", "midnight"): lambda day: datetime(day.year, day.month, day.day),
}


def accepted(name, value, losses):
    """The values that stand for `value` when the writer has these losses."""
    kind, values = TYPES[name], [value]
    if value is not None:
        values += [ALSO[kind, loss](value) for loss in losses if (kind, loss) in ALSO]
    for loss, text in (("empty", ""), ("word", "NULL")):
        if loss in losses and kind == "string" and value in (None, text):
            values += [None, text]
    return values


def same(wanted, loaded):
    """Whether a loaded value is the wanted one as a typed value."""
    if wanted is None or loaded is None:
        return wanted is loaded
    if isinstance(wanted, datetime):
        return isinstance(loaded, datetime) and wanted.replace(tzinfo=None) == loaded
    if isinstance(wanted, (bool, date, str)):
        return type(wanted) is type(loaded) and wanted == loaded
    if isinstance(loaded, (bool, date, str)):
        return False
    if isinstance(wanted, float):
        return float(loaded) == wanted
    if isinstance(loaded, float) and isinstance(wanted, Decimal):
        return Decimal(repr(loaded)) == wanted
    return Decimal(loaded) == Decimal(wanted)
