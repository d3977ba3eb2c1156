//! Dates as lists and people write them: with a precision, as a range, or about.
//!
//! A date is the first and last day it may mean. *1946* is the whole year; *circa
//! 1946* is two years either way.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A span of days, both ends included; each end is year × 10 000 + month × 100 + day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct DateRange {
    /// First day.
    pub from: u32,
    /// Last day.
    pub to: u32,
}

/// How two dates relate, from agreement to contradiction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateRelation {
    /// The same day.
    SameDay,
    /// Day and month changed places.
    DayMonthSwapped,
    /// One day, or one digit of the day or month, apart.
    OneOff,
    /// Both known to the month and the same.
    SameMonth,
    /// At least one is known only to the year or a range, and the other lies in it.
    Within,
    /// The same year, another day.
    SameYear,
    /// Up to two years apart.
    NearYear,
    /// They cannot be the same.
    Different,
}

impl DateRange {
    /// One day.
    #[must_use]
    pub fn day(year: u32, month: u32, day: u32) -> Self {
        let value = year * 10_000 + month * 100 + day;
        Self { from: value, to: value }
    }

    /// Whole years, both included.
    #[must_use]
    pub fn years(from: u32, to: u32) -> Self {
        Self { from: from * 10_000 + 101, to: to.max(from) * 10_000 + 1231 }
    }

    /// A whole month.
    #[must_use]
    pub fn month(year: u32, month: u32) -> Self {
        Self { from: year * 10_000 + month * 100 + 1, to: year * 10_000 + month * 100 + 31 }
    }

    /// True when it names one day.
    #[must_use]
    pub fn is_day(self) -> bool {
        self.from == self.to
    }

    /// The years it spans.
    #[must_use]
    pub fn year_span(self) -> (u32, u32) {
        (self.from / 10_000, self.to / 10_000)
    }

    /// Reads `1946-09-26`, `1946-09`, `1946`, `26 Sep 1946`, `Sep 1946`, `circa 1946`, `26/09/1946`,
    /// `dd/mm/1946`, `1960 to 1965`, `between 1960 and 1965`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        if text.is_empty() || text.len() > 80 {
            return None;
        }
        let circa = ["circa", "approximately", "about", "c.", "ca."].iter().any(|w| text.starts_with(w));
        let mut numbers: Vec<(u32, usize)> = Vec::new();
        let mut month = None;
        let mut digits = String::new();
        let mut word = String::new();
        let mut unknown = 0;
        let time =
            text.find('t').filter(|&t| t == 10 && text.as_bytes().first().is_some_and(u8::is_ascii_digit));
        let text = &text[..time.unwrap_or(text.len())];
        for c in text.chars().chain([' ']) {
            if c.is_ascii_digit() {
                digits.push(c);
            } else if !digits.is_empty() {
                numbers.push((digits.parse().ok()?, digits.len()));
                digits.clear();
            }
            if c.is_alphabetic() {
                word.push(c);
            } else if !word.is_empty() {
                if word == "dd" || word == "mm" {
                    unknown += 1;
                }
                month = month.or_else(|| month_number(&word));
                word.clear();
            }
        }
        let year = |n: (u32, usize)| (n.1 == 4 && (1000..=2200).contains(&n.0)).then_some(n.0);
        let widen = |range: Self| {
            if circa {
                let (a, b) = range.year_span();
                Self::years(a.saturating_sub(2), b + 2)
            } else {
                range
            }
        };
        let day_of = |y: u32, m: u32, d: u32| -> Option<Self> {
            match (m, d) {
                (1..=12, 1..=31) => Some(Self::day(y, m, d)),
                (1..=12, 0) => Some(Self::month(y, m)),
                _ => Some(Self::years(y, y)),
            }
        };
        let found = match (numbers.as_slice(), month) {
            ([a], None) => Self::years(year(*a)?, year(*a)?),
            ([a], Some(m)) => Self::month(year(*a)?, m),
            ([a, b], None) if year(*a).is_some() && year(*b).is_some() => Self::years(year(*a)?, year(*b)?),
            ([a, b], None) if year(*a).is_some() => day_of(year(*a)?, b.0, 0)?,
            ([a, b], None) if year(*b).is_some() && unknown > 0 => day_of(year(*b)?, a.0, 0)?,
            ([a, b], None) => day_of(year(*b)?, a.0, 0)?,
            ([a, b], Some(m)) if year(*b).is_some() => day_of(year(*b)?, m, a.0)?,
            ([a, b], Some(m)) => day_of(year(*a)?, m, b.0)?,
            ([a, b, c], None) if year(*a).is_some() => day_of(year(*a)?, b.0, c.0)?,
            ([a, b, c], None) if b.0 > 12 => day_of(year(*c)?, a.0, b.0)?,
            ([a, b, c], None) => day_of(year(*c)?, b.0, a.0)?,
            (many, _) => {
                let years: Vec<u32> = many.iter().filter_map(|&n| year(n)).collect();
                Self::years(*years.iter().min()?, *years.iter().max()?)
            }
        };
        Some(widen(found))
    }

    /// How two dates relate.
    #[must_use]
    pub fn relation(self, other: Self) -> DateRelation {
        let overlap = self.from <= other.to && other.from <= self.to;
        if self.is_day() && other.is_day() {
            if self.from == other.from {
                return DateRelation::SameDay;
            }
            let (y1, m1, d1) = split(self.from);
            let (y2, m2, d2) = split(other.from);
            if y1 == y2 && m1 == d2 && d1 == m2 {
                return DateRelation::DayMonthSwapped;
            }
            if y1 == y2
                && ((m1 == m2 && (d1.abs_diff(d2) <= 1 || d1.abs_diff(d2) % 10 == 0))
                    || (d1 == d2 && m1.abs_diff(m2) == 1))
            {
                return DateRelation::OneOff;
            }
        } else if overlap {
            let month = |r: Self| r.from / 100 == r.to / 100;
            return if month(self) && month(other) { DateRelation::SameMonth } else { DateRelation::Within };
        }
        let (a1, a2) = self.year_span();
        let (b1, b2) = other.year_span();
        let apart = a1.saturating_sub(b2).max(b1.saturating_sub(a2));
        match apart {
            0 => DateRelation::SameYear,
            1 | 2 => DateRelation::NearYear,
            _ => DateRelation::Different,
        }
    }
}

