use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int64Array, StringArray, TimestampMicrosecondArray, UInt64Array,
};

use super::*;

fn digest_of(columns: Vec<ArrayRef>) -> Digest {
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let width = columns.len();
    let named = names.into_iter().zip(columns).map(|(name, column)| (name, column, true));
    rows(width, &RecordBatch::try_from_iter_with_nullable(named).unwrap()).unwrap()
}

fn one(column: impl Array + 'static) -> Digest {
    digest_of(vec![Arc::new(column)])
}

fn decimals(value: i128, scale: i8) -> Decimal128Array {
    Decimal128Array::from(vec![value]).with_precision_and_scale(38, scale).unwrap()
}

#[test]
fn the_canonical_bytes_are_the_documented_ones() {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![-2])),
        Arc::new(StringArray::from(vec!["hé"])),
        Arc::new(BooleanArray::from(vec![true])),
        Arc::new(StringArray::from(vec![None::<&str>])),
        Arc::new(decimals(1500, 3)),
        Arc::new(Float64Array::from(vec![0.5])),
        Arc::new(UInt64Array::from(vec![u64::MAX])),
    ];

    let mut bytes = vec![1, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    bytes.extend([1, 3, 0, 0, 0, b'h', 0xC3, 0xA9, 1, 1, 0, 1, 1, 15]);
    bytes.extend([0; 15]);
    bytes.extend([1, 0, 0, 0, 0, 0, 0, 0xE0, 0x3F]);
    bytes.extend([1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
    assert_eq!(digest_of(columns), Digest(xxh3_128(&bytes)));
}

#[test]
fn equal_values_have_equal_digests() {
    let nan = f64::from_bits(0xFFF8_0000_0000_0001);
    let pairs = [
        (one(decimals(150, 2)), one(decimals(15, 1))),
        (one(decimals(0, 30)), one(decimals(0, 0))),
        (one(decimals(-(10i128.pow(30)), 30)), one(decimals(-1, 0))),
        (one(Float64Array::from(vec![-0.0])), one(Float64Array::from(vec![0.0]))),
        (one(Float64Array::from(vec![nan])), one(Float64Array::from(vec![f64::NAN]))),
        (one(Float32Array::from(vec![1.5])), one(Float64Array::from(vec![1.5]))),
        (one(Int8Array::from(vec![-7])), one(Int64Array::from(vec![-7]))),
        (
            one(TimestampMicrosecondArray::from(vec![5])),
            one(TimestampMicrosecondArray::from(vec![5]).with_timezone("UTC")),
        ),
    ];
    for (index, (left, right)) in pairs.into_iter().enumerate() {
        assert_eq!(left, right, "pair {index}");
    }
}

#[test]
fn different_values_have_different_digests() {
    let digests = [
        one(StringArray::from(vec![None::<&str>])),
        one(StringArray::from(vec![""])),
        one(StringArray::from(vec!["1"])),
        one(Int64Array::from(vec![1])),
        one(Int64Array::from(vec![-1])),
        one(Float64Array::from(vec![1.0])),
        one(decimals(1, 0)),
        one(decimals(10, 0)),
        one(decimals(1, 1)),
        one(BooleanArray::from(vec![true])),
        one(BooleanArray::from(vec![false])),
        digest_of(vec![
            Arc::new(StringArray::from(vec!["ab"])),
            Arc::new(StringArray::from(vec!["c"])),
        ]),
        digest_of(vec![
            Arc::new(StringArray::from(vec!["a"])),
            Arc::new(StringArray::from(vec!["bc"])),
        ]),
    ];
    for (index, left) in digests.iter().enumerate() {
        for right in digests.iter().skip(index + 1) {
            assert_ne!(left, right);
        }
    }
}

#[test]
fn the_sum_does_not_depend_on_order_batches_or_slices() {
    let values = |ids: &[i64]| {
        let days: Vec<_> =
            ids.iter().map(|id| (id % 3 != 0).then(|| i32::try_from(*id).unwrap())).collect();
        let texts: Vec<_> = ids.iter().map(|id| (id % 2 == 0).then(|| id.to_string())).collect();
        let flags: Vec<_> = ids.iter().map(|id| (id % 5 != 0).then_some(id % 2 == 0)).collect();
        let columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("id", Arc::new(Int64Array::from(ids.to_vec())), true),
            ("day", Arc::new(Date32Array::from(days)), true),
            ("text", Arc::new(StringArray::from(texts)), true),
            ("flag", Arc::new(BooleanArray::from(flags)), true),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    };
    let ids: Vec<i64> = (0..2000).collect();
    let whole = values(&ids);
    let expected = rows(4, &whole).unwrap();

    let reversed: Vec<i64> = ids.iter().rev().copied().collect();
    assert_eq!(rows(4, &values(&reversed)).unwrap(), expected);
    let mut sum = Digest::default();
    for first in (0..2000).step_by(333) {
        sum += rows(4, &whole.slice(first, 333.min(2000 - first))).unwrap();
    }
    assert_eq!(sum, expected);
}

#[test]
fn added_columns_are_left_out() {
    let id: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let file: ArrayRef = Arc::new(StringArray::from(vec!["s3://in/a"]));
    let both = RecordBatch::try_from_iter([("id", id.clone()), ("_source_file", file)]).unwrap();

    assert_eq!(rows(1, &both).unwrap(), digest_of(vec![id]));
    assert!(rows(3, &both).is_err());
}
