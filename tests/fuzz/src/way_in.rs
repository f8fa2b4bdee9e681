//! The way in that the binary is named after.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fangshi_fuzz::feed(env!("CARGO_BIN_NAME"), input));
