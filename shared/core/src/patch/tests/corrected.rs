use bytes::Bytes;

use super::*;
use crate::archive::{Export, read as read_archive};
use crate::pipeline::ArchiveRaw;

const JOB: &str = "b2kx";

fn read(text: &str) -> Fixed {
    let fixed = Fixed::read("x.csv", &Bytes::from(text.to_owned()), JOB);
    fixed.unwrap_or_else(|problems| panic!("{text}\n{problems}"))
}

fn problems(text: &str) -> String {
    Fixed::read("x.csv", &Bytes::from(text.to_owned()), JOB).expect_err(text).to_string()
}

fn text_of(fixed: &Fixed, row: i64) -> &str {
    fixed.texts.get(&row).unwrap()
}

#[test]
fn a_corrected_export_is_read_whatever_saved_it() {
    for text in [
        "job,row_number,raw_data\nb2kx,17,\"1,2\"\n",
        "\u{feff}raw_data;job;row_number\r\n1,2;b2kx;17\r\n\r\n",
        "raw_data\tjob\trow_number\terror\n1,2\tb2kx\t 17\tnot good",
    ] {
        let fixed = read(text);
        assert_eq!((fixed.len(), text_of(&fixed, 17)), (1, "1,2"), "{text}");
    }
    let guarded = read("job,row_number,raw_data\nb2kx,1,'=a\nb2kx,2,''=a\nb2kx,3,'a\nb2kx,4,-1\n");
    let texts: Vec<_> = (1..=4).map(|row| text_of(&guarded, row)).collect();
    assert_eq!(texts, ["=a", "'=a", "'a", "-1"]);
    assert!(read("job,row_number,raw_data\n").is_empty());
}

#[test]
fn everything_wrong_in_a_corrected_export_is_told_with_its_line() {
    let text = "job,row_number,raw_data\nb2kx,17,a\nother,18,\"b\nc\"\nb2kx,17,d\nb2kx,x,e\nb2kx,1\nb2kx,5,\"a\"b\n";
    let found = problems(text);
    for part in [
        "x.csv:3: job: the row is of job \"other\", not of b2kx",
        "x.csv:5: row_number: row 17 stands on line 2 already",
        "x.csv:6: row_number: is no row number",
        "x.csv:7: 2 fields, the header has 3",
        "x.csv:8: a quote stands where none may",
    ] {
        assert!(found.contains(part), "{part}\n--\n{found}");
    }
    let found = problems("job,row_nr,raw_data,raw_data\nb2kx,1,a,b\n");
    for part in [
        "x.csv:1: \"row_nr\" is no column of the failure archive; write row_number",
        "x.csv:1: raw_data: stands twice",
        "x.csv:1: row_number: is missing",
    ] {
        assert!(found.contains(part), "{part}\n--\n{found}");
    }
    assert!(problems("").contains("job: is missing"));
    let found = Fixed::read("x.csv", &Bytes::from_static(b"job\n\xff"), JOB).unwrap_err();
    assert!(found.to_string().contains("x.csv:2: is not UTF-8 here"), "{found}");
    let many = (0..100).map(|row| format!("other,{row},a\n")).collect::<String>();
    assert!(problems(&format!("job,row_number,raw_data\n{many}")).contains("80 more problems"));
}

/// Rows 1.. of [`JOB`] with these records, through a real archive file and its export.
fn exported(pipeline: &Pipeline, records: &[&str], parquet: bool) -> (Vec<ArchivedRow>, Bytes) {
    use crate::archive::{ArchiveContext, ArchiveWriter, Wanted, rows};
    use crate::check::{Contract, RowContext, check};
    use crate::decode::{Budget, Decoder};
    let contract = Contract::compile(pipeline).unwrap();
    let layout = layout(pipeline.columns.len());
    let limits = crate::block::Limits::default();
    let mut decoder = Decoder::new(pipeline, layout.clone().into(), &limits);
    let block = records.join("\n").into_bytes();
    let decoded = decoder.decode(block, true, Budget::UNLIMITED);
    let checked = check(&contract, &RowContext::default(), &decoded, 1).unwrap();
    let context = ArchiveContext { job: JOB.to_owned(), ..ArchiveContext::default() };
    let mut writer = ArchiveWriter::new(&contract, &layout, context);
    writer.append(&decoded, &checked.rejects, 1, 0).unwrap();
    let file = Bytes::from(writer.finish().unwrap().unwrap().bytes);
    let batches: Vec<_> =
        read_archive(file, &Wanted::default()).unwrap().map(Result::unwrap).collect();
    let all = batches.iter().flat_map(|batch| rows(batch).unwrap()).collect();
    let bytes = if parquet {
        let mut export = Export::parquet(Vec::new()).unwrap();
        batches.iter().for_each(|batch| export.append(batch, &|_| vec![]).unwrap());
        export.finish().unwrap()
    } else {
        let mut export = Export::csv(Vec::new(), &[]).unwrap();
        batches.iter().for_each(|batch| export.append(batch, &|_| vec![]).unwrap());
        export.finish().unwrap()
    };
    (all, Bytes::from(bytes))
}

