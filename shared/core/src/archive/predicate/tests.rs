use proptest::prelude::*;

use super::*;

fn row() -> ArchivedRow {
    ArchivedRow {
        source_id: r#"{"id":7}"#.to_owned(),
        error: "amount: not a decimal(12,2)".to_owned(),
        raw_data: Some("7,a_b,1.234,56".to_owned()),
        timestamp: "2026-11-23T12:00:00Z".to_owned(),
        error_code: "type".to_owned(),
        column: Some("amount".to_owned()),
        value: None,
        rule: None,
        stage: "check".to_owned(),
        row_number: 17,
        byte_start: 100,
        byte_end: 114,
        job: "b2kx".to_owned(),
        chunk: "3".to_owned(),
        fix: 0,
        pipeline: "orders".to_owned(),
        pipeline_sha: "abc".to_owned(),
        source_bucket: "input".to_owned(),
        source_key: "incoming/o'hara.csv".to_owned(),
        source_version: "v1".to_owned(),
    }
}

#[test]
fn rows_match_as_sql_says() {
    for (text, expected) in [
        ("error_code = 'type'", true),
        ("ERROR_CODE = 'type'", true),
        ("error_code = 'TYPE'", false),
        ("\"error_code\" = 'type'", true),
        ("error_code = 'type' AND column = 'amount'", true),
        ("error_code = 'type' and column = 'email'", false),
        ("error_code <> 'type' or row_number = 17", true),
        ("'type' = error_code", true),
        ("18 > row_number", true),
        ("row_number < 17", false),
        ("row_number <= 17", true),
        ("row_number >= 17", true),
        ("row_number != 17", false),
        ("row_number > -1", true),
        ("row_number IN (1, 17)", true),
        ("row_number NOT IN (1, 17)", false),
        ("row_number BETWEEN 17 AND 20", true),
        ("row_number NOT BETWEEN 17 AND 20", false),
        ("row_number BETWEEN 20 AND 10", false),
        ("timestamp >= '2026-11-23' AND timestamp < '2026-11-24'", true),
        ("source_key LIKE 'incoming/%.csv'", true),
        ("source_key LIKE 'incoming/_.csv'", false),
        ("source_key LIKE '%o''hara%'", true),
        ("source_key = 'incoming/o''hara.csv'", true),
        ("raw_data LIKE '7,a!_b%' ESCAPE '!'", true),
        ("raw_data LIKE '7,ax_b%' ESCAPE 'x'", true),
        ("raw_data LIKE '7.a_b%'", false),
        ("raw_data NOT LIKE '%x%'", true),
        ("error LIKE 'amount%'", true),
        ("chunk = '3'", true),
        ("fix = 0", true),
        ("(error_code = 'x' OR column = 'amount') AND row_number = 17", true),
        ("error_code = 'type' OR column = 'x' AND row_number = 18", true),
        ("NOT error_code = 'type'", false),
        ("not (error_code = 'x' and column = 'amount')", true),
        ("TRUE", true),
        ("false", false),
        ("error_code = 'type' -- the amounts", true),
    ] {
        let predicate = Predicate::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(predicate.matches(&row()), expected, "{text}");
    }
}

