//! Importers, index and monitoring on small lists written here, and on the real ones where they are.

use std::path::{Path, PathBuf};

use aml::import::{Format, import};
use aml::lists::{ChangeKind, ListError, ListStore, diff, index_lists};
use aml::{DateRange, Entity, NameKind, Profile, Query, Schema, Screener};

fn testdata() -> Option<PathBuf> {
    let dir = std::env::var_os("BONAFIDE_TESTDATA")
        .map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
            PathBuf::from,
        )
        .join("aml");
    if !dir.is_dir() {
        eprintln!("skipped: no test data");
        return None;
    }
    Some(dir)
}

fn read(format: Format, text: &str) -> Result<Vec<Entity>, aml::import::ImportError> {
    let dir = tempfile::tempdir().expect("folder");
    let file = dir.path().join("list");
    fs_err::write(&file, text).expect("write");
    let mut out = Vec::new();
    import(format, &file, &mut |e| out.push(e))?;
    Ok(out)
}

fn demo(dir: &Path) -> Screener {
    let list = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/data/demo.csv"));
    index_lists(&[(Format::Csv, list)], dir, 1).expect("index");
    Screener::open(dir).expect("open")
}

fn named(name: &str) -> Query {
    Query { names: vec![name.to_owned()], schema: Schema::Person, ..Query::default() }
}

#[test]
fn two_lists_of_one_format_keep_their_entries_apart() {
    let dir = tempfile::tempdir().expect("folder");
    let store = ListStore::new(dir.path());
    let file = dir.path().join("list.csv");
    for (list, name) in [("vips", "Ana One"), ("blocked", "Berta Two")] {
        fs_err::write(&file, format!("id,schema,name\n1,Person,{name}\n")).expect("write");
        store.import(list, Format::Csv, &file, 7, false).expect("import");
    }
    store.build(&dir.path().join("index")).expect("index");
    let screener = Screener::open(&dir.path().join("index")).expect("open");
    let hits = |lists: &[&str], name: &str| -> Vec<String> {
        let lists = lists.iter().map(|list| (*list).to_owned()).collect();
        let profile = Profile { lists, ..Profile::default() };
        screener.screen(&named(name), &profile).hits.into_iter().map(|hit| hit.ranked.key).collect()
    };
    assert_eq!(hits(&[], "Ana One"), ["vips:1"]);
    assert_eq!(hits(&["blocked"], "Berta Two"), ["blocked:1"]);
    assert!(hits(&["blocked"], "Ana One").is_empty());
}

#[test]
fn versions_that_came_within_a_second_are_told_apart_by_their_order() {
    let dir = tempfile::tempdir().expect("folder");
    let store = ListStore::new(dir.path());
    let file = dir.path().join("list.csv");
    let mut imported = Vec::new();
    for name in ["Ana One", "Ana Two", "Ana Three", "Ana Four"] {
        fs_err::write(&file, format!("id,schema,name\n1,Person,{name}\n")).expect("write");
        let (version, _) = store.import("own", Format::Csv, &file, 7, false).expect("import");
        imported.insert(0, version.sha256[..16].to_owned());
    }
    assert_eq!(store.status(7).expect("status")[0].versions, imported);
    // What comes back is the newest again.
    fs_err::write(&file, "id,schema,name\n1,Person,Ana Two\n").expect("write");
    store.import("own", Format::Csv, &file, 7, false).expect("import");
    let back = imported.remove(2);
    imported.insert(0, back);
    assert_eq!(store.status(7).expect("status")[0].versions, imported);
}

#[test]
fn a_document_type_declaration_is_refused() {
    let text = "<!DOCTYPE x [<!ENTITY a \"b\">]><CONSOLIDATED_LIST><INDIVIDUALS/></CONSOLIDATED_LIST>";
    assert!(read(Format::UnXml, text).is_err());
}

#[test]
fn an_eu_entry_is_read_with_weak_aliases_and_year_of_birth() {
    let text = r#"<export generationDate="2026-01-02"><sanctionEntity euReferenceNumber="EU.1.2" designationDate="2020-01-01">
        <subjectType code="person"/><nameAlias wholeName="Jan Example" strong="true" gender="M"/>
        <nameAlias wholeName="Johnny" strong="false"/><birthdate year="1970" circa="false" countryIso2Code="IR"/>
        <citizenship countryIso2Code="IR"/><identification identificationTypeCode="passport" number="A1234567" countryIso2Code="IR"/>
        </sanctionEntity></export>"#;
    let entities = read(Format::EuXml, text).expect("valid");
    let e = &entities[0];
    assert_eq!((e.key.as_str(), e.schema, e.gender.as_str()), ("eu:EU.1.2", Schema::Person, "male"));
    assert_eq!(e.names[1].kind, NameKind::Weak);
    assert_eq!(e.births, [DateRange::years(1970, 1970)]);
    assert_eq!(e.identifiers[0].kind, "passport");
}

