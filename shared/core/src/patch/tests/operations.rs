use proptest::prelude::*;

use super::*;

#[test]
fn each_operation_does_what_its_example_says() {
    let orders = orders();
    for (keys, record, expected) in [
        (
            "column = \"amount\"\nreplace = { pattern = '^EUR ', with = \"\" }",
            "1,EUR 5.00,EUR,2026-11-23,x,n",
            "1,5.00,EUR,2026-11-23,x,n",
        ),
        (
            "column = \"amount\"\nreplace = { pattern = '(\\d+) cents', with = \"0.${1}\" }",
            "1,50 cents,EUR,,,",
            "1,0.50,EUR,,,",
        ),
        ("column = \"currency\"\nset = \"EUR\"", "1,2,Euro,,,", "1,2,EUR,,,"),
        ("column = \"id\"\nset = 5", "x,2,EUR,,,", "5,2,EUR,,,"),
        ("column = \"note\"\nset_null = true", "1,2,EUR,,,n/a", "1,2,EUR,,,"),
        ("column = \"amount\"\ntrim = true", "1,\u{a0} 2.5\t,EUR,,,", "1,2.5,EUR,,,"),
        ("column = \"amount\"\ntrim = \"*\"", "1,*2.5* ,EUR,,,", "1,2.5* ,EUR,,,"),
        (
            "column = \"amount\"\ncast = { decimal = \",\", thousands = \".\" }",
            "1,\"1.234,56\",EUR,,,",
            "1,\"1234.56\",EUR,,,",
        ),
        (
            "column = \"day\"\ncast = { date = \"%d.%m.%Y\" }",
            "1,2,EUR,3.11.2026,,",
            "1,2,EUR,2026-11-03,,",
        ),
        (
            "column = \"at\"\ncast = { timestamp = \"%d.%m.%Y %H:%M\" }",
            "1,2,EUR,,3.11.2026 8:05,",
            "1,2,EUR,,2026-11-03T08:05:00,",
        ),
        ("raw = { pattern = ',+$', with = \"\" }", "1,2,EUR,d,t,n,,", "1,2,EUR,d,t,n"),
        (
            "column = \"currency\"\nmatching = '(?i)^euro?$'\nset = \"EUR\"",
            "1,2,euro,,,",
            "1,2,EUR,,,",
        ),
        ("column = \"currency\"\nmatching = '^euro$'\nset = \"EUR\"", "1,2,Dollar,,,", ""),
    ] {
        assert_eq!(after(&orders, keys, record), expected, "{keys}\n{record}");
    }
    let rename = "rename = { from = \"Betrag\", to = \"amount\" }";
    let record = r#"{"id": 1, "Betrag" : 2.50}"#;
    assert_eq!(after(&json_orders(), rename, record), r#"{"id": 1, "amount" : 2.50}"#);
}

#[test]
fn a_field_is_quoted_when_it_was_or_when_it_must_be() {
    let mut orders = orders();
    let with = |with: &str| {
        format!("column = \"note\"\nreplace = {{ pattern = '^old$', with = '{with}' }}")
    };
    for (new, record, expected) in [
        ("plain", "1,,,,,old", "1,,,,,plain"),
        ("plain", "1,,,,,\"old\"", "1,,,,,\"plain\""),
        ("a,b", "1,,,,,old", "1,,,,,\"a,b\""),
        ("a\"b", "1,,,,,old", "1,,,,,\"a\"\"b\""),
        ("", "1,,,,,old", "1,,,,,"),
        ("", "1,,,,,\"old\"", "1,,,,,\"\""),
    ] {
        assert_eq!(after(&orders, &with(new), record), expected, "{new}");
    }
    let lines = "column = \"note\"\nset = \"a\\nb\"";
    assert_eq!(after(&orders, lines, "1,,,,,old"), "1,,,,,\"a\nb\"");
    dialect(&mut orders).escape = Some(b'\\');
    assert_eq!(after(&orders, &with("a,\\b\"c"), "1,,,,,old"), "1,,,,,\"a,\\\\b\"\"c\"");
    dialect(&mut orders).quote = None;
    let error = applied(&orders, &one_fix(lines), b"1,,,,,old").unwrap_err().to_string();
    assert!(error.contains("fix 1") && error.contains("csv.quote is off"), "{error}");
}

#[test]
fn a_value_that_is_set_is_never_read_as_null() {
    let mut orders = orders();
    dialect(&mut orders).null = vec![String::new(), "NULL".to_owned()];
    let set = |value: &str| format!("column = \"note\"\nset = \"{value}\"");
    assert_eq!(after(&orders, &set(""), "1,,,,,old"), "1,,,,,\"\"");
    assert_eq!(after(&orders, &set("NULL"), "1,,,,,old"), "1,,,,,\"NULL\"");
    assert_eq!(after(&orders, &set("NULL"), "1,,,,,NULL"), "1,,,,,\"NULL\"");
    assert_eq!(after(&orders, &set("  "), "1,,,,,old"), "1,,,,,\"  \"");
    assert_eq!(after(&orders, &set("old"), "1,,,,,old"), "");
    assert_eq!(after(&orders, "column = \"note\"\nset_null = true", "1,,,,,NULL"), "");
    assert_eq!(after(&orders, "column = \"note\"\nset_null = true", "1,,,,,\"\""), "1,,,,,");
    dialect(&mut orders).null = vec!["\\N".to_owned()];
    assert_eq!(after(&orders, "column = \"note\"\nset_null = true", "1,,,,,\"\""), "1,,,,,\\N");
}

#[test]
fn fixes_are_applied_in_order_and_only_to_their_rows() {
    let patch = patch(
        r#"
        [[fix]]
        where = "column = 'amount'"
        column = "amount"
        trim = true
        [[fix]]
        where = "column = 'currency'"
        column = "currency"
        set = "EUR"
        [[fix]]
        column = "amount"
        cast = { decimal = "," }
        "#,
    );
    let new = applied(&orders(), &patch, b"1,\" 2,5\",x,,,").unwrap().unwrap();
    assert_eq!(String::from_utf8(new).unwrap(), "1,\"2.5\",x,,,");
}

#[test]
fn a_record_stays_one_record() {
    let raw = |pattern: &str, with: &str| {
        one_fix(&format!("raw = {{ pattern = '{pattern}', with = {with} }}"))
    };
    for (patch, part) in [
        (raw(";", "\"\\n\""), "become several"),
        (raw("^.*$", "\"\""), "nothing would be left"),
        (raw("$", "\"\\r\""), "become several"),
    ] {
        let error = applied(&orders(), &patch, b"1,2;3,4").unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let broken = applied(&orders(), &raw("^1", "'\"1'"), b"1,2").unwrap();
    assert_eq!(broken.as_deref(), Some(&b"\"1,2"[..]), "still bad, but one record");
}

#[test]
fn a_record_that_cannot_be_cut_is_changed_as_a_whole_only() {
    let set = "column = \"note\"\nset = \"x\"";
    assert_eq!(after(&orders(), set, "1,\"a\"b,c,d,e,f"), "");
    let both = "raw = { pattern = '\"a\"b', with = 'ab' }\n[[fix]]\ncolumn = \"note\"\nset = \"x\"";
    assert_eq!(after(&orders(), both, "1,\"a\"b,c,d,e,f"), "1,ab,c,d,e,x");
    assert_eq!(after(&orders(), set, "1,2"), "1,2,,,,x", "missing fields are filled up");
    assert_eq!(after(&orders(), "column = \"note\"\ntrim = true", "1,2"), "");
}

#[test]
fn bytes_that_are_not_utf_8_can_be_replaced() {
    let fix = one_fix("column = \"note\"\nreplace = { pattern = '(?-u:\\xE9)', with = \"é\" }");
    let new = applied(&orders(), &fix, b"1,,,,,caf\xE9").unwrap().unwrap();
    assert_eq!(String::from_utf8(new).unwrap(), "1,,,,,café");
    let trim = one_fix("column = \"note\"\ntrim = true");
    assert_eq!(applied(&orders(), &trim, b"1,,,,,caf\xE9 ").unwrap(), None);
}

#[test]
fn a_json_record_keeps_everything_but_the_value() {
    let mut pipeline = json_orders();
    pipeline.columns[1].from = ColumnSource::Field(vec!["amount".into(), "Betrag".into()]);
    let comma = "column = \"amount\"\ncast = { decimal = \",\" }";
    let null = "column = \"note\"\nset_null = true";
    for (keys, record, expected) in [
        (
            comma,
            r#" {"id" : 1e0,"amount":"2,5" , "x":[1, 2] } "#,
            r#" {"id" : 1e0,"amount":"2.5" , "x":[1, 2] } "#,
        ),
        (comma, r#"{"Betrag":"2,5"}"#, r#"{"Betrag":"2.5"}"#),
        (comma, r#"{"Betrag":"2,5","amount":"3,5"}"#, r#"{"Betrag":"2,5","amount":"3.5"}"#),
        (comma, r#"{"amount":2.5}"#, ""),
        (comma, r#"{"amount":null}"#, ""),
        (comma, r#"{"amount":["2,5"]}"#, ""),
        (comma, "[1]", ""),
        (
            "column = \"id\"\nreplace = { pattern = '9', with = \"1\" }",
            r#"{"id":90}"#,
            r#"{"id":10}"#,
        ),
        (
            "column = \"id\"\nreplace = { pattern = '9', with = \"x\" }",
            r#"{"id":90}"#,
            r#"{"id":"x0"}"#,
        ),
        ("column = \"amount\"\nset = \"7\"", r#"{"id":1}"#, r#"{"id":1,"amount":"7"}"#),
        ("column = \"amount\"\nset = \"7\"", "{ }", r#"{"amount":"7" }"#),
        ("column = \"amount\"\nset = \"a\\nb\"", r#"{"amount":null}"#, r#"{"amount":"a\nb"}"#),
        (null, r#"{"note":"n/a","id":1}"#, r#"{"note":null,"id":1}"#),
        (null, r#"{"id":1}"#, ""),
        (null, r#"{"note":null}"#, ""),
        ("raw = { pattern = \"'\", with = '\"' }", "{'id':1}", r#"{"id":1}"#),
    ] {
        assert_eq!(after(&pipeline, keys, record), expected, "{keys}\n{record}");
    }
    let rename = one_fix("rename = { from = \"a\", to = \"b\" }");
    let error = applied(&pipeline, &rename, br#"{"a":1,"b":2}"#).unwrap_err().to_string();
    assert!(error.contains("has a field \"b\" already"), "{error}");
    assert_eq!(applied(&pipeline, &rename, br#"{"c":1}"#).unwrap(), None);
}

/// A field of a record: mostly with what makes CSV hard.
fn field() -> impl Strategy<Value = String> {
    let text = prop::collection::vec(
        prop::sample::select(vec!["a", "1", " ", ",", "\"", "\n", "\r", "é", "\\", ";"]),
        0..6,
    );
    (text, any::<bool>()).prop_map(|(text, quoted)| {
        let text = text.concat();
        let must = text.contains([',', '"', '\n', '\r']);
        if quoted || must { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
    })
}

proptest! {
    #[test]
    fn a_patch_that_changes_nothing_keeps_the_bytes(fields in prop::collection::vec(field(), 1..8)) {
        let record = fields.join(",");
        for keys in [
            "column = \"note\"\nreplace = { pattern = 'zzz', with = \"y\" }",
            "column = \"amount\"\ncast = { decimal = \"#\" }",
            "column = \"amount\"\nmatching = 'zzz'\nset = \"1\"",
            "raw = { pattern = 'zzz', with = \"\" }",
        ] {
            prop_assert_eq!(applied(&orders(), &one_fix(keys), record.as_bytes()), Ok(None));
        }
    }

    #[test]
    fn one_field_is_changed_and_the_others_keep_their_bytes(
        fields in prop::collection::vec(field(), 6),
        value in "[a,\"\n\r é]{0,6}",
    ) {
        let record = fields.join(",");
        let set = patch(&format!("[[fix]]\ncolumn = \"currency\"\nset = {}\n", crate::toml_file::toml_string(&value)));
        let new = applied(&orders(), &set, record.as_bytes()).unwrap().unwrap_or(record.into_bytes());
        let format = orders().source.format;
        let found = record::fields(&format, &new).unwrap();
        for (index, (field, old)) in found.iter().zip(&fields).enumerate() {
            let bytes = &new[csv::place(*field)];
            if index == 2 {
                let Format::Csv(dialect) = &format else { unreachable!() };
                prop_assert_eq!(csv::text_of(dialect, &new, *field), value.as_bytes());
            } else {
                prop_assert_eq!(bytes, old.as_bytes());
            }
        }
    }
}
