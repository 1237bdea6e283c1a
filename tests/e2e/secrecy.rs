//! No row's value leaves the data: not into logs, not into the ledger, not into documents.

use std::fs;

use crate::support::orders::{COLUMNS, Orders};
use crate::support::table;
use crate::support::world::{ORDERS, World};

const CANARY: &str = "CANARY7391";

/// A file with the canary in every column of some row, for every way to be wrong.
fn file() -> Vec<u8> {
    let (mut file, _) = Orders::flawed(30).csv();
    file.truncate(file.iter().rposition(|byte| *byte == b'\n').unwrap() + 1);
    for column in 0..COLUMNS.len() {
        let mut fields = "1,2,n,1.00,EUR,paid,2024-01-01T00:00:00Z,2024-01-01T00:00:00Z,e,x"
            .split(',')
            .map(str::to_owned)
            .collect::<Vec<_>>();
        fields[column] = CANARY.to_owned();
        let good = fields.join(",");
        let variants = [
            good.clone(),
            format!("{good},{CANARY}"),
            good.replace(",e,", ",,"),
            good.replace(",n,", ",\"n\"n,"),
        ];
        for line in variants {
            file.extend(format!("{line}\n").bytes());
        }
        file.extend([good.as_bytes(), b"\xff\n"].concat());
    }
    file.extend(format!("1,2,\"{CANARY}").bytes());
    file
}

#[test]
fn no_value_of_a_row_is_logged_or_kept_outside_the_data() {
    for processes in [false, true] {
        let world = World::with_orders();
        let pipeline = fs::read_to_string(world.path("orders.toml")).unwrap();
        let rules = pipeline.replace("\"decimal(12,2)\"", "{ type = \"decimal(12,2)\", min = 0 }");
        world.write(
            "orders.toml",
            rules.replace("email = \"string\"", "email = { type = \"string\", max_length = 5 }"),
        );
        world.write("a.csv", file());
        let run = world.run(&["a.csv"]).processes(processes).with("-v").chunk_bytes(900);
        let ended = run
            .env(
                "RUST_LOG",
                "rowproof=trace,rowproof_io=trace,rowproof_core=trace,rowproof_local=trace,info",
            )
            .end();
        let line = ended.is("COMMITTED", 0);
        assert!(line["rows_rejected"].as_u64().unwrap() > 30, "{line}");
        assert!(!ended.out.contains(CANARY) && !ended.err.contains(CANARY), "{ended:#?}");
        let data = ["out/input", "out/failures", "out/output/curated", "out/output/_staging"];
        let mut looked = 0;
        for path in table::files(&world.path("out")) {
            let parquet = path.extension().is_some_and(|extension| extension == "parquet");
            let may = data.iter().any(|folder| path.starts_with(world.path(folder)));
            if may && (parquet || path.starts_with(world.path("out/input"))) {
                continue;
            }
            looked += 1;
            let bytes = fs::read(&path).unwrap();
            let holds = bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes());
            assert!(!holds, "{} holds a value", path.display());
        }
        assert!(looked > 10, "{looked} files");
        if processes {
            let log = fs::read_to_string(world.path("out/.rowproof/chunk.log")).unwrap();
            assert!(log.contains("chunk done"), "{log}");
        }
    }
}

#[test]
fn a_column_that_is_hashed_or_masked_shows_no_value_in_the_archive() {
    let world = World::with_orders();
    let mut text = ORDERS.to_owned();
    for line in
        ORDERS.lines().skip_while(|line| *line != "[columns]").filter(|line| line.contains(" = "))
    {
        let new = match line.strip_suffix(" }") {
            Some(rules) => format!("{rules}, archive = \"mask\" }}"),
            None => line.replace(" = ", " = { archive = \"hash\", type = ") + " }",
        };
        text = text.replace(line, &new);
        if line.starts_with("note") {
            break;
        }
    }
    world.write("orders.toml", text);
    world.write("a.csv", file());
    let line = world.run(&["a.csv"]).line();
    assert!(line["rows_rejected"].as_u64().unwrap() > 30, "{line}");
    for path in table::files(&world.path("out/failures")) {
        for row in table::read(&path) {
            assert!(!format!("{row:?}").contains(CANARY), "{row:?}");
        }
    }
}
