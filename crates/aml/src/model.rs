//! What a watch-list says about one person, body or object, whatever list it came from.
//!
//! Importers produce [`Entity`]; the index, the scorer, the diff and the API read it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::dates::DateRange;

/// What an entry is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, PartialOrd, Ord)]
pub enum Schema {
    /// A natural person.
    #[default]
    Person,
    /// A body of any kind that is not known to be a company.
    Organization,
    /// A company.
    Company,
    /// A person or a body; the list does not say.
    LegalEntity,
    /// A ship.
    Vessel,
    /// An aircraft.
    Airplane,
    /// Anything else that can be named.
    Thing,
}

impl Schema {
    /// Reads a schema name of `FollowTheMoney` (which yente and OpenSanctions use); unknown names are `Thing`.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        match name.trim() {
            "Person" | "person" | "individual" | "Individual" => Self::Person,
            "Organization" | "PublicBody" | "organization" => Self::Organization,
            "Company" | "company" | "business" => Self::Company,
            "LegalEntity" | "" => Self::LegalEntity,
            "Vessel" | "vessel" => Self::Vessel,
            "Airplane" | "aircraft" => Self::Airplane,
            _ => Self::Thing,
        }
    }

    /// The name of the schema.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Person => "Person",
            Self::Organization => "Organization",
            Self::Company => "Company",
            Self::LegalEntity => "LegalEntity",
            Self::Vessel => "Vessel",
            Self::Airplane => "Airplane",
            Self::Thing => "Thing",
        }
    }

    /// The code index files store.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Person => 0,
            Self::Organization => 1,
            Self::Company => 2,
            Self::LegalEntity => 3,
            Self::Vessel => 4,
            Self::Airplane => 5,
            Self::Thing => 6,
        }
    }

    /// The schema of this code; unknown codes are `Thing`.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Person,
            1 => Self::Organization,
            2 => Self::Company,
            3 => Self::LegalEntity,
            4 => Self::Vessel,
            5 => Self::Airplane,
            _ => Self::Thing,
        }
    }

    /// How names of this schema are cut into tokens.
    #[must_use]
    pub fn kind(self) -> names::Kind {
        match self {
            Self::Person => names::Kind::Person,
            Self::Organization | Self::Company => names::Kind::Organisation,
            Self::Vessel | Self::Airplane => names::Kind::Thing,
            Self::LegalEntity | Self::Thing => names::Kind::Unknown,
        }
    }

    /// True when an entry of schema `other` may be what a query of this schema asks for.
    #[must_use]
    pub fn can_be(self, other: Self) -> bool {
        let class = |s: Self| match s {
            Self::Person => 1u8,
            Self::Organization | Self::Company => 2,
            Self::LegalEntity => 3,
            Self::Vessel => 4,
            Self::Airplane => 8,
            Self::Thing => 15,
        };
        class(self) & class(other) != 0
    }
}

/// How sure a list is of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum NameKind {
    /// The name the entry is listed under.
    Primary,
    /// Another name.
    Alias,
    /// A name no longer used.
    Former,
    /// A name the list itself calls weak or of low quality.
    Weak,
}

/// One name of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, PartialOrd, Ord)]
pub struct ListedName {
    /// The name as listed.
    pub text: String,
    /// How sure the list is of it.
    pub kind: NameKind,
}

/// What ties an entry to a country.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum CountryLink {
    /// Nationality or citizenship.
    Nationality,
    /// Place of birth.
    Birth,
    /// An address.
    Residence,
    /// Flag of a vessel, seat or registration of a body.
    Registration,
    /// The list gives a country and does not say why.
    Unspecified,
}

/// A number that identifies.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, PartialOrd, Ord)]
pub struct Identifier {
    /// `passport`, `national-id`, `tax-id`, `registration`, `imo`, `mmsi`, `lei`, `bic`, `crypto`, `other`.
    pub kind: String,
    /// As listed.
    pub value: String,
    /// Issuing country, ISO 3166-1 alpha-2 lower case, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub country: String,
}

impl Identifier {
    /// The value with everything but letters and digits taken out, upper case; crypto addresses keep their case.
    #[must_use]
    pub fn normal(&self) -> String {
        normal_identifier(&self.kind, &self.value)
    }
}

/// Letters and digits only; upper case except for addresses whose case carries meaning.
#[must_use]
pub fn normal_identifier(kind: &str, value: &str) -> String {
    let kept = value.chars().filter(|c| c.is_alphanumeric()).take(128);
    if kind == "crypto" && !value.starts_with("0x") {
        kept.collect()
    } else {
        kept.flat_map(char::to_uppercase).collect()
    }
}

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// The list's own stable key with the list in front: `ofac:27588`, `un:QDi.144`.
    pub key: String,
    /// What the entry is about.
    pub schema: Schema,
    /// Its names, the primary one first.
    pub names: Vec<ListedName>,
    /// Dates of birth (or incorporation).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub births: Vec<DateRange>,
    /// Countries, ISO 3166-1 alpha-2 lower case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub countries: Vec<(CountryLink, String)>,
    /// Identifying numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identifiers: Vec<Identifier>,
    /// `male`, `female`, or empty when not given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub gender: String,
    /// Topics in the vocabulary of OpenSanctions: `sanction`, `role.pep`, `crime.terror`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// Programmes or regimes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<String>,
    /// Titles, positions, functions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub positions: Vec<String>,
    /// Places of birth as written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub birth_places: Vec<String>,
    /// Addresses as written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Remarks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Pages about the entry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Names of entities it is linked to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked: Vec<String>,
    /// When it was listed, as the list writes it, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub listed_on: String,
}

