//! Temporary.
use specimen::*;
fn main() {
    let load = |p: &str| imaging::decode(&std::fs::read(p).expect("f"), &imaging::Limits::default()).expect("d").pixels;
    let a = Portrait::with_face(load("/tmp/vis/astronaut.png"), [177., 86., 96., 102.]);
    let g = Portrait::with_face(load("/tmp/vis/grace_hopper.jpg"), [165., 160., 210., 172.]);
    let today = jiff::civil::date(2026, 11, 23);
    let save = |n: &str, i: &imaging::RgbImage| std::fs::write(format!("/tmp/vis/out/{n}.png"), imaging::encode_png(i)).expect("w");
    let p = draw(&Spec::new(Kind::Passport, 7, a.clone(), today)).expect("p");
    save("passport", &p.front);
    let c = draw(&Spec::new(Kind::IdCard, 3, g.clone(), today)).expect("c");
    save("card", &c.front);
    save("back", c.back.as_ref().expect("b"));
    save("selfie_a", &selfie(&a, 1));
    save("selfie_a2", &selfie(&a, 2));
    save("selfie_g", &selfie(&g, 1));
    for (n, d) in Degradation::ALL {
        let t = std::time::Instant::now();
        let (i, q) = photograph(if n == "screen" || n == "photo" || n == "photocopy" { &p.front } else { &c.front }, &Scene::degraded(5, &[d]));
        println!("{n} {:?} {q:?}", t.elapsed());
        save(n, &i);
    }
}
