//! The truth about an orders file, found out slowly: one byte, one field, one row after the other.

use super::orders::COLUMNS;

/// A row as text, column by column: integers and microseconds in decimal, NULL as `None`.
pub(crate) type Row = Vec<Option<String>>;

/// One record of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judged {
    /// From 1.
    pub(crate) number: i64,
    /// First byte.
    pub(crate) start: i64,
    /// One past the last byte, line end excluded.
    pub(crate) end: i64,
    /// The typed row, or the code it is rejected with.
    pub(crate) verdict: Result<Row, &'static str>,
}

/// All records behind the header.
pub(crate) fn judge(file: &[u8]) -> Vec<Judged> {
    let mut at = after_line(file, line_end(file, 0));
    let mut judged = Vec::new();
    while at < file.len() {
        if is_line_end(file.get(at)) {
            at = after_line(file, at);
            continue;
        }
        let (end, fields) = record(file, at);
        let verdict = fields.and_then(|fields| typed(&fields, &file[at..end]));
        judged.push(Judged {
            number: i64::try_from(judged.len()).unwrap() + 1,
            start: i64::try_from(at).unwrap(),
            end: i64::try_from(end).unwrap(),
            verdict,
        });
        at = after_line(file, end);
    }
    judged
}

/// The rows that are loaded, sorted.
pub(crate) fn good(file: &[u8]) -> Vec<Row> {
    let mut rows: Vec<_> = judge(file).into_iter().filter_map(|row| row.verdict.ok()).collect();
    rows.sort();
    rows
}

/// `(row number, first byte, end, code)` of the rows that are rejected.
pub(crate) fn bad(file: &[u8]) -> Vec<(i64, i64, i64, String)> {
    let rejected = |row: &Judged| {
        let code = row.verdict.as_ref().err()?;
        Some((row.number, row.start, row.end, (*code).to_owned()))
    };
    judge(file).iter().filter_map(rejected).collect()
}

fn is_line_end(byte: Option<&u8>) -> bool {
    matches!(byte, Some(b'\n' | b'\r'))
}

fn line_end(file: &[u8], from: usize) -> usize {
    (from..file.len()).find(|at| is_line_end(file.get(*at))).unwrap_or(file.len())
}

fn after_line(file: &[u8], end: usize) -> usize {
    let len = if file[end..].starts_with(b"\r\n") { 2 } else { 1 };
    (end + len).min(file.len())
}

type Fields = Vec<(Vec<u8>, bool)>;

/// The quote rule: where the record ends, and its fields with whether they were quoted.
fn record(file: &[u8], start: usize) -> (usize, Result<Fields, &'static str>) {
    let first_line = line_end(file, start);
    let mut fields = Vec::new();
    let mut at = start;
    loop {
        let mut text = Vec::new();
        let quoted = file.get(at) == Some(&b'"');
        if quoted {
            at += 1;
            loop {
                match (file.get(at), file.get(at + 1)) {
                    (None, _) => return (first_line, Err("unterminated_quote")),
                    (Some(b'"'), Some(b'"')) => {
                        text.push(b'"');
                        at += 2;
                    }
                    (Some(b'"'), None | Some(b',' | b'\n' | b'\r')) => break,
                    (Some(b'"'), Some(_)) if at < first_line => {
                        return (first_line, Err("bad_quote"));
                    }
                    (Some(b'"'), Some(_)) => return (first_line, Err("unterminated_quote")),
                    (Some(byte), _) => {
                        text.push(*byte);
                        at += 1;
                    }
                }
            }
            at += 1;
        } else {
            while at < file.len() && file[at] != b',' && !is_line_end(file.get(at)) {
                if file[at] == b'"' {
                    return (first_line, Err("bad_quote"));
                }
                text.push(file[at]);
                at += 1;
            }
        }
        fields.push((text, quoted));
        if file.get(at) != Some(&b',') {
            return (at, Ok(fields));
        }
        at += 1;
    }
}

fn typed(fields: &Fields, record: &[u8]) -> Result<Row, &'static str> {
    if fields.len() != COLUMNS.len() {
        return Err("field_count");
    }
    if std::str::from_utf8(record).is_err() {
        return Err("encoding");
    }
    let text = |index: usize| {
        let (text, quoted) = &fields[index];
        let text = String::from_utf8(text.clone()).unwrap();
        Some(text).filter(|text| *quoted || !text.is_empty())
    };
    let mut row = Row::new();
    for index in 0..COLUMNS.len() {
        row.push(match index {
            0 | 1 => text(index).map(|text| integer(&text)).transpose()?,
            3 => text(index).map(|text| money(&text)).transpose()?,
            6 | 7 => text(index).map(|text| instant(&text)).transpose()?,
            _ => text(index),
        });
    }
    if row[..9].contains(&None) {
        return Err("not_null");
    }
    let currency = row[4].as_deref().unwrap_or("");
    if !["EUR", "USD", "GBP", "JPY"].contains(&currency) {
        return Err("one_of");
    }
    Ok(row)
}

fn integer(text: &str) -> Result<String, &'static str> {
    text.parse::<i64>().map(|number| number.to_string()).map_err(|_| "type")
}

/// Up to ten digits before the point and two behind it.
fn money(text: &str) -> Result<String, &'static str> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, cents) = digits.split_once('.').ok_or("type")?;
    let number: u64 = whole.parse().map_err(|_| "type")?;
    if number >= 10_u64.pow(10) || cents.len() != 2 || cents.parse::<u8>().is_err() {
        return Err("type");
    }
    let zero = number == 0 && cents == "00";
    let sign = if text.starts_with('-') && !zero { "-" } else { "" };
    Ok(format!("{sign}{number}.{cents}"))
}

/// `2024-MM-DDTHH:MM:SS[.f]Z` to microseconds since 1970.
fn instant(text: &str) -> Result<String, &'static str> {
    const MONTHS: [i64; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let text = text.strip_prefix("2024-").and_then(|text| text.strip_suffix('Z')).ok_or("type")?;
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let parts: Result<Vec<i64>, _> = clock.split(['-', 'T', ':']).map(str::parse).collect();
    let [month, day, hour, minute, second] = parts.map_err(|_| "type")?[..] else {
        return Err("type");
    };
    let before = MONTHS.get(..usize::try_from(month - 1).unwrap()).ok_or("type")?;
    if day > MONTHS[before.len()] {
        return Err("type");
    }
    let days = 19_723 + before.iter().sum::<i64>() + day - 1;
    let micros: i64 = format!("{fraction:0<6}").parse().map_err(|_| "type")?;
    Ok((((days * 24 + hour) * 60 + minute) * 60 + second).to_string() + &format!("{micros:06}"))
}

#[test]
fn the_oracle_finds_every_flaw_that_was_put_in() {
    let orders = super::orders::Orders::flawed(300);
    let (file, flaws) = orders.csv();
    let judged = judge(&file);
    assert_eq!(judged.len(), flaws.len());
    for (row, flaw) in judged.iter().zip(flaws) {
        let as_made = match (&row.verdict, flaw) {
            (Ok(_), None) => true,
            (Err(code), Some(flaw)) => flaw.codes().contains(code),
            (Ok(_), Some(_)) | (Err(_), None) => false,
        };
        assert!(as_made, "{row:?} was made with {flaw:?}");
    }
}
