//! Civil dates as numbers hold them: sometimes without century, month or day.

use crate::Reason;

/// A date of which parts may be unknown. Serialises as `1974-03-30`; unknown parts are `XXXX` or `XX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartialDate {
    /// The whole year; `None` when the number leaves the century open.
    pub year: Option<u16>,
    /// The last two digits of the year, 0 to 99.
    pub year_of_century: u8,
    /// 1 to 12; `None` when unknown.
    pub month: Option<u8>,
    /// 1 to 31; `None` when unknown.
    pub day: Option<u8>,
}

impl PartialDate {
    /// A whole date; `None` when the calendar has no such day.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        (day >= 1 && day <= days_in(year, month)).then_some(Self {
            year: Some(year),
            year_of_century: (year % 100) as u8,
            month: Some(month),
            day: Some(day),
        })
    }
}

impl std::fmt::Display for PartialDate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.year {
            Some(year) => write!(f, "{year:04}")?,
            None => write!(f, "XX{:02}", self.year_of_century)?,
        }
        for part in [self.month, self.day] {
            match part {
                Some(part) => write!(f, "-{part:02}")?,
                None => write!(f, "-XX")?,
            }
        }
        Ok(())
    }
}

impl serde::Serialize for PartialDate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn days_in(year: u16, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 0,
    }
}

/// A whole date, or [`Reason::Component`] when the calendar has no such day.
pub(crate) fn civil(year: u32, month: u32, day: u32) -> Result<PartialDate, Reason> {
    let part = |value: u32| u8::try_from(value).map_err(|_| Reason::Component);
    let year = u16::try_from(year).ok().filter(|year| *year > 0).ok_or(Reason::Component)?;
    PartialDate::new(year, part(month)?, part(day)?).ok_or(Reason::Component)
}

/// A date whose century is not written: the last one not after `today`; open when `today` is not known.
pub(crate) fn recent(
    yy: u32,
    month: u32,
    day: u32,
    today: Option<PartialDate>,
) -> Result<PartialDate, Reason> {
    match today {
        Some(today) => {
            let this = today.year.map_or(2000, |year| u32::from(year) / 100 * 100);
            match civil(this + yy, month, day) {
                Ok(date) if date <= today => Ok(date),
                _ => civil(this - 100 + yy, month, day),
            }
        }
        None => civil(2000 + yy, month, day)
            .or_else(|_| civil(1900 + yy, month, day))
            .map(|date| PartialDate { year: None, ..date }),
    }
}

/// Refuses a date after `today`; passes every date when `today` is not known.
pub(crate) fn not_after(date: PartialDate, today: Option<PartialDate>) -> Result<PartialDate, Reason> {
    match today {
        Some(today) if date > today => Err(Reason::Component),
        _ => Ok(date),
    }
}
