//! The flaws that a migration's files can show, each with the form that is right.

use std::fs;
use std::path::PathBuf;

use rowproof_migrate::lint::{Finding, lint};
use tempfile::TempDir;

type Files = Vec<(&'static str, &'static str)>;

const NAME: &str = "20240115_add_tier";
const TOML: &str = r#"
id = "20240115_add_tier"
reversible = true
target = { table = "public.customers", key = ["id"] }
backfill = { needs = "t.tier IS NULL AND t.spend IS NOT NULL" }
"#;
const EXPAND: &str = "
ALTER TABLE public.customers ADD COLUMN tier text;
CREATE FUNCTION public.tier_sync() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.tier := CASE WHEN NEW.spend > 100 THEN 'gold' ELSE 'basic' END; RETURN NEW; END $$;
CREATE TRIGGER tier_sync BEFORE INSERT OR UPDATE ON public.customers
  FOR EACH ROW EXECUTE FUNCTION public.tier_sync();
";
const ONLINE: &str = "CREATE INDEX CONCURRENTLY customers_tier ON public.customers (tier);";
const BACKFILL: &str = "
UPDATE public.customers t SET tier = CASE WHEN t.spend > 100 THEN 'gold' ELSE 'basic' END
FROM rowproof_batch b WHERE t.id = b.id AND t.spend IS NOT NULL;
";
const VALIDATE: &str =
    "SELECT id FROM public.customers WHERE tier IS NULL AND spend IS NOT NULL LIMIT 5;";
const CONTRACT: &str = "
ALTER TABLE public.customers ADD CONSTRAINT tier_there CHECK (tier IS NOT NULL) NOT VALID;
ALTER TABLE public.customers VALIDATE CONSTRAINT tier_there;
ALTER TABLE public.customers ALTER COLUMN tier SET NOT NULL;
ALTER TABLE public.customers DROP CONSTRAINT tier_there;
";
const DOWN: &str = "
DROP INDEX public.customers_tier;
DROP TRIGGER tier_sync ON public.customers;
DROP FUNCTION public.tier_sync();
ALTER TABLE public.customers DROP COLUMN tier;
";
const UNDO: &str =
    "UPDATE public.customers t SET tier = NULL FROM rowproof_batch b WHERE t.id = b.id;";

/// A sound migration with these files in the place of its own; an empty one is left out.
fn found(changed: &Files) -> Vec<Finding> {
    let dir = TempDir::new().unwrap();
    let path: PathBuf = dir.path().join(NAME);
    fs::create_dir(&path).unwrap();
    let sound = [
        ("migration.toml", TOML),
        ("expand.sql", EXPAND),
        ("online.sql", ONLINE),
        ("backfill.sql", BACKFILL),
        ("validate.sql", VALIDATE),
        ("contract.sql", CONTRACT),
        ("down.sql", DOWN),
        ("undo_backfill.sql", UNDO),
    ];
    for (name, text) in sound.iter().chain(changed) {
        fs::write(path.join(name), text).unwrap();
    }
    for (name, text) in changed {
        if text.is_empty() {
            fs::remove_file(path.join(name)).unwrap();
        }
    }
    lint(&path).unwrap()
}

