//! Which rows a table takes, which it refuses, and which of two wins.

use serde_json::Value;
use tokio_postgres::Client;

use super::support::postgres::Postgres;
use super::support::table;
use super::support::world::World;

pub(crate) const HEAD: &str = r#"version = 1
name = "items"
[source]
match = "incoming/*"
format = "csv"
"#;
pub(crate) const COLUMNS: &str = r#"[columns]
id = { type = "int64", key = true }
name = "string"
price = { type = "decimal(8,2)", nullable = true }
at = "timestamp"
"#;

pub(crate) fn sink(more: &str) -> String {
    format!("[sink.postgres]\ntable = \"items\"\ndsn = \"env:ROWS\"\n{more}\n")
}

fn pipeline(more: &str) -> String {
    format!("{HEAD}{COLUMNS}{}", sink(more))
}

/// A world whose pipeline is this one, and a database of its own server.
pub(crate) struct Case {
    pub(crate) world: World,
    pub(crate) postgres: Postgres,
    pub(crate) client: Client,
}

impl Case {
    pub(crate) async fn new(pipeline: &str, sql: &str) -> Case {
        let postgres = Postgres::start().await;
        let client = postgres.look().await;
        client.batch_execute(sql).await.unwrap();
        let world = World::new();
        world.write("orders.toml", pipeline);
        Case { world, postgres, client }
    }

    pub(crate) fn load(&self, name: &str, text: &str) -> Value {
        self.world.write(name, text);
        self.world.run(&[name]).env("ROWS", self.postgres.url()).line()
    }

    /// A query's first column, sorted.
    pub(crate) async fn list(&self, query: &str) -> Vec<String> {
        let rows = self.client.query(query, &[]).await.unwrap();
        let mut list: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        list.sort();
        list
    }

    /// Rejected rows: number and reason.
    pub(crate) fn archived(&self) -> Vec<(String, String)> {
        let mut archived = vec![];
        for path in table::files(&self.world.path("out/failures")) {
            for row in table::read(&path) {
                assert_eq!(row["error_code"].as_deref(), Some("sink_rejected"));
                assert!(row["raw_data"].is_some());
                archived.push((row["row_number"].clone().unwrap(), row["error"].clone().unwrap()));
            }
        }
        archived.sort();
        archived
    }
}

