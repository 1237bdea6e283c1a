#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rowproof_fuzz::csv_split::check(data));
