//! DG1: the machine readable zone as the chip holds it (ICAO 9303-10 4.7.1).
//!
//! Only a split by position into raw fields; check digits and the meaning of fields are the
//! `mrz` crate's business.

use crate::ber::{Error, Reader};

/// The machine readable zone.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Dg1 {
    /// Its lines.
    pub lines: Vec<String>,
    /// Document code, such as `P`.
    pub document_code: String,
    /// Issuing state or organisation, such as `D` or `UTO`.
    pub issuing_state: String,
    /// Document number without fillers; the overflow of TD1 is joined.
    pub document_number: String,
    /// Nationality.
    pub nationality: String,
    /// Date of birth, YYMMDD.
    pub date_of_birth: String,
    /// Sex, `M`, `F` or `<`.
    pub sex: String,
    /// Date of expiry, YYMMDD.
    pub date_of_expiry: String,
    /// Primary identifier (surname), fillers as spaces.
    pub surname: String,
    /// Secondary identifier (given names), fillers as spaces.
    pub given_names: String,
}

impl Dg1 {
    /// Parses the file: 61 { 5F1F mrz }.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mrz = Reader::new(bytes).expect(0x61)?.reader().expect(0x5F1F)?.content;
        Self::from_mrz(std::str::from_utf8(mrz).map_err(|_| Error::Value)?)
    }

    /// Splits the 90 (TD1), 72 (TD2) or 88 (TD3) characters.
    pub fn from_mrz(mrz: &str) -> Result<Self, Error> {
        let mrz: String = mrz.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let valid = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '<';
        if !mrz.chars().all(valid) {
            return Err(Error::Value);
        }
        let width = match mrz.len() {
            90 => 30,
            72 => 36,
            88 => 44,
            _ => return Err(Error::Value),
        };
        let part = |line: usize, from: usize, to: usize| {
            mrz.get(line * width + from..line * width + to).unwrap_or("").to_owned()
        };
        let lines = (0..mrz.len() / width).map(|line| part(line, 0, width)).collect();
        let trim = |text: String| text.trim_end_matches('<').to_owned();
        let (names, document_number, second) = if width == 30 {
            let mut number = part(0, 5, 14);
            // TD1 numbers longer than nine characters continue in the optional data (9303-5 4.2.2.1)
            if part(0, 14, 15) == "<" && !number.contains('<') {
                let overflow = trim(part(0, 15, 30)).split('<').next().unwrap_or("").to_owned();
                number.extend(overflow.chars().take(overflow.len().saturating_sub(1)));
            }
            (part(2, 0, 30), trim(number), [part(1, 15, 18), part(1, 0, 6), part(1, 7, 8), part(1, 8, 14)])
        } else {
            let number = trim(part(1, 0, 9));
            (part(0, 5, width), number, [part(1, 10, 13), part(1, 13, 19), part(1, 20, 21), part(1, 21, 27)])
        };
        let [nationality, date_of_birth, sex, date_of_expiry] = second;
        let (surname, given) = names.split_once("<<").unwrap_or((&names, ""));
        let clean = |text: &str| text.trim_end_matches('<').replace('<', " ");
        Ok(Self {
            lines,
            document_code: trim(part(0, 0, 2)),
            issuing_state: trim(part(0, 2, 5)),
            document_number,
            nationality: trim(nationality),
            date_of_birth,
            sex,
            date_of_expiry,
            surname: clean(surname),
            given_names: clean(given),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_passport_of_9303_part_4_is_split() {
        let dg1 = Dg1::from_mrz(
            "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<L898902C36UTO7408122F1204159ZE184226B<<<<<10",
        )
        .expect("valid");
        assert_eq!((dg1.issuing_state.as_str(), dg1.document_number.as_str()), ("UTO", "L898902C3"));
        assert_eq!((dg1.surname.as_str(), dg1.given_names.as_str()), ("ERIKSSON", "ANNA MARIA"));
        assert_eq!((dg1.date_of_birth.as_str(), dg1.date_of_expiry.as_str()), ("740812", "120415"));
    }

    #[test]
    fn a_long_number_of_a_card_is_joined() {
        let dg1 = Dg1::from_mrz(
            "I<UTOD23145890<7349<<<<<<<<<<<3407127M9507122UTO<<<<<<<<<<<2STEVENSON<<PETER<JOHN<<<<<<<<<",
        )
        .expect("valid");
        assert_eq!(dg1.document_number, "D23145890734");
    }
}
