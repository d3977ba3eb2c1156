//! Fictitious people.

use crate::chance::Chance;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// The person a document is made out to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// Surname as printed, with its diacritics.
    pub surname: String,
    /// Given names as printed.
    pub given_names: String,
    /// Surname as in the MRZ (`<` between its parts).
    pub surname_mrz: String,
    /// Given names as in the MRZ.
    pub given_names_mrz: String,
    /// `F`, `M` or `X`.
    pub sex: char,
    /// Date of birth.
    pub date_of_birth: Date,
    /// Place of birth.
    pub place_of_birth: String,
    /// Street and place.
    pub address: String,
}

#[derive(Deserialize)]
struct People {
    surname: Vec<Name>,
    given: Vec<Name>,
    places: Places,
}

#[derive(Deserialize)]
struct Places {
    names: Vec<String>,
    streets: Vec<String>,
}

#[derive(Deserialize)]
struct Name {
    viz: String,
    mrz: Option<String>,
    sex: Option<char>,
}

impl Name {
    fn mrz(&self) -> String {
        self.mrz.clone().unwrap_or_else(|| self.viz.to_uppercase().replace([' ', '-'], "<"))
    }
}

static PEOPLE: LazyLock<People> = LazyLock::new(|| {
    toml::from_str(include_str!("../data/people.toml")).expect("a test reads the same file")
});

impl Holder {
    /// A person of 19 to 79 years on `today`, drawn from `seed`; of that sex when one is given.
    pub fn drawn(seed: u64, today: Date, sex: Option<char>) -> Self {
        let mut chance = Chance::new(seed, 1);
        let people = &*PEOPLE;
        let surname = chance.pick(&people.surname);
        let fitting: Vec<&Name> = people.given.iter().filter(|n| sex.is_none() || n.sex == sex).collect();
        let given = if fitting.is_empty() { chance.pick(&people.given) } else { chance.pick(&fitting) };
        let days = 19 * 365 + i32::try_from(chance.below(60 * 365)).unwrap_or(0);
        let date_of_birth = today.saturating_sub(jiff::Span::new().days(days));
        let place_of_birth = chance.pick(&people.places.names).clone();
        let street = chance.pick(&people.places.streets);
        let number = 1 + chance.below(180);
        let place = chance.pick(&people.places.names);
        Self {
            surname: surname.viz.clone(),
            given_names: given.viz.clone(),
            surname_mrz: surname.mrz(),
            given_names_mrz: given.mrz(),
            sex: sex.or(given.sex).unwrap_or('X'),
            date_of_birth,
            place_of_birth,
            address: format!("{street} {number}, {place}"),
        }
    }
}
