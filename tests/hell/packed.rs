//! gzip and zstd: streams that are joined, cut off, damaged, mislabelled, or made to explode.

use std::io::Write;

use flate2::{Compression, GzBuilder};
use rowproof_core::block::Limits;
use rowproof_core::input::{Codec, Inflate, InputError, sniff};

const TEXT: &[u8] = b"id,t\n1,\"a\nb\"\n2,c\n";

fn gzip(builder: GzBuilder, text: &[u8]) -> Vec<u8> {
    let mut encoder = builder.write(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn gz(text: &[u8]) -> Vec<u8> {
    gzip(GzBuilder::new(), text)
}

fn zst(text: &[u8], checksum: bool, size: bool) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(checksum).unwrap();
    encoder.include_contentsize(size).unwrap();
    encoder.set_pledged_src_size(size.then_some(text.len() as u64)).unwrap();
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn unpack(packed: &[u8], piece: usize, limits: &Limits) -> Result<Vec<u8>, InputError> {
    let mut inflate = Inflate::new(sniff(packed, "")?, "utf-8", limits)?;
    let mut out = Vec::new();
    for mut part in packed.chunks(piece.max(1)) {
        while inflate.push(&mut part, &mut out)? {}
    }
    inflate.finish(&mut out)?;
    Ok(out)
}

/// The text, or the code and a word of the message, in pieces of every size.
fn gives(what: &str, packed: &[u8], expected: Result<&[u8], (&str, &str)>) {
    for piece in 1..=packed.len().max(1) {
        match (unpack(packed, piece, &Limits::default()), expected) {
            (Ok(text), Ok(expected)) => assert_eq!(text, expected, "{what}: {piece}"),
            (Err(error), Err((code, word))) => {
                assert_eq!(error.code(), code, "{what}: {piece}: {error}");
                assert!(error.to_string().contains(word), "{what}: {error}");
            }
            (found, _) => panic!("{what}: {piece}: {found:?}"),
        }
    }
}

#[test]
fn members_are_joined_and_their_headers_skipped() {
    let (first, second) = TEXT.split_at(9);
    let named = GzBuilder::new().filename("a.zip").comment("PK").extra(vec![0, 255, 1]).mtime(1);
    for (what, packed) in [
        ("one", gz(TEXT)),
        ("two, cut inside a quoted field", [gz(first), gz(second)].concat()),
        ("empty ones", [gz(b""), gz(first), gz(b""), gz(second), gz(b"")].concat()),
        ("a member for every byte", TEXT.iter().flat_map(|byte| gz(&[*byte])).collect()),
        ("names, comments and extra fields", gzip(named, TEXT)),
        ("zeros behind it, as tapes have", [gz(TEXT), vec![0; 300]].concat()),
        ("stored, not packed", {
            let mut encoder = GzBuilder::new().write(Vec::new(), Compression::none());
            encoder.write_all(TEXT).unwrap();
            encoder.finish().unwrap()
        }),
    ] {
        gives(what, &packed, Ok(TEXT));
    }
    gives("nothing in it", &gz(b""), Ok(b""));
    gives("packed twice", &gz(&gz(TEXT)), Err(("codec", "twice, gzip inside gzip")));
}

#[test]
fn a_gzip_stream_that_is_not_whole_fails() {
    let packed = gz(TEXT);
    for end in 2..packed.len() {
        gives("cut off", &packed[..end], Err(("truncated", "cut off at byte")));
    }
    let second = [gz(TEXT), packed[..packed.len() - 1].to_vec()].concat();
    gives("the second member cut off", &second, Err(("truncated", "cut off at byte")));
    let changed = |at: usize, with: u8| {
        let mut packed = gz(TEXT);
        let at = if at < 99 { at } else { packed.len() + at - 999 };
        packed[at] ^= with;
        packed
    };
    for (what, packed, word) in [
        ("a wrong checksum", changed(999 - 8, 1), "checksum"),
        ("a wrong length", changed(999 - 4, 1), "length"),
        ("an unknown method", changed(2, 1), "damaged"),
        ("flags that nobody has defined", changed(3, 0xE0), "header"),
        ("damaged data", changed(10, 0xFF), "damaged"),
        ("text behind it", [gz(TEXT), b"3,d\n".to_vec()].concat(), "follow the last member"),
        ("text behind the zeros", [gz(TEXT), b"\0\0x".to_vec()].concat(), "follow the last member"),
        (
            "zeros between two",
            [gz(TEXT), vec![0; 9], gz(TEXT)].concat(),
            "another member follows the zeros",
        ),
        ("zstd behind it", [gz(TEXT), zst(TEXT, true, true)].concat(), "follow the last member"),
        ("only the first byte of another", [gz(TEXT), b"\x1F\x8C".to_vec()].concat(), "header"),
    ] {
        gives(what, &packed, Err(("corrupt", word)));
    }
}

#[test]
fn frames_are_joined_and_skippable_ones_skipped() {
    let (first, second) = TEXT.split_at(9);
    let skip = |bytes: &[u8]| {
        let len = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        [b"\x5A\x2A\x4D\x18".as_slice(), &len, bytes].concat()
    };
    for (what, packed) in [
        ("one", zst(TEXT, true, true)),
        ("without a size", zst(TEXT, true, false)),
        ("without a checksum", zst(TEXT, false, false)),
        ("two", [zst(first, true, true), zst(second, false, false)].concat()),
        (
            "empty ones",
            [zst(b"", true, true), zst(TEXT, true, true), zst(b"", false, true)].concat(),
        ),
        (
            "skippable ones",
            [skip(b"x"), zst(first, true, true), skip(b""), zst(second, true, true), skip(b"yz")]
                .concat(),
        ),
    ] {
        gives(what, &packed, Ok(TEXT));
    }
    gives("only a skippable one", &skip(b"PK\x03\x04"), Ok(b""));
}

#[test]
fn a_zstd_stream_that_is_not_whole_or_wants_too_much_fails() {
    let packed = zst(TEXT, true, true);
    for end in 4..packed.len() {
        gives("cut off", &packed[..end], Err(("truncated", "cut off at byte")));
    }
    let mut sum = packed.clone();
    *sum.last_mut().unwrap() ^= 1;
    gives("a wrong checksum", &sum, Err(("corrupt", "checksum")));
    let behind = [packed.clone(), b"3,dddd\n".to_vec()].concat();
    gives("text behind it", &behind, Err(("corrupt", "follow the last frame")));
    // A window of 2 GiB; one of 128 MiB is the last that is granted. Each with one empty last block.
    gives(
        "zeros behind it",
        &[packed, vec![0; 4]].concat(),
        Err(("corrupt", "zeros follow the last frame")),
    );
    gives("a huge window", b"\x28\xB5\x2F\xFD\x00\xA8\x01\0\0", Err(("codec", "--long=27")));
    gives("the largest window", b"\x28\xB5\x2F\xFD\x00\x88\x01\0\0", Ok(b""));
    gives("a dictionary", b"\x28\xB5\x2F\xFD\x21\x07\x00\x01\0\0", Err(("codec", "dictionary")));
}

#[test]
fn what_an_object_is_packed_with_is_told_by_its_bytes_and_others_are_refused_by_name() {
    let xlsx = [b"PK\x03\x04".as_slice(), &[0; 26], b"xl/workbook.xml"].concat();
    let ods = [b"PK\x03\x04".as_slice(), &[0; 26], b"mimetypeapplication/vnd.oasis"].concat();
    for (name, bytes) in [
        ("a zip archive", &b"PK\x03\x04\x14\0\0\0\x08\0"[..]),
        ("an empty zip archive", b"PK\x05\x06\0\0\0\0"),
        ("an Excel file", &xlsx),
        ("old Office", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"),
        ("bzip2", b"BZh91AY&SY\x01"),
        ("xz", b"\xFD7zXZ\0\0\x04"),
        ("a 7z archive", b"7z\xBC\xAF\x27\x1C\0\x04"),
        ("ORC", b"ORC\x08\xC3\x01\x0A\x03"),
        ("an OpenDocument file", &ods),
        ("a zstd dictionary", b"\x37\xA4\x30\xEC\x01\0\0\0"),
        ("zlib", b"\x78\x9C\x4B\x04\0"),
        ("zlib", b"\x78\xDA\x4B\x04\0"),
        ("zlib", b"\x78\x01\x01\x04\0\xFB\xFF1,a\n"),
        ("snappy in Hadoop's blocks", b"\0\0\0\x05\0\0\0\x07\x05\x10id,t\n"),
        ("lz4 in Hadoop's blocks", b"\0\0\0\x05\0\0\0\x06\x50id,t\n"),
        ("snappy", b"\xFF\x06\0\0sNaPpY\x01"),
        ("lz4", b"\x04\x22\x4D\x18\x64"),
        ("Parquet", b"PAR1\x15\x04"),
        ("encrypted Parquet", b"PARE\x15\x04"),
        ("Avro", b"Obj\x01\x04"),
    ] {
        let error = sniff(bytes, "").unwrap_err();
        assert_eq!(error.code(), "codec", "{name}");
        assert!(error.to_string().contains(name), "{name}: {error}");
    }
    for (what, bytes) in [
        ("text", &b"id,t\n"[..]),
        ("text that begins like bzip2", b"BZh9,t\n"),
        ("like zip", b"PK,t\n"),
        ("like Parquet", b"PAR1;PAR2;t\n1;2;\xE4\n"),
        ("half of gzip's sign", b"\x1F"),
        ("like zlib", b"x^2,y\n1,2\n"),
        ("like zlib, between Hive's delimiters", b"x\x01y\n1\x012\n"),
        ("like ORC", b"ORC,\xC3\xA4\n"),
        ("a name that promises more", b"id,t\n1,\xE4\n"),
        ("nothing", b""),
    ] {
        assert_eq!(sniff(bytes, "a.csv.deflate"), Ok(Codec::None), "{what}");
    }
    let raw = b"\x4B\x04\0\xFF\xFE\x01";
    assert_eq!(sniff(raw, "a.csv"), Ok(Codec::None));
    let error = sniff(raw, "a.csv.deflate").unwrap_err();
    assert!(error.to_string().contains("deflate without a header"), "{error}");
}

#[test]
fn a_bomb_is_stopped_before_it_is_held() {
    let zeros = vec![b'0'; 64 << 20];
    let zstd = zstd::encode_all(&zeros[..], 1).unwrap();
    let member = gz(&zeros[..1 << 20]);
    for (what, bomb) in [
        ("gzip", gz(&zeros)),
        ("zstd", zstd),
        ("many small members", member.iter().copied().cycle().take(member.len() * 64).collect()),
    ] {
        for piece in [1_000, bomb.len()] {
            let limits = Limits { ratio_after_bytes: 10 << 20, ..Limits::default() };
            let mut inflate = Inflate::new(sniff(&bomb, "").unwrap(), "utf-8", &limits).unwrap();
            let mut made = 0;
            let error = bomb.chunks(piece).find_map(|mut part| {
                loop {
                    let mut out = Vec::new();
                    let more = inflate.push(&mut part, &mut out);
                    assert!(out.len() < 5 << 20, "{what}: {} bytes at once", out.len());
                    made += out.len();
                    match more {
                        Ok(true) => {}
                        Ok(false) => return None,
                        Err(error) => return Some(error),
                    }
                }
            });
            assert_eq!(error, Some(InputError::Ratio { max: 200, after: 10 << 20 }), "{what}");
            assert!(made < 11 << 20, "{what}: {made} bytes were made");
        }
    }
    let limits = Limits { decompressed_bytes_max: 1_000, ..Limits::default() };
    let error = unpack(&gz(&zeros[..1_001]), 9, &limits).unwrap_err();
    assert_eq!(error, InputError::TooManyBytes { max: 1_000 });
    assert_eq!(unpack(&gz(&zeros[..1_000]), 9, &limits).unwrap().len(), 1_000);
}
