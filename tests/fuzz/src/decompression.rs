//! Packed bytes of any kind stay within their limits, and give the same text however they arrive.

use rowproof_core::block::Limits;
use rowproof_core::input::{Codec, Inflate, InputError, sniff};

use super::shape::Shape;

/// More than a step may add to a block: 64 KiB of plain bytes, three bytes of UTF-8 for each.
const STEP_MAX: usize = 3 * (64 << 10) + 16;

/// See the module.
pub fn check(data: &[u8]) {
    let mut shape = Shape(data);
    let encoding =
        shape.choice(&["utf-8", "utf-8", "utf-8", "utf-16le", "windows-1252", "shift_jis"]);
    let piece = shape.size(200);
    let block_bytes = shape.choice(&[1, 1_000, 70_000, 4 << 20]);
    let bytes_max = shape.choice(&[0, 100, 5_000, 1 << 20]);
    let ratio_max = shape.choice(&[1, 3, 200]);
    let packed = shape.0;
    let Ok(codec) = sniff(packed, "a.deflate") else { return };
    let wide = Limits {
        decompressed_bytes_max: 4 << 20,
        ratio_max: u64::MAX,
        block_bytes,
        ..Limits::default()
    };
    let whole = inflate(codec, encoding, packed, packed.len(), &wide);
    let pieces = inflate(codec, encoding, packed, piece, &wide);
    match (&whole, &pieces) {
        (Ok(whole), Ok(pieces)) => assert!(whole == pieces, "pieces of {piece} bytes"),
        (Err(_), Err(_)) => {}
        _ => panic!("pieces of {piece} bytes: {:?} and {:?}", whole.map(drop), pieces.map(drop)),
    }
    let tight =
        Limits { decompressed_bytes_max: bytes_max, ratio_max, ratio_after_bytes: 100, ..wide };
    match (inflate(codec, encoding, packed, piece, &tight), whole) {
        (Ok(tight), Ok(whole)) => assert!(tight == whole, "limits change no text"),
        (Ok(_), Err(error)) => panic!("the limits let through what fails without: {error}"),
        (Err(error), Ok(_)) => assert_eq!(error.code(), "too_large"),
        (Err(_), Err(_)) => {}
    }
}

/// All the text, or the error that ends the object; checks what each call appends.
fn inflate(
    codec: Codec,
    encoding: &str,
    packed: &[u8],
    piece: usize,
    limits: &Limits,
) -> Result<Vec<u8>, InputError> {
    let mut inflate = Inflate::new(codec, encoding, limits)?;
    let mut all = Vec::new();
    for mut part in packed.chunks(piece.max(1)) {
        loop {
            let mut out = Vec::new();
            let more = inflate.push(&mut part, &mut out);
            assert!(out.len() <= limits.block_bytes + STEP_MAX, "{} bytes at once", out.len());
            all.append(&mut out);
            let in_bounds = limits.decompressed_bytes_max.saturating_mul(3) + STEP_MAX as u64;
            assert!(all.len() as u64 <= in_bounds, "{} bytes in all", all.len());
            if !more? {
                break;
            }
        }
        assert!(part.is_empty(), "a piece is used up");
    }
    inflate.finish(&mut all)?;
    assert_eq!(inflate.compressed_bytes(), packed.len() as u64);
    assert_eq!(inflate.plain_bytes(), all.len() as u64);
    Ok(all)
}
