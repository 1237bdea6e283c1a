use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int64Array, RecordBatch, StringArray, Time64MicrosecondArray,
    TimestampMicrosecondArray, UInt16Array, UInt64Array,
};
use arrow_schema::{Field, Schema};

use super::*;
use crate::block::Digest;
use crate::pipeline::{CommitUnit, Dsn, PostgresSink, WriteMode};

/// One column of every kind, with NULLs and the ends of each range.
fn batch() -> RecordBatch {
    let max = 10_i128.pow(38) - 1;
    let decimals = vec![Some(0), Some(max), Some(-max), Some(1), None];
    let decimal = |scale| -> ArrayRef {
        let array = Decimal128Array::from(decimals.clone());
        Arc::new(array.with_precision_and_scale(38, scale).unwrap())
    };
    let moments = vec![Some(0), Some(-1), Some(253_402_300_799_999_999), Some(1), None];
    let arrays: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![1, -2, i64::MAX, i64::MIN, 0]))),
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, None, None]))),
        ("small", Arc::new(Int8Array::from(vec![Some(-128), Some(127), None, None, Some(0)]))),
        ("u16", Arc::new(UInt16Array::from(vec![Some(u16::MAX), None, Some(0), None, None]))),
        (
            "u64",
            Arc::new(UInt64Array::from(vec![Some(u64::MAX), Some(0), Some(10_000), None, None])),
        ),
        (
            "f32",
            Arc::new(Float32Array::from(vec![Some(f32::NAN), Some(-0.0), None, None, Some(1.5)])),
        ),
        (
            "f64",
            Arc::new(Float64Array::from(vec![Some(f64::INFINITY), None, None, None, Some(0.1)])),
        ),
        ("whole", decimal(0)),
        ("cents", decimal(2)),
        ("odd", decimal(7)),
        ("tiny", decimal(38)),
        ("text", Arc::new(StringArray::from(vec![Some(""), Some("ä\n\\"), None, Some("x"), None]))),
        ("day", Arc::new(Date32Array::from(vec![Some(0), Some(-719_162), None, Some(1), None]))),
        (
            "time",
            Arc::new(Time64MicrosecondArray::from(vec![
                Some(0),
                Some(86_399_999_999),
                None,
                None,
                None,
            ])),
        ),
        ("at", Arc::new(TimestampMicrosecondArray::from(moments).with_timezone("UTC"))),
    ];
    let fields = arrays
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), *name != "id"));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), arrays.into_iter().map(|(_, array)| array).collect())
        .unwrap()
}

fn plan(batch: &RecordBatch, keys: &[&str]) -> CopyPlan {
    let sink = PostgresSink {
        schema: "public".into(),
        table: "t".into(),
        dsn: Dsn::Env("X".into()),
        mode: WriteMode::Upsert,
        newest_by: None,
        skip_unchanged: true,
        commit: CommitUnit::Chunk,
        create: false,
        deleted_when: None,
        delete_missing: None,
        update_columns: None,
        add: vec![],
    };
    let mut pipeline = crate::check::fixture::pipeline(
        batch
            .schema()
            .fields()
            .iter()
            .map(|field| {
                let mut column = crate::check::fixture::column(
                    field.name(),
                    crate::pipeline::ColumnType::String,
                );
                column.key = keys.contains(&field.name().as_str());
                column
            })
            .collect(),
    );
    pipeline.sink = crate::pipeline::Sink::Postgres(sink);
    CopyPlan::new(&pipeline, &batch.schema()).unwrap()
}

fn encoded(batch: &RecordBatch, keys: &[&str]) -> CopyRows {
    let mut writer = CopyWriter::new(plan(batch, keys));
    let rows: Vec<u64> = (7..).take(batch.num_rows()).collect();
    let hashes: Vec<u128> = rows.iter().map(|row| u128::from(*row) << 100).collect();
    writer.append(batch, &rows, &hashes).unwrap();
    writer.finish()
}

#[test]
fn what_is_encoded_is_read_back_in_pieces_of_any_size() {
    let batch = batch();
    let rows = encoded(&batch, &["id"]);
    let width = batch.num_columns();
    // As the table sends its rows back: the hash, and no number.
    let mut stream = HEADER.to_vec();
    for tuple in tuples(&rows.bytes, 1) {
        stream.extend_from_slice(&u16::try_from(width + 1).unwrap().to_be_bytes());
        stream.extend_from_slice(&tuple.whole[14..]);
    }
    stream.extend_from_slice(TRAILER);
    for piece in [1, 7, stream.len()] {
        let mut digest = TableDigest::new(batch.schema(), width).unwrap();
        stream.chunks(piece).for_each(|piece| digest.push(piece).unwrap());
        let expected = crate::digest::rows(width, &batch).unwrap();
        let mut written = Digest::default();
        (7..12).for_each(|row| written.add(row << 100));
        let found = Found { rows: 5, digest: expected, written };
        assert_eq!(digest.finish().unwrap(), found, "{piece}");
    }
    let mut cut = TableDigest::new(batch.schema(), width).unwrap();
    cut.push(&stream[..stream.len() - 3]).unwrap();
    assert!(cut.finish().is_err());
}

#[test]
fn tuples_are_found_with_their_keys() {
    let batch = batch();
    let rows = encoded(&batch, &["text", "id"]);
    let found: Vec<_> = tuples(&rows.bytes, 2).collect();
    assert_eq!((found.len(), rows.rows), (5, 5));
    assert_eq!(found[0].row, 7);
    assert_eq!(found[0].hash, 7 << 100);
    // id comes before text, as in the contract: 12 bytes, and 4 for an empty text.
    assert_eq!(found[0].key.len(), 16);
    let total: usize = found.iter().map(|tuple| tuple.whole.len()).sum();
    assert_eq!(total, rows.bytes.len());
    assert!(!keys_repeat(&rows.bytes, 2));
    assert!(keys_repeat(&rows.bytes.repeat(2), 2));
    let packed = rows.pack().unwrap();
    assert_eq!(CopyRows::unpack(&packed.bytes, packed.rows).unwrap(), rows);
    let mut probe = vec![];
    found[1].put_probe(4, &mut probe);
    assert_eq!(probe.len(), OWN_BYTES + found[1].key.len());
}

#[test]
fn a_nul_in_a_text_is_found() {
    let texts = StringArray::from(vec!["a", "b\0", "c"]);
    let schema = Schema::new(vec![Field::new("text", texts.data_type().clone(), false)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(texts)]).unwrap();
    let writer = CopyWriter::new(plan(&batch, &["text"]));
    assert_eq!(writer.refused(&batch), [Refused { at: 1, column: 0 }]);
}

#[test]
fn bytes_that_are_no_tuples_end_the_rows() {
    let rows = encoded(&batch(), &["id"]);
    for cut in 0..rows.bytes.len() {
        assert!(tuples(&rows.bytes[..cut], 1).count() < 5);
    }
}
