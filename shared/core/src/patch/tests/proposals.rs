use std::collections::BTreeMap;

use super::*;

const REST: &str = "EUR,2026-01-01,2026-01-01T00:00:00Z,";

/// Rejected records with their code and column, as a job of this pipeline would have archived them.
fn rejected(pipeline: &Pipeline, records: &[String]) -> (Feed, Vec<ArchivedRow>) {
    let layout = layout(pipeline.columns.len());
    let judge = Judge::new(pipeline, &layout, &BTreeMap::new()).unwrap();
    let bytes: Vec<&[u8]> = records.iter().map(|record| record.as_bytes()).collect();
    let verdicts = judge.judge(&bytes).unwrap();
    let rows = records.iter().zip(verdicts).filter_map(|(record, verdict)| {
        let refusal = verdict?;
        Some(archived(refusal.code.as_str(), refusal.column.as_deref(), record))
    });
    let rows = rows.collect();
    (Feed::new(pipeline, &layout, &BTreeMap::new()).unwrap(), rows)
}

fn measured(pipeline: &Pipeline, records: &[String]) -> Measured {
    let (feed, rows) = rejected(pipeline, records);
    assert_eq!(rows.len(), records.len(), "every record must be bad");
    let feeds = [feed];
    let mut survey = Survey::default();
    for row in &rows {
        survey.add(0, &feeds[0], row.clone());
    }
    let mut measure = Measure::new(survey.propose(&feeds).unwrap());
    rows.chunks(7).for_each(|rows| measure.add(&feeds[0], rows).unwrap());
    measure.finish()
}

/// Rows of this amount, so many of each.
fn amounts(texts: &[(&str, usize)]) -> Vec<String> {
    let rows = texts.iter().flat_map(|(text, rows)| std::iter::repeat_n(text, *rows));
    rows.map(|text| format!("1,\"{text}\",{REST}")).collect()
}

/// What each proposal does, with the rows that it gains.
fn shown(measured: &Measured) -> Vec<(String, u64)> {
    let fixes = |proposal: &Proposal| -> String {
        let lines: Vec<_> = proposal.fixes.iter().map(|fix| fix.operation.to_toml()).collect();
        lines.join("; ")
    };
    let proposals = measured.proposals.iter();
    proposals.map(|(proposal, coverage)| (fixes(proposal), coverage.gained)).collect()
}

#[test]
fn one_fix_is_proposed_for_all_shapes_that_it_covers() {
    let records = amounts(&[("1.234,56", 5), ("12,50", 30), ("-7,1", 2), ("much", 4), ("", 1)]);
    let found = measured(&orders(), &records);
    let comma = "cast = { decimal = \",\", thousands = \".\" }".to_owned();
    assert_eq!(shown(&found), [(comma, 37)]);
    assert_eq!((found.rows, found.gained), (42, 37));
    let (proposal, coverage) = &found.proposals[0];
    assert_eq!((proposal.code.as_str(), proposal.column.as_deref()), ("type", Some("amount")));
    assert_eq!(*coverage, Coverage { rows: 42, gained: 37, ambiguous: 0 });
    assert_eq!(proposal.doubt(coverage), None);
}

#[test]
fn what_stands_around_a_value_is_dropped_before_it_is_cast() {
    let found = measured(&orders(), &amounts(&[("€ 1.234,56", 5), ("12,50 EUR", 3)]));
    assert_eq!(found.gained, 8);
    let shown = shown(&found);
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert!(shown[0].0.starts_with("replace = ") && shown[0].0.ends_with("thousands = \".\" }"));

    for (text, part) in [
        ("\u{a0}12.5 ", "trim = true"),
        ("$12.50", "replace = { pattern = '^\\s*(?:\\p{Sc}"),
        ("12.5%", "replace = { pattern = '\\s*%\\s*$', with = \"\" }"),
        ("12.5-", "with = \"-${1}\""),
        ("(12.5)", "with = \"-${1}\""),
        ("1 234,5", "cast = { decimal = \",\", thousands = \" \u{a0}\u{202f}\u{2009}\" }"),
        ("1,234.50", "cast = { decimal = \".\", thousands = \",\" }"),
        ("1'234.50", "cast = { decimal = \".\", thousands = \"'\u{2019}\" }"),
    ] {
        let found = measured(&orders(), &amounts(&[(text, 3)]));
        let shown = self::shown(&found);
        assert_eq!(shown.len(), 1, "{text} {shown:?}");
        assert!(shown[0].0.contains(part), "{text} {shown:?}");
        assert_eq!(found.gained, 3, "{text}");
    }
}

