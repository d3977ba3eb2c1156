//! The Diffie-Hellman groups over prime fields that PACE and chip authentication may name.

use num_bigint::BigUint;
use std::sync::OnceLock;

/// A group of prime order q inside the integers modulo p.
#[derive(Debug, PartialEq)]
pub struct Group {
    /// The standardised domain parameter id (ICAO 9303-11 table 6).
    pub parameter_id: u32,
    /// Its usual name.
    pub name: &'static str,
    /// The prime.
    pub p: BigUint,
    /// The generator.
    pub g: BigUint,
    /// The order of the generator.
    pub q: BigUint,
}

impl Group {
    /// Whether `value` is an element other than the neutral one.
    pub fn contains(&self, value: &BigUint) -> bool {
        let one = BigUint::from(1u8);
        *value > one && *value < &self.p - 1u8 && value.modpow(&self.q, &self.p) == one
    }

    /// Length of an element in bytes.
    pub fn size(&self) -> usize {
        usize::try_from(self.p.bits().div_ceil(8)).unwrap_or(0)
    }
}

/// All listed groups.
pub fn groups() -> &'static [Group] {
    static GROUPS: OnceLock<Vec<Group>> = OnceLock::new();
    GROUPS.get_or_init(|| {
        include_str!("../data/dh_groups.txt")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let mut fields = line.split(' ');
                let (id, name) = (fields.next()?.parse().ok()?, fields.next()?);
                let mut number = || BigUint::parse_bytes(fields.next()?.as_bytes(), 16);
                Some(Group { parameter_id: id, name, p: number()?, g: number()?, q: number()? })
            })
            .collect()
    })
}

/// The group with this standardised domain parameter id.
pub fn by_parameter_id(id: u32) -> Option<&'static Group> {
    groups().iter().find(|group| group.parameter_id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_group_is_consistent() {
        assert_eq!(groups().len(), 3);
        for group in groups() {
            assert!(group.contains(&group.g), "{}", group.name);
            assert!(!group.contains(&BigUint::from(1u8)));
        }
    }
}
