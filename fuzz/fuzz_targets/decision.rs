//! Any frame through the whole decision, under the policies of the differential test.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysteer_tests::fuzzing::decision(data));
