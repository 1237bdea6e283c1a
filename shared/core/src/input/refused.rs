//! What is refused by its bytes.

/// A format that is recognised but not read: what it is, and what to do.
pub(super) type Refused = (&'static str, &'static str);

/// Whether bytes are no text of any encoding that files are written in: a character that UTF-8 does not
/// have, and a control character that texts do not have.
pub(super) fn is_binary(bytes: &[u8]) -> bool {
    let no_utf8 = std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_some());
    no_utf8 && bytes.iter().any(is_control)
}

/// A control character that texts do not have. Hive has 1 between its fields.
pub(super) fn is_control(byte: &u8) -> bool {
    matches!(byte, 0 | 2..=8 | 0x0E..=0x19 | 0x1C..=0x1F)
}
