//! Reads printed dates: numeric in any order, with month names (also bilingual), with unknown parts.
//!
//! ICAO Doc 9303-3 §3.1: the visual zone prints day, month (number or three-letter
//! abbreviation, with a second language after an oblique) and a two- or four-digit year;
//! unknown parts are `XX`. The century of a two-digit year follows from the field's role.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::fold::fold;

/// A calendar date whose month and day may be unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartialDate {
    /// Four-digit year.
    pub year: i16,
    /// 1 to 12 when known.
    pub month: Option<u8>,
    /// 1 to 31 when known.
    pub day: Option<u8>,
}

impl PartialDate {
    /// A full date, when the calendar has it.
    pub fn full(year: i16, month: u8, day: u8) -> Option<Self> {
        jiff::civil::Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
        Some(Self { year, month: Some(month), day: Some(day) })
    }

    /// Last day it can mean.
    pub fn latest(&self) -> jiff::civil::Date {
        let month = self.month.map_or(12, |m| m.clamp(1, 12)) as i8;
        let first = jiff::civil::date(self.year, month, 1);
        let day = self.day.map_or(first.days_in_month(), |d| d as i8);
        jiff::civil::Date::new(self.year, month, day).unwrap_or_else(|_| first.last_of_month())
    }

    /// First day it can mean.
    pub fn earliest(&self) -> jiff::civil::Date {
        let month = self.month.map_or(1, |m| m.clamp(1, 12)) as i8;
        let first = jiff::civil::date(self.year, month, 1);
        jiff::civil::Date::new(self.year, month, self.day.map_or(1, |d| d as i8)).unwrap_or(first)
    }

    /// Whether both can mean the same day.
    pub fn agrees(&self, other: &Self) -> bool {
        self.year == other.year
            && (self.month.is_none() || other.month.is_none() || self.month == other.month)
            && (self.day.is_none() || other.day.is_none() || self.day == other.day)
    }
}

/// `1974-08-12`; unknown parts are left off: `1974-08`, `1974`.
impl std::fmt::Display for PartialDate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}", self.year)?;
        if let Some(month) = self.month {
            write!(f, "-{month:02}")?;
            if let Some(day) = self.day {
                write!(f, "-{day:02}")?;
            }
        }
        Ok(())
    }
}

impl std::str::FromStr for PartialDate {
    type Err = ();

    /// Reads what [`Display`](std::fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('-');
        let year = parts.next().filter(|y| y.len() == 4).and_then(|y| y.parse().ok()).ok_or(())?;
        let month: Option<u8> = parts.next().map(|m| m.parse().map_err(drop)).transpose()?;
        let day: Option<u8> = parts.next().map(|d| d.parse().map_err(drop)).transpose()?;
        match (month, day) {
            (Some(month), Some(day)) => Self::full(year, month, day).ok_or(()),
            (Some(month), None) if (1..=12).contains(&month) => {
                Ok(Self { year, month: Some(month), day: None })
            }
            (None, None) => Ok(Self { year, month: None, day: None }),
            _ => Err(()),
        }
    }
}

/// What a date is for: decides the century of a two-digit year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Birth or issue: not after today.
    Past,
    /// Expiry: from 30 years ago to 70 years ahead.
    Expiry,
    /// Not known.
    Any,
}

/// Which comes first in an all-numeric date that could be read both ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Day, month, year.
    #[default]
    DayFirst,
    /// Month, day, year (United States).
    MonthFirst,
}

/// Reads the first date in a text; `None` when there is none or the calendar lacks it.
pub fn parse(text: &str, role: Role, order: Order, today: jiff::civil::Date) -> Option<PartialDate> {
    all(text, role, order, today).into_iter().next()
}

/// Every date in a text, left to right.
pub fn all(text: &str, role: Role, order: Order, today: jiff::civil::Date) -> Vec<PartialDate> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        if let Some((date, used)) = at(&tokens[i..], role, order, today) {
            found.push(date);
            i += used;
        } else {
            i += 1;
        }
    }
    found
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(String),
    /// Two or four unknown places.
    Unknown(usize),
    Month(u8),
    Word,
}