const TABLE: &str = "CREATE TABLE items (id bigint PRIMARY KEY, name text, price numeric(8,2), \
    at timestamptz, _rowproof_load bigint, _rowproof_hash uuid);";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_break_a_constraint_are_archived_and_the_others_land() {
    let constraints = "CREATE TABLE names (name text PRIMARY KEY); \
        INSERT INTO names SELECT 'n' || n FROM generate_series(0, 9) n; \
        ALTER TABLE items ADD CONSTRAINT dear CHECK (price < 100), ALTER price SET NOT NULL, \
        ADD CONSTRAINT known FOREIGN KEY (name) REFERENCES names DEFERRABLE INITIALLY DEFERRED; \
        CREATE UNIQUE INDEX one_moment ON items (at); \
        CREATE FUNCTION no_seven() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
          IF NEW.id % 100 = 7 THEN RAISE EXCEPTION 'secret value %', NEW.name; END IF; \
          RETURN NEW; END $$; \
        CREATE TRIGGER no_seven BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION no_seven(); \
        CREATE FUNCTION no_13() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
          IF NEW.id % 100 = 13 THEN RAISE EXCEPTION 'secret'; END IF; RETURN NULL; END $$; \
        CREATE TRIGGER no_13 AFTER INSERT ON items FOR EACH ROW EXECUTE FUNCTION no_13();";
    for unit in ["object", "chunk"] {
        let more = format!("mode = \"upsert\"\ncommit = \"{unit}\"");
        let case = Case::new(&pipeline(&more), &format!("{TABLE}{constraints}")).await;
        let mut text = "id,name,price,at\n".to_owned();
        for id in 1..=150 {
            let (name, price) = match id {
                20 => ("hunter2".to_owned(), "1".to_owned()),
                30 => ("n1".to_owned(), "100.01".to_owned()),
                40 => ("n1".to_owned(), String::new()),
                _ => (format!("n{}", id % 10), format!("{}.5", id % 90)),
            };
            // Two at the same moment.
            let second = if id == 60 { 59 } else { id };
            let at = format!("2026-11-24T10:{:02}:{:02}Z", second / 60, second % 60);
            text.push_str(&format!("{id},{name},{price},{at}\n"));
        }
        let line = case.load("a.csv", &text);
        let refused: Vec<_> = case.archived();
        let numbers: Vec<_> = refused.iter().map(|(row, _)| row.as_str()).collect();
        assert_eq!(
            numbers,
            ["107", "113", "13", "20", "30", "40", "60", "7"],
            "{unit}: {refused:?}"
        );
        let of = |row: &str| refused.iter().find(|(found, _)| found == row).unwrap().1.clone();
        assert!(of("20").contains("constraint known"), "{refused:?}");
        assert!(of("30").contains("constraint dear"), "{}", of("30"));
        assert!(of("40").starts_with("price: ") && of("40").contains("required"), "{}", of("40"));
        assert!(of("60").contains("constraint one_moment"), "{}", of("60"));
        assert!(
            refused.iter().all(|(_, text)| !text.contains("hunter2") && !text.contains("secret"))
        );
        assert_eq!(
            (line["rows_loaded"].as_u64(), line["rows_rejected"].as_u64()),
            (Some(142), Some(8))
        );
        assert_eq!(line["balanced"], true);
        assert_eq!(case.list("SELECT id::text FROM items").await.len(), 142);
        let verified =
            case.world.command(["verify", "--all", "--out", "out"].map(str::to_owned).to_vec());
        let verified = verified.env("ROWS", case.postgres.url()).end();
        assert_eq!(verified.code, Some(0), "{verified:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_go_into_columns_of_other_kinds_or_are_refused() {
    let columns = "[columns]\nid = { type = \"string\", key = true }\ndoc = \"string\"\n\
        tags = \"string\"\nshort = \"string\"\nraw = \"string\"\n";
    let sql = "CREATE TABLE items (id uuid PRIMARY KEY, doc jsonb, tags text[], short varchar(3), \
        raw bytea, _rowproof_load bigint, _rowproof_hash uuid);";
    let text = format!("{HEAD}{columns}{}", sink("mode = \"upsert\""));
    let case = Case::new(&text, sql).await;
    let row = |n: u32, doc: &str, tags: &str, short: &str, raw: &str| {
        format!("00000000-0000-0000-0000-{n:012},\"{doc}\",\"{tags}\",{short},{raw}\n")
    };
    let mut file = "id,doc,tags,short,raw\n".to_owned();
    file.push_str(&row(1, "{\"\"a\"\": 1}", "{x,y}", "abc", "\\x00ff"));
    file.push_str(&row(2, "{\"\"a\"\": ", "{x}", "abc", "\\x00"));
    file.push_str("no-uuid,1,{},a,\\x\n");
    file.push_str(&row(4, "2", "{x", "abc", "\\x00"));
    file.push_str(&row(5, "2", "{x}", "abcd", "\\x00"));
    file.push_str(&row(6, "2", "{x}", "abc", "\\x0"));
    file.push_str(&row(7, "[]", "{}", "z", "\\x"));
    let line = case.load("a.csv", &file);
    let numbers: Vec<_> = case.archived().into_iter().map(|(row, _)| row).collect();
    assert_eq!(numbers, ["2", "3", "4", "5", "6"], "{line}");
    assert_eq!(
        case.list(
            "SELECT (doc->>'a') || array_to_string(tags, '+') || short FROM items \
                          WHERE doc ? 'a'"
        )
        .await,
        ["1x+yabc"]
    );
    // Again, another file of the same rows: compared although the types differ.
    let again = case.load("b.csv", &file);
    assert_eq!(again["rows_unchanged"], 2, "{again}");
    assert_eq!(again["rows_rejected"], 5, "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nul_in_a_text_costs_its_row() {
    let case = Case::new(&pipeline("mode = \"upsert\"\ncreate = \"if_missing\""), "SELECT").await;
    let at = "2026-11-24T10:00:00Z";
    let line =
        case.load("a.csv", &format!("id,name,price,at\n1,a,1,{at}\n2,b\0c,2,{at}\n3,d,3,{at}\n"));
    assert_eq!((line["rows_loaded"].as_u64(), line["rows_rejected"].as_u64()), (Some(2), Some(1)));
    let archived = case.archived();
    assert!(archived[0].1.contains("name: the text holds a NUL"), "{archived:?}");
}

/// Rows of three files with common keys, loaded in every order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_row_wins_in_whatever_order_files_come() {
    let more = "mode = \"upsert\"\ncreate = \"if_missing\"\nnewest_by = \"at\"";
    let case = Case::new(&pipeline(more), "SELECT").await;
    let file = |tag: &str, day: u32| {
        let mut text = "id,name,price,at\n".to_owned();
        for id in 0..60_u32 {
            // Each of the three is the newest for a third of the keys.
            let day = (day + id) % 3 + 1;
            text.push_str(&format!("{id},{tag}{id},1.5,2026-11-0{day}T00:00:00Z\n"));
        }
        text
    };
    let files = [("a.csv", file("a", 0)), ("b.csv", file("b", 1)), ("c.csv", file("c", 2))];
    let mut seen: Option<Vec<String>> = None;
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let (mut loaded, mut superseded) = (0, 0);
        for at in order {
            let line = case.load(files[at].0, &files[at].1);
            loaded += line["rows_loaded"].as_u64().unwrap();
            superseded += line["rows_superseded"].as_u64().unwrap();
        }
        assert_eq!(loaded + superseded, 180);
        let found = case.list("SELECT name FROM items").await;
        assert_eq!(found.len(), 60);
        assert_eq!(seen.get_or_insert_with(|| found.clone()), &found, "{order:?}");
        case.client.batch_execute("DROP TABLE items; DROP SCHEMA rowproof CASCADE").await.unwrap();
        std::fs::remove_dir_all(case.world.path("out")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_key_that_comes_twice_in_a_file_the_newest_counts() {
    let more = "mode = \"upsert\"\ncreate = \"if_missing\"\nnewest_by = \"at\"\ncommit = \"chunk\"";
    let case = Case::new(&pipeline(more), "SELECT").await;
    let text = "id,name,price,at\n1,new,1,2026-11-02T00:00:00Z\n1,old,1,2026-11-01T00:00:00Z\n\
                2,first,1,2026-11-01T00:00:00Z\n2,last,1,2026-11-01T00:00:00Z\n";
    let line = case.load("a.csv", text);
    assert_eq!(
        (line["rows_loaded"].as_u64(), line["rows_superseded"].as_u64()),
        (Some(2), Some(2))
    );
    assert_eq!(case.list("SELECT name FROM items").await, ["last", "new"]);
    // Loaded again as another file: what is stored is as new as the best of each.
    let line = case.load("b.csv", text);
    assert_eq!(
        (line["rows_unchanged"].as_u64(), line["rows_superseded"].as_u64()),
        (Some(2), Some(2))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_can_say_that_it_is_gone() {
    let columns = COLUMNS.replace("at =", "op = \"string\"\nat =");
    let more = "mode = \"upsert\"\ncreate = \"if_missing\"\ndeleted_when = \"op in ('D', 'X')\"";
    let case = Case::new(&format!("{HEAD}{columns}{}", sink(more)), "SELECT").await;
    let at = "2026-11-24T10:00:00Z";
    case.load("a.csv", &format!("id,name,price,op,at\n1,a,1,I,{at}\n2,b,2,I,{at}\n3,c,3,I,{at}\n"));
    let line = case.load(
        "b.csv",
        &format!("id,name,price,op,at\n1,,,D,{at}\n2,B,2,U,{at}\n9,,,X,{at}\n")
            .replace(",,,", ",x,,"),
    );
    assert_eq!(
        (line["rows_loaded"].as_u64(), line["balanced"].as_bool()),
        (Some(3), Some(true)),
        "{line}"
    );
    assert_eq!(case.list("SELECT name FROM items").await, ["B", "c"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_takes_the_place_of_its_earlier_rows_and_goes_back() {
    let more = "mode = \"delete_insert\"\ncreate = \"if_missing\"";
    let case = Case::new(&pipeline(more), "SELECT").await;
    let at = "2026-11-24T10:00:00Z";
    let first = format!("id,name,price,at\n1,a,1,{at}\n2,b,2,{at}\n");
    case.load("a.csv", &first);
    case.load("other.csv", &format!("id,name,price,at\n1,o,1,{at}\n"));
    case.load("a.csv", &format!("id,name,price,at\n2,c,2,{at}\n3,d,3,{at}\n4,e,4,{at}\n"));
    assert_eq!(case.list("SELECT name FROM items").await, ["c", "d", "e", "o"]);
    let back = ["revert", "incoming/a.csv", "--out", "out"].map(str::to_owned).to_vec();
    let back = case.world.command(back).env("ROWS", case.postgres.url()).end();
    assert_eq!(back.code, Some(0), "{back:#?}");
    assert_eq!(case.list("SELECT name FROM items").await, ["a", "b", "o"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appended_rows_stay() {
    let head = HEAD.replace("format", "replaces = \"nothing\"\nformat");
    let more = "mode = \"append\"\ncreate = \"if_missing\"\ncommit = \"chunk\"";
    let case = Case::new(&format!("{head}{COLUMNS}{}", sink(more)), "SELECT").await;
    let text = "id,name,price,at\n1,a,1,2026-11-24T10:00:00Z\n";
    case.load("a.csv", text);
    case.load("a.csv", text);
    case.load("b.csv", text);
    assert_eq!(case.list("SELECT name FROM items").await, ["a", "a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_behind_our_back_is_found() {
    let case = Case::new(&pipeline("mode = \"upsert\"\ncreate = \"if_missing\""), "SELECT").await;
    let mut text = "id,name,price,at\n".to_owned();
    (0..500).for_each(|id| text.push_str(&format!("{id},n{id},{id}.25,2026-11-24T10:00:00Z\n")));
    case.load("a.csv", &text);
    let verify = || {
        let arguments = ["verify", "--all", "--out", "out"].map(str::to_owned).to_vec();
        case.world.command(arguments).env("ROWS", case.postgres.url()).end()
    };
    let fine = verify();
    assert_eq!(fine.code, Some(0), "{fine:#?}");
    assert!(fine.out.contains("500 rows in public.items"), "{}", fine.out);
    case.client.batch_execute("UPDATE items SET price = 7 WHERE id = 7").await.unwrap();
    let changed = verify();
    assert_eq!(changed.code, Some(1), "{changed:#?}");
    assert!(changed.out.contains("were changed since"), "{}", changed.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_does_not_fit_is_said_and_never_altered() {
    let case = Case::new(&pipeline("mode = \"upsert\""), "SELECT").await;
    let check = || {
        let arguments = ["check", "orders.toml", "--dsn"].map(str::to_owned).to_vec();
        case.world.command(arguments).env("ROWS", case.postgres.url()).end()
    };
    let missing = check();
    assert_eq!(missing.code, Some(1), "{missing:#?}");
    assert!(missing.out.contains("does not exist") && missing.out.contains("CREATE TABLE"));
    let narrow = "CREATE TABLE items (id integer, name text, price numeric(8,1), at timestamp, \
                  extra text NOT NULL)";
    case.client.batch_execute(narrow).await.unwrap();
    let unfit = check();
    assert_eq!(unfit.code, Some(1));
    for part in [
        "column price: numeric(8,2) does not go into numeric(8,1) exactly",
        "column at: timestamp with time zone does not go into timestamp without time zone",
        "column extra: the table requires it",
        "column _rowproof_hash",
        "CREATE UNIQUE INDEX",
    ] {
        assert!(unfit.out.contains(part), "{part}: {}", unfit.out);
    }
    case.client.batch_execute(&format!("DROP TABLE items; {TABLE}")).await.unwrap();
    let fits = check();
    assert_eq!(fits.code, Some(0), "{fits:#?}");
    let columns = case
        .list(
            "SELECT attname::text FROM pg_attribute WHERE attnum > 0 AND \
                             attrelid = 'items'::regclass",
        )
        .await;
    assert_eq!(columns.len(), 6);
}

/// The database knows of a later version of the file than the one that comes: it writes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_version_that_comes_late_writes_nothing() {
    for unit in ["object", "chunk"] {
        let more = format!("mode = \"upsert\"\ncreate = \"if_missing\"\ncommit = \"{unit}\"");
        let case = Case::new(&pipeline(&more), "SELECT").await;
        case.load("a.csv", "id,name,price,at\n1,newest,1,2026-11-24T10:00:00Z\n");
        let later =
            "UPDATE rowproof.slots SET generation = 99, head_generation = 99, job = 'later'";
        case.client.batch_execute(later).await.unwrap();
        let text =
            "id,name,price,at\n1,late,1,2026-11-24T10:00:00Z\n2,late,1,2026-11-24T10:00:00Z\n";
        case.world.write("a.csv", text);
        // The ledger knows of no later version here, and says so.
        let run = case.world.run(&["a.csv"]).env("ROWS", case.postgres.url()).end();
        assert_ne!(run.code, Some(0), "{unit}: {run:#?}");
        assert!(run.err.contains("was the ledger lost or restored"), "{unit}: {run:#?}");
        assert_eq!(case.list("SELECT name FROM items").await, ["newest"], "{unit}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_one_table_go_in_turn() {
    let case = Case::new(&pipeline("mode = \"upsert\"\ncreate = \"if_missing\""), "SELECT").await;
    case.load("a.csv", "id,name,price,at\n1,a,1,2026-11-24T10:00:00Z\n");
    let lock = "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('\"public\".\"items\"', 1))";
    case.client.batch_execute(lock).await.unwrap();
    case.world.write("b.csv", "id,name,price,at\n1,b,1,2026-11-24T10:00:00Z\n");
    let run = case.world.run(&["b.csv"]).env("ROWS", case.postgres.url()).start();
    let look = case.postgres.look().await;
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    while look.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(case.list("SELECT name FROM items").await, ["a"]);
    case.client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(run.end().lines[0]["rows_loaded"], 1);
    assert_eq!(case.list("SELECT name FROM items").await, ["b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_with_the_same_keys_at_the_same_moment_end_as_the_newest_rows() {
    for unit in ["object", "chunk"] {
        let more = format!(
            "mode = \"upsert\"\ncreate = \"if_missing\"\nnewest_by = \"at\"\ncommit = \"{unit}\""
        );
        let case = Case::new(&pipeline(&more), "SELECT").await;
        let names = ["a.csv", "b.csv", "c.csv", "d.csv"];
        for (hour, name) in names.iter().enumerate() {
            let row =
                |id: usize| format!("{id},{name},1,2026-11-24T{:02}:00:00Z\n", (id + hour) % 4);
            let rows: String = (0..2_000).map(row).collect();
            case.world.write(name, format!("id,name,price,at\n{rows}"));
        }
        let run = case.world.run(&names).env("ROWS", case.postgres.url()).chunk_bytes(20_000);
        let ended = run.with("--processes").end();
        assert_eq!(ended.code, Some(0), "{unit}: {ended:#?}");
        let wrong =
            "SELECT id::text FROM items WHERE extract(hour FROM at AT TIME ZONE 'UTC') <> 3";
        assert_eq!(case.list(wrong).await, [""; 0], "{unit}");
        assert_eq!(case.list("SELECT count(*)::text FROM items").await, ["2000"], "{unit}");
        let all: u64 = ended.lines.iter().map(|line| line["rows_loaded"].as_u64().unwrap()).sum();
        let lost: u64 =
            ended.lines.iter().map(|line| line["rows_superseded"].as_u64().unwrap()).sum();
        assert_eq!(all + lost, 8_000, "{unit}: {ended:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_does_not_commit_when_the_table_lost_a_chunk() {
    let head = format!("{HEAD}[errors]\nhold_if = {{ rejected = 0 }}\n{COLUMNS}");
    let more = "mode = \"upsert\"\ncreate = \"if_missing\"\ncommit = \"chunk\"";
    let case = Case::new(&format!("{head}{}", sink(more)), "SELECT").await;
    case.world.write("a.csv", "id,name,price,at\n1,a,1,2026-11-24T10:00:00Z\n2,b,x,\n");
    let held = case.world.run(&["a.csv"]).env("ROWS", case.postgres.url()).end();
    let job = held.is("HELD", 3)["job"].as_str().unwrap().to_owned();
    case.client.batch_execute("DELETE FROM rowproof.loads; DELETE FROM items").await.unwrap();
    let approve = ["approve", &job, "--reason", "known", "--out", "out"].map(str::to_owned);
    let ended = case.world.command(approve.to_vec()).env("ROWS", case.postgres.url()).end();
    assert_ne!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.err.contains("has 0 of the 1 chunks"), "{ended:#?}");
}
