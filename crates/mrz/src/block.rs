//! The `mrz` object of the public API, field for field.

use serde::Serialize;

use crate::format::{Format, Kind};
use crate::parse::{Mrz, Sex};

/// The `mrz` object: every value is text as it stands in the zone, without fillers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Block {
    /// Primary identifier.
    pub surname: String,
    /// Secondary identifier.
    pub name: String,
    /// Issuing state as the zone gives it.
    pub country: String,
    /// Nationality as the zone gives it.
    pub nationality: String,
    /// `YYMMDD`.
    pub birth_date: String,
    /// `YYMMDD`, empty where the format has none.
    pub expiry_date: String,
    /// `M`, `F`, or `X` for unspecified.
    pub sex: String,
    /// Document code.
    pub document_type: String,
    /// Document number.
    pub document_number: String,
    /// Optional data, or the personal number of a passport.
    pub optional_data: String,
    /// Second optional field of TD1; left out elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optional_data_2: Option<String>,
    /// Check digit of the birth date.
    pub birth_date_hash: String,
    /// Check digit of the expiry date.
    pub expiry_date_hash: String,
    /// Check digit of the document number.
    pub document_number_hash: String,
    /// Check digit of the personal number (TD3 only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optional_data_hash: Option<String>,
    /// Composite check digit; empty for visas.
    pub final_hash: String,
    /// The holder's number where the optional data holds one.
    pub personal_number: String,
    /// See [`Mrz::warnings`].
    pub warnings: Vec<String>,
    /// See [`Mrz::errors`].
    pub errors: Vec<String>,
    /// `TD1`, `TD2`, `TD3`, `MRVA`, `MRVB` …
    pub mrz_type: &'static str,
    /// The lines, joined by line feeds.
    pub mrz_string: String,
    /// What opens the chip; empty where the format lacks a part.
    pub mrz_key: String,
}

impl Mrz {
    /// The `mrz` object of the public API.
    #[must_use]
    pub fn block(&self) -> Block {
        let digit = |of: Option<Kind>| self.digit(of).map(String::from).unwrap_or_default();
        let raw = |d: &Option<crate::parse::DateField>| d.as_ref().map(|d| d.raw.clone()).unwrap_or_default();
        let personal = if self.optional.is_empty() { &self.optional2 } else { &self.optional };
        Block {
            surname: self.names.surname.clone(),
            name: self.names.given_names.clone(),
            country: self.issuing_state.clone(),
            nationality: self.nationality.clone(),
            birth_date: raw(&self.birth_date),
            expiry_date: raw(&self.expiry_date),
            sex: match self.sex {
                Some(Sex::Male) => "M",
                Some(Sex::Female) => "F",
                Some(Sex::Unspecified) => "X",
                None => "",
            }
            .to_owned(),
            document_type: self.document_code.clone(),
            document_number: self.document_number.clone(),
            optional_data: self.optional.clone(),
            optional_data_2: (self.format == Format::Td1).then(|| self.optional2.clone()),
            birth_date_hash: digit(Some(Kind::BirthDate)),
            expiry_date_hash: digit(Some(Kind::ExpiryDate)),
            document_number_hash: digit(Some(Kind::DocumentNumber)),
            optional_data_hash: (self.format == Format::Td3).then(|| digit(Some(Kind::Optional))),
            final_hash: digit(None),
            personal_number: personal.clone(),
            warnings: self.warnings.clone(),
            errors: self.errors.clone(),
            mrz_type: self.format.name(),
            mrz_string: self.lines.join("\n"),
            mrz_key: self.key().unwrap_or_default(),
        }
    }
}