#[test]
fn a_uk_entry_of_several_rows_becomes_one() {
    let text = "Report Date: 01-Jan-2026\nUnique ID,Name 6,Name 1,Name type,Designation Type,D.O.B,Nationality(/ies)\nRUS0001,DOE,John,Primary Name,Individual,dd/mm/1960,Russia\nRUS0001,DOE,Jon,Alias,Individual,,\n";
    let entities = read(Format::UkCsv, text).expect("valid");
    assert_eq!(entities.len(), 1);
    assert_eq!(entities[0].names.len(), 2);
    assert_eq!(entities[0].births, [DateRange::years(1960, 1960)]);
}

#[test]
fn screening_finds_the_person_in_another_script_and_explains_it() {
    let dir = tempfile::tempdir().expect("folder");
    let screener = demo(dir.path());
    let found = screener.screen(&named("Амаврот Хитлодей"), &Profile::default());
    assert_eq!(found.hits[0].key, "csv:uto-1");
    assert!(!found.hits[0].alignment.is_empty());
    assert_eq!(found.list_versions.len(), 1);
    assert_eq!(
        screener.screen(&named("Амаврот Хитлодей"), &Profile::default()),
        found,
        "a screening can be replayed"
    );
    assert!(screener.screen(&named("--- ''' \u{200b}"), &Profile::default()).hits.is_empty());
}

#[test]
fn a_date_of_birth_moves_the_score_both_ways() {
    let dir = tempfile::tempdir().expect("folder");
    let screener = demo(dir.path());
    let profile = Profile { threshold: 0.0, ..Profile::default() };
    let score = |birth: Option<&str>| {
        let query = Query {
            births: birth.and_then(DateRange::parse).into_iter().collect(),
            ..named("Amaurot Hythlodaeus")
        };
        screener.rank(&query, &profile)[0].score
    };
    assert!(score(Some("1961-04-12")) > score(None));
    assert!(score(Some("1991-04-12")) < score(None));
}

#[test]
fn a_passport_in_common_is_decisive_whatever_the_name() {
    let dir = tempfile::tempdir().expect("folder");
    let screener = demo(dir.path());
    let identifier =
        aml::Identifier { kind: "passport".into(), value: "ut 0000002".into(), country: String::new() };
    let query = Query { identifiers: vec![identifier], ..named("Somebody Else") };
    assert_eq!(
        screener.screen(&query, &Profile::default()).hits.first().map(|h| h.key.as_str()),
        Some("csv:uto-2")
    );
}

#[test]
fn a_version_that_lost_too_many_entries_is_refused_and_the_old_one_stays() {
    let dir = tempfile::tempdir().expect("folder");
    let store = ListStore::new(dir.path());
    let file = dir.path().join("own.csv");
    fs_err::write(&file, "id,name\n1,Anna Example\n2,Bert Example\n3,Carl Example\n").expect("write");
    store.import("own", Format::Csv, &file, 10, false).expect("first");
    fs_err::write(&file, "id,name\n1,Anna Example\n").expect("write");
    assert!(matches!(
        store.import("own", Format::Csv, &file, 20, false),
        Err(ListError::Shrank { old: 3, new: 1, .. })
    ));
    assert_eq!(store.entities("own").expect("stored").len(), 3);
    assert!(store.status(20).expect("status")[0].refused.is_some());
    assert!(store.status(20 + store.stale_after_s).expect("status")[0].stale);
}

#[test]
fn the_two_ofac_alias_files_give_a_delta() {
    let Some(data) = testdata() else { return };
    let load = |name: &str| {
        let mut out = Vec::new();
        import(Format::OfacCsv, &data.join("lists").join(name), &mut |e| out.push(e)).expect("list");
        out
    };
    let (old, new) = (load("ofac_alt_add_2025-12"), load("ofac_alt_add_2026-06"));
    let changes = diff(&old, &new);
    assert!(changes.iter().any(|(c, _)| c.kind == ChangeKind::Added));
    assert!(changes.iter().any(|(c, _)| c.kind == ChangeKind::Modified
        && c.material
        && c.fields.contains(&"names".to_owned())));
    assert!(changes.len() < new.len() / 2, "most entries stay as they are");
}

#[test]
fn ofac_tool_scores_are_met_on_nearly_all_recorded_rows() {
    let Some(data) = testdata() else { return };
    let mut reader = csv::Reader::from_path(data.join("bench/ofac_tool_score_parity.csv")).expect("rows");
    let rows: Vec<csv::StringRecord> = reader.records().map(|r| r.expect("row")).collect();
    let theirs = |r: &csv::StringRecord| r[2].parse::<f64>().expect("score");
    let near = |r: &&csv::StringRecord| (f64::from(aml::ofac::score(&r[0], &r[1])) - theirs(r)).abs() <= 5.0;
    // -1 stands for pairs the tool did not return; some of the same pairs have a score in other rows.
    let shown: Vec<_> = rows.iter().filter(|r| theirs(r) >= 0.0).collect();
    let met = shown.iter().copied().filter(near).count();
    eprintln!(
        "OFAC parity within 5 points: {met} of {} shown, {} of all {}",
        shown.len(),
        rows.iter().filter(near).count(),
        rows.len()
    );
    assert!(met * 100 >= shown.len() * 95, "{met} of {}", shown.len());
}
