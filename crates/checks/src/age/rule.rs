//! The age rule: on which day a person attains an age, and whether that day has come.
//!
//! DESIGN. Three things make "is at least 18" less simple than a subtraction:
//! *where* it is asked (the civil date differs by up to 26 hours around the
//! world), *29 February* (law differs, `data/leap_day.toml`) and *unknown parts*
//! of a date (ICAO Doc 9303-3, 4.8 allows them). Without a time zone the rule
//! takes the date that every place on Earth has reached (UTC−12), so nobody is
//! passed early. Unknown parts give an interval; only an interval that lies
//! wholly on one side decides. The rule is a pure function; the date comes in.

use std::sync::LazyLock;

use jiff::{
    Timestamp,
    civil::Date,
    tz::{Offset, TimeZone},
};
use serde::{Deserialize, Serialize};

/// The oldest age taken as possible, in full years.
pub const OLDEST: i16 = 125;

/// When someone born on 29 February attains an age in a year without that day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeapDayRule {
    /// On the first day that exists after it. The default: nobody passes early.
    #[serde(rename = "march_1")]
    March1,
    /// On the last day of February.
    #[serde(rename = "february_28")]
    February28,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    jurisdiction: String,
    attains: LeapDayRule,
    #[expect(dead_code, reason = "every entry must name its source; only people read it")]
    source: String,
}

#[derive(Deserialize)]
struct Table {
    rule: Vec<Entry>,
}

static TABLE: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    toml::from_str::<Table>(include_str!("../../data/leap_day.toml"))
        .expect("the table is tested to parse")
        .rule
});

impl LeapDayRule {
    /// The rule of a jurisdiction (ISO 3166-1 alpha-2, or a subdivision such as `AU-ACT`).
    pub fn of(jurisdiction: Option<&str>) -> Self {
        let country = jurisdiction.map(|code| code.split('-').next().unwrap_or(code));
        TABLE
            .iter()
            .find(|entry| Some(entry.jurisdiction.as_str()) == country)
            .map_or(Self::March1, |entry| entry.attains)
    }
}

/// The civil date on which the rule is evaluated: in the zone, or the date that every place has reached.
pub fn evaluation_date(now: Timestamp, zone: Option<&TimeZone>) -> Date {
    let last_place = TimeZone::fixed(Offset::constant(-12));
    now.to_zoned(zone.unwrap_or(&last_place).clone()).date()
}

/// The day on which someone born on `birth` attains `years`; `None` past the calendar's end.
pub fn attainment(birth: Date, years: i16, rule: LeapDayRule) -> Option<Date> {
    let year = birth.year().checked_add(years)?;
    match Date::new(year, birth.month(), birth.day()) {
        Ok(date) => Some(date),
        // Only 29 February can be missing in another year.
        Err(_) if year <= 9999 => match rule {
            LeapDayRule::March1 => Date::new(year, 3, 1).ok(),
            LeapDayRule::February28 => Date::new(year, 2, 28).ok(),
        },
        Err(_) => None,
    }
}

/// The age in full years on a day; negative before birth.
pub fn age_on(birth: Date, on: Date, rule: LeapDayRule) -> i16 {
    let years = on.year() - birth.year();
    match attainment(birth, years, rule) {
        Some(day) if day <= on => years,
        _ => years - 1,
    }
}

/// A date of birth of which day, or day and month, may be unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BirthDate {
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
}

impl BirthDate {
    /// A date of birth known to the given precision; `None` when no such date exists.
    pub fn new(year: i16, month: Option<i8>, day: Option<i8>) -> Option<Self> {
        let birth = Self { year, month, day };
        if day.is_some() && month.is_none() {
            return None;
        }
        birth.earliest().and(birth.latest()).map(|_| birth)
    }

    fn earliest(self) -> Option<Date> {
        Date::new(self.year, self.month.unwrap_or(1), self.day.unwrap_or(1)).ok()
    }

    fn latest(self) -> Option<Date> {
        match (self.month, self.day) {
            (Some(month), Some(day)) => Date::new(self.year, month, day).ok(),
            (month, _) => Date::new(self.year, month.unwrap_or(12), 1).ok().map(Date::last_of_month),
        }
    }
}

/// Whether an age is attained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Attained {
    /// For every possible date of birth.
    Meets,
    /// For no possible date of birth.
    DoesNotMeet,
    /// It depends on the unknown parts.
    Undetermined,
}

/// Whether someone has attained `years` on a day.
pub fn attained(birth: BirthDate, years: i16, on: Date, rule: LeapDayRule) -> Attained {
    let reached = |date: Option<Date>| {
        date.and_then(|birth| attainment(birth, years, rule)).is_some_and(|attainment| attainment <= on)
    };
    match (reached(birth.earliest()), reached(birth.latest())) {
        (true, true) => Attained::Meets,
        (false, false) => Attained::DoesNotMeet,
        _ => Attained::Undetermined,
    }
}

