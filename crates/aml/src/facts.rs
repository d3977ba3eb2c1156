//! What scoring needs of an entity besides its names, in a form the index holds beside them.

use crate::dates::DateRange;
use crate::model::{CountryLink, Entity, Identifier};

/// Values of each kind that are kept for scoring.
const MOST: usize = 64;

/// An identifier by hashes: comparing needs no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdentifierHash {
    /// Of the normal form.
    pub(crate) value: u64,
    /// Of the kind.
    pub(crate) kind: u32,
    /// Issuing country, or zeros.
    pub(crate) country: [u8; 2],
}

impl IdentifierHash {
    pub(crate) fn of(identifier: &Identifier) -> Self {
        Self {
            value: names::hash(&identifier.normal()),
            kind: kind_hash(&identifier.kind),
            country: code(&identifier.country),
        }
    }
}

/// Dates, countries, gender and identifiers of one entity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) births: Vec<DateRange>,
    pub(crate) countries: Vec<(CountryLink, [u8; 2])>,
    /// `m`, `f` or 0.
    pub(crate) gender: u8,
    pub(crate) identifiers: Vec<IdentifierHash>,
}

pub(crate) fn kind_hash(kind: &str) -> u32 {
    // The low half is as good as the whole.
    (names::hash(kind) & 0xffff_ffff) as u32
}

/// Two lower-case letters, or zeros.
pub(crate) fn code(country: &str) -> [u8; 2] {
    match country.as_bytes() {
        [a, b] => [a.to_ascii_lowercase(), b.to_ascii_lowercase()],
        _ => [0, 0],
    }
}

pub(crate) fn gender_code(gender: &str) -> u8 {
    gender.bytes().next().map_or(0, |c| c.to_ascii_lowercase())
}

impl Facts {
    pub(crate) fn of(entity: &Entity) -> Self {
        Self {
            births: entity.births.iter().take(MOST).copied().collect(),
            countries: entity.countries.iter().take(MOST).map(|(link, c)| (*link, code(c))).collect(),
            gender: gender_code(&entity.gender),
            identifiers: entity.identifiers.iter().take(MOST).map(IdentifierHash::of).collect(),
        }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let count = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
        out.extend([
            self.gender,
            count(self.births.len()),
            count(self.countries.len()),
            count(self.identifiers.len()),
        ]);
        for birth in &self.births {
            out.extend(birth.from.to_le_bytes());
            out.extend(birth.to.to_le_bytes());
        }
        for (link, code) in &self.countries {
            out.extend([*link as u8, code[0], code[1]]);
        }
        for id in &self.identifiers {
            out.extend(id.value.to_le_bytes());
            out.extend(id.kind.to_le_bytes());
            out.extend(id.country);
        }
    }

    /// Reads what [`Facts::write`] wrote; what is cut off is left out.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut facts = Self::default();
        let Some((&[gender, births, countries, identifiers], mut rest)) = bytes.split_first_chunk::<4>()
        else {
            return facts;
        };
        facts.gender = gender;
        for _ in 0..births {
            let Some((row, more)) = rest.split_first_chunk::<8>() else { return facts };
            let [a, b, c, d, e, f, g, h] = *row;
            facts.births.push(DateRange {
                from: u32::from_le_bytes([a, b, c, d]),
                to: u32::from_le_bytes([e, f, g, h]),
            });
            rest = more;
        }
        for _ in 0..countries {
            let Some((&[link, a, b], more)) = rest.split_first_chunk::<3>() else { return facts };
            let link = match link {
                0 => CountryLink::Nationality,
                1 => CountryLink::Birth,
                2 => CountryLink::Residence,
                3 => CountryLink::Registration,
                _ => CountryLink::Unspecified,
            };
            facts.countries.push((link, [a, b]));
            rest = more;
        }
        for _ in 0..identifiers {
            let Some((row, more)) = rest.split_first_chunk::<14>() else { return facts };
            let [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = *row;
            facts.identifiers.push(IdentifierHash {
                value: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
                kind: u32::from_le_bytes([i, j, k, l]),
                country: [m, n],
            });
            rest = more;
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Schema;

    #[test]
    fn facts_come_back_as_written_and_a_cut_record_does_no_harm() {
        let mut entity = Entity::new("x:1".into(), Schema::Person);
        entity.add_birth("1970");
        entity.add_country(CountryLink::Birth, "ir");
        entity.add_identifier("passport", "A1234", "ir");
        entity.gender = "male".into();
        let facts = Facts::of(&entity);
        let mut bytes = Vec::new();
        facts.write(&mut bytes);
        assert_eq!(Facts::read(&bytes), facts);
        for cut in 0..bytes.len() {
            let _ = Facts::read(&bytes[..cut]);
        }
    }
}