#[test]
fn an_export_that_nobody_edited_changes_nothing() {
    let records = [
        "1,x,EUR,,,",
        "'=2,x,EUR,,,n",
        "-3,\"x\",\"a\n\"\"b\",,,",
        "4,x",
        "5,\"a\"b,,,,",
        "+6,\t,,,,",
    ];
    for parquet in [false, true] {
        let (rows, bytes) = exported(&orders(), &records, parquet);
        let fixed = Fixed::read("x", &bytes, JOB).unwrap();
        assert_eq!(fixed.len(), records.len());
        let layout = layout(6);
        for row in &rows {
            let original = row.raw_data.clone().unwrap();
            assert_eq!(fixed.record(&orders(), &layout, row, original.as_bytes()), Ok(None));
        }
        let again = Fixed::read("x", &Bytes::from(fixed.to_csv()), JOB).unwrap();
        assert_eq!((&again, again.sha256()), (&fixed, fixed.sha256()));
    }
}

fn edited(
    pipeline: &Pipeline,
    record: &str,
    from: &str,
    to: &str,
) -> Result<Option<String>, PatchError> {
    let (rows, bytes) = exported(pipeline, &[record], false);
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(text.contains(from), "{text}");
    let fixed = read(&text.replace(from, to));
    let new = fixed.record(pipeline, &layout(pipeline.columns.len()), &rows[0], record.as_bytes());
    new.map(|new| new.map(|new| String::from_utf8(new).unwrap()))
}

#[test]
fn an_edited_record_takes_the_place_of_the_old_one() {
    let orders = orders();
    let new = edited(&orders, "1,x,EUR,2026-01-01,2026-01-01T00:00:00Z,n", "1,x,", "1,2.5,");
    assert_eq!(new.unwrap().unwrap(), "1,2.5,EUR,2026-01-01,2026-01-01T00:00:00Z,n");
    let error = edited(&orders, "1,x,EUR,,,", "1,x", "1\n2,x").unwrap_err().to_string();
    assert!(error.starts_with("the correction: the record would become several"), "{error}");
}