fn tokens(text: &str) -> Vec<Token> {
    let folded = fold(text);
    let mut out: Vec<Token> = Vec::new();
    for word in folded.split(' ').filter(|w| !w.is_empty()) {
        // "12AUG74" is three tokens: split where digits and letters meet.
        let mut start = 0;
        let bytes: Vec<(usize, char)> = word.char_indices().collect();
        let mut pieces = Vec::new();
        for pair in bytes.windows(2) {
            if pair[0].1.is_ascii_digit() != pair[1].1.is_ascii_digit() {
                pieces.push(&word[start..pair[1].0]);
                start = pair[1].0;
            }
        }
        pieces.push(&word[start..]);
        for piece in pieces {
            let token = if piece.chars().all(|c| c.is_ascii_digit()) {
                Token::Number(piece.to_owned())
            } else if matches!(piece, "XX" | "XXXX") {
                Token::Unknown(piece.len())
            } else if let Some(&month) = months().get(piece) {
                Token::Month(month)
            } else {
                Token::Word
            };
            // A bilingual month ("AUG/AOUT") is one month.
            if let (Some(Token::Month(a)), Token::Month(b)) = (out.last(), &token)
                && a == b
            {
                continue;
            }
            // "DE" between the parts of a Spanish or Portuguese date says nothing.
            if token == Token::Word && matches!(piece, "DE" | "OF" | "ST" | "ND" | "RD" | "TH") {
                continue;
            }
            out.push(token);
        }
    }
    out
}

fn at(tokens: &[Token], role: Role, order: Order, today: jiff::civil::Date) -> Option<(PartialDate, usize)> {
    use Token::{Month, Number, Unknown};
    let number = |s: &str| s.parse::<u8>().ok();
    let full = |y: &str, m: u8, d: u8| PartialDate::full(year(y, role, today, Some((m, d)))?, m, d);
    match tokens {
        // 1997-08-21
        [Number(y), Number(m), Number(d), ..] if y.len() == 4 && m.len() <= 2 && d.len() <= 2 => {
            Some((full(y, number(m)?, number(d)?)?, 3))
        }
        [Number(y), Month(m), Number(d), ..] if y.len() == 4 && d.len() <= 2 => {
            Some((full(y, *m, number(d)?)?, 3))
        }
        // 21.08.1997, 8/21/97
        [Number(a), Number(b), Number(y), ..]
            if a.len() <= 2 && b.len() <= 2 && (y.len() == 4 || y.len() == 2) =>
        {
            let (a, b) = (number(a)?, number(b)?);
            let (first, second) =
                if order == Order::MonthFirst { ((b, a), (a, b)) } else { ((a, b), (b, a)) };
            let date = full(y, first.1, first.0).or_else(|| full(y, second.1, second.0))?;
            Some((date, 3))
        }
        // 12 AUG 1974, AUG 12 1974
        [Number(d), Month(m), Number(y), ..] if d.len() <= 2 && (y.len() == 4 || y.len() == 2) => {
            Some((full(y, *m, number(d)?)?, 3))
        }
        [Month(m), Number(d), Number(y), ..] if d.len() <= 2 && (y.len() == 4 || y.len() == 2) => {
            Some((full(y, *m, number(d)?)?, 3))
        }
        // XX.XX.1960, 00.00.1960, XX AUG 1960
        [Unknown(2), middle, Number(y), ..] if y.len() == 4 => {
            let month = match middle {
                Unknown(2) => None,
                Month(m) => Some(*m),
                Number(m) => number(m).filter(|m| (1..=12).contains(m)),
                _ => return None,
            };
            Some((PartialDate { year: plausible(y.parse().ok()?)?, month, day: None }, 3))
        }
        // 21081997 and 19970821 in one run of digits
        [Number(run), ..] if run.len() == 8 => {
            let (a, b, y) = (number(&run[0..2])?, number(&run[2..4])?, &run[4..8]);
            let day_first = full(y, b, a);
            let year_first = || full(&run[0..4], number(&run[4..6])?, number(&run[6..8])?);
            Some((day_first.or_else(year_first)?, 1))
        }
        _ => None,
    }
    .filter(|(date, _)| plausible(date.year).is_some())
}

fn plausible(year: i16) -> Option<i16> {
    // Thai documents print the Buddhist era beside or instead of the common one.
    let year = if (2443..=2643).contains(&year) { year - 543 } else { year };
    (1890..=2100).contains(&year).then_some(year).or((year == 9999).then_some(year))
}

