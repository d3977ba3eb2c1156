//! Prints how two names align.
#![expect(clippy::print_stdout, reason = "a tool for the person at the terminal")]
use aml::score::Weights;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let schema = aml::Schema::parse(a.get(3).map_or("Person", String::as_str));
    for side in [&a[1], &a[2]] {
        for t in names::analyse(side, schema.kind()).tokens {
            println!(
                "{} latin={} sound={} skel={} {:?} groups={:?} info={:.1}",
                t.text,
                t.latin,
                t.sound,
                t.skeleton,
                t.role,
                t.groups,
                -t.share.ln()
            );
        }
    }
    println!("{:?}", aml::compare_pair(&a[1], &a[2], schema, &Weights::default()));
    let (x, y) = (names::analyse(&a[1], schema.kind()), names::analyse(&a[2], schema.kind()));
    for p in &x.tokens {
        for q in &y.tokens {
            if let Some(g) = names::compare(p.view(), q.view()) {
                println!("{} ~ {}: {g:?}", p.latin, q.latin);
            }
        }
    }
}
