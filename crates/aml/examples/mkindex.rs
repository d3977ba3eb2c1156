//! Builds an index from `FORMAT=PATH…` into a folder, for fitting.
fn main() {
    let mut args = std::env::args().skip(1);
    let out = std::path::PathBuf::from(args.next().expect("folder"));
    let mut builder = aml::index::Builder::new();
    for list in args {
        let (format, path) = list.split_once('=').expect("FORMAT=PATH");
        let format = aml::import::Format::parse(format).expect("format");
        aml::import::import(format, path.as_ref(), &mut |e| builder.add(&e).expect("json")).expect("list");
    }
    fs_err::create_dir_all(&out).expect("folder");
    builder.write(&out.join("index.bfaml")).expect("index");
}
