#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rowproof_fuzz::pipeline_file::check(data));
