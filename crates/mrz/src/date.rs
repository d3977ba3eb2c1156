//! Dates with two-digit years and unknown parts (Doc 9303-3 §4.8).
//!
//! DESIGN. The MRZ does not say the century. A birth lies in the past, so it is
//! the latest century that does not put it after today; an expiry date lies at
//! most fifty years ahead. Today is a parameter: this crate has no clock.

use serde::{Deserialize, Serialize};

/// A day of the Gregorian calendar, passed in as "today".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Today {
    /// Four digits.
    pub year: u16,
    /// 1–12.
    pub month: u8,
    /// 1–31.
    pub day: u8,
}

impl Today {
    /// A day; nothing is checked.
    #[must_use]
    pub const fn new(year: u16, month: u8, day: u8) -> Self {
        Self { year, month, day }
    }
}

/// What the century is chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// A date of birth or of issue: never after today.
    Past,
    /// A date of expiry: at most fifty years ahead.
    Expiry,
}

/// A date as the MRZ gives it; a part that is `None` is unknown to the issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MrzDate {
    /// Four digits, the century by [`Meaning`].
    pub year: Option<u16>,
    /// 1–12.
    pub month: Option<u8>,
    /// 1–31.
    pub day: Option<u8>,
}

impl MrzDate {
    /// Reads `YYMMDD`. Unknown parts are `<<` or `00` (months and days) or `<<` (years).
    ///
    /// `None` when the text is no date: other characters, month 13, 31 April, 29 February of a common year.
    #[must_use]
    pub fn read(raw: &str, meaning: Meaning, today: Today) -> Option<Self> {
        if raw.len() != 6 || !raw.is_ascii() {
            return None;
        }
        let part = |range: std::ops::Range<usize>, zero_is_unknown: bool| -> Option<Option<u8>> {
            let text = raw.get(range)?;
            if text == "<<" || (zero_is_unknown && text == "00") {
                return Some(None);
            }
            text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten().map(Some)
        };
        let (yy, month, day) = (part(0..2, false)?, part(2..4, true)?, part(4..6, true)?);
        if month.is_some_and(|m| m > 12) || day.is_some_and(|d| d > 31) {
            return None;
        }
        let year = yy.map(|yy| full_year(yy, month, day, meaning, today));
        if let (Some(month), Some(day)) = (month, day) {
            let days = match month {
                4 | 6 | 9 | 11 => 30,
                2 if year.is_none_or(|y| {
                    y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400))
                }) =>
                {
                    29
                }
                2 => 28,
                _ => 31,
            };
            if day > days {
                return None;
            }
        }
        Some(Self { year, month, day })
    }

    /// `YYYY-MM-DD` when nothing is unknown.
    #[must_use]
    pub fn iso(&self) -> Option<String> {
        Some(format!("{:04}-{:02}-{:02}", self.year?, self.month?, self.day?))
    }
}

fn full_year(yy: u8, month: Option<u8>, day: Option<u8>, meaning: Meaning, today: Today) -> u16 {
    let century = today.year / 100 * 100;
    let year = century + u16::from(yy);
    match meaning {
        Meaning::Past => {
            let after = (year, month.unwrap_or(1), day.unwrap_or(1)) > (today.year, today.month, today.day);
            if after { year - 100 } else { year }
        }
        Meaning::Expiry if year > today.year + 50 => year - 100,
        Meaning::Expiry if year + 50 <= today.year => year + 100,
        Meaning::Expiry => year,
    }
}

#[cfg(test)]
mod tests {
    use super::{Meaning, MrzDate, Today};

    const TODAY: Today = Today::new(2026, 11, 23);

    fn birth(raw: &str) -> Option<String> {
        MrzDate::read(raw, Meaning::Past, TODAY)?.iso()
    }

    #[test]
    fn a_birth_is_never_after_today() {
        assert_eq!(birth("261123").as_deref(), Some("2026-11-23"));
        assert_eq!(birth("261124").as_deref(), Some("1926-11-24"));
        assert_eq!(birth("740812").as_deref(), Some("1974-08-12"));
    }

    #[test]
    fn an_expiry_may_lie_ahead_or_far_back() {
        let read = |raw| MrzDate::read(raw, Meaning::Expiry, TODAY).and_then(|d| d.iso());
        assert_eq!(read("340529").as_deref(), Some("2034-05-29"));
        assert_eq!(read("940623").as_deref(), Some("1994-06-23"));
    }

    #[test]
    fn unknown_parts_are_unknown_and_impossible_ones_refused() {
        let date = MrzDate::read("64<<<<", Meaning::Past, TODAY);
        assert_eq!(date, Some(MrzDate { year: Some(1964), month: None, day: None }));
        assert_eq!(MrzDate::read("640000", Meaning::Past, TODAY), date);
        assert!(MrzDate::read("<<<<<<", Meaning::Past, TODAY).is_some());
        for raw in ["880941", "BB0911", "991301", "230229", "", "9", "Ä0000", "8 0101"] {
            assert_eq!(MrzDate::read(raw, Meaning::Past, TODAY), None, "{raw}");
        }
    }
}
