use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::serialized_reader::ReadOptionsBuilder;

use super::*;

fn metadata(file: &TableFile) -> ParquetMetaData {
    let options = ReadOptionsBuilder::new().with_page_index().build();
    let bytes = Bytes::from(file.bytes.clone());
    SerializedFileReader::new_with_options(bytes, options).unwrap().metadata().clone()
}

/// For each row group: whether the column's bounds are told, its NULLs, and whether pages have bounds.
fn told(file: &TableFile, column: usize) -> Vec<(bool, Option<u64>, bool)> {
    let metadata = metadata(file);
    let groups = metadata.row_groups().iter().zip(metadata.column_index().unwrap());
    let group = groups.map(|(group, pages)| {
        let statistics = group.column(column).statistics().unwrap();
        let bounds = statistics.min_bytes_opt().is_some() || statistics.max_bytes_opt().is_some();
        let pages = !matches!(pages[column], ColumnIndexMetaData::NONE);
        (bounds, statistics.null_count_opt(), pages)
    });
    group.collect()
}

#[test]
fn a_float_column_with_a_nan_tells_no_bounds() {
    for bits in [32, 64] {
        let columns = vec![
            column("id", ColumnType::Int(64)),
            nullable("x", ColumnType::Float(bits)),
            nullable("y", ColumnType::Float(bits)),
        ];
        let files = table(columns, vec![], &["1,1.0,1", "2,,2", "3,NaN,3", "4,2.5,"]).files();

        assert_eq!(told(&files[0], 0), [(true, Some(0), true)], "{bits}");
        assert_eq!(told(&files[0], 1), [(false, Some(1), false)], "{bits}");
        assert_eq!(told(&files[0], 2), [(true, Some(1), true)], "{bits}");
    }
}

#[test]
fn only_the_row_group_with_the_nan_goes_without_bounds() {
    let columns = vec![column("id", ColumnType::Int(64)), column("x", ColumnType::Float(64))];
    let table = table(columns, vec![], &["1,1", "2,-nan", "3,inf"]);
    let mut writer = table.writer(&Limits::default()).unwrap().with_memory(0);
    for row in 0..3 {
        assert!(writer.append(&table.batch.slice(row, 1)).unwrap().is_empty());
    }

    let files = writer.finish().unwrap();

    let bounds: Vec<_> = told(&files[0], 1).iter().map(|(bounds, ..)| *bounds).collect();
    assert_eq!(bounds, [true, false, true]);
    assert_eq!(table.read_back(&files), (3, table.digest));
}

#[test]
fn row_groups_end_at_their_rows_however_batches_are_cut() {
    let columns = vec![column("id", ColumnType::Int(64))];
    let lines: Vec<_> = (0..50_000).map(|row| row.to_string()).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let table = table(columns, vec![], &lines);
    let rows = |pieces: &[usize]| {
        let mut writer = table.writer(&Limits::default()).unwrap();
        for _ in 0..3 {
            let mut start = 0;
            for piece in pieces {
                writer.append(&table.batch.slice(start, *piece)).unwrap();
                start += piece;
            }
        }
        let files = writer.finish().unwrap();
        metadata(&files[0]).row_groups().iter().map(|group| group.num_rows()).collect::<Vec<_>>()
    };

    assert_eq!(rows(&[50_000]), [131_072, 18_928]);
    assert_eq!(rows(&[1, 20_000, 29_999]), [131_072, 18_928]);
}
