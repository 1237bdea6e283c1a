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
fn repairs_are_counted_by_kind_and_shown() {
    let world = World::with_orders();
    world.orders_with("format = \"csv\"", "format = \"csv\"\ncsv = { ragged = \"lenient\" }");
    let mut rows = file(&["1.50", "2.50", "3.50"]);
    rows = rows.replacen("a0@b.example,\n", "a0@b.example\n", 1);
    rows = rows.replacen("a1@b.example,\n", "a1@b.example,,\n", 1);
    rows = rows.replacen("a2@b.example,\n", "a2@b.example,,,x\n", 1) + "\n,,\n";
    world.write("a.csv", rows);
    let line = world.run(&["a.csv"]).line();
    let repairs = [("fields_added", 1), ("empty_fields_dropped", 1), ("fields_dropped", 1)];
    for (kind, records) in repairs {
        assert_eq!(line["repairs"][kind], records, "{line}");
    }
    let job = line["job"].as_str().unwrap().to_owned();
    let told = [
        "1 repaired: a field too few, read as NULL",
        "1 repaired: an empty field too many, dropped",
        "1 repaired: a field too many that held something, dropped",
    ];
    let why = ok(&world, &["why", &job]).out;
    says(&why, &told);
    says(&why, &["2 lines without a record"]);
}

#[test]
fn values_that_are_cut_as_declared_are_counted_and_shown() {
    let world = World::with_orders();
    let cut = "created_at = { type = \"timestamp\", subsecond = \"truncate\" }";
    world.orders_with("created_at = \"timestamp\"", cut);
    let rows = file(&["1.50", "2.50", "3.50"]);
    world.write("a.csv", rows.replacen("00:00:00Z,2024-01-02", "00:00:00.1234567Z,2024-01-02", 2));
    let line = world.run(&["a.csv"]).line();
    assert_eq!(line["repairs"]["subseconds_cut"], 2, "{line}");
    let job = line["job"].as_str().unwrap().to_owned();
    let why = ok(&world, &["why", &job]).out;
    says(&why, &["2 repaired: digits finer than a microsecond, cut"]);
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
fn a_file_that_is_there_already_says_so_and_a_replaced_one_does_not_look_current() {
    let world = World::with_orders();
    world.write("a.csv", file(&["1.50", "2.50"]));
    let plain = |world: &World| ok(world, &["run", "orders.toml", "a.csv"]).out;
    assert!(!plain(&world).contains("already loaded"));
    says(&plain(&world), &["already loaded, nothing written", "2 rows read = 2 loaded"]);
    assert_eq!(world.run(&["a.csv"]).line()["already_loaded"], true);
    world.write("a.csv", file(&["1.50"]));
    let line = world.run(&["a.csv"]).line();
    assert_eq!((&line["already_loaded"], &line["rows_loaded"]), (&false.into(), &1.into()));
    let status = ok(&world, &["status"]).out;
    says(&status, &[" current ", " replaced "]);
    let job = line["job"].as_str().unwrap();
    let rerun = ok(&world, &["rerun", job]);
    says(
        &rerun.err,
        &["the pipeline file that is stored", "the one of the last run", "rowproof run"],
    );
    fs::remove_file(world.path("out/input/incoming/a.csv")).unwrap();
    says(&ok(&world, &["why", job]).out, &["rows that it loaded stay"]);
}

#[test]
fn a_held_file_claims_no_loaded_row_and_says_what_approving_would_do() {
    let world = World::with_orders();
    let held = "[errors]\nhold_if = { rejected = \"10%\" }\n";
    world.write("orders.toml", format!("{ORDERS}{held}"));
    world.write("a.csv", file(&["1.50", "2.50", "3.50", "x"]));
    world.write("b.csv", file(&["x", "y"]));
    world.write("c.csv", "id,note\n1,n\n");
    let ended = command(&world, &["run", "orders.toml", "a.csv"]);
    assert_eq!(ended.code, Some(3));
    assert!(!ended.out.contains("3 loaded"), "{}", ended.out);
    says(
        &ended.out,
        &[
            "4 rows read = 3 good + 1 rejected; none of them is visible",
            "approved, 3 rows would be loaded; 1 (25.00 %) would stay in the failure archive",
            "next: rowproof approve ",
            " --out out --reason \"",
        ],
    );
    let ended = command(&world, &["run", "orders.toml", "b.csv"]);
    says(&ended.out, &["approved, no row would be loaded", "next: rowproof discard "]);
    let ended = command(&world, &["run", "orders.toml", "c.csv"]);
    says(&ended.out, &["approved, every row would be rejected", "next: rowproof discard "]);
}

#[test]
fn files_of_one_name_are_told_apart_by_a_key() {
    let world = World::with_orders();
    world.write("a/x.csv", file(&["1.50"]));
    world.write("b/x.csv", file(&["2.50", "3.50"]).replace("\n0,", "\n7,").replace("\n1,", "\n8,"));
    let ended = world.run(&["a/x.csv", "b/x.csv"]).end();
    ended.refused("--key incoming/b-x.csv");
    world.run(&["a/x.csv"]).line();
    let line = world.run(&["b/x.csv"]).with("--key").with("incoming/b-x.csv").line();
    assert_eq!(line["rows_loaded"], 2);
    assert_eq!(world.loaded().len(), 3);
    assert!(world.path("out/input/incoming/b-x.csv").is_file());
    for (key, told) in [
        ("elsewhere/x.csv", "fits neither source.match nor its folder"),
        ("incoming/", "without a / at its ends"),
        ("", "without a / at its ends"),
    ] {
        world.run(&["a/x.csv"]).with("--key").with(key).end().refused(told);
    }
    world.run(&["a/x.csv", "b/x.csv"]).with("--key").with("incoming/k").end().refused("one file");
}

#[test]
fn a_run_says_which_columns_it_does_not_read_and_which_argument_is_which() {
    let world = World::with_orders();
    let text =
        file(&["1.50"]).replace(",note\n", ",note,tax\n").replace("example,\n", "example,,7\n");
    world.write("a.csv", text);
    let ran = ok(&world, &["run", "orders.toml", "a.csv"]);
    says(&ran.out, &["columns of the file that are not read: tax"]);
    assert_eq!(world.run(&["a.csv"]).line()["columns_not_read"][0], "tax");
    for verb in ["run", "check"] {
        let args = [verb, "a.csv", "orders.toml"].map(str::to_owned).to_vec();
        world.command(args).end().refused(&format!("rowproof {verb} orders.toml a.csv"));
    }
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
