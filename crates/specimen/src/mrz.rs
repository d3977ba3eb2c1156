//! Writes machine readable zones: ICAO Doc 9303 parts 3 (§4.9 check digits), 4 (TD3) and 5 (TD1).
//!
//! Written apart from the `mrz` crate on purpose: what one writes the other
//! reads, so that neither can hide the other's mistake.

use crate::holder::Holder;
use jiff::civil::Date;

/// What an MRZ says beside its holder.
pub(crate) struct Content<'a> {
    pub(crate) holder: &'a Holder,
    pub(crate) date_of_birth: Date,
    pub(crate) number: &'a str,
    pub(crate) expiry: Date,
    pub(crate) personal_number: &'a str,
}

const STATE: &str = "UTO";

/// The two lines of a passport (TD3).
pub(crate) fn passport(content: &Content<'_>) -> Vec<String> {
    let first =
        padded(&format!("P<{STATE}{}<<{}", content.holder.surname_mrz, content.holder.given_names_mrz), 44);
    let number = with_digit(&padded(content.number, 9));
    let birth = with_digit(&six(content.date_of_birth));
    let expiry = with_digit(&six(content.expiry));
    let personal = with_digit(&padded(content.personal_number, 14));
    let all = digit(&format!("{number}{birth}{expiry}{personal}"));
    let second = format!("{number}{STATE}{birth}{}{expiry}{personal}{all}", sex(content.holder));
    vec![first, second]
}

/// The three lines of an identity card (TD1).
pub(crate) fn identity_card(content: &Content<'_>) -> Vec<String> {
    let number = with_digit(&padded(content.number, 9));
    let optional = padded(content.personal_number, 15);
    let first = format!("I<{STATE}{number}{optional}");
    let birth = with_digit(&six(content.date_of_birth));
    let expiry = with_digit(&six(content.expiry));
    let all = digit(&format!("{number}{optional}{birth}{expiry}{}", "<".repeat(11)));
    let second = format!("{birth}{}{expiry}{STATE}{}{all}", sex(content.holder), "<".repeat(11));
    let third = padded(&format!("{}<<{}", content.holder.surname_mrz, content.holder.given_names_mrz), 30);
    vec![first, second, third]
}

fn sex(holder: &Holder) -> char {
    if holder.sex == 'X' { '<' } else { holder.sex }
}

fn six(date: Date) -> String {
    format!("{:02}{:02}{:02}", date.year().rem_euclid(100), date.month(), date.day())
}

fn padded(text: &str, length: usize) -> String {
    let mut text: String = text.chars().take(length).collect();
    text.push_str(&"<".repeat(length.saturating_sub(text.len())));
    text
}

fn with_digit(text: &str) -> String {
    format!("{text}{}", digit(text))
}

/// The check digit: weights 7, 3, 1; letters count from 10; the filler is 0.
fn digit(text: &str) -> char {
    let sum: u32 = text
        .chars()
        .zip([7, 3, 1].into_iter().cycle())
        .map(|(c, weight)| c.to_digit(36).unwrap_or(0) * weight)
        .sum();
    char::from_digit(sum % 10, 10).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn anna() -> Holder {
        Holder {
            surname: "Eriksson".into(),
            given_names: "Anna Maria".into(),
            surname_mrz: "ERIKSSON".into(),
            given_names_mrz: "ANNA<MARIA".into(),
            sex: 'F',
            date_of_birth: date(1974, 8, 12),
            place_of_birth: "Zenith".into(),
            address: String::new(),
        }
    }

    #[test]
    fn the_specimen_passport_of_doc_9303_part_4_appendix_b_comes_out() {
        let holder = anna();
        let content = Content {
            holder: &holder,
            date_of_birth: holder.date_of_birth,
            number: "L898902C3",
            expiry: date(2012, 4, 15),
            personal_number: "ZE184226B",
        };
        assert_eq!(
            passport(&content),
            ["P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10"]
        );
    }

    #[test]
    fn the_specimen_card_of_doc_9303_part_5_appendix_b_comes_out() {
        let holder = anna();
        let content = Content {
            holder: &holder,
            date_of_birth: holder.date_of_birth,
            number: "D23145890",
            expiry: date(2012, 4, 15),
            personal_number: "",
        };
        assert_eq!(
            identity_card(&content),
            [
                "I<UTOD231458907<<<<<<<<<<<<<<<",
                "7408122F1204159UTO<<<<<<<<<<<6",
                "ERIKSSON<<ANNA<MARIA<<<<<<<<<<"
            ]
        );
    }
}
