use super::*;

fn ids(rows: std::ops::Range<u32>) -> Table {
    let columns = vec![column("id", ColumnType::Int(64)), column("x", ColumnType::Int(64))];
    let lines: Vec<_> = rows.map(|row| format!("{},1", row % 6)).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    table(columns, vec![by_column("id")], &lines)
}

#[test]
fn partitions_over_the_limit_cost_their_rows_wherever_batches_end() {
    let table = ids(0..12);
    let limits = Limits { partitions_max: 4, ..Limits::default() };
    let files = |rows: usize| {
        let mut writer = table.writer(&limits).unwrap();
        let mut refused = vec![];
        for start in (0..12).step_by(rows) {
            let batch = table.batch.slice(start, rows.min(12 - start));
            let found = writer.append(&batch).unwrap();
            refused.extend(found.into_iter().map(|(place, refusal)| (start + place, refusal)));
        }
        (refused, writer.finish().unwrap())
    };

    let (refused, whole) = files(12);

    let places: Vec<_> = refused.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [4, 5, 10, 11]);
    let refusal = &refused[0].1;
    assert_eq!(refusal.column, Some(0));
    assert!(refusal.reason.contains("4 partitions of id already"), "{}", refusal.reason);
    assert_eq!(folders(&whole), ["id=0", "id=1", "id=2", "id=3"]);
    for rows in [1, 5] {
        assert_eq!(files(rows).0, refused, "{rows}");
        assert_eq!(folders(&files(rows).1), folders(&whole), "{rows}");
    }
}

#[test]
fn values_too_long_for_a_folder_cost_their_rows() {
    let columns = vec![column("c", ColumnType::String), column("id", ColumnType::Int(64))];
    let lines =
        ["short,1".to_owned(), format!("{},2", "/".repeat(67)), format!("{},3", "/".repeat(66))];
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let table = table(columns, vec![by_column("c")], &lines);
    let mut writer = table.writer(&Limits::default()).unwrap();

    let refused = writer.append(&table.batch).unwrap();

    assert_eq!(refused.keys().collect::<Vec<_>>(), [&1]);
    assert_eq!(refused[&1].column, Some(0));
    assert!(refused[&1].reason.contains("200 bytes"), "{}", refused[&1].reason);
    assert!(!refused[&1].reason.contains('/'), "no value in a reason: {}", refused[&1].reason);
    let rows: u64 = writer.finish().unwrap().iter().map(|file| file.rows).sum();
    assert_eq!(rows, 2);
}

#[test]
fn a_key_has_room_for_all_folders_together() {
    let names: Vec<_> = ["a", "b", "c", "d", "e"].to_vec();
    let mut columns: Vec<_> = names.iter().map(|name| column(name, ColumnType::String)).collect();
    columns.push(column("id", ColumnType::Int(64)));
    let value = "x".repeat(190);
    let lines = [format!("{value},{value},{value},{value},{value},1"), "1,2,3,4,5,2".to_owned()];
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let by = names.into_iter().map(by_column).collect();
    let table = table(columns, by, &lines);
    let mut writer = table.writer(&Limits::default()).unwrap();

    let refused = writer.append(&table.batch).unwrap();

    assert_eq!(refused.keys().collect::<Vec<_>>(), [&0]);
    assert_eq!(refused[&0].column, None);
    assert!(refused[&0].reason.contains("a, b, c, d, e"), "{}", refused[&0].reason);
    assert_eq!(writer.finish().unwrap().len(), 1);
}

#[test]
fn asking_first_refuses_the_same_rows() {
    let table = ids(0..8);
    let limits = Limits { partitions_max: 2, ..Limits::default() };
    let (mut asked, mut told) = (table.writer(&limits).unwrap(), table.writer(&limits).unwrap());

    let first = asked.refusals(&table.batch);

    assert_eq!(first.keys().copied().collect::<Vec<_>>(), [2, 3, 4, 5]);
    assert_eq!(told.append(&table.batch).unwrap(), first);
    assert_eq!(asked.append(&table.batch.slice(0, 2)).unwrap(), Default::default());
    assert_eq!(asked.finish().unwrap().len(), 2);
}