fn days(texts: &[(&str, usize)]) -> Vec<String> {
    let rows = texts.iter().flat_map(|(text, rows)| std::iter::repeat_n(text, *rows));
    rows.map(|text| format!("1,2,EUR,{text},2026-01-01T00:00:00Z,")).collect()
}

#[test]
fn the_order_of_day_and_month_is_taken_from_the_values_that_settle_it() {
    let found = measured(&orders(), &days(&[("23/11/2026", 2), ("03/04/2026", 9)]));
    assert_eq!(shown(&found), [("cast = { date = \"%d/%m/%Y\" }".to_owned(), 11)]);
    let (proposal, coverage) = &found.proposals[0];
    let doubt = proposal.doubt(coverage).unwrap();
    assert_eq!(doubt, "9 of them could also be read month first");

    let found = measured(&orders(), &days(&[("11/23/2026", 2), ("03/04/2026", 9)]));
    assert_eq!(shown(&found), [("cast = { date = \"%m/%d/%Y\" }".to_owned(), 11)]);

    let found = measured(&orders(), &days(&[("03/04/2026", 9)]));
    let (proposal, coverage) = &found.proposals[0];
    let doubt = proposal.doubt(coverage).unwrap();
    assert_eq!(doubt, "no value tells whether they are not to be read month first");
    let file = found.patch_file("orders");
    assert!(file.contains("# Look twice: no value tells"), "{file}");
}

#[test]
fn dates_and_timestamps_in_other_formats_are_recognised() {
    for (text, format) in [
        ("23.11.2026", "%d.%m.%Y"),
        ("2026/11/23", "%Y/%m/%d"),
        ("20261123", "%Y%m%d"),
        ("23 Nov 2026", "%d %b %Y"),
    ] {
        let found = measured(&orders(), &days(&[(text, 3)]));
        assert_eq!(shown(&found), [(format!("cast = {{ date = \"{format}\" }}"), 3)], "{text}");
    }
    let mut orders = orders();
    let at = |text: &str| vec![format!("1,2,EUR,2026-01-01,{text},"); 3];
    let found = measured(&orders, &at("23.11.2026 13:05"));
    assert_eq!(shown(&found)[0].0, "cast = { timestamp = \"%d.%m.%Y %H:%M\" }");
    orders.source.timezone = None;
    let found = measured(&orders, &at("23.11.2026 13:05"));
    assert!(shown(&found)[0].0.starts_with("cast = { timestamp = \"%d.%m.%Y %H:%M\" }; replace"));
    let found = measured(&orders, &at("2026-11-23 13:05:00"));
    assert!(shown(&found)[0].0.ends_with("with = \"${1}Z\" }"), "{:?}", shown(&found));
    assert_eq!(found.gained, 3);
}

#[test]
fn a_row_with_several_things_wrong_is_taken_from_one_to_the_next() {
    let record = "1,\"1.234,56\",eur,23.11.2026,23.11.2026 13:05,n/a".to_owned();
    let found = measured(&orders(), &vec![record; 6]);
    assert_eq!((found.gained, found.proposals.len()), (6, 1));
    let fixes = &found.proposals[0].0.fixes;
    let columns: Vec<_> = fixes.iter().filter_map(|fix| fix.column.as_deref()).collect();
    assert_eq!(columns, ["amount", "day", "at", "currency"]);
    assert!(found.proposals[0].0.about.contains("decimal comma, then dates"));
}

