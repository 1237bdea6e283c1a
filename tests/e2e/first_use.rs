//! What a first use asks for: messages that name the value, the file and the next command.

use std::fs;

use super::support::world::{Ended, ORDERS, World};

const HEADER: &str = "id,customer_id,name,amount,currency,status,created_at,updated_at,email,note";

/// A file with orders of these ids and amounts.
fn file(amounts: &[&str]) -> String {
    let rows = amounts.iter().enumerate().map(|(id, amount)| {
        let times = "2024-01-01T00:00:00Z,2024-01-02T00:00:00Z";
        format!("{id},1,\"Ana, B\",{amount},EUR,paid,{times},a{id}@b.example,\n")
    });
    format!("{HEADER}\n{}", rows.collect::<String>())
}

fn command(world: &World, args: &[&str]) -> Ended {
    let args = args.iter().map(|arg| (*arg).to_owned());
    world.command(args.chain(["--out".to_owned(), "out".to_owned()]).collect()).end()
}

fn ok(world: &World, args: &[&str]) -> Ended {
    let ended = command(world, args);
    assert_eq!(ended.code, Some(0), "{args:?}: {ended:#?}");
    ended
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn the_value_at_fault_is_shown_wherever_a_row_is_and_the_record_by_its_fields() {
    let world = World::with_orders();
    world.orders_with("email = \"string\"", "email = { type = \"string\", archive = \"mask\" }");
    world.write("a.csv", file(&["1.50", "1,5e3x", "=2"]).replace("1,5e3x", "\"1,5e3x\""));
    let job = world.run(&["a.csv"]).line()["job"].as_str().unwrap().to_owned();

    let listed = ok(&world, &["failures", "list"]).out;
    says(&listed, &["amount: not a decimal(12,2): \"1,5e3x\"", ": \"=2\""]);
    let json = ok(&world, &["failures", "list", "--json"]).lines;
    assert_eq!(
        (&json[0]["value"], &json[0]["error"]),
        (&"1,5e3x".into(), &"amount: not a decimal(12,2)".into())
    );
    let checked =
        world.command(["check", "orders.toml", "a.csv"].map(str::to_owned).to_vec()).end();
    says(&checked.out, &["amount: not a decimal(12,2): \"1,5e3x\""]);

    let shown = ok(&world, &["failures", "show", &format!("{job}:2")]).out;
    says(
        &shown,
        &[
            "value           1,5e3x",
            "  name          Ana, B",
            "  amount        1,5e3x   <- type",
            "  email         ***",
        ],
    );
    let shown = ok(&world, &["failures", "show", &format!("{job}:2"), "--json"]).lines;
    let field = &shown[0]["fields"][3];
    assert_eq!((&field["name"], &field["at_fault"]), (&"amount".into(), &true.into()), "{field}");

    says(&ok(&world, &["failures", "export", "--to", "bad.csv"]).out, &["replay --fixed bad.csv"]);
    let exported = fs::read_to_string(world.path("bad.csv")).unwrap();
    says(&exported, &[",field.id,", ",field.email,", ",\"Ana, B\",\"1,5e3x\",EUR,", ",'=2,"]);
    // As a spreadsheet would leave it: the guard stays in front of what took the formula's place.
    let edited =
        exported.replace(",'=2,,check", ",'2,,check").replace("\"1,5e3x\",,check", "1500,,check");
    assert_ne!(edited, exported);
    fs::write(world.path("bad.csv"), edited).unwrap();
    let done = ok(&world, &["replay", "--fixed", "bad.csv", "--json"]).lines;
    assert_eq!((&done[0]["loaded"], &done[0]["rows_rejected"]), (&2.into(), &0.into()), "{done:?}");
    let amounts: Vec<_> = world.loaded().into_iter().map(|row| row[3].clone().unwrap()).collect();
    assert_eq!(amounts, ["1.50", "1500.00", "2.00"]);
}

#[test]
fn a_word_for_no_value_in_many_columns_is_one_line_of_advice_that_amend_writes() {
    let world = World::with_orders();
    let nullable = ORDERS
        .replace(
            "amount = \"decimal(12,2)\"",
            "amount = { type = \"decimal(12,2)\", nullable = true } # euros",
        )
        .replace(
            "created_at = \"timestamp\"",
            "created_at = { type = \"timestamp\", nullable = true }",
        );
    world.write("orders.toml", &nullable);
    let text = file(&["NA", "1.50", "NA", "2", "3"]).replacen(
        "3,EUR,paid,2024-01-01T00:00:00Z",
        "3,EUR,paid,NA",
        1,
    );
    world.write("a.csv", text);
    world.run(&["a.csv"]).line();
    let top = ok(&world, &["failures", "top"]).out;
    says(
        &top,
        &[
            "2  A             such as \"NA\"",
            "shapes: 9 is digits",
            "advice: NA stands for no value in 2 columns (3 rows): write csv.null = [\"\", \"NA\"]",
        ],
    );
    assert!(!top.contains("set_null"), "{top}");

    ok(&world, &["failures", "top", "--write-patch", "fix.toml"]);
    let amend = |args: &[&str]| {
        let args = ["amend", "orders.toml", "fix.toml"].iter().chain(args);
        world.command(args.map(|arg| (*arg).to_owned()).collect()).end()
    };
    let dry = amend(&["--dry-run"]);
    says(&dry.out, &["source.csv.null = [\"\", \"NA\"]", "nothing was"]);
    assert_eq!(fs::read_to_string(world.path("orders.toml")).unwrap(), nullable);
    says(&amend(&[]).out, &["is there already", "next: rowproof check orders.toml"]);
    let amended = fs::read_to_string(world.path("orders.toml")).unwrap();
    says(&amended, &["null = [\"\", \"NA\"]", "nullable = true } # euros"]);
    let line = world.run(&["a.csv"]).line();
    assert_eq!((&line["rows_loaded"], &line["rows_rejected"]), (&5.into(), &0.into()), "{line}");
}