#[test]
fn masked_values_are_put_back_where_the_mask_still_stands() {
    let mut orders = orders();
    orders.columns[5].archive = ArchivePolicy::Mask;
    orders.columns[2].archive = ArchivePolicy::Hash;
    let record = "1,x,EUR,2026-01-01,2026-01-01T00:00:00Z,\"my, secret\"";
    let new = edited(&orders, record, "1,x,", "1,2.5,").unwrap().unwrap();
    assert_eq!(new, "1,2.5,EUR,2026-01-01,2026-01-01T00:00:00Z,\"my, secret\"");
    let new = edited(&orders, record, "***", "new").unwrap().unwrap();
    assert_eq!(new, "1,x,EUR,2026-01-01,2026-01-01T00:00:00Z,\"new\"");
    let error = edited(&orders, record, "1,x,", "1,x,y,").unwrap_err().to_string();
    assert!(error.contains("masked") && error.contains("by a patch"), "{error}");

    let mut json = json_orders();
    json.columns[5].archive = ArchivePolicy::Mask;
    json.errors.archive_raw = ArchiveRaw::Full;
    let record = r#"{"id": 1, "amount":"x","note" : "secret","currency":"EUR"}"#;
    let new = edited(&json, record, r#"""amount"":""x"""#, r#"""amount"":2.5"#).unwrap().unwrap();
    assert_eq!(new, r#"{"id":1,"amount":2.5,"note":"secret","currency":"EUR"}"#);
    let error = edited(&json, record, r#"""note"":"#, r#"""nota"":"#).unwrap_err();
    assert!(error.to_string().contains("masked"), "{error}");
}

#[test]
fn a_record_that_the_archive_does_not_show_is_written_anew_or_left() {
    let mut orders = orders();
    orders.errors.archive_raw = ArchiveRaw::Pointer;
    let record = "1,x,EUR,,,";
    let (rows, bytes) = exported(&orders, &[record], false);
    assert_eq!(rows[0].raw_data, None);
    let layout = layout(6);
    let untouched = Fixed::read("x", &bytes, JOB).unwrap();
    assert_eq!(untouched.record(&orders, &layout, &rows[0], record.as_bytes()), Ok(None));
    let fixed = read("job,row_number,raw_data\nb2kx,1,\"1,2.5,EUR,,,\"\n");
    let new = fixed.record(&orders, &layout, &rows[0], record.as_bytes()).unwrap().unwrap();
    assert_eq!(new, b"1,2.5,EUR,,,");
}

#[test]
fn bytes_that_are_not_utf_8_are_corrected_in_their_written_form() {
    let orders = orders();
    let row = ArchivedRow { row_number: 1, ..archived("encoding", None, "1,\\xE9\\\\,") };
    let fixed = read("job,row_number,raw_data\nb2kx,1,\"1,é\\\\,\"\n");
    let new = fixed.record(&orders, &layout(6), &row, b"1,\xE9\\,").unwrap().unwrap();
    assert_eq!(String::from_utf8(new).unwrap(), "1,é\\,");
}

#[test]
fn a_guard_that_was_left_in_place_is_none_of_the_correction() {
    let orders = orders();
    let record = "=1+1,2.5,EUR,2026-01-01,2026-01-01T00:00:00Z,n";
    let rest = "2,2.5,EUR,2026-01-01,2026-01-01T00:00:00Z,n";
    for to in ["\"'2,", "\"2,"] {
        let new = edited(&orders, record, "\"'=1+1,", to).unwrap().unwrap();
        assert_eq!(new, rest, "{to}");
    }
    // An apostrophe of the text's own, where none was put in front.
    let new = edited(&orders, "1,x,EUR,2026-01-01,2026-01-01T00:00:00Z,", "\"1,x,", "\"'1,2,");
    assert!(new.unwrap().unwrap().starts_with("'1,2,"));
    // A file without guards means what it says, also once it is stored.
    let (rows, _) = exported(&orders, &[record], true);
    let mut exact = read(&format!("job,row_number,raw_data\nb2kx,1,\"'{rest}\"\n"));
    exact.exact = true;
    let stored = Fixed::read("x", &Bytes::from(exact.to_csv()), JOB).unwrap();
    let new = stored.record(&orders, &layout(6), &rows[0], record.as_bytes()).unwrap().unwrap();
    assert_eq!(new, format!("'{rest}").as_bytes());
}

#[test]
fn a_corrected_value_goes_into_the_field_at_fault() {
    let mut orders = orders();
    let of_value = |orders: &Pipeline, record: &str, from: &str, to: &str| {
        edited(orders, record, &format!(",{from},,check"), &format!(",{to},,check"))
    };
    let record = "1,x,EUR,2026-01-01,2026-01-01T00:00:00Z,\"a, b\"";
    let new = of_value(&orders, record, "x", "2.5").unwrap().unwrap();
    assert_eq!(new, "1,2.5,EUR,2026-01-01,2026-01-01T00:00:00Z,\"a, b\"");
    // An emptied cell is no value, whatever the quotes were.
    let quoted = "1,\"-7x\",EUR,2026-01-01,2026-01-01T00:00:00Z,";
    let new = of_value(&orders, quoted, "'-7x", "").unwrap().unwrap();
    assert_eq!(new, "1,,EUR,2026-01-01,2026-01-01T00:00:00Z,");
    let new = of_value(&orders, quoted, "'-7x", "'7").unwrap().unwrap();
    assert_eq!(new, "1,\"7\",EUR,2026-01-01,2026-01-01T00:00:00Z,");
    // One that was missing.
    let missing = "1,,EUR,2026-01-01,2026-01-01T00:00:00Z,";
    let new = of_value(&orders, missing, "", "3").unwrap().unwrap();
    assert_eq!(new, "1,3,EUR,2026-01-01,2026-01-01T00:00:00Z,");
    let error = edited(&orders, "1,x", ",,,decode", ",3,,decode").unwrap_err().to_string();
    assert!(error.contains("correct raw_data"), "{error}");

    orders.columns[1].archive = ArchivePolicy::Mask;
    orders.columns[5].archive = ArchivePolicy::Mask;
    let new = of_value(&orders, record, "***", "2.5").unwrap().unwrap();
    assert_eq!(new, "1,2.5,EUR,2026-01-01,2026-01-01T00:00:00Z,\"a, b\"");

    let json = json_orders();
    let record = r#"{"id": 1, "amount":"x", "note":"n"}"#;
    let new = of_value(&json, record, "x", "2.5").unwrap().unwrap();
    assert_eq!(new, r#"{"id": 1, "amount":"2.5", "note":"n"}"#);
}

#[test]
fn values_are_stored_with_the_corrected_records() {
    let text =
        "job,row_number,raw_data,value,field.amount\nb2kx,1,\"1,x\",2.5,x\nb2kx,2,\"2,y\",,y\n";
    let fixed = read(text);
    assert_eq!(fixed.values.get(&1).map(String::as_str), Some("2.5"));
    let again = read(&fixed.to_csv());
    assert_eq!((&again, again.sha256()), (&fixed, fixed.sha256()));
}