fn year(digits: &str, role: Role, today: jiff::civil::Date, month_day: Option<(u8, u8)>) -> Option<i16> {
    let value: i16 = digits.parse().ok()?;
    if digits.len() == 4 {
        return plausible(value);
    }
    let century = today.year() / 100 * 100;
    let this = century + value;
    let later_than_today = |year: i16| {
        month_day.map_or(year > today.year(), |(m, d)| {
            (year, m as i8, d as i8) > (today.year(), today.month(), today.day())
        })
    };
    Some(match role {
        Role::Past | Role::Any if later_than_today(this) => this - 100,
        Role::Past | Role::Any => this,
        Role::Expiry if this > today.year() + 70 => this - 100,
        Role::Expiry if this < today.year() - 30 => this + 100,
        Role::Expiry => this,
    })
}

/// Month names and abbreviations, folded, by language.
fn months() -> &'static HashMap<String, u8> {
    static MONTHS: OnceLock<HashMap<String, u8>> = OnceLock::new();
    MONTHS.get_or_init(|| {
        let table: HashMap<String, Vec<String>> = toml::from_str(include_str!("../data/months.toml"))
            .expect("the table is part of the crate and tested");
        let mut names = HashMap::new();
        for line in table.values() {
            for (i, forms) in line.iter().enumerate() {
                for form in forms.split('|') {
                    names.insert(fold(form), i as u8 + 1);
                }
            }
        }
        names
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    const TODAY: jiff::civil::Date = date(2026, 11, 23);

    fn read(text: &str, role: Role) -> String {
        parse(text, role, Order::DayFirst, TODAY).map(|d| d.to_string()).unwrap_or_default()
    }

    #[test]
    fn numeric_dates_are_read_in_every_order_that_is_not_ambiguous() {
        for text in [
            "21.08.1997",
            "21/08/1997",
            "21 08 1997",
            "1997-08-21",
            "08/21/1997",
            "21081997",
            "19970821",
            "21-08-97",
        ] {
            assert_eq!(read(text, Role::Past), "1997-08-21", "{text}");
        }
        assert_eq!(
            parse("03/04/2020", Role::Past, Order::MonthFirst, TODAY).map(|d| d.to_string()).as_deref(),
            Some("2020-03-04")
        );
        assert_eq!(read("03/04/2020", Role::Past), "2020-04-03");
    }

    #[test]
    fn month_names_are_read_in_several_languages_and_twice() {
        assert_eq!(read("12 AUG/AOÛT 74", Role::Past), "1974-08-12");
        assert_eq!(read("15 APR/AVR 12", Role::Expiry), "2012-04-15");
        assert_eq!(read("24 СЕР/AUG 91", Role::Past), "1991-08-24");
        assert_eq!(read("Aug 12 1974", Role::Past), "1974-08-12");
        assert_eq!(read("12. März 1974", Role::Past), "1974-03-12");
        assert_eq!(read("1 de enero de 1980", Role::Past), "1980-01-01");
        assert_eq!(read("12AUG1974", Role::Past), "1974-08-12");
    }

    #[test]
    fn the_role_decides_the_century() {
        assert_eq!(read("01.01.30", Role::Past), "1930-01-01");
        assert_eq!(read("01.01.30", Role::Expiry), "2030-01-01");
        assert_eq!(read("24.11.26", Role::Past), "1926-11-24");
        assert_eq!(read("01.01.99", Role::Expiry), "1999-01-01");
    }

    #[test]
    fn unknown_parts_stay_unknown() {
        assert_eq!(read("XX.XX.1960", Role::Past), "1960");
        assert_eq!(read("XX AUG 1960", Role::Past), "1960-08");
        assert!(
            "1960-08".parse::<PartialDate>().expect("a month").agrees(&"1960-08-30".parse().expect("a day"))
        );
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in ["31.02.2020", "12 Harbour Street", "1,74", "04120 Zenith", "NR7MZPCG1", "", "99.99.9999"]
        {
            assert_eq!(read(text, Role::Any), "", "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,60}") {
            let _ = all(&text, Role::Any, Order::DayFirst, TODAY);
            let _ = text.parse::<PartialDate>();
        }

        #[test]
        fn a_printed_date_reads_back(year in 1930i16..2026, month in 1u8..=12, day in 1u8..=28) {
            let text = format!("{day:02}.{month:02}.{year}");
            proptest::prop_assert_eq!(parse(&text, Role::Past, Order::DayFirst, TODAY), PartialDate::full(year, month, day));
        }
    }
}
