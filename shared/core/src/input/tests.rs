use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::block::Limits;

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    let mut encoder = ::zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// Pushes `input` in pieces; also checks what one call may append.
fn inflate_as(
    codec: Codec,
    encoding: &str,
    input: &[u8],
    piece: usize,
    limits: &Limits,
) -> Result<Vec<u8>, InputError> {
    let mut inflate = Inflate::new(codec, encoding, limits)?;
    let mut all = Vec::new();
    for mut part in input.chunks(piece.max(1)) {
        loop {
            let mut out = Vec::new();
            let more = inflate.push(&mut part, &mut out)?;
            assert!(out.len() <= limits.block_bytes + 3 * (64 << 10), "{}", out.len());
            all.append(&mut out);
            if !more {
                break;
            }
        }
        assert!(part.is_empty());
    }
    inflate.finish(&mut all)?;
    assert_eq!(inflate.compressed_bytes(), input.len() as u64);
    assert_eq!(inflate.plain_bytes(), all.len() as u64);
    Ok(all)
}

fn inflate(codec: Codec, input: &[u8], piece: usize) -> Result<Vec<u8>, InputError> {
    inflate_as(codec, "utf-8", input, piece, &Limits::default())
}

fn code(result: Result<Vec<u8>, InputError>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "ok")
}

#[test]
fn compression_is_told_by_magic_bytes() {
    assert_eq!(sniff(&gzip(b"a"), ""), Ok(Codec::Gzip));
    assert_eq!(sniff(&zstd(b"a"), ""), Ok(Codec::Zstd));
    assert_eq!(sniff(b"\x50\x2A\x4D\x18\0\0\0\0", ""), Ok(Codec::Zstd));
    for plain in [&b""[..], b"\x1F", b"id,name\n", b"BZh9,a\n", b"PK,a\n", b"PAR\n", b"(\xB5\n"] {
        assert_eq!(sniff(plain, "a.csv.deflate"), Ok(Codec::None), "{plain:?}");
    }
}

