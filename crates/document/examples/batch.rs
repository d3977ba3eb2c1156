//! Reads every picture named and prints one JSON object a line: `batch MODELS TODAY FILE…`.

#![expect(clippy::print_stdout, reason = "an example prints its result")]

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let models =
        inference::Models::open(std::path::Path::new(&args.next().ok_or("name the folder of models")?))?;
    let today: jiff::civil::Date = args.next().ok_or("name the day")?.parse()?;
    let reader = document::Reader::open(&models)?;
    for file in args {
        let picture = imaging::decode(&fs_err::read(&file)?, &imaging::Limits::default())?;
        let value = match reader.read(
            &picture,
            None,
            &document::Options { specimens_allowed: true, ..document::Options::on(today) },
        ) {
            Ok(record) => {
                let text: Vec<&String> = record.text.iter().map(|(_, t)| t).collect();
                let mut value = serde_json::to_value(&record)?;
                value["text"] = serde_json::to_value(text)?;
                value["quad"] = serde_json::to_value(
                    record.sides.first().and_then(|s| s.quad.map(|q| q.map(|p| (p.x, p.y)))),
                )?;
                value
            }
            Err(error) => serde_json::json!({ "error": error.to_string() }),
        };
        let mut value = value;
        value["file"] = file.into();
        println!("{value}");
    }
    Ok(())
}