/// A flaw: the files that have it, its code, its place, and the files without it.
struct Flaw {
    bad: Files,
    code: &'static str,
    at: (&'static str, u32),
    good: Files,
}

/// The flaw in one file; the sound migration is the right form.
fn flaw(code: &'static str, file: &'static str, line: u32, bad: &'static str) -> Flaw {
    Flaw { bad: vec![(file, bad)], code, at: (file, line), good: vec![] }
}

fn check(flaws: Vec<Flaw>) {
    for flaw in flaws {
        let (code, at) = (flaw.code, flaw.at);
        let findings = found(&flaw.bad);
        let hit = findings.iter().find(|one| one.code == code && (&*one.file, one.line) == at);
        let hit = hit.unwrap_or_else(|| panic!("{code} at {at:?} is not in {findings:#?}"));
        assert!(!hit.what.is_empty() && !hit.instead.is_empty(), "{hit:?}");
        assert_eq!(found(&flaw.good), [], "the right form of {code}");
    }
}

const LOOP: &str = "DO $$ BEGIN LOOP
  UPDATE customers SET tier = 'basic' WHERE id IN
    (SELECT id FROM customers WHERE tier IS NULL LIMIT 100 FOR UPDATE SKIP LOCKED);
  EXIT WHEN NOT FOUND;
  COMMIT;
END LOOP; END $$;";
const SEED: &str = "WITH some AS (
  SELECT id FROM public.customers WHERE tier IS NULL LIMIT 100 FOR UPDATE SKIP LOCKED)
UPDATE public.customers t SET tier = 'basic' FROM some WHERE t.id = some.id;";

#[test]
fn a_loop_of_the_authors_own_is_refused() {
    check(vec![
        flaw("commit-in-do", "backfill.sql", 1, LOOP),
        flaw("rule-loops", "backfill.sql", 1, LOOP),
        flaw("commit-in-do", "expand.sql", 1, LOOP),
        flaw("transaction-in-file", "backfill.sql", 2, "\nCOMMIT;"),
        flaw(
            "transaction-in-file",
            "expand.sql",
            1,
            "BEGIN; ALTER TABLE customers ADD tier text; END;",
        ),
        flaw("rule-limit", "backfill.sql", 2, SEED),
        flaw("rule-row-lock", "backfill.sql", 2, SEED),
        flaw("rule-without-batch", "backfill.sql", 1, SEED),
        flaw(
            "rule-without-batch",
            "backfill.sql",
            1,
            "UPDATE public.customers SET tier = 'basic';",
        ),
        flaw("rule-shape", "backfill.sql", 1, "SELECT 1 FROM rowproof_batch;"),
        flaw(
            "rule-shape",
            "undo_backfill.sql",
            2,
            "DELETE FROM a USING rowproof_batch b WHERE a.id = b.id;
DELETE FROM c USING rowproof_batch b WHERE c.id = b.id;",
        ),
        flaw(
            "rule-returning",
            "backfill.sql",
            2,
            "DELETE FROM public.customers t USING rowproof_batch b WHERE t.id = b.id\nRETURNING t.id;",
        ),
        flaw(
            "rule-limit",
            "backfill.sql",
            2,
            "UPDATE public.customers t SET tier = 'basic' FROM
(SELECT id FROM rowproof_batch LIMIT 10) b WHERE t.id = b.id;",
        ),
    ]);
}

#[test]
fn a_rule_that_reads_the_table_again_for_every_batch_is_refused() {
    check(vec![
        flaw(
            "rule-rescans",
            "backfill.sql",
            1,
            "UPDATE public.customers t SET tier = 'basic' FROM rowproof_batch b WHERE t.tier IS NULL;",
        ),
        flaw(
            "rule-rescans",
            "backfill.sql",
            3,
            "UPDATE public.customers t SET tier = 'basic' FROM rowproof_batch b
WHERE t.id = b.id AND t.id IN (
  SELECT id FROM public.customers WHERE tier IS NULL);",
        ),
        Flaw {
            bad: vec![("migration.toml", TOML.replace("[\"id\"]", "[\"region\", \"id\"]").leak())],
            code: "rule-rescans",
            at: ("backfill.sql", 2),
            good: vec![
                ("migration.toml", TOML.replace("[\"id\"]", "[\"region\", \"id\"]").leak()),
                (
                    "backfill.sql",
                    BACKFILL.replace("t.id = b.id", "(t.region, t.id) = (b.region, b.id)").leak(),
                ),
                (
                    "undo_backfill.sql",
                    UNDO.replace("t.id = b.id", "t.id = b.id AND t.region = b.region").leak(),
                ),
            ],
        },
    ]);
}

