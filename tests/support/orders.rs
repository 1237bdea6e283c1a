//! Orders files: the same arguments give the same bytes.

use fastrand::Rng;
use serde_json::json;

/// The columns of an orders file, in its order and in the contract's.
pub(crate) const COLUMNS: [&str; 10] = [
    "id",
    "customer_id",
    "name",
    "amount",
    "currency",
    "status",
    "created_at",
    "updated_at",
    "email",
    "note",
];

const NAMES: [&str; 10] = [
    "Anna Bauer",
    "\"Almeida, José\"",
    "\"Inès \"\"Zoë\"\" Zhang\"",
    "\"Liam\nWeber\"",
    "\"Mei\r\nTanaka\"",
    "\"株式会社 Rossi, 東京\"",
    "Noor 🚀 Haddad",
    "Søren Yılmaz",
    "\"\"\"quoted\"\"\"",
    "\",\"",
];
const CURRENCIES: [&str; 4] = ["EUR", "USD", "GBP", "JPY"];
const STATUSES: [&str; 4] = ["pending", "paid", "shipped", "refunded"];

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    TooFew,
    TooMany,
    BadInt,
    BadDecimal,
    BadTime,
    Missing,
    NotListed,
    NotUtf8,
    Tricky,
    StrayQuote,
    OpenQuote,
}

impl Flaw {
    pub(crate) const ALL: [Flaw; 11] = [
        Flaw::TooFew,
        Flaw::TooMany,
        Flaw::BadInt,
        Flaw::BadDecimal,
        Flaw::BadTime,
        Flaw::Missing,
        Flaw::NotListed,
        Flaw::NotUtf8,
        Flaw::Tricky,
        Flaw::StrayQuote,
        Flaw::OpenQuote,
    ];

    /// The codes it may be rejected with: an open quote is found out where the next quote stands.
    pub(crate) fn codes(self) -> &'static [&'static str] {
        match self {
            Flaw::TooFew | Flaw::TooMany => &["field_count"],
            Flaw::BadInt | Flaw::BadDecimal | Flaw::BadTime | Flaw::Tricky => &["type"],
            Flaw::Missing => &["not_null"],
            Flaw::NotListed => &["one_of"],
            Flaw::NotUtf8 => &["encoding"],
            Flaw::StrayQuote => &["bad_quote"],
            Flaw::OpenQuote => &["bad_quote", "unterminated_quote"],
        }
    }
}

/// How a file is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Orders {
    pub(crate) rows: usize,
    pub(crate) seed: u64,
    pub(crate) first_id: usize,
    /// Every n-th record is flawed, one kind after the other; 0 for none.
    pub(crate) flaw_every: usize,
    /// Status of every row, instead of one by chance.
    pub(crate) status: Option<&'static str>,
    /// One more record with a quote that nothing closes.
    pub(crate) open_tail: bool,
}

impl Orders {
    pub(crate) fn clean(rows: usize) -> Orders {
        Orders { rows, seed: 7, first_id: 1, flaw_every: 0, status: None, open_tail: false }
    }

    pub(crate) fn flawed(rows: usize) -> Orders {
        Orders { flaw_every: 9, open_tail: true, ..Orders::clean(rows) }
    }

    /// The file, and the flaw of each of its records.
    pub(crate) fn csv(&self) -> (Vec<u8>, Vec<Option<Flaw>>) {
        let mut rng = Rng::with_seed(self.seed);
        let mut file = COLUMNS.join(",").into_bytes();
        file.push(b'\n');
        let mut flaws = Vec::new();
        for index in 0..self.rows {
            let fields = self.fields(index, &mut rng);
            let flawed = self.flaw_every > 0 && index % self.flaw_every == 3;
            let flaw = flawed.then(|| Flaw::ALL[index / self.flaw_every % Flaw::ALL.len()]);
            match flaw {
                Some(flaw) => spoil(flaw, fields, &mut file),
                None => file.extend(fields.join(",").bytes()),
            }
            file.extend(if index % 5 == 0 { "\r\n" } else { "\n" }.bytes());
            if index % 40 == 11 {
                file.push(b'\n'); // a blank line
            }
            flaws.push(flaw);
        }
        if self.open_tail {
            file.extend(b"77,1,\"never closed,1.00,EUR,paid,,,,".iter());
            flaws.push(Some(Flaw::OpenQuote));
        }
        (file, flaws)
    }

    /// The same rows as JSON Lines; a clean file only.
    pub(crate) fn jsonl(&self) -> Vec<u8> {
        let mut rng = Rng::with_seed(self.seed);
        let mut file = String::new();
        for index in 0..self.rows {
            let fields = self.fields(index, &mut rng).map(|field| unquoted(&field));
            let note = Some(&fields[9]).filter(|note| !note.is_empty());
            let line = json!({
                "note": note, "id": fields[0].parse::<i64>().unwrap(), "customer_id": fields[1],
                "name": fields[2], "amount": fields[3], "currency": fields[4], "status": fields[5],
                "created_at": fields[6], "updated_at": fields[7], "email": fields[8], "more": 1,
            });
            file.push_str(&format!("{line}\n"));
        }
        file.into_bytes()
    }

    fn fields(&self, index: usize, rng: &mut Rng) -> [String; 10] {
        let id = self.first_id + index;
        let customer = rng.u32(1..2_000_000);
        let (month, day) = (rng.u8(1..=3), rng.u8(1..=28));
        let fraction = ["", ".5", ".250", ".000001"][rng.usize(..4)];
        let time = |day: u8, rng: &mut Rng| {
            let (hour, minute, second) = (rng.u8(..24), rng.u8(..60), rng.u8(..60));
            format!("2024-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
        };
        let note = if rng.bool() { format!("note {id}") } else { String::new() };
        [
            id.to_string(),
            customer.to_string(),
            NAMES[rng.usize(..NAMES.len())].to_owned(),
            format!("{}{}.{:02}", ["", "-"][rng.usize(..2)], rng.u32(..5000), rng.u8(..100)),
            CURRENCIES[rng.usize(..4)].to_owned(),
            self.status.unwrap_or(STATUSES[rng.usize(..4)]).to_owned(),
            time(day, rng),
            time(28, rng),
            format!("c{customer}@example.com"),
            note,
        ]
    }
}

fn unquoted(field: &str) -> String {
    match field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => field.to_owned(),
    }
}

fn spoil(flaw: Flaw, mut fields: [String; 10], file: &mut Vec<u8>) {
    match flaw {
        Flaw::TooFew => return file.extend(fields[..8].join(",").bytes()),
        Flaw::TooMany => return file.extend(format!("{},extra", fields.join(",")).bytes()),
        Flaw::BadInt => fields[1] = "12x4".into(),
        Flaw::BadDecimal => fields[3] = "\"1,234.5x\"".into(),
        Flaw::BadTime => fields[6] = "2024-02-30T10:00:00Z".into(),
        Flaw::Missing => fields[8].clear(),
        Flaw::NotListed => fields[4] = "XXX".into(),
        Flaw::Tricky => fields[3] = "99999999999.99".into(),
        Flaw::StrayQuote => fields[2] = "\"An\"na".into(),
        Flaw::OpenQuote => fields[2] = "\"Anna".into(),
        Flaw::NotUtf8 => {
            file.extend(format!("{},{},", fields[0], fields[1]).bytes());
            file.extend(b"Bad\xff\xfeName,");
            return file.extend(fields[3..].join(",").bytes());
        }
    }
    file.extend(fields.join(",").bytes());
}
