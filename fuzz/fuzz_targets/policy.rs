//! Any text through the policy loader and the compiler.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keysteer_tests::fuzzing::policy(data));
