use super::*;

fn parse_files(files: &[(&str, &str)]) -> Result<Parsed, Problems> {
    let map: BTreeMap<&str, &str> = files.iter().skip(1).copied().collect();
    let load = |name: &str| {
        map.get(name).map(|text| (*text).to_owned()).ok_or_else(|| "no such file".to_owned())
    };
    parse(files[0].0, files[0].1, &load, &no_env)
}

const BASE: &str = r#"version = 1
[source]
match = "incoming/base/*.csv"
format = "csv"
csv = { delimiter = ";", null = ["", "-"] }
[columns]
id = "int64"
note = { type = "string", nullable = true }
[sink.parquet]
path = "curated/base"
"#;

#[test]
fn a_file_overrides_its_base_key_by_key() {
    let feed = r#"extends = "base.toml"
name = "feed"
[source]
match = "incoming/feed/*.csv"
csv = { null = ["NULL"] }
[columns]
note = { nullable = false }
extra = "date"
id = { type = "int32", key = true }
"#;

    let pipeline =
        parse_files(&[("feed.toml", feed), ("base.toml", BASE)]).expect("parses").pipeline;

    assert_eq!(pipeline.source.pattern, "incoming/feed/*.csv");
    let Format::Csv(csv) = &pipeline.source.format else { panic!("csv") };
    assert_eq!((csv.delimiter, csv.null.clone()), (b';', vec!["NULL".to_owned()]));
    let names: Vec<&str> = pipeline.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "note", "extra"]);
    assert_eq!(pipeline.columns[0].data_type, ColumnType::Int(32));
    assert!(!pipeline.columns[1].nullable);
    assert_eq!(pipeline.sink.parquet().unwrap().path, "curated/base");
}

#[test]
fn a_problem_in_a_base_names_the_base_and_its_line() {
    let feed = "extends = \"shared/base.toml\"\nname = \"feed\"\nversion = 1\nfoo = 1\n";
    let base = BASE.replace("\"int64\"", "\"int65\"");

    let files = [("infra/feed.toml", feed), ("shared/base.toml", base.as_str())];
    let problems = parse_files(&files).expect_err("int65").to_string();

    assert!(problems.starts_with("infra/feed.toml:4: foo: unknown key"), "{problems}");
    assert!(problems.contains("\ninfra/shared/base.toml:7: columns.id: \"int65\""), "{problems}");
}

#[test]
fn broken_toml_in_a_base_is_the_only_problem() {
    let feed = "extends = \"base.toml\"\nfoo = 1\n";

    let problems =
        parse_files(&[("feed.toml", feed), ("base.toml", "a = 1\nb = ")]).expect_err("broken").0;

    assert_eq!((problems.len(), problems[0].file.as_str(), problems[0].line), (1, "base.toml", 2));
}

#[test]
fn a_chain_of_bases_is_followed_up_to_eight_files() {
    let link = |n: usize| format!("extends = \"b{n}.toml\"\n");
    let text = |n: usize| {
        if n == 1 { format!("name = \"x\"\n{BASE}") } else { link(n - 1) }
    };
    let names: Vec<String> = (1..=8).map(|n| format!("b{n}.toml")).collect();
    let texts: Vec<String> = (1..=8).map(text).collect();
    let files: Vec<(&str, &str)> =
        names.iter().zip(&texts).map(|(n, t)| (n.as_str(), t.as_str())).rev().collect();
    let ninth = link(8);
    let mut nine = vec![("b9.toml", ninth.as_str())];
    nine.extend(files.iter().copied());

    assert!(parse_files(&files).is_ok());
    let problems = parse_files(&nine).expect_err("nine files").to_string();
    assert!(problems.contains("b2.toml:1: extends: more than 8 files"), "{problems}");
}

#[test]
fn bases_that_extend_each_other_are_refused() {
    let a = ("a.toml", "extends = \"x/../b.toml\"\n");
    let b = ("b.toml", "\nextends = \"./a.toml\"\n");

    let problems = parse_files(&[a, b]).expect_err("a cycle").to_string();

    assert_eq!(
        problems,
        "b.toml:2: extends: \"a.toml\" extends itself in the end; write a base that stands on its own"
    );
}

#[test]
fn variables_are_filled_in_or_reported() {
    let env = |name: &str| (name == "STAGE").then(|| "prod".to_owned());
    let good = MINIMAL.replace("curated/orders", "${STAGE}/${AREA:-curated}/orders");
    let bad = MINIMAL.replace("curated/orders", "${STAEG}/orders");

    let parsed = parse("orders.toml", &good, &no_file, &env).expect("parses");
    let problems = parse("orders.toml", &bad, &no_file, &env).expect_err("unset").to_string();

    assert_eq!(parsed.pipeline.sink.parquet().unwrap().path, "prod/curated/orders");
    let expected = "orders.toml:12: sink.parquet.path: the environment variable STAEG is not set; \
                    write ${STAEG:-default}, or set it";
    assert!(problems.starts_with(expected), "{problems}");
}
