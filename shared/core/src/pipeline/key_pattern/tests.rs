use super::*;

fn captures(pattern: &str, key: &str) -> Option<Vec<(String, String)>> {
    let pattern = KeyPattern::compile(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
    pattern.captures(key).map(|values| values.into_iter().collect())
}

fn matches(pattern: &str, key: &str) -> bool {
    captures(pattern, key).is_some()
}

#[test]
fn wildcards_match_as_globs_do() {
    for (pattern, key, expected) in [
        ("in/*.csv", "in/a.csv", true),
        ("in/*.csv", "in/.csv", true),
        ("in/*.csv", "in/a/b.csv", false),
        ("in/*.csv", "in/a.csv.gz", false),
        ("in/*.csv*", "in/a.csv.gz", true),
        ("in/**.csv", "in/a/b.csv", true),
        ("in/**", "in/", true),
        ("in/**/x.csv", "in/x.csv", true),
        ("in/**/x.csv", "in/a/b/x.csv", true),
        ("in/**/x.csv", "in/ax.csv", false),
        ("**/x.csv", "x.csv", true),
        ("in/?.csv", "in/ü.csv", true),
        ("in/?.csv", "in//.csv", false),
        ("in/?.csv", "in/.csv", false),
        ("in/a.csv", "in/abcsv", false),
        ("in/a+(b)[c]^$|\\.csv", "in/a+(b)[c]^$|\\.csv", true),
        ("in/*", "out/in/a", false),
        ("in/*", "in/a\nb", true),
        ("in/**", "in/a\n/b", true),
        ("in/a", "in/a\n", false),
        ("{a}", "", false),
    ] {
        assert_eq!(matches(pattern, key), expected, "{pattern} {key:?}");
    }
}

#[test]
fn captures_carry_the_text_and_dates_become_iso() {
    let pattern = "incoming/{supplier}/orders_{day:%Y%m%d}*.csv*";
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());

    assert_eq!(
        captures(pattern, "incoming/acme/orders_20261123_2.csv.gz"),
        Some(vec![pair("day", "2026-11-23"), pair("supplier", "acme")])
    );
    assert_eq!(captures(pattern, "incoming/acme/orders_20260230.csv"), None);
    assert_eq!(captures(pattern, "incoming/a/b/orders_20261123.csv"), None);
    assert_eq!(captures(pattern, "incoming//orders_20261123.csv"), None);
    assert_eq!(captures(pattern, "incoming/acme/orders_２０２６1123.csv"), None);
}

#[test]
fn every_format_is_normalised() {
    for (format, text, expected) in [
        ("%Y%m%d", "20261123", Some("2026-11-23")),
        ("%d.%m.%Y", "23.11.2026", Some("2026-11-23")),
        ("%y%m%d", "681231", Some("2068-12-31")),
        ("%y%m%d", "690101", Some("1969-01-01")),
        ("%Y-%j", "2024-366", Some("2024-12-31")),
        ("%Y-%j", "2026-366", None),
        ("%Y-%j", "2026-000", None),
        ("%Y%m%dT%H%M%S", "20261123T100000", Some("2026-11-23T10:00:00")),
        ("%Y%m%d%H", "2026112310", Some("2026-11-23T10:00:00")),
        ("%Y%m%d%H", "2026112324", None),
        ("%Y-%m", "2026-11", Some("2026-11")),
        ("%Y-%m", "2026-13", None),
        ("%Y", "2026", Some("2026")),
        ("%H%M", "2359", Some("23:59:00")),
        ("%Y%m%d", "2026112", None),
    ] {
        let found = captures(&format!("{{x:{format}}}"), text);
        let found = found.and_then(|values| values.first().map(|(_, value)| value.clone()));
        assert_eq!(found.as_deref(), expected, "{format} {text}");
    }
}

#[test]
fn the_literal_directory_is_where_an_upload_goes() {
    for (pattern, expected) in [
        ("incoming/{supplier}/orders*.csv", "incoming/"),
        ("incoming/orders/o*.csv", "incoming/orders/"),
        ("incoming/orders.csv", "incoming/"),
        ("*.csv", ""),
        ("orders*.csv", ""),
    ] {
        let compiled = KeyPattern::compile(pattern).expect("compiles");
        assert_eq!(compiled.literal_directory(), expected, "{pattern}");
    }
}

#[test]
fn a_wrong_pattern_says_what_and_what_to_write() {
    let long = "a".repeat(KEY_BYTES_MAX + 1);
    for (pattern, what, write) in [
        ("", "is empty", "incoming/*.csv"),
        ("/in/*.csv", "starts with a slash", "\"in/*.csv\""),
        ("s3://bucket/in/*.csv", "is an address", "after the bucket's name"),
        ("in/", "folder markers", "\"in/*\""),
        ("in//a", "an empty, \".\" or \"..\" folder", "as S3 lists it"),
        ("in/../a", "an empty, \".\" or \"..\" folder", "as S3 lists it"),
        ("in/***", "three stars", "** to cross folders"),
        ("in/{a", "a { without its }", "{name}"),
        ("in/a}", "a } without its {", "{name}"),
        ("in/{}", "no name for a capture", "{supplier}"),
        ("in/{a-b}", "no name for a capture", "{supplier}"),
        ("in/{a}{b}", "nothing stands between the captures a and b", "{a}_{b}"),
        ("in/{a}/{a}", "captures a twice", "another name"),
        ("in/{a:}", "names no date or time", "%Y%m%d"),
        ("in/{a:%Q}", "holds \"%Q\"", "%Y%m%d"),
        ("in/{a:%Y%}", "holds \"%\"", "%Y%m%d"),
        ("in/{a:%Y/%m}", "holds \"/\"", "%Y%m%d"),
        ("in/{a:%m%d}", "names no date or time", "%Y%m%d"),
        ("in/{a:%Y%H}", "names no date or time", "%Y%m%d"),
        ("in/{a:%Y%m%d%M}", "names no date or time", "%Y%m%d"),
        ("in/{a:%Y%Y}", "%Y twice", "%Y%m%d"),
        ("in/a\u{7}", "a control character", "?"),
        (long.as_str(), "over 1024 bytes", "shorter"),
    ] {
        let error = KeyPattern::compile(pattern).expect_err(pattern);
        assert!(error.what.contains(what), "{pattern}: {}", error.what);
        assert!(error.write.contains(write), "{pattern}: {}", error.write);
    }
}

#[test]
fn matching_takes_linear_time() {
    let pattern = KeyPattern::compile("**a**a**a**a**a**a**a**a**b").expect("compiles");

    assert!(!pattern.matches(&"a".repeat(KEY_BYTES_MAX)));
}