#[test]
fn values_of_a_list_are_recognised_in_another_case() {
    let record = |currency: &str| format!("1,2,{currency},2026-01-01,2026-01-01T00:00:00Z,");
    let records: Vec<_> = ["eur", "Usd", " EUR ", "euro"].map(record).to_vec();
    let found = measured(&orders(), &records);
    assert_eq!(found.gained, 3);
    assert_eq!(found.proposals.len(), 1);
    assert_eq!(found.proposals[0].0.about, "allowed values in another case");
    let found = measured(&orders(), &[record("eur"), record("Eur")]);
    assert_eq!(found.proposals[0].0.fixes.len(), 1, "a value that no row has needs no fix");
}

#[test]
fn words_for_no_value_become_null_where_that_is_allowed() {
    let mut orders = orders();
    let records = amounts(&[("n/a", 3), ("-", 2), ("much", 1)]);
    assert_eq!(measured(&orders, &records).gained, 0);
    orders.columns[1].nullable = true;
    let found = measured(&orders, &records);
    assert_eq!(shown(&found), [("set_null = true".to_owned(), 5)]);
    // The words that there are, not all that could be.
    let matching = found.proposals[0].0.fixes[0].matching.as_ref().unwrap();
    assert_eq!(matching.as_str(), r"^\s*(?:\-|n/a)\s*$");
}

#[test]
fn a_word_that_fails_in_several_columns_is_one_line_of_the_pipeline_file() {
    let mut orders = orders();
    orders.columns[1].nullable = true;
    orders.columns[3].nullable = true;
    let record = |amount: &str, day: &str| format!("1,{amount},EUR,{day},2026-01-01T00:00:00Z,");
    let survey = |records: &[String]| {
        let (feed, rows) = rejected(&orders, records);
        let mut survey = Survey::default();
        rows.into_iter().for_each(|row| survey.add(0, &feed, row));
        survey.null_words(&[feed])
    };
    let day = "2026-01-01";
    let found =
        survey(&[record("NA", day), record("NA", "NA"), record("1", "NA"), record("-", day)]);
    let found = found.unwrap();
    assert_eq!((found.words.as_slice(), found.rows), (&["NA".to_owned()][..], 3));
    assert_eq!(found.toml(), "csv.null = [\"\", \"NA\"]");
    // Neither words in quotes nor those of one column alone.
    assert_eq!(survey(&[record("\"NA\"", day), record("1", "\"NA\"")]), None);
    assert_eq!(survey(&[record("NA", day)]), None);
}

#[test]
fn each_shape_comes_with_one_of_its_texts() {
    let (feed, rows) = rejected(&orders(), &amounts(&[("1e3x", 2), ("2e4y", 1), ("much", 1)]));
    let mut survey = Survey::default();
    rows.into_iter().for_each(|row| survey.add(0, &feed, row));
    let (shapes, _) = survey.shapes("type", Some("amount"));
    let seen: Vec<_> = shapes
        .iter()
        .map(|count| (count.shape.as_deref().unwrap(), count.rows, count.example.as_deref()))
        .collect();
    assert_eq!(seen, [("9a9a", 3, Some("1e3x")), ("a", 1, Some("much"))]);
}

#[test]
fn records_that_cannot_be_cut_have_proposals_too() {
    let record = |tail: &str| format!("1,2,EUR,2026-01-01,2026-01-01T00:00:00Z,n{tail}");
    let found = measured(&orders(), &[record(",,"), record(","), record(",x")]);
    assert_eq!(shown(&found), [("raw = { pattern = \"(?:,)+$\", with = \"\" }".to_owned(), 2)]);
    let quote = "1,2,EUR,2026-01-01,2026-01-01T00:00:00Z,\"a \\\"b\\\" c\"".to_owned();
    let found = measured(&orders(), &[quote]);
    assert_eq!(found.gained, 1, "{:?}", shown(&found));
}

