//! Text that is not UTF-8, or not quite.

use rowproof_core::block::Limits;
use rowproof_core::input::{Codec, Inflate};

use crate::fuzz::reading::Feed;
use crate::table::{ID_TEXT, archived, csv, gives, no_header};

#[test]
fn bytes_that_are_no_utf8_reject_their_record_and_are_kept() {
    let feed = csv("", ID_TEXT);
    for (what, bytes, raw) in [
        ("Latin-1", &b"caf\xE9"[..], "caf\\xE9"),
        ("a byte that is never there", b"\xFF", "\\xFF"),
        ("overlong", b"\xC0\xAF", "\\xC0\\xAF"),
        ("a lone surrogate", b"\xED\xA0\x80", "\\xED\\xA0\\x80"),
        ("a character cut off", b"\xE2\x82", "\\xE2\\x82"),
        ("above the last character", b"\xF4\x90\x80\x80", "\\xF4\\x90\\x80\\x80"),
        ("with a backslash", b"\\x\xE9", "\\\\x\\xE9"),
    ] {
        let file = [b"id,t\n1,a\n2,", bytes, b"\n3,b\n"].concat();
        let end = 11 + bytes.len();
        let rejected = format!("!encoding@9..{end}");
        gives(&feed, what, &file, &["1|a", &rejected, "3|b"]);
        assert_eq!(archived(&feed, &file), [Some(format!("2,{raw}"))], "{what}");
    }
    gives(&feed, "NUL", b"id,t\n1,a\0b\n\0,x\n", &["1|a\0b", "!type(id)@11..14"]);
    let marks = "id,t\n1,a\n\u{feff}2,b\n3,\u{feff}c\n";
    gives(&feed, "marks inside", marks.as_bytes(), &["1|a", "2|b", "3|\u{feff}c"]);
    no_header(&feed, "UTF-16 that was not declared", b"\xFF\xFEi\0d\0,\0t\0\n\0", "not text");
    no_header(&feed, "Latin-1 in the header", b"id,t,Stra\xDFe\n", "not text at byte 9");
    no_header(&feed, "a program", b"\x7FELF\x02\x01\x01\0\0\n", "not text at byte 7");
}

/// The file as UTF-8, pushed in pieces of every size.
fn transcoded(feed: &Feed, file: &[u8]) -> Vec<u8> {
    let plain = |piece: usize| {
        let encoding = &feed.pipeline.source.encoding;
        let mut inflate = Inflate::new(Codec::None, encoding, &Limits::default()).unwrap();
        let mut out = Vec::new();
        for mut part in file.chunks(piece) {
            while inflate.push(&mut part, &mut out).unwrap() {}
        }
        inflate.finish(&mut out).unwrap();
        out
    };
    let whole = plain(file.len().max(1));
    for piece in 1..=file.len() {
        assert_eq!(plain(piece), whole, "{piece}");
    }
    whole
}

#[test]
fn declared_encodings_are_transcoded_and_what_is_malformed_rejects_its_record() {
    let utf16 = |text: &str, order: fn(u16) -> [u8; 2]| -> Vec<u8> {
        text.encode_utf16().flat_map(order).collect()
    };
    let (le, be) = (u16::to_le_bytes as fn(u16) -> [u8; 2], u16::to_be_bytes as fn(u16) -> [u8; 2]);
    let text = "\u{feff}id,t\r\n1,é€😀\r\n";
    let mut lone = utf16("id,t\n1,a", le);
    lone.extend([0x00, 0xD8]);
    lone.extend(utf16("\n2,b\n", le));
    let mut odd = utf16("id,t\n1,a\n2,b", le);
    odd.push(b'x');
    for (label, file, rows) in [
        ("utf-16le", utf16(text, le), vec!["1|é€😀"]),
        ("utf-16be", utf16(text, be), vec!["1|é€😀"]),
        ("utf-16le", utf16(text, be), vec!["1|é€😀"]),
        ("utf-16le", lone, vec!["!encoding@5..9", "2|b"]),
        ("utf-16le", odd, vec!["1|a", "!encoding@9..13"]),
        ("latin1", b"id,t\n1,caf\xE9 \x80\n".to_vec(), vec!["1|café €"]),
        ("windows-1252", b"id,t\n1,\x93a\x94\n".to_vec(), vec!["1|“a”"]),
        (
            "shift_jis",
            b"id,t\n1,\x93\xFA\n2,\x93\n3,b\n".to_vec(),
            vec!["1|日", "!encoding@11..14", "3|b"],
        ),
        ("gbk", b"id,t\n1,\x81\x5C\n".to_vec(), vec!["1|乗"]),
    ] {
        let feed = csv(&format!("csv = {{ encoding = \"{label}\" }}"), ID_TEXT);
        gives(&feed, label, &transcoded(&feed, &file), &rows);
    }
}