#[test]
fn a_rule_that_may_give_null_to_what_needs_a_value_is_refused() {
    check(vec![
        flaw(
            "rule-stays-null",
            "backfill.sql",
            2,
            &BACKFILL.replace(" ELSE 'basic'", "").leak()[..],
        ),
        Flaw {
            bad: vec![
                ("migration.toml", TOML.replace(" AND t.spend IS NOT NULL", "").leak()),
                (
                    "backfill.sql",
                    "UPDATE public.customers t SET tier = t.spend::text FROM rowproof_batch b WHERE t.id = b.id;",
                ),
            ],
            code: "rule-stays-null",
            at: ("backfill.sql", 1),
            good: vec![(
                "backfill.sql",
                "UPDATE public.customers t SET tier = t.spend::text FROM rowproof_batch b WHERE t.id = b.id;",
            )],
        },
    ]);
}

#[test]
fn a_statement_in_the_wrong_file_is_named() {
    check(vec![
        flaw("wrong-file", "expand.sql", 1, ONLINE),
        flaw("wrong-file", "expand.sql", 1, "UPDATE public.customers SET tier = 'basic';"),
        flaw("wrong-file", "expand.sql", 1, "ALTER TABLE public.customers VALIDATE CONSTRAINT c;"),
        flaw(
            "wrong-file",
            "expand.sql",
            1,
            "ALTER TABLE public.customers ALTER COLUMN spend SET NOT NULL;",
        ),
        flaw("wrong-file", "expand.sql", 1, "ALTER TABLE public.customers DROP COLUMN spend;"),
        flaw(
            "wrong-file",
            "expand.sql",
            1,
            "ALTER TABLE public.customers RENAME COLUMN spend TO spent;",
        ),
        flaw("wrong-file", "expand.sql", 1, "DROP TABLE public.customers;"),
        flaw("wrong-file", "online.sql", 1, EXPAND.trim_start()),
        flaw("wrong-file", "online.sql", 1, "SET LOCAL lock_timeout = '1s';"),
        flaw("wrong-file", "backfill.sql", 1, "ALTER TABLE public.customers ADD COLUMN x text;"),
        flaw(
            "wrong-file",
            "contract.sql",
            1,
            "WITH gone AS (DELETE FROM public.customers RETURNING 1) SELECT 1;",
        ),
        flaw("wrong-file", "contract.sql", 1, ONLINE),
        flaw("wrong-file", "down.sql", 1, "DROP INDEX CONCURRENTLY public.customers_tier;"),
        flaw("wrong-file", "validate.sql", 1, "DELETE FROM public.customers WHERE tier IS NULL;"),
        flaw("wrong-file", "precheck.sql", 1, "ALTER TABLE public.customers ADD COLUMN x text;"),
    ]);
}

#[test]
fn an_order_that_loses_rows_or_stops_writers_is_named() {
    let bare = "ALTER TABLE public.customers ADD COLUMN tier text;";
    let constant =
        "UPDATE public.customers t SET tier = 'basic' FROM rowproof_batch b WHERE t.id = b.id;";
    let late = "ALTER TABLE public.customers ALTER COLUMN tier SET DEFAULT 'basic';";
    let checked = "ALTER TABLE public.customers ADD COLUMN tier text;
ALTER TABLE public.customers ADD CONSTRAINT c CHECK (tier IS NOT NULL) NOT VALID;";
    check(vec![
        Flaw {
            bad: vec![("expand.sql", bare), ("backfill.sql", constant), ("contract.sql", late)],
            code: "default-after-backfill",
            at: ("contract.sql", 1),
            good: vec![
                (
                    "expand.sql",
                    "ALTER TABLE public.customers ADD COLUMN tier text;
ALTER TABLE public.customers ALTER COLUMN tier SET DEFAULT 'basic';",
                ),
                ("backfill.sql", constant),
            ],
        },
        flaw("copy-without-sync", "expand.sql", 0, bare).moved(("backfill.sql", 2)),
        Flaw {
            bad: vec![("expand.sql", checked), ("backfill.sql", constant)],
            code: "check-before-backfill",
            at: ("expand.sql", 2),
            good: vec![("expand.sql", EXPAND.to_owned().leak()), ("backfill.sql", constant)],
        },
        flaw(
            "adding-field-with-default",
            "expand.sql",
            1,
            "ALTER TABLE public.customers ADD COLUMN seen timestamptz DEFAULT clock_timestamp();",
        ),
    ]);
}