/// Most names, dates, identifiers and so on that are kept of one entry.
pub(crate) const MAX_VALUES: usize = 2_000;
/// Longest text that is kept.
pub(crate) const MAX_TEXT: usize = 4_000;

impl Entity {
    /// An entry with a key and nothing else.
    #[must_use]
    pub fn new(key: String, schema: Schema) -> Self {
        Self {
            key,
            schema,
            names: Vec::new(),
            births: Vec::new(),
            countries: Vec::new(),
            identifiers: Vec::new(),
            gender: String::new(),
            topics: Vec::new(),
            programs: Vec::new(),
            positions: Vec::new(),
            birth_places: Vec::new(),
            addresses: Vec::new(),
            notes: Vec::new(),
            urls: Vec::new(),
            linked: Vec::new(),
            listed_on: String::new(),
        }
    }

    /// Adds a name unless it is empty or already there.
    pub fn add_name(&mut self, text: &str, kind: NameKind) {
        let text = clean(text);
        if text.chars().any(char::is_alphanumeric)
            && self.names.len() < MAX_VALUES
            && !self.names.iter().any(|n| n.text == text)
        {
            self.names.push(ListedName { text, kind });
        }
    }

    /// Adds a country by code or name unless unknown or already there.
    pub fn add_country(&mut self, link: CountryLink, country: &str) {
        if let Some(code) = crate::countries::code(country) {
            let entry = (link, code.to_owned());
            if self.countries.len() < MAX_VALUES && !self.countries.contains(&entry) {
                self.countries.push(entry);
            }
        }
    }

    /// Adds a date unless it cannot be read or is already there.
    pub fn add_birth(&mut self, text: &str) {
        if let Some(range) = DateRange::parse(text) {
            self.add_birth_range(range);
        }
    }

    /// Adds a date unless it is already there.
    pub fn add_birth_range(&mut self, range: DateRange) {
        if self.births.len() < MAX_VALUES && !self.births.contains(&range) {
            self.births.push(range);
        }
    }

    /// Adds an identifier unless it is empty or already there.
    pub fn add_identifier(&mut self, kind: &str, value: &str, country: &str) {
        let value = clean(value);
        let identifier = Identifier {
            kind: kind.to_owned(),
            value,
            country: crate::countries::code(country).unwrap_or_default().to_owned(),
        };
        if identifier.normal().len() >= 3
            && self.identifiers.len() < MAX_VALUES
            && !self.identifiers.contains(&identifier)
        {
            self.identifiers.push(identifier);
        }
    }

    /// Adds a text to one of the free lists unless it is empty or already there.
    pub fn add_text(list: &mut Vec<String>, text: &str) {
        let text = clean(text);
        if !text.is_empty() && list.len() < MAX_VALUES && !list.contains(&text) {
            list.push(text);
        }
    }

    /// The name shown for the entry.
    #[must_use]
    pub fn caption(&self) -> &str {
        self.names.first().map_or(self.key.as_str(), |n| n.text.as_str())
    }

    /// A fingerprint of everything that decides whether a person matches: names, dates, countries,
    /// identifiers, gender, schema and topics, in no particular order. Remarks and addresses do not count.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 16] {
        let mut parts: Vec<String> = Vec::new();
        parts.push(format!("schema {}", self.schema.name()));
        parts.push(format!("gender {}", self.gender));
        parts.extend(self.names.iter().map(|n| format!("name {:?} {}", n.kind, n.text.to_lowercase())));
        parts.extend(self.births.iter().map(|b| format!("birth {b}")));
        parts.extend(
            self.countries
                .iter()
                .filter(|(link, _)| *link != CountryLink::Residence)
                .map(|(_, c)| format!("country {c}")),
        );
        parts.extend(self.identifiers.iter().map(|i| format!("id {} {}", i.kind, i.normal())));
        parts.extend(self.topics.iter().map(|t| format!("topic {t}")));
        parts.sort();
        parts.dedup();
        let digest = Sha256::digest(parts.join("\n").as_bytes());
        let mut out = [0; 16];
        out.copy_from_slice(&digest[..16]);
        out
    }
}

/// One line, single spaces, no control characters, bounded.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_TEXT));
    for word in text.split_whitespace() {
        if out.len() + word.len() > MAX_TEXT {
            break;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().filter(|c| !c.is_control()));
    }
    out
}
