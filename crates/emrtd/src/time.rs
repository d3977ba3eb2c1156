//! Points in time as seconds since 1970 (UTC), read from and written to their ASN.1 and ISO 8601 forms.
//!
//! The crate never looks at a clock: what counts as now is always a parameter.

use crate::ber::{Tlv, tag};

/// Seconds since 1970-01-01T00:00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub i64);

impl Time {
    /// From a date and a time of day in UTC; `None` when there is no such moment.
    pub fn from_civil(year: i64, month: u32, day: u32, hour: u32, minute: u32, second: u32) -> Option<Self> {
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        // days from civil (proleptic Gregorian calendar), years beginning in March
        let y = if month <= 2 { year - 1 } else { year };
        let era = y.div_euclid(400);
        let year_of_era = y.rem_euclid(400);
        let day_of_year =
            (153 * (i64::from(month) + if month > 2 { -3 } else { 9 }) + 2) / 5 + i64::from(day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        Some(Self(days * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second)))
    }

    /// Reads a UTCTime or GeneralizedTime, with or without seconds, `Z` or an offset.
    pub fn parse(element: &Tlv<'_>) -> Option<Self> {
        let text = std::str::from_utf8(element.content).ok()?;
        let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, mut rest) = text.split_at_checked(digits_end)?;
        let number = |at: usize, size: usize| digits.get(at..at + size)?.parse::<u32>().ok();
        let (year, at) = match element.tag {
            // RFC 5280 4.1.2.5.1: two digits from 50 on mean 19YY
            tag::UTC_TIME => (number(0, 2).map(|y| if y >= 50 { 1900 + y } else { 2000 + y })?, 2),
            tag::GENERALIZED_TIME => (number(0, 4)?, 4),
            _ => return None,
        };
        let (month, day, hour) = (number(at, 2)?, number(at + 2, 2)?, number(at + 4, 2)?);
        let minute = if digits.len() >= at + 8 { number(at + 6, 2)? } else { 0 };
        let second = if digits.len() >= at + 10 { number(at + 8, 2)? } else { 0 };
        if rest.starts_with(['.', ',']) {
            rest = rest.get(1..)?.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        let time = Self::from_civil(i64::from(year), month, day, hour, minute, second)?;
        let offset = match rest.as_bytes() {
            [] | [b'Z'] => 0,
            [sign @ (b'+' | b'-'), h1, h2, m1, m2] => {
                let digit = |b: &u8| b.is_ascii_digit().then(|| i64::from(b - b'0'));
                let seconds = (digit(h1)? * 10 + digit(h2)?) * 3600 + (digit(m1)? * 10 + digit(m2)?) * 60;
                if *sign == b'+' { seconds } else { -seconds }
            }
            _ => return None,
        };
        Some(Self(time.0 - offset))
    }

    /// Year, month, day in UTC.
    pub fn date(self) -> (i64, u32, u32) {
        let days = self.0.div_euclid(86_400) + 719_468;
        let era = days.div_euclid(146_097);
        let doe = days.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = u32::try_from(doy - (153 * mp + 2) / 5 + 1).unwrap_or(1);
        let month = u32::try_from(if mp < 10 { mp + 3 } else { mp - 9 }).unwrap_or(1);
        (yoe + era * 400 + i64::from(month <= 2), month, day)
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (year, month, day) = self.date();
        let s = self.0.rem_euclid(86_400);
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", s / 3600, s / 60 % 60, s % 60)
    }
}

impl serde::Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = |a: usize, b: usize| text.get(a..b).and_then(|d| d.parse::<u32>().ok());
        let read = || {
            let year = i64::from(number(0, 4)?);
            Time::from_civil(
                year,
                number(5, 7)?,
                number(8, 10)?,
                number(11, 13)?,
                number(14, 16)?,
                number(17, 19)?,
            )
        };
        read().ok_or_else(|| serde::de::Error::custom("not a time"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(tag: u32, text: &str) -> Option<String> {
        let der = crate::ber::element(tag, text.as_bytes());
        Time::parse(&crate::ber::first(&der).expect("was written")).map(|t| t.to_string())
    }

    #[test]
    fn both_forms_are_read_with_and_without_seconds_and_offsets() {
        assert_eq!(parse(0x17, "260528082845Z").as_deref(), Some("2026-05-28T08:28:45Z"));
        assert_eq!(parse(0x17, "9902280000Z").as_deref(), Some("1999-02-28T00:00:00Z"));
        assert_eq!(parse(0x18, "20560229235959.5Z").as_deref(), Some("2056-02-29T23:59:59Z"));
        assert_eq!(parse(0x18, "20260101003000+0100").as_deref(), Some("2025-12-31T23:30:00Z"));
        assert_eq!(parse(0x17, "261301000000Z"), None);
        assert_eq!(parse(0x17, "26é"), None);
    }

    #[test]
    fn the_written_form_is_read_back() {
        let time = Time(1_800_000_123);
        let text = serde_json::to_string(&time).expect("serialises");
        assert_eq!(serde_json::from_str::<Time>(&text).expect("reads"), time);
    }
}
