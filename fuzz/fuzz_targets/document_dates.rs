#![no_main]
//! Printed dates: any text is read without a panic.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let today = jiff::civil::date(2026, 11, 23);
        for role in [document::dates::Role::Past, document::dates::Role::Expiry, document::dates::Role::Any] {
            for date in document::dates::all(text, role, document::dates::Order::DayFirst, today) {
                assert_eq!(date.to_string().parse(), Ok(date));
            }
        }
    }
});
