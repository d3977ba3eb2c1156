//! Every importer on any bytes: an error or entities, never a panic. The first byte chooses the format.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&choice, body)) = data.split_first() else { return };
    let format = aml::import::Format::ALL[usize::from(choice) % aml::import::Format::ALL.len()];
    let dir = std::env::temp_dir().join(format!("bonafide-fuzz-import-{}", std::process::id()));
    let _ = std::fs::create_dir_all(&dir);
    let folder = format == aml::import::Format::OfacCsv;
    let file = dir.join(if folder { "sdn.csv" } else { "list" });
    if std::fs::write(&file, body).is_ok() {
        let _ = aml::import::import(format, if folder { &dir } else { &file }, &mut |entity| {
            assert!(!entity.names.is_empty());
        });
    }
});
