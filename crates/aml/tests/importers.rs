//! Every importer on files that were damaged: an error or usable entities, and the same ones each time.
//!
//! The files are the seeds of the fuzz target `aml_import`: one of each format, the first byte choosing it.

use std::path::PathBuf;

use aml::Entity;
use aml::import::{Format, import};
use proptest::prelude::*;

fn seed(format: Format) -> Vec<u8> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/aml_import"));
    let bytes = fs_err::read(path.join(format.name())).expect("a seed of each format");
    let (&choice, body) = bytes.split_first().expect("a first byte");
    assert_eq!(
        Format::ALL[usize::from(choice) % Format::ALL.len()],
        format,
        "the first byte chooses the format"
    );
    body.to_vec()
}

fn entities(format: Format, bytes: &[u8]) -> Option<Vec<Entity>> {
    let dir = tempfile::tempdir().expect("folder");
    let folder = format == Format::OfacCsv;
    let file = dir.path().join(if folder { "sdn.csv" } else { "list" });
    fs_err::write(&file, bytes).expect("write");
    let mut found = Vec::new();
    import(format, if folder { dir.path() } else { &file }, &mut |entity| found.push(entity)).ok()?;
    Some(found)
}

#[test]
fn the_seed_of_each_format_is_read_with_all_it_says() {
    for format in Format::ALL {
        let found = entities(format, &seed(format)).expect("valid");
        let first = found.first().expect("an entity");
        let caption = first.caption().to_lowercase();
        assert!(caption.contains("example") || caption.contains("doe"), "{}: {caption}", format.name());
        if format != Format::BisDpl {
            assert!(
                !first.births.is_empty() || format == Format::OfacXml || format == Format::OsNested,
                "{}",
                format.name()
            );
            assert!(first.identifiers.iter().any(|i| i.value.contains("A1234567")), "{}", format.name());
        }
    }
}

#[test]
fn a_row_without_an_id_is_left_out() {
    let text = b"id,schema,name\n,Person,Ana One\n,Person,Berta Two\n3,Person,Clara Three\n";
    let found = entities(Format::Csv, text).expect("valid");
    assert_eq!(found.iter().map(|e| e.key.as_str()).collect::<Vec<_>>(), ["csv:3"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_damaged_file_gives_an_error_or_usable_entities(
        which in 0..Format::ALL.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0u8..5, any::<u8>(), 1usize..40), 0..8),
    ) {
        let format = Format::ALL[which];
        let mut bytes = seed(format);
        for (at, kind, byte, length) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            let end = (at + length).min(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.drain(at..end)),
                3 => {
                    let again = bytes[at..end].to_vec();
                    bytes.splice(at..at, again);
                }
                _ => bytes.truncate(at),
            }
        }
        let found = entities(format, &bytes);
        prop_assert_eq!(&found, &entities(format, &bytes));
        for entity in found.into_iter().flatten() {
            let id = entity.key.strip_prefix(format.prefix()).and_then(|rest| rest.strip_prefix(':'));
            prop_assert!(id.is_some_and(|id| !id.is_empty()), "{}", entity.key);
            prop_assert!(entity.names.iter().all(|n| n.text.chars().any(char::is_alphanumeric)));
            prop_assert!(!entity.names.is_empty());
        }
    }
}
