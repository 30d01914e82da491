#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| opte_fuzz::apply_file::check(bytes));