#[test]
fn a_constraint_is_added_without_a_scan_and_proven_by_itself() {
    let listed =
        "ALTER TABLE public.customers ADD CONSTRAINT c CHECK (tier IN ('gold', 'basic')) NOT VALID;
ALTER TABLE public.customers VALIDATE CONSTRAINT c;";
    check(vec![
        flaw("constraint-without-not-valid", "contract.sql", 1, "ALTER TABLE customers ADD CHECK (tier IS NOT NULL);"),
        flaw("constraint-without-not-valid", "expand.sql", 2, "ALTER TABLE public.customers ADD COLUMN region_id bigint
  REFERENCES public.regions (id);"),
        flaw(
            "constraint-without-not-valid",
            "expand.sql",
            1,
            "ALTER TABLE public.customers ADD FOREIGN KEY (region_id) REFERENCES public.regions (id);",
        ),
        flaw(
            "validate-same-transaction",
            "contract.sql",
            2,
            "ALTER TABLE public.customers ADD CONSTRAINT c CHECK (tier IS NOT NULL) NOT VALID,
  VALIDATE CONSTRAINT c;",
        ),
        Flaw {
            bad: vec![("contract.sql", listed)],
            code: "check-passes-null",
            at: ("contract.sql", 1),
            good: vec![(
                "contract.sql",
                "ALTER TABLE public.customers ADD CONSTRAINT c CHECK (tier IS NOT NULL AND tier IN ('a')) NOT VALID;
ALTER TABLE public.customers VALIDATE CONSTRAINT c;",
            )],
        },
        flaw("check-passes-null", "expand.sql", 1, "ALTER TABLE customers ADD x text CHECK (x = ANY (ARRAY['a']));"),
        flaw("set-not-null-scans", "contract.sql", 1, "ALTER TABLE public.customers ALTER COLUMN tier SET NOT NULL;"),
        flaw("set-not-null-scans", "contract.sql", 2, "ALTER TABLE customers ADD CHECK (tier IS NOT NULL) NOT VALID;
ALTER TABLE public.customers ALTER COLUMN tier SET NOT NULL;"),
        flaw("disallowed-unique-constraint", "contract.sql", 1, "ALTER TABLE public.customers ADD UNIQUE (tier);"),
        flaw("changing-column-type", "contract.sql", 1, "ALTER TABLE public.customers ALTER COLUMN spend TYPE bigint;"),
    ]);
}

#[test]
fn settings_tables_and_indexes_outlive_their_session_only_when_they_may() {
    let index =
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS customers_tier ON public.customers (tier);";
    let probe = "[[invariant]]\nname = \"index\"\nkind = \"index_valid\"\nindex = \"public.customers_tier\"\n";
    check(vec![
        flaw("plain-set", "expand.sql", 1, "SET lock_timeout = '5s';"),
        flaw(
            "temp-table",
            "expand.sql",
            1,
            "CREATE TEMP TABLE before AS SELECT count(*) FROM public.customers;",
        ),
        flaw(
            "temp-table",
            "precheck.sql",
            1,
            "SELECT count(*) INTO TEMP before FROM public.customers;",
        ),
        Flaw {
            bad: vec![("online.sql", index)],
            code: "if-not-exists-index",
            at: ("online.sql", 1),
            good: vec![("online.sql", index), ("migration.toml", format!("{TOML}{probe}").leak())],
        },
        flaw(
            "unnamed-index",
            "online.sql",
            1,
            "CREATE INDEX CONCURRENTLY ON public.customers (tier);",
        ),
        flaw(
            "require-concurrent-index-creation",
            "contract.sql",
            1,
            "CREATE INDEX i ON public.customers (tier);",
        ),
    ]);
}

#[test]
fn a_count_proves_nothing_and_an_empty_table_is_no_mistake_everywhere() {
    let toml = |more: &str| -> &'static str {
        format!("{TOML}\n[[invariant]]\nname = \"same\"\n{more}\n").leak()
    };
    let sound = "kind = \"aggregate\"\nleft = \"SELECT count(*) FROM c WHERE a IS NULL\"\n\
        right = \"SELECT count(*) FROM c WHERE b IS NULL\"";
    check(vec![
        flaw(
            "count-invariant",
            "validate.sql",
            1,
            "SELECT 1 FROM public.customers HAVING count(*) <> 100;",
        ),
        flaw(
            "count-invariant",
            "validate.sql",
            1,
            "SELECT 1 WHERE (SELECT count(*) FROM public.customers) <> (SELECT n FROM before);",
        ),
        Flaw {
            bad: vec![(
                "migration.toml",
                toml(
                    "kind = \"aggregate\"\nleft = \"SELECT count(*) FROM public.customers\"\nright = \"SELECT 100\"",
                ),
            )],
            code: "count-invariant",
            at: ("migration.toml", 0),
            good: vec![("migration.toml", toml(sound))],
        },
        Flaw {
            bad: vec![(
                "migration.toml",
                toml("kind = \"zero_rows\"\nsql = \"SELECT 1 FROM c HAVING count(*) != 5\""),
            )],
            code: "count-invariant",
            at: ("migration.toml", 0),
            good: vec![(
                "migration.toml",
                toml(
                    "kind = \"zero_rows\"\nsql = \"SELECT a FROM c GROUP BY a HAVING count(*) > 1\"",
                ),
            )],
        },
        flaw(
            "empty-check",
            "precheck.sql",
            1,
            "SELECT 'empty' WHERE NOT EXISTS (SELECT 1 FROM public.customers);",
        ),
        flaw(
            "empty-check",
            "precheck.sql",
            1,
            "SELECT 'empty' FROM public.customers HAVING count(*) = 0;",
        ),
    ]);
}

#[test]
fn a_way_back_is_written_or_not_promised() {
    check(vec![
        flaw("missing-undo", "down.sql", 0, ""),
        flaw("missing-undo", "undo_backfill.sql", 0, ""),
        Flaw {
            bad: vec![(
                "migration.toml",
                TOML.replace("reversible = true", "reversible = false\non_invalid = \"rollback\"")
                    .leak(),
            )],
            code: "rollback-impossible",
            at: ("migration.toml", 0),
            good: vec![(
                "migration.toml",
                TOML.replace("reversible = true", "reversible = true\non_invalid = \"rollback\"")
                    .leak(),
            )],
        },
    ]);
}

#[test]
fn what_cannot_be_read_is_a_finding_too() {
    check(vec![
        flaw("syntax", "expand.sql", 1, "ALTER TABEL public.customers ADD COLUMN tier text;"),
        flaw("folder", "migration.toml", 1, &TOML.replace("reversible = true", "").leak()[..]),
        flaw("empty-file", "contract.sql", 0, "-- later"),
        flaw("needs-without-rule", "backfill.sql", 0, "").moved(("migration.toml", 0)),
    ]);
    let missing = std::path::Path::new("no/such/folder");
    assert!(lint(missing).unwrap_err().to_string().contains("no/such/folder"));
}

impl Flaw {
    /// Shows elsewhere than in the file that makes it.
    fn moved(mut self, at: (&'static str, u32)) -> Flaw {
        self.at = at;
        self
    }
}
