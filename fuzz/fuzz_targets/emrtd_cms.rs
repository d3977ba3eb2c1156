//! Any bytes as a signed object: no panic, and never a signature that holds by chance.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(signed) = emrtd::cms::SignedData::parse(data) {
        let _ = signed.verify(&[]);
    }
    let _ = emrtd::x509::Certificate::parse(data);
    let _ = emrtd::x509::Crl::parse(data);
    let _ = emrtd::trust::split(data);
});