#[test]
fn masked_columns_are_taken_as_good_and_have_no_proposals() {
    let mut orders = orders();
    orders.columns[2].archive = ArchivePolicy::Hash;
    let (_, mut rows) = rejected(&orders, &amounts(&[("12,5", 4)]));
    for row in &mut rows {
        row.raw_data =
            Some("1,\"12,5\",0123456789abcdef,2026-01-01,2026-01-01T00:00:00Z,".to_owned());
    }
    let feeds = [Feed::new(&orders, &layout(6), &BTreeMap::new()).unwrap()];
    let mut survey = Survey::default();
    rows.iter().for_each(|row| survey.add(0, &feeds[0], row.clone()));
    let hashed = ArchivedRow { column: Some("currency".to_owned()), ..rows[0].clone() };
    survey.add(0, &feeds[0], hashed);
    let (shapes, _) = survey.shapes("type", Some("amount"));
    let example = Some("12,5".to_owned());
    assert_eq!(shapes, [ShapeCount { shape: Some("9,9".to_owned()), rows: 4, example }]);
    let (shapes, _) = survey.shapes("type", Some("currency"));
    assert_eq!(shapes, [ShapeCount { shape: None, rows: 1, example: None }]);
    let mut measure = Measure::new(survey.propose(&feeds).unwrap());
    measure.add(&feeds[0], &rows).unwrap();
    assert_eq!(measure.finish().gained, 4);
}

#[test]
fn the_proposed_file_is_a_patch_that_gains_what_it_says() {
    let orders = orders();
    let mut records = amounts(&[("1.234,56", 3), (" 12.5 ", 2), ("much", 1)]);
    records.extend(days(&[("23.11.2026", 4)]));
    let found = measured(&orders, &records);
    assert_eq!(found.gained, 9);
    let file = found.patch_file("orders");
    let comment = "# blanks around the value, then decimal comma: 5 of 6 rows with type in amount";
    assert!(file.contains(comment) && !file.contains("Look twice"), "{file}");
    let patch = Patch::parse("proposed.toml", &file).unwrap_or_else(|p| panic!("{file}\n{p}"));
    patch.check(&orders).unwrap();
    let (_, rows) = rejected(&orders, &records);
    let layout = layout(6);
    let judge = Judge::new(&orders, &layout, &BTreeMap::new()).unwrap();
    let new = rows.iter().filter_map(|row| {
        let raw = row.raw_data.as_ref().unwrap();
        patch.apply(&orders, &layout, row, raw.as_bytes()).unwrap()
    });
    let new: Vec<_> = new.collect();
    let new: Vec<&[u8]> = new.iter().map(Vec::as_slice).collect();
    let good = judge.judge(&new).unwrap().iter().filter(|verdict| verdict.is_none()).count();
    assert_eq!(good, 9);
}

#[test]
fn a_judge_says_why_a_record_is_still_bad() {
    let orders = orders();
    let judge = Judge::new(&orders, &layout(6), &BTreeMap::new()).unwrap();
    let good = format!("1,2,{REST}");
    let records: [&[u8]; 6] =
        [good.as_bytes(), b"1,x,EUR,,,", b"1,\"a\"b", b"", good.as_bytes(), b"1,2,EUR\n1,2"];
    let verdicts = judge.judge(&records).unwrap();
    let codes: Vec<_> =
        verdicts.iter().map(|v| v.as_ref().map_or("", |refusal| refusal.code.as_str())).collect();
    assert_eq!(codes, ["", "type", "bad_quote", "field_count", "", "field_count"]);
    assert_eq!(verdicts[1].as_ref().unwrap().error, "amount: not a decimal(12,2)");
}