fn split(value: u32) -> (u32, u32, u32) {
    (value / 10_000, value / 100 % 100, value % 100)
}

fn month_number(word: &str) -> Option<u32> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    if word.len() < 3 {
        return None;
    }
    MONTHS.iter().position(|m| word.starts_with(m)).and_then(|i| u32::try_from(i + 1).ok())
}

impl fmt::Display for DateRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (y1, m1, d1) = split(self.from);
        let (y2, m2, _) = split(self.to);
        if self.is_day() {
            write!(f, "{y1:04}-{m1:02}-{d1:02}")
        } else if y1 == y2 && m1 == m2 {
            write!(f, "{y1:04}-{m1:02}")
        } else if y1 == y2 {
            write!(f, "{y1:04}")
        } else {
            write!(f, "{y1:04} to {y2:04}")
        }
    }
}

impl From<DateRange> for String {
    fn from(range: DateRange) -> Self {
        range.to_string()
    }
}

impl TryFrom<String> for DateRange {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| "not a date".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_with_their_precision() {
        for (text, want) in [
            ("1946-09-26", "1946-09-26"),
            ("26 Sep 1946", "1946-09-26"),
            ("Sep 1946", "1946-09"),
            ("1946", "1946"),
            ("circa 1962", "1960 to 1964"),
            ("1960 to 1965", "1960 to 1965"),
            ("26/09/1946", "1946-09-26"),
            ("dd/mm/1946", "1946"),
            ("dd/09/1946", "1946-09"),
            ("1946-09-26T00:00:00", "1946-09-26"),
        ] {
            assert_eq!(DateRange::parse(text).map(|d| d.to_string()).as_deref(), Some(want), "{text}");
        }
        assert_eq!(DateRange::parse("unknown"), None);
    }

    #[test]
    fn a_year_agrees_with_a_day_in_it_less_than_the_day_itself_does() {
        let day = DateRange::day(1946, 9, 26);
        assert_eq!(day.relation(DateRange::years(1946, 1946)), DateRelation::Within);
        assert_eq!(day.relation(DateRange::day(1946, 9, 26)), DateRelation::SameDay);
        assert_eq!(
            DateRange::day(1946, 4, 5).relation(DateRange::day(1946, 5, 4)),
            DateRelation::DayMonthSwapped
        );
        assert_eq!(day.relation(DateRange::day(1950, 9, 26)), DateRelation::Different);
    }
}
