//! Finds the ISO 3166-1 alpha-2 code behind what lists write for a country.

use std::collections::HashMap;
use std::sync::OnceLock;

/// The lower-case alpha-2 code for a code (two or three letters) or a name in any language the table knows.
#[must_use]
pub fn code(text: &str) -> Option<&'static str> {
    static TABLE: OnceLock<HashMap<String, &'static str>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut table = HashMap::new();
        for line in include_str!("../data/countries.tsv").lines() {
            let mut columns = line.split('\t');
            let (Some(code), Some(alpha3), Some(names)) = (columns.next(), columns.next(), columns.next())
            else {
                continue;
            };
            table.insert(code.to_owned(), code);
            if !alpha3.is_empty() {
                table.entry(alpha3.to_owned()).or_insert(code);
            }
            for name in names.split('|') {
                table.entry(name.to_owned()).or_insert(code);
            }
        }
        for (name, code) in [
            ("palestinian", "ps"),
            ("korea, north", "kp"),
            ("korea, south", "kr"),
            ("burma", "mm"),
            ("uk", "gb"),
            ("gaza", "ps"),
        ] {
            table.insert(name.to_owned(), code);
        }
        table
    });
    let text = text.trim().trim_end_matches('.').to_lowercase();
    if text.len() > 120 {
        return None;
    }
    let text = text.strip_prefix("the ").unwrap_or(&text);
    table.get(text).copied().or_else(|| {
        let bare = text.split(['(', ',', ';']).next().unwrap_or(text).trim();
        table.get(bare).copied()
    })
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn names_and_codes_of_countries_are_found() {
        for (text, want) in [
            ("Iran", "ir"),
            ("IRN", "ir"),
            ("ir", "ir"),
            ("Korea, North", "kp"),
            ("Democratic Republic of the Congo", "cd"),
            ("Россия", "ru"),
        ] {
            assert_eq!(code(text), Some(want), "{text}");
        }
        assert_eq!(code("Atlantis"), None);
    }
}
