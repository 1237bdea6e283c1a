use super::*;
use crate::pipeline_file::tests::minimal;

fn pipelines(patterns: &[&str]) -> Vec<Arc<Pipeline>> {
    let pipeline = |(i, pattern): (usize, &&str)| {
        let mut pipeline = minimal();
        pipeline.name = format!("p{i}");
        pipeline.source.pattern = (*pattern).to_owned();
        Arc::new(pipeline)
    };
    patterns.iter().enumerate().map(pipeline).collect()
}

#[test]
fn a_key_goes_to_the_one_pipeline_that_matches() {
    let pipelines = pipelines(&["in/{who}/a*.csv", "in/*/b*.csv"]);

    let Route::One { pipeline, captures } = route(&pipelines, "in/acme/a1.csv") else {
        panic!("one pipeline matches")
    };
    assert_eq!(pipeline.name, "p0");
    assert_eq!(captures.get("who").map(String::as_str), Some("acme"));
}

#[test]
fn a_key_of_no_or_of_several_pipelines_goes_to_none() {
    let pipelines = pipelines(&["in/*.csv", "in/a*", "out/*"]);

    assert_eq!(route(&pipelines, "elsewhere/a.csv"), Route::NoMatch);
    let both = Route::Ambiguous(vec!["p0".into(), "p1".into()]);
    assert_eq!(route(&pipelines, "in/a.csv"), both);
}

#[test]
fn a_name_that_says_no_data_is_skipped_unless_a_pattern_spells_it_out() {
    let pipelines = pipelines(&["in/*", "in/_S*", "marks/_SUCCESS"]);

    let skipped = |name: &str| matches!(route(&pipelines, name), Route::Skipped { pipeline, .. } if pipeline == "p0");
    assert!(skipped("in/_SUCCESS") && skipped("in/.a.csv.crc"));
    assert_eq!(route(&pipelines, "elsewhere/_SUCCESS"), Route::NoMatch);
    assert!(matches!(route(&pipelines, "marks/_SUCCESS"), Route::One { .. }));
    assert!(matches!(route(&pipelines, "in/_a.csv"), Route::One { .. }));
}

#[test]
fn overlaps_are_found_with_a_key_that_both_match() {
    for (a, b, expected) in [
        ("in/*.csv", "in/a*", true),
        ("in/*.csv", "in/*.jsonl", false),
        ("in/*.csv*", "in/*.jsonl*", true),
        ("in/*/a.csv", "in/a.csv", false),
        ("in/**/a.csv", "in/a.csv", true),
        ("in/**/a.csv", "in/ba.csv", false),
        ("in/**/b/*.csv", "in/a/**", true),
        ("in/?.csv", "in/ab.csv", false),
        ("in/{x}.csv", "in/.csv", false),
        ("in/{d:%Y%m%d}.csv", "in/{x}.csv", true),
        ("in/{d:%Y%m%d}.csv", "in/orders*.csv", false),
        ("in/{d:%Y-%m-%d}.csv", "in/{e:%Y%m%d}.csv", false),
        ("in/{d:%Y-%m}.csv", "in/2026-9*.csv", false),
        ("**", "in/a", true),
        ("in/a", "in/a", true),
    ] {
        let pipelines = pipelines(&[a, b]);
        let found = overlaps(&pipelines);
        assert_eq!(!found.is_empty(), expected, "{a} {b}: {found:?}");
        for overlap in found {
            let both = Route::Ambiguous(vec![overlap.first, overlap.second]);
            assert_eq!(route(&pipelines, &overlap.example), both, "{a} {b}: {}", overlap.example);
        }
    }
}

#[test]
fn two_deep_patterns_are_compared_in_bounded_time() {
    let a = format!("in/{}x", "**a".repeat(150));
    let b = format!("in/{}y", "**b".repeat(150));

    assert!(overlaps(&pipelines(&[&a, &b])).is_empty());
}
