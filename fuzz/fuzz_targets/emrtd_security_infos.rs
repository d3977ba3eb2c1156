//! Any bytes as SecurityInfos: no panic, and offers only of sound keys.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(infos) = emrtd::lds::security_infos::SecurityInfos::parse(data) {
        let _ = infos.chip_authentications();
        let _ = emrtd::pace::Protocol::choose(&infos);
    }
});
