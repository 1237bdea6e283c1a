//! The declared text encoding to UTF-8.

use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::InputError;

/// Stands for a malformed sequence. It is no UTF-8, so the record that holds it is rejected.
const MALFORMED: u8 = 0xFF;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Turns text of one encoding into UTF-8, piece by piece, and drops a byte order mark at its start.
pub(super) enum Text {
    /// Passed through; the bytes held back may be the start of a mark.
    Utf8 {
        held: Option<Vec<u8>>,
    },
    Other(Box<encoding_rs::Decoder>),
}

impl Text {
    pub(super) fn new(label: &str) -> Result<Text, InputError> {
        let unknown = || InputError::UnknownEncoding { label: label.to_owned() };
        let encoding = Encoding::for_label(label.as_bytes()).ok_or_else(unknown)?;
        Ok(if encoding == UTF_8 {
            Text::Utf8 { held: Some(Vec::new()) }
        } else if encoding == UTF_16LE || encoding == UTF_16BE {
            // The mark decides about the byte order.
            Text::Other(Box::new(encoding.new_decoder()))
        } else {
            Text::Other(Box::new(encoding.new_decoder_with_bom_removal()))
        })
    }

    /// Whether [`Text::push`] would append its input as it is.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Text::Utf8 { held: None })
    }

    /// Appends `input` as UTF-8: at most three bytes for each one.
    pub(super) fn push(&mut self, input: &[u8], last: bool, out: &mut Vec<u8>) {
        match self {
            Text::Utf8 { held: None } => out.extend_from_slice(input),
            Text::Utf8 { held: Some(start) } => {
                start.extend_from_slice(input);
                if last || start.len() >= BOM.len() || !BOM.starts_with(start) {
                    out.extend_from_slice(start.strip_prefix(BOM).unwrap_or(start));
                    *self = Text::Utf8 { held: None };
                }
            }
            Text::Other(decoder) => transcode(decoder, input, last, out),
        }
    }
}

fn transcode(decoder: &mut encoding_rs::Decoder, mut input: &[u8], last: bool, out: &mut Vec<u8>) {
    loop {
        let before = out.len();
        let room = input.len().saturating_mul(3).saturating_add(16);
        out.resize(before + room, 0);
        let target = out.get_mut(before..).unwrap_or(&mut []);
        let (result, read, written) =
            decoder.decode_to_utf8_without_replacement(input, target, last);
        out.truncate(before + written);
        input = input.get(read..).unwrap_or(&[]);
        match result {
            DecoderResult::InputEmpty => return,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => out.push(MALFORMED),
        }
    }
}