/// Reads a strict `YYYY-MM-DD` of ASCII digits; `None` for every other text and for days that do not exist.
pub fn parse_date(text: &str) -> Option<Date> {
    let bytes: &[u8; 10] = text.as_bytes().try_into().ok()?;
    let number = |range: std::ops::Range<usize>| {
        bytes
            .get(range)?
            .iter()
            .try_fold(0_i16, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i16::from(byte - b'0')))
    };
    if bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    if year == 0 {
        return None;
    }
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    /// An independent oracle: it counts birthdays one year at a time on (year, month, day)
    /// numbers, with its own leap-year rule, and shares no code with the rule above.
    fn oracle(birth: (i32, i32, i32), on: (i32, i32, i32)) -> i32 {
        let leap = |year: i32| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let mut age = -1;
        for year in birth.0..=on.0 {
            let birthday = if birth.1 == 2 && birth.2 == 29 && !leap(year) {
                (year, 3, 1)
            } else {
                (year, birth.1, birth.2)
            };
            if birthday <= on {
                age += 1;
            }
        }
        age
    }

    fn parts(date: Date) -> (i32, i32, i32) {
        (i32::from(date.year()), i32::from(date.month()), i32::from(date.day()))
    }

    #[test]
    fn every_day_from_1900_to_2030_agrees_with_the_oracle_around_each_threshold() {
        let days_between =
            |from: Date, to: Date| from.series(jiff::Span::new().days(1)).take_while(move |d| *d <= to);
        for birth in days_between(date(1900, 1, 1), date(2030, 12, 31)) {
            for years in [0_i16, 13, 16, 18, 21, 100] {
                let Some(flip) = attainment(birth, years, LeapDayRule::March1) else { continue };
                for on in [flip.yesterday().unwrap(), flip, flip.tomorrow().unwrap()] {
                    let expected = oracle(parts(birth), parts(on));
                    assert_eq!(
                        i32::from(age_on(birth, on, LeapDayRule::March1)).max(-1),
                        expected,
                        "{birth} on {on}"
                    );
                }
            }
        }
    }

    #[test]
    fn on_29_february_law_decides() {
        let birth = date(2004, 2, 29);
        assert_eq!(attainment(birth, 18, LeapDayRule::March1), Some(date(2022, 3, 1)));
        assert_eq!(attainment(birth, 18, LeapDayRule::of(Some("TW"))), Some(date(2022, 2, 28)));
        assert_eq!(attainment(birth, 20, LeapDayRule::of(Some("AU-ACT"))), Some(date(2024, 2, 29)));
        assert_eq!(LeapDayRule::of(Some("ZZ")), LeapDayRule::March1);
    }

    #[test]
    fn without_a_time_zone_nobody_is_passed_before_the_day_has_come_everywhere() {
        let noon = "2026-03-01T11:59:00Z".parse().unwrap();
        assert_eq!(evaluation_date(noon, None), date(2026, 2, 28));
        let kiritimati = TimeZone::get("Pacific/Kiritimati").unwrap();
        assert_eq!(evaluation_date(noon, Some(&kiritimati)), date(2026, 3, 2));
    }

    #[test]
    fn unknown_parts_decide_only_when_they_cannot_matter() {
        let year_only = BirthDate::new(2008, None, None).unwrap();
        let at = |on| attained(year_only, 18, on, LeapDayRule::March1);
        assert_eq!(at(date(2025, 12, 31)), Attained::DoesNotMeet);
        assert_eq!(at(date(2026, 6, 1)), Attained::Undetermined);
        assert_eq!(at(date(2026, 12, 31)), Attained::Meets);
        assert_eq!(BirthDate::new(2008, Some(2), Some(30)), None);
        assert_eq!(BirthDate::new(2008, None, Some(3)), None);
    }

    #[test]
    fn only_strict_dates_are_read() {
        assert_eq!(parse_date("1990-05-07"), Some(date(1990, 5, 7)));
        for wrong in [
            "1990-5-7",
            "1990-05-07 ",
            "１９９０-05-07",
            "1990/05/07",
            "1990-02-30",
            "0000-01-01",
            "+199-01-01",
            "",
            "19900507",
        ] {
            assert_eq!(parse_date(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn age_never_falls_as_days_pass_and_flips_once(days in 0..48_000_i32, years in 1..130_i16, from in 0..60_000_i32) {
            let birth = date(1900, 1, 1).checked_add(jiff::Span::new().days(days)).unwrap();
            let on = date(1900, 1, 1).checked_add(jiff::Span::new().days(from)).unwrap();
            let next = on.tomorrow().unwrap();
            for rule in [LeapDayRule::March1, LeapDayRule::February28] {
                let (a, b) = (age_on(birth, on, rule), age_on(birth, next, rule));
                prop_assert!(b == a || b == a + 1);
                if let Some(flip) = attainment(birth, years, rule) {
                    prop_assert!(age_on(birth, flip, rule) >= years);
                    prop_assert!(age_on(birth, flip.yesterday().unwrap(), rule) < years);
                }
            }
        }

        #[test]
        fn parsing_never_panics_and_round_trips(text in ".{0,12}", days in 0..48_000_i32) {
            let _ = parse_date(&text);
            let day = date(1900, 1, 1).checked_add(jiff::Span::new().days(days)).unwrap();
            prop_assert_eq!(parse_date(&day.to_string()), Some(day));
        }
    }
}