#[test]
fn formats_that_are_not_read_are_named() {
    let mut xlsx = b"PK\x03\x04".to_vec();
    xlsx.resize(30, 0);
    xlsx.extend(b"[Content_Types].xml");
    for (first, name) in [
        (&xlsx[..], "Excel"),
        (b"PK\x03\x04\0\0\0\0", "zip"),
        (b"BZh91AY&SY", "bzip2"),
        (b"\xFD7zXZ\0", "xz"),
        (b"\xFF\x06\0\0sNaPpY", "snappy"),
        (b"\x04\x22\x4D\x18", "lz4"),
        (b"PAR1\x15", "Parquet"),
    ] {
        let error = sniff(first, "").unwrap_err();
        assert_eq!(error.code(), "codec");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn what_is_packed_once_more_or_an_archive_is_named_wherever_the_input_is_cut() {
    let mut tar = vec![0; 1024];
    tar[..5].copy_from_slice(b"a.csv");
    tar[124..136].copy_from_slice(b"00000000004\0");
    tar[148..156].fill(b' ');
    let sum: u64 = tar[..512].iter().map(|byte| u64::from(*byte)).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar[512..516].copy_from_slice(b"1,a\n");
    assert!(sniff(&tar[..SNIFF_BYTES], "").unwrap_err().to_string().contains("a tar archive"));
    for (packed, named) in [
        (gzip(&tar), "a tar archive inside gzip"),
        (zstd(&tar), "a tar archive inside zstd"),
        (gzip(b"PK\x03\x04\0\0\0\0"), "a zip archive inside gzip"),
        (gzip(&zstd(b"1,a\n")), "packed twice, zstd inside gzip"),
        (gzip(&gzip(b"1,a\n")), "packed twice, gzip inside gzip"),
    ] {
        let codec = sniff(&packed, "").unwrap();
        for piece in [1, 7, packed.len()] {
            let error = inflate(codec, &packed, piece).unwrap_err();
            assert_eq!(error.code(), "codec");
            assert!(error.to_string().contains(named), "{error}");
        }
    }
    // Text of an encoding that has zeros is none of it.
    let utf16: Vec<u8> = "id,name\n".repeat(99).encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(sniff(&utf16[..SNIFF_BYTES], "a.csv.lz4"), Ok(Codec::None));
    assert!(inflate_as(Codec::Gzip, "utf-16be", &gzip(&utf16), 9, &Limits::default()).is_ok());
}

#[test]
fn members_and_frames_are_joined_wherever_the_input_is_cut() {
    let parts: [&[u8]; 4] = [b"id,name\n1,a\n", b"", b"2,\"b\n", b"\"\n"];
    for (codec, pack) in [(Codec::Gzip, gzip as fn(&[u8]) -> Vec<u8>), (Codec::Zstd, zstd)] {
        let packed: Vec<u8> = parts.iter().flat_map(|part| pack(part)).collect();
        for piece in 1..=packed.len() {
            assert_eq!(inflate(codec, &packed, piece), Ok(parts.concat()), "{codec} {piece}");
        }
    }
}

#[test]
fn gzip_headers_with_extra_fields_and_names_are_read() {
    let packed = flate2::GzBuilder::new()
        .filename("orders.csv")
        .comment("c")
        .extra(vec![1, 2, 3])
        .read(&b"1,a\n"[..], flate2::Compression::fast());
    let packed: Vec<u8> = std::io::Read::bytes(packed).map(|byte| byte.unwrap()).collect();
    assert_eq!(inflate(Codec::Gzip, &packed, 1), Ok(b"1,a\n".to_vec()));
}

#[test]
fn a_stream_that_is_cut_off_fails_at_every_byte() {
    for (codec, packed) in [(Codec::Gzip, gzip(b"1,a\n2,b\n")), (Codec::Zstd, zstd(b"1,a\n2,b\n"))]
    {
        for end in 0..packed.len() {
            assert_eq!(code(inflate(codec, &packed[..end], 5)), "truncated", "{codec} {end}");
        }
        let twice = [packed.clone(), packed.clone()].concat();
        for end in packed.len() + 1..twice.len() {
            assert_eq!(code(inflate(codec, &twice[..end], 5)), "truncated", "{codec} {end}");
        }
    }
}

#[test]
fn a_wrong_checksum_fails_the_object() {
    let mut packed = gzip(b"1,a\n2,b\n");
    let crc = packed.len() - 8;
    packed[crc] ^= 1;
    assert_eq!(code(inflate(Codec::Gzip, &packed, 7)), "corrupt");
    let mut packed = gzip(b"1,a\n2,b\n");
    let len = packed.len() - 1;
    packed[len] ^= 1;
    assert_eq!(code(inflate(Codec::Gzip, &packed, 7)), "corrupt");
    let mut packed = zstd(b"1,a\n2,b\n");
    let sum = packed.len() - 1;
    packed[sum] ^= 1;
    assert_eq!(code(inflate(Codec::Zstd, &packed, 7)), "corrupt");
}

#[test]
fn bytes_behind_the_last_member_fail_the_object_unless_they_are_zeros() {
    for piece in [1, 100] {
        let with = |tail: &[u8]| code(inflate(Codec::Gzip, &[&gzip(b"1"), tail].concat(), piece));
        assert_eq!(with(&[0; 20]), "ok");
        assert_eq!(with(b"x"), "corrupt");
        assert_eq!(with(b"\x1Fx"), "corrupt");
        assert_eq!(with(b"\0\0x"), "corrupt");
        let zstd = |tail: &[u8]| code(inflate(Codec::Zstd, &[&zstd(b"1"), tail].concat(), piece));
        assert_eq!(zstd(b"xxxxx"), "corrupt");
    }
}

#[test]
fn skippable_zstd_frames_are_skipped() {
    let skippable = b"\x50\x2A\x4D\x18\x03\0\0\0abc";
    let packed = [&skippable[..], &zstd(b"1,a\n"), skippable].concat();
    assert_eq!(inflate(Codec::Zstd, &packed, 1), Ok(b"1,a\n".to_vec()));
    assert_eq!(code(inflate(Codec::Zstd, &skippable[..9], 1)), "truncated");
}

#[test]
fn a_zstd_frame_with_a_huge_window_is_refused() {
    // Magic, no content size, no checksum, window 2^31, one empty last raw block.
    let frame = b"\x28\xB5\x2F\xFD\x00\xA8\x01\0\0";
    let error = inflate(Codec::Zstd, frame, 100).unwrap_err();
    assert!(error.to_string().contains("window"), "{error}");
}

#[test]
fn a_bomb_stops_at_the_limits_and_is_never_held() {
    let zeros = vec![b'0'; 32 << 20];
    for (codec, bomb) in [(Codec::Gzip, gzip(&zeros)), (Codec::Zstd, zstd(&zeros))] {
        let limits = Limits { ratio_after_bytes: 10 << 20, ..Limits::default() };
        let ratio = inflate_as(codec, "utf-8", &bomb, bomb.len(), &limits);
        assert_eq!(ratio, Err(InputError::Ratio { max: 200, after: 10 << 20 }));
        let small = inflate(codec, &bomb, bomb.len());
        assert_eq!(small.map(|all| all.len()), Ok(zeros.len()), "by default it is small");
        let max = 1 << 20;
        let limits = Limits { decompressed_bytes_max: max, block_bytes: 1000, ..Limits::default() };
        let total = inflate_as(codec, "utf-8", &bomb, bomb.len(), &limits);
        assert_eq!(total, Err(InputError::TooManyBytes { max }));
        let limits = Limits { ratio_max: u64::MAX, block_bytes: 70_000, ..Limits::default() };
        let all = inflate_as(codec, "utf-8", &bomb, bomb.len(), &limits);
        assert_eq!(all.map(|all| all.len()), Ok(zeros.len()));
    }
}

fn text(encoding: &str, input: &[u8]) -> Vec<u8> {
    let all = |piece| inflate_as(Codec::None, encoding, input, piece, &Limits::default()).unwrap();
    let whole = all(input.len());
    for piece in 1..input.len() {
        assert_eq!(all(piece), whole, "{encoding} {piece}");
    }
    whole
}

#[test]
fn declared_encodings_become_utf8_without_their_mark() {
    assert_eq!(text("utf-8", b"\xEF\xBB\xBFa"), b"a");
    assert_eq!(text("utf-8", b"\xEF\xBBa"), b"\xEF\xBBa");
    assert_eq!(text("utf-8", b"\xEF"), b"\xEF");
    assert_eq!(text("utf-8", b"a\xEF\xBB\xBF\xFF"), b"a\xEF\xBB\xBF\xFF");
    assert_eq!(text("windows-1252", b"\xE9\x80\n"), "é€\n".as_bytes());
    assert_eq!(text("utf-16le", b"\xFF\xFEa\0\xAC\x20"), "a€".as_bytes());
    assert_eq!(text("utf-16", b"\xFE\xFF\0a\x20\xAC"), "a€".as_bytes());
    assert_eq!(text("shift_jis", b"\x93\xFA\n"), "日\n".as_bytes());
}

#[test]
fn a_malformed_sequence_becomes_a_byte_that_is_no_utf8() {
    assert_eq!(text("utf-16le", b"a\0\0\xD8b\0"), b"a\xFFb");
    assert_eq!(text("utf-16le", b"a\0b"), b"a\xFF");
    assert_eq!(text("shift_jis", b"\x93\n1"), b"\xFF\n1");
    let gzipped = gzip(b"a\0\0\xD8b\0");
    assert_eq!(
        inflate_as(Codec::Gzip, "utf-16le", &gzipped, 1, &Limits::default()),
        Ok(b"a\xFFb".to_vec())
    );
}

#[test]
fn an_unknown_encoding_is_refused_by_name() {
    let error = Inflate::new(Codec::None, "latin-11", &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("latin-11"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_streams_never_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), piece in 1_usize..50,
    ) {
        for (codec, packed) in [(Codec::Gzip, gzip(b"1,abcabcabc\n")), (Codec::Zstd, zstd(b"1,abcabcabc\n"))] {
            let mut packed = packed;
            for (at, byte) in &flips {
                let at = at.index(packed.len());
                packed[at] = *byte;
            }
            drop(inflate(codec, &packed, piece));
        }
    }
}
