//! Issuing states of the machine readable zone against the country of a certificate.

/// Whether a certificate of `country` (alpha-2) may sign a document of `issuing_state` (as in
/// the MRZ, fillers stripped); `None` when the state is not in the table.
pub fn may_sign(issuing_state: &str, country: &str) -> Option<bool> {
    let state = issuing_state.trim_end_matches('<').to_ascii_uppercase();
    include_str!("../data/countries.txt").lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut words = line.split(' ');
        (words.next() == Some(&state)).then(|| words.any(|code| code.eq_ignore_ascii_case(country)))
    })
}

#[cfg(test)]
mod tests {
    use super::may_sign;

    #[test]
    fn states_that_the_zone_writes_in_its_own_way_are_known() {
        assert_eq!(may_sign("D<<", "DE"), Some(true));
        assert_eq!(may_sign("GBD", "gb"), Some(true));
        assert_eq!(may_sign("UNO", "UN"), Some(true));
        assert_eq!(may_sign("RKS", "KS"), Some(true));
        assert_eq!(may_sign("FRA", "DE"), Some(false));
        assert_eq!(may_sign("UTO", "UT"), None);
    }
}
