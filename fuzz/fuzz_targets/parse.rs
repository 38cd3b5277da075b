//! Any frame through the parsing stages.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysteer_tests::fuzzing::parse(data));
