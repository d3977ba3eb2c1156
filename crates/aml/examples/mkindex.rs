//! Builds an index from `FORMAT=PATH…` into a folder, for fitting.
fn main() {
    let mut args = std::env::args().skip(1);
    let out = std::path::PathBuf::from(args.next().expect("folder"));
    let lists: Vec<_> = args
        .map(|list| {
            let (format, path) = list.split_once('=').expect("FORMAT=PATH");
            (aml::import::Format::parse(format).expect("format"), path.into())
        })
        .collect();
    aml::lists::index_lists(&lists, &out, 0).expect("index");
}
