//! Files that are the whole table.

use serde_json::Value;

use super::postgres_rows::{COLUMNS, Case, HEAD, sink};

const AT: &str = "2026-11-24T10:00:00Z";

async fn case(more: &str) -> Case {
    let head = HEAD.replace("format", "replaces = []\nformat");
    let more = format!(
        "mode = \"upsert\"\ncreate = \"if_missing\"\ndelete_missing = true\n\
         delete_missing_max = \"40%\"\n{more}"
    );
    Case::new(&format!("{head}{COLUMNS}{}", sink(&more)), "SELECT").await
}

fn dump(ids: impl IntoIterator<Item = u32>) -> String {
    let rows = ids.into_iter().map(|id| format!("{id},n{id},{id},{AT}\n"));
    std::iter::once("id,name,price,at\n".to_owned()).chain(rows).collect()
}

impl Case {
    fn settle(&self, name: &str, text: &str) -> Value {
        self.world.write(name, text);
        let ended = self.world.run(&[name]).env("ROWS", self.postgres.url()).end();
        ended.lines.into_iter().next().unwrap()
    }

    async fn ids(&self) -> Vec<String> {
        self.list("SELECT to_char(id, '000') FROM items").await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dump_no_longer_has_is_deleted() {
    let case = case("").await;
    let first = case.settle("a.csv", &dump(1..=10));
    assert_eq!(first["rows_deleted"], 0, "{first}");
    // Rows that no file of this pipeline brought are not its own to delete.
    let foreign = "INSERT INTO items VALUES (99, 'x', 1, now(), 0, gen_random_uuid())";
    case.client.batch_execute(foreign).await.unwrap();
    let second = case.settle("b.csv", &dump((1..=7).chain([11])));
    assert_eq!(second["state"], "COMMITTED", "{second}");
    assert_eq!(
        [&second["rows_loaded"], &second["rows_unchanged"], &second["rows_deleted"]],
        [1, 7, 3],
        "{second}"
    );
    assert_eq!(case.ids().await.len(), 9);
    let arguments = ["verify", "--all", "--out", "out"].map(str::to_owned).to_vec();
    let verified = case.world.command(arguments).env("ROWS", case.postgres.url()).end();
    assert_eq!(verified.code, Some(0), "{verified:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_that_is_cut_off_deletes_nothing_before_somebody_says_so() {
    let case = case("").await;
    case.settle("a.csv", &dump(1..=10));
    for (name, text, what) in [
        ("b.csv", dump(1..=5), "5 of 10 rows of the table are not in the file"),
        ("c.csv", dump([]), "10 of 10 rows of the table"),
        ("d.csv", dump(1..=9).replace("9,n9,9,", "9,n9,much,"), "1 rows were rejected"),
    ] {
        let held = case.settle(name, &text);
        assert_eq!(held["state"], "HELD", "{held}");
        assert!(held["error"].as_str().unwrap().contains(what), "{held}");
        assert_eq!(case.ids().await.len(), 10);
    }
    let job = case.settle("e.csv", &dump(1..=4))["job"].as_str().unwrap().to_owned();
    let approve = ["approve", &job, "--reason", "a smaller world", "--out", "out"];
    let approve = approve.map(str::to_owned).to_vec();
    let approved = case.world.command(approve).env("ROWS", case.postgres.url()).end();
    assert_eq!(approved.code, Some(0), "{approved:#?}");
    assert_eq!(case.ids().await.len(), 4);
}
