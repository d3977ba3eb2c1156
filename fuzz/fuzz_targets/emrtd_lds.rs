//! Any bytes as a chip file: no panic, bounded work.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = emrtd::lds::describe(data);
    let _ = emrtd::lds::sod::LdsSecurityObject::parse(data);
});