#[test]
fn null_is_neither_equal_nor_different() {
    for (text, expected) in [
        ("rule = 'x'", false),
        ("rule <> 'x'", false),
        ("NOT rule = 'x'", false),
        ("rule IS NULL", true),
        ("rule IS NOT NULL", false),
        ("column IS NOT NULL", true),
        ("rule IN ('x')", false),
        ("rule NOT IN ('x')", false),
        ("rule LIKE '%'", false),
        ("rule NOT LIKE '%'", false),
        ("rule BETWEEN 'a' AND 'b'", false),
        ("rule = 'x' OR TRUE", true),
        ("rule = 'x' AND FALSE", false),
        ("NOT (rule = 'x' AND FALSE)", true),
        ("NOT (rule = 'x' OR TRUE)", false),
        ("NOT (rule = 'x' OR FALSE)", false),
    ] {
        assert_eq!(Predicate::parse(text).unwrap().matches(&row()), expected, "{text}");
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    for (text, parts) in [
        ("lower(error) = 'x'", &["the function `lower`", "IN, BETWEEN, LIKE"][..]),
        ("eror_code = 'x'", &["\"eror_code\"", "did you mean error_code?", "source_version"]),
        ("amount = 'x'", &["no column \"amount\"", "columns: source_id, error, raw_data"]),
        ("column = NULL", &["NULL", "IS NULL"]),
        ("column IN ('a', NULL)", &["NULL"]),
        ("row_number = '17'", &["row_number is a number", "without quotes"]),
        ("error_code = 5", &["error_code is text", "'5'"]),
        ("chunk = 3", &["write '3'"]),
        ("row_number = 1.5", &["`1.5`", "whole numbers"]),
        ("row_number = 99999999999999999999", &["whole numbers"]),
        ("error_code = \"type\"", &["'type'"]),
        ("\"type\" = error_code", &["\"type\""]),
        ("error_code ILIKE 'T%'", &["ILIKE"]),
        ("row_number LIKE '1%'", &["row_number is a number"]),
        ("error LIKE 5", &["pattern in single quotes"]),
        ("error LIKE 'a' ESCAPE 'xy'", &["one character"]),
        ("error LIKE 'a!' ESCAPE '!'", &["ends in its escape"]),
        ("error SIMILAR TO 'a'", &["SIMILAR TO"]),
        ("row_number + 1 = 18", &["the operator `+`"]),
        ("row_number % 2", &["the operator `%`"]),
        ("error_code", &["where a condition must stand"]),
        ("1", &["where a condition must stand"]),
        ("row_number = byte_start", &["`byte_start` where a value must stand"]),
        ("job IN (SELECT job FROM jobs)", &["SELECT"]),
        ("CASE WHEN TRUE THEN TRUE END", &["CASE"]),
        ("error_code = 'a'; DROP TABLE x", &["`;`", "one too many"]),
        ("error_code = 'a' error", &["one too many"]),
        ("error_code = ", &["not SQL"]),
        ("error_code = 'a", &["not SQL"]),
        ("WHERE error_code = 'a'", &["WHERE"]),
        ("", &["empty", "TRUE"]),
    ] {
        let error = Predicate::parse(text).expect_err(text).to_string();
        for part in parts {
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

#[test]
fn what_is_too_long_or_too_deep_is_refused() {
    let deep = format!("{}TRUE{}", "(".repeat(200), ")".repeat(200));
    let nots = format!("{}TRUE", "NOT ".repeat(400));
    let chain = vec!["fix = 0"; 400].join(" OR ");
    let sum = format!("{}1 = 1", "1 + ".repeat(400));
    let inside = format!("lower({}1) = 1", "1 + ".repeat(400));
    let long = format!("error = '{}'", "x".repeat(TEXT_BYTES_MAX));
    for text in [deep, chain, long] {
        let error = Predicate::parse(&text).unwrap_err();
        assert!(matches!(error, PredicateError::TooLong(_)), "{error}");
    }
    assert!(Predicate::parse(&nots).is_err());
    assert!(Predicate::parse(&sum).is_err());
    assert!(Predicate::parse(&inside).is_err());
    let many = (0..5000).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    assert!(Predicate::parse(&format!("row_number IN ({many})")).unwrap().matches(&row()));
    let parts = vec!["fix = 0"; 150].join(" AND ");
    assert!(Predicate::parse(&parts).unwrap().matches(&row()));
}

#[test]
fn one_predicate_has_one_text() {
    for (text, canonical) in [
        ("error_code='type'", "error_code = 'type'"),
        ("'type' = ERROR_CODE", "error_code = 'type'"),
        ("18 >row_number", "row_number < 18"),
        ("(((row_number != 3)))", "row_number <> 3"),
        ("(fix=1 and fix=2) and fix=3", "fix = 1 AND fix = 2 AND fix = 3"),
        ("fix=1 and (fix=2 or fix=3)", "fix = 1 AND (fix = 2 OR fix = 3)"),
        ("(fix=1 and fix=2) or fix=3", "fix = 1 AND fix = 2 OR fix = 3"),
        ("not (fix=1 or fix=2)", "NOT (fix = 1 OR fix = 2)"),
        ("not not fix=1", "NOT NOT fix = 1"),
        ("rule is not null", "NOT rule IS NULL"),
        ("fix not in (1,2)", "NOT fix IN (1, 2)"),
        ("error not like 'a%' escape '!'", "NOT error LIKE 'a%' ESCAPE '!'"),
        ("error = 'it''s'", "error = 'it''s'"),
        ("fix between -1 and 2", "fix BETWEEN -1 AND 2"),
        ("true", "TRUE"),
    ] {
        let predicate = Predicate::parse(text).unwrap();
        assert_eq!(predicate.to_string(), canonical, "{text}");
        assert_eq!(Predicate::parse(canonical).unwrap(), predicate, "{text}");
    }
    assert_eq!(Predicate::all().to_string(), "TRUE");
}

fn any_condition() -> impl Strategy<Value = String> {
    let texts = prop::sample::select(vec!["error_code", "column", "rule", "job"]);
    let leaf = prop_oneof![
        (texts.clone(), "[a-z' %_]{0,6}")
            .prop_map(|(name, text)| format!("{name} = '{}'", text.replace('\'', "''"))),
        (texts.clone(), "[a-z%_]{0,4}").prop_map(|(name, text)| format!("{name} like '{text}'")),
        texts.prop_map(|name| format!("{name} is null")),
        any::<i64>().prop_map(|number| format!("row_number >= {number}")),
        (-9..9_i64, -9..9_i64).prop_map(|(a, b)| format!("fix not between {a} and {b}")),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|all| format!("({})", all.join(" and "))),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|any| format!("({})", any.join(" or "))),
            inner.prop_map(|one| format!("not ({one})")),
        ]
    })
}

proptest! {
    #[test]
    fn the_canonical_text_means_the_same(text in any_condition()) {
        let predicate = Predicate::parse(&text).unwrap();
        let again = Predicate::parse(&predicate.to_string()).unwrap();
        prop_assert_eq!(&again, &predicate);
        prop_assert_eq!(again.to_string(), predicate.to_string());
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[ a-z0-9'\"()=<>%_,.;*+-]{0,60}") {
        drop(Predicate::parse(&text));
    }
}
