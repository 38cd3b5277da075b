//! Any file through the capture reader.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysteer_tests::fuzzing::capture(data));
