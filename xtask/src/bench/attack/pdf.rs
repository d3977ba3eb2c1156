//! PDFs that attack: what a page may draw, nest, unpack and point at, taken to its end.
//!
//! Each kind is one idea; its numbers are drawn, so that no bound is met at one
//! place only. Streams hide behind every way of naming and packing a filter,
//! because scanning the bytes for the dangerous ones cannot be complete.

use super::{dice::Dice, jbig2, jp2, jpeg, pack};

pub(super) const MAGIC: &[u8] = b"%PDF-";

/// An ordinary page.
const PAGE: &str = "/MediaBox [0 0 612 792]";

/// Objects on the way to becoming a file. 1 is the catalogue, 2 the page tree, 3 the page, 4 its content.
struct Pdf {
    objects: Vec<Vec<u8>>,
    trailer: String,
    /// Packs every stream that is added through [`Pdf::stream`] behind a filter drawn by these dice.
    dice: Dice,
}

impl Pdf {
    fn new(dice: &Dice) -> Self {
        Self { objects: vec![Vec::new(); 4], trailer: String::new(), dice: dice.clone() }
    }

    fn add(&mut self, body: impl Into<Vec<u8>>) -> usize {
        self.objects.push(body.into());
        self.objects.len()
    }

    fn set(&mut self, number: usize, body: impl Into<Vec<u8>>) {
        self.objects[number - 1] = body.into();
    }

    /// A stream as it is.
    fn raw(dictionary: &str, data: &[u8]) -> Vec<u8> {
        let mut out = format!("<< {dictionary} /Length {} >>\nstream\n", data.len()).into_bytes();
        out.extend_from_slice(data);
        out.extend_from_slice(b"\nendstream");
        out
    }

    /// A stream behind a filter.
    fn packed(&mut self, dictionary: &str, data: &[u8]) -> Vec<u8> {
        let small = data.len() < 200_000;
        match self.dice.below(6) {
            0 if small => Self::raw(dictionary, data),
            1 if small => {
                let data = pack::ascii_85(&pack::zlib(data));
                Self::raw(&format!("{dictionary} /Filter [/ASCII85Decode /FlateDecode]"), &data)
            }
            2 => Self::raw(&format!("{dictionary} /Filter /#46late#44ecode"), &pack::zlib(data)),
            3 => {
                let name = self.add("/FlateDecode");
                Self::raw(&format!("{dictionary} /Filter {name} 0 R"), &pack::zlib(data))
            }
            4 => Self::raw(
                &format!("{dictionary} /Filter [/FlateDecode /FlateDecode]"),
                &pack::zlib(&pack::zlib(data)),
            ),
            _ => Self::raw(&format!("{dictionary} /Filter /FlateDecode"), &pack::zlib(data)),
        }
    }

    fn stream(&mut self, dictionary: &str, data: &[u8]) -> usize {
        let body = self.packed(dictionary, data);
        self.add(body)
    }

    /// Ends with a page of this content.
    fn page(mut self, extra: &str, resources: &str, content: &[u8]) -> Vec<u8> {
        let body = self.packed("", content);
        self.set(4, body);
        self.page_of(extra, resources)
    }

    /// Ends with a page whose content, object 4, is there.
    fn page_of(mut self, extra: &str, resources: &str) -> Vec<u8> {
        let extra = if extra.contains("/MediaBox") { extra.to_owned() } else { format!("{PAGE} {extra}") };
        self.set(2, "<< /Type /Pages /Kids [3 0 R] /Count 1 >>");
        self.set(
            3,
            format!("<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << {resources} >> {extra} >>"),
        );
        self.finish()
    }

    /// Writes objects, table and trailer.
    fn finish(mut self) -> Vec<u8> {
        if self.objects[0].is_empty() {
            self.set(1, "<< /Type /Catalog /Pages 2 0 R >>");
        }
        let mut out = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec();
        let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", self.objects.len() + 1);
        for (index, body) in self.objects.iter().enumerate() {
            table.push_str(&format!("{:010} 00000 n \n", out.len()));
            out.extend_from_slice(format!("{} 0 obj\n", index + 1).as_bytes());
            out.extend_from_slice(body);
            out.extend_from_slice(b"\nendobj\n");
        }
        let start = out.len();
        out.extend_from_slice(table.as_bytes());
        let size = self.objects.len() + 1;
        out.extend_from_slice(
            format!("trailer\n<< /Size {size} /Root 1 0 R {} >>\nstartxref\n{start}\n%%EOF\n", self.trailer)
                .as_bytes(),
        );
        out
    }
}

/// A content stream of one unit over and over, a thousandth of its size on the wire.
fn repeated(pdf: Pdf, resources: &str, unit: &str, mebibytes: usize) -> Vec<u8> {
    let mut pdf = pdf;
    let body = Pdf::raw("/Filter /FlateDecode", &pack::zlib_bomb(unit.as_bytes(), mebibytes));
    pdf.set(4, body);
    pdf.page_of("", resources)
}

/// Pages of all sizes, units and turns.
pub(super) fn media_box(dice: &mut Dice) -> Vec<u8> {
    let side = dice.pick(&[
        "1e9",
        "14400",
        "1000000",
        "0",
        "-5",
        "0.000001",
        "99999999999999999999",
        "nan",
        "3.4e38",
    ]);
    let other = dice.pick(&["1e9", "14400", "792", "1", "0.001", "-792", "2147483648"]);
    let unit = dice.pick(&["", "/UserUnit 1e9", "/UserUnit 0.000001", "/UserUnit -1", "/UserUnit 75000"]);
    let turn = dice.pick(&["", "/Rotate 90", "/Rotate 45", "/Rotate 2147483648", "/Rotate -90"]);
    let cut = dice.pick(&["", "/CropBox [0 0 1 1]", "/CropBox [-1e9 -1e9 1e9 1e9]", "/CropBox [5 5 5 5]"]);
    Pdf::new(dice).page(
        &format!("/MediaBox [0 0 {side} {other}] {unit} {turn} {cut}"),
        "",
        b"0 0 1 rg 0 0 600 700 re f",
    )
}

/// Calculator functions in braces thousands deep.
pub(super) fn calculator_deep(dice: &mut Dice) -> Vec<u8> {
    let depth = dice.number(&[100, 1_000, 10_000, 100_000, 400_000]) as usize;
    let (open, close) = [("{", "}"), ("{ 1 ", "} if "), ("{ true { ", "} if } ")][dice.below(3)];
    let code = format!("{{ {} {} }}", open.repeat(depth), close.repeat(depth));
    let mut pdf = Pdf::new(dice);
    let function = pdf.stream("/FunctionType 4 /Domain [0 1 0 1] /Range [0 1]", code.as_bytes());
    pdf.page(
        "",
        &format!("/Shading << /S << /ShadingType 1 /ColorSpace /DeviceGray /Function {function} 0 R >> >>"),
        b"/S sh",
    )
}

/// Calculator functions of a million steps, asked at every pixel.
pub(super) fn calculator_slow(dice: &mut Dice) -> Vec<u8> {
    let step = dice.pick(&[
        "dup mul ",
        "sin cos ",
        "2 copy pop pop ",
        "1 index exch roll ",
        "sqrt abs ",
        "dup dup 2 1 roll pop pop ",
    ]);
    let code = format!("{{ pop {} }}", step.repeat(dice.between(100, 150_000)));
    let mut pdf = Pdf::new(dice);
    let function = pdf.stream("/FunctionType 4 /Domain [0 1 0 1] /Range [0 1]", code.as_bytes());
    let matrix = dice.pick(&["", "/Matrix [612 0 0 792 0 0]"]);
    pdf.page(
        "",
        &format!(
            "/Shading << /S << /ShadingType 1 /ColorSpace /DeviceGray {matrix} /Function {function} 0 R >> >>"
        ),
        b"/S sh",
    )
}

/// Calculator functions that grow their stack: `copy`, `roll` and `index` with large numbers.
pub(super) fn calculator_stack(dice: &mut Dice) -> Vec<u8> {
    let big = dice.pick(&["2147483647", "-2147483648", "1000000", "1e30", "65536"]);
    let start = "1 ".repeat(dice.between(1, 100));
    let code = format!(
        "{{ {start} {big} copy {big} {big} roll {big} index {} 0 idiv 0 mod {big} bitshift ln log exp }}",
        "dup count copy ".repeat(dice.between(1, 200))
    );
    let mut pdf = Pdf::new(dice);
    let function = pdf.stream("/FunctionType 4 /Domain [0 1 0 1] /Range [0 1]", code.as_bytes());
    pdf.page(
        "",
        &format!("/Shading << /S << /ShadingType 1 /ColorSpace /DeviceGray /Function {function} 0 R >> >>"),
        b"/S sh",
    )
}

/// Functions joined from functions: a chain, a tree that doubles at each level, or a ring.
pub(super) fn stitched(dice: &mut Dice) -> Vec<u8> {
    let mut pdf = Pdf::new(dice);
    let children = dice.number(&[1, 2, 8]) as usize;
    let levels = if children == 1 { dice.number(&[100, 1_000, 5_000]) } else { dice.number(&[8, 20, 60]) };
    let mut child = pdf.add("<< /FunctionType 2 /Domain [0 1] /C0 [0] /C1 [1] /N 1 >>");
    if dice.percent(20) {
        child = pdf.objects.len() + levels as usize;
    }
    for _ in 0..levels {
        let functions = format!("{child} 0 R ").repeat(children);
        let bounds: String = (1..children).map(|at| format!("{} ", at as f64 / children as f64)).collect();
        let encode = "0 1 ".repeat(children);
        child = pdf.add(format!(
            "<< /FunctionType 3 /Domain [0 1] /Functions [{functions}] /Bounds [{bounds}] /Encode [{encode}] >>"
        ));
    }
    pdf.page(
        "",
        &format!("/Shading << /S << /ShadingType 2 /ColorSpace /DeviceGray /Coords [0 0 612 792] /Extend [true true] /Function {child} 0 R >> >>"),
        b"/S sh",
    )
}

/// Sampled functions of more samples than memory, and of dimensions that double the work each.
pub(super) fn sampled(dice: &mut Dice) -> Vec<u8> {
    let dimensions = dice.number(&[1, 2, 4, 16, 30, 32]) as usize;
    let size = dice.number(&[2, 2, 255, 1_000_000, 2_147_483_647]);
    let bits = dice.number(&[1, 8, 24, 32]);
    let outputs = dice.number(&[1, 3, 1_000]) as usize;
    let dictionary = format!(
        "/FunctionType 0 /Order 3 /BitsPerSample {bits} /Domain [{}] /Range [{}] /Size [{}]",
        "0 1 ".repeat(dimensions),
        "0 1 ".repeat(outputs),
        format!("{size} ").repeat(dimensions)
    );
    let mut pdf = Pdf::new(dice);
    let samples = vec![0x55; dice.between(1, 60_000)];
    let function = pdf.stream(&dictionary, &samples);
    let names: String = (0..dimensions).map(|number| format!("/C{number} ")).collect();
    let values = "0.3 ".repeat(dimensions);
    let content =
        format!("/C cs {}", format!("{values} scn 0 0 612 792 re f\n").repeat(dice.between(1, 300)));
    pdf.page(
        "",
        &format!("/ColorSpace << /C [/DeviceN [{names}] /DeviceRGB {function} 0 R] >>"),
        content.as_bytes(),
    )
}

/// Shadings of functions, axes and circles, at their limits, thousands of times.
pub(super) fn gradients(dice: &mut Dice) -> Vec<u8> {
    let domain = dice.pick(&["0 1", "0 1e9", "-1e30 1e30", "1 0", "0 0"]);
    let function = format!(
        "<< /FunctionType 2 /Domain [{domain}] /C0 [0 0 0] /C1 [1 1 1] /N {} >>",
        dice.pick(&["1", "0.5", "-1", "1e9", "0"])
    );
    let shading = match dice.below(3) {
        0 => {
            let coordinates = dice.pick(&["0 0 612 792", "0 0 0 0", "0 0 1e-9 0", "-1e30 0 1e30 0"]);
            format!("/ShadingType 2 /Coords [{coordinates}] /Function {function}")
        }
        1 => {
            let coordinates = dice.pick(&[
                "300 300 0 300 300 1e9",
                "0 0 1e30 1 1 1e30",
                "300 300 100 301 300 101",
                "0 0 -5 9 9 0",
            ]);
            format!("/ShadingType 3 /Coords [{coordinates}] /Function {function}")
        }
        _ => {
            let matrix =
                dice.pick(&["1e-9 0 0 1e-9 0 0", "1e9 0 0 1e9 0 0", "0 0 0 0 0 0", "612 0 0 792 0 0"]);
            format!(
                "/ShadingType 1 /Domain [{domain} {domain}] /Matrix [{matrix}] /Function [{function} {function} {function}]"
            )
        }
    };
    let resources = format!(
        "/Shading << /S << {shading} /ColorSpace /DeviceRGB /Extend [true true] /AntiAlias true >> >>"
    );
    let pdf = Pdf::new(dice);
    let times = dice.number(&[1, 50, 5_000]) as usize;
    pdf.page("", &resources, "/S sh\n".repeat(times).as_bytes())
}

/// Meshes of triangles and patches: millions of them from a bomb, or a few whose corners lie far away.
pub(super) fn meshes(dice: &mut Dice) -> Vec<u8> {
    let kind = dice.between(4, 7);
    let bits = dice.number(&[1, 8, 16, 32]);
    let component = dice.number(&[1, 8, 16]);
    let span = dice.pick(&["0 612 0 792", "-1e6 1e6 -1e6 1e6", "0 1e-9 0 1e-9", "0 1e30 0 1e30"]);
    let mut dictionary = format!(
        "/ShadingType {kind} /ColorSpace /DeviceRGB /BitsPerCoordinate {bits} /BitsPerComponent {component} /BitsPerFlag {} /Decode [{span} 0 1 0 1 0 1]",
        dice.number(&[2, 4, 8])
    );
    if kind == 5 {
        dictionary.push_str(&format!(" /VerticesPerRow {}", dice.number(&[0, 1, 2, 1_000, 2_147_483_647])));
    }
    let mut pdf = Pdf::new(dice);
    let body = if dice.percent(60) {
        let length = dice.between(20, 200);
        let mut unit = dice.bytes(length);
        if dice.percent(50) {
            unit[0] = 0;
        }
        Pdf::raw(&format!("{dictionary} /Filter /FlateDecode"), &pack::zlib_bomb(&unit, dice.between(1, 60)))
    } else {
        let length = dice.between(10, 60_000);
        let data = dice.bytes(length);
        pdf.packed(&dictionary, &data)
    };
    let shading = pdf.add(body);
    let content = "/S sh\n".repeat(dice.number(&[1, 1, 20]) as usize);
    pdf.page("", &format!("/Shading << /S {shading} 0 R >>"), content.as_bytes())
}

/// Tiling patterns whose steps are tiny, whose cells are huge, and which are painted with patterns.
pub(super) fn tilings(dice: &mut Dice) -> Vec<u8> {
    let mut pdf = Pdf::new(dice);
    let mut inner = String::new();
    let depth = dice.number(&[1, 1, 2, 4, 30]);
    for _ in 0..depth {
        let step = dice.pick(&["0.001", "0.01", "0.5", "1e-9", "0", "-1", "1e9", "3"]);
        let cell =
            dice.pick(&["0 0 1 1", "0 0 1000 1000", "0 0 1e9 1e9", "0 0 0.001 0.001", "-1e6 -1e6 1e6 1e6"]);
        let matrix = dice.pick(&[
            "",
            "/Matrix [0.001 0 0 0.001 0 0]",
            "/Matrix [1e6 0 0 1e6 0 0]",
            "/Matrix [0 1 1 0 0 0]",
        ]);
        let content = if inner.is_empty() {
            "1 0 0 rg 0 0 1 1 re f".to_owned()
        } else {
            "/Pattern cs /P scn 0 0 1000 1000 re f".to_owned()
        };
        let number = pdf.stream(
            &format!("/PatternType 1 /PaintType 1 /TilingType {} /BBox [{cell}] /XStep {step} /YStep {step} {matrix} /Resources << {inner} >>", dice.between(1, 3)),
            content.as_bytes(),
        );
        inner = format!("/Pattern << /P {number} 0 R >>");
    }
    let text = "/Pattern cs /P scn 0 0 612 792 re f\n/Pattern CS /P SCN 50 w 0 0 m 612 792 l S\n";
    pdf.page("", &inner, text.repeat(dice.number(&[1, 1, 50]) as usize).as_bytes())
}

/// Fills of the whole page, as many as the page can hold.
pub(super) fn fills(dice: &mut Dice) -> Vec<u8> {
    let unit = dice.pick(&[
        "0 0 612 792 re f\n",
        "0 0 612 792 re 1 1 610 790 re f*\n",
        "/G gs 0 0 612 792 re f\n",
        "0 0 m 612 792 l 612 0 l 0 792 l h B*\n",
        "q 0.7 0.7 -0.7 0.7 300 0 cm 0 0 612 792 re f Q\n",
        "300 300 m 900 900 -900 900 300 -300 c 0 999 999 0 5 5 c f\n",
    ]);
    let state = dice.pick(&["/ca 0.5", "/BM /Luminosity /ca 0.9", "/BM /ColorBurn", "/AIS true"]);
    let resources = format!("/ExtGState << /G << {state} >> >>");
    if dice.percent(60) {
        let times = dice.number(&[500, 5_000, 20_000]) as usize;
        return Pdf::new(dice).page("", &resources, unit.repeat(times).as_bytes());
    }
    let mebibytes = dice.between(1, 60);
    repeated(Pdf::new(dice), &resources, unit, mebibytes)
}

/// One path of a million pieces.
pub(super) fn long_path(dice: &mut Dice) -> Vec<u8> {
    let mut content = "0 0 m\n".to_owned();
    for _ in 0..dice.between(1_000, 40_000) {
        let (x, y) = (dice.below(612), dice.below(792));
        if dice.percent(50) {
            content.push_str(&format!("{x} {y} l\n"));
        } else {
            content.push_str(&format!("{x} {y} {y} {x} {} {} c\n", dice.below(9_999), dice.below(792)));
        }
    }
    content.push_str(dice.pick(&["f", "f*", "S", "B", "W n 0 0 612 792 re f"]));
    Pdf::new(dice).page("", "", content.as_bytes())
}

/// Strokes as wide as the page, joined and capped.
pub(super) fn strokes(dice: &mut Dice) -> Vec<u8> {
    let width = dice.pick(&["500 w", "0 w", "0.0001 w", "1e9 w", "-3 w"]);
    let style = dice.pick(&["1 J 1 j", "2 J 2 j", "0 J 0 j 1e9 M"]);
    let unit = "0 0 m 612 792 l 0 792 l 612 0 l 300 900 -300 900 300 -900 c S\n";
    let content = format!("{width} {style}\n{}", unit.repeat(dice.number(&[100, 1_000, 10_000]) as usize));
    Pdf::new(dice).page("", "", content.as_bytes())
}

/// Tiny dashes on long lines.
pub(super) fn dashes(dice: &mut Dice) -> Vec<u8> {
    let dash =
        dice.pick(&["0.0001", "0.001 0.001", "1e-9 1e-9", "0 0", "0.01 0 0.01", "0 1e-30", "-1 2", "1e30"]);
    let phase = dice.pick(&["0", "1e9", "-1e30", "0.5"]);
    let end = dice.pick(&["612 792", "1e6 1e6", "1e9 0", "1e30 1e30"]);
    let long = "0.001 ".repeat(dice.number(&[0, 0, 10_000]) as usize);
    let content = format!(
        "[{dash} {long}] {phase} d 1 J 1 w\n{}",
        format!("0 0 m {end} l 300 300 900 900 5 5 c S\n").repeat(dice.number(&[1, 20, 1_000]) as usize)
    );
    Pdf::new(dice).page("", "", content.as_bytes())
}

/// Clips in clips, and saved states that are never restored.
pub(super) fn clips(dice: &mut Dice) -> Vec<u8> {
    let unit = dice.pick(&[
        "q 0 0 612 792 re W n\n",
        "q 0 0 m 600 700 l 600 0 l 0 700 l h W* n\n",
        "q 1 0 0 1 0.1 0.1 cm 300 300 m 900 900 -900 900 300 -300 c W n\n",
        "q ",
        "Q ",
        "0 0 600 700 re W n ",
    ]);
    let times = dice.number(&[1_000, 20_000, 200_000]) as usize;
    let mut content = unit.repeat(times);
    content.push_str("0 0 612 792 re f\n");
    Pdf::new(dice).page("", "", content.as_bytes())
}

/// Forms that draw forms: each ten times, down to a depth where no machine ends; or themselves.
pub(super) fn forms(dice: &mut Dice) -> Vec<u8> {
    let mut pdf = Pdf::new(dice);
    let (times, depth) = [(10, 9), (2, 30), (100, 5), (1, 3_000), (1, 200)][dice.below(5)];
    let group =
        dice.pick(&["", "/Group << /S /Transparency /I true /K true >>", "/Group << /S /Transparency >>"]);
    let mut child = pdf.stream("/Type /XObject /Subtype /Form /BBox [0 0 612 792]", b"0 0 612 792 re f");
    if dice.percent(25) {
        child = pdf.objects.len() + 1;
    }
    for _ in 0..depth {
        let body = Pdf::raw(
            &format!(
                "/Type /XObject /Subtype /Form /BBox [0 0 612 792] {group} /Resources << /XObject << /F {child} 0 R >> >>"
            ),
            "/F Do\n".repeat(times).as_bytes(),
        );
        child = pdf.add(body);
    }
    pdf.page("", &format!("/XObject << /F {child} 0 R >>"), b"/F Do")
}

/// Soft masks whose groups are drawn through soft masks.
pub(super) fn soft_masks(dice: &mut Dice) -> Vec<u8> {
    let mut pdf = Pdf::new(dice);
    let kind = dice.pick(&["/Luminosity", "/Alpha"]);
    let transfer = dice.pick(&["", "/TR /Identity", "/TR << /FunctionType 2 /Domain [0 1] /N 3 >>"]);
    let depth = dice.number(&[1, 5, 30, 400]);
    let times = dice.number(&[1, 2, 8]) as usize;
    let mut resources = String::new();
    for _ in 0..depth {
        let content = if resources.is_empty() {
            "0.5 g 0 0 612 792 re f".to_owned()
        } else {
            "/G gs 0 0 612 792 re f\n".repeat(times)
        };
        let group = pdf.stream(
            &format!("/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Group << /S /Transparency /CS /DeviceGray >> /Resources << {resources} >>"),
            content.as_bytes(),
        );
        resources =
            format!("/ExtGState << /G << /SMask << /S {kind} /G {group} 0 R /BC [0] {transfer} >> >> >>");
    }
    if dice.percent(20) {
        let next = pdf.objects.len() + 1;
        let ring = format!("/ExtGState << /G << /SMask << /S {kind} /G {next} 0 R >> >> >>");
        let body = Pdf::raw(
            &format!(
                "/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Group << /S /Transparency >> /Resources << {ring} >>"
            ),
            b"/G gs 0 0 612 792 re f",
        );
        pdf.add(body);
        resources = ring;
    }
    let content = "/G gs 0 0 612 792 re f\n".repeat(dice.number(&[1, 10, 200]) as usize);
    pdf.page("", &resources, content.as_bytes())
}

/// Glyphs that are drawings, which show text, whose glyphs are drawings.
pub(super) fn type3_fonts(dice: &mut Dice) -> Vec<u8> {
    let mut pdf = Pdf::new(dice);
    let text = "a".repeat(dice.number(&[1, 2, 10, 5_000]) as usize);
    let depth = dice.number(&[1, 8, 40, 1_000]);
    let depth = if text.len() > 10 { depth.min(40) } else { depth };
    let mut resources = String::new();
    let ring = dice.percent(30);
    for level in 0..depth {
        let content = if level == 0 && !ring {
            "1000 0 0 0 1000 1000 d1 0 0 1000 1000 re f".to_owned()
        } else {
            format!("1000 0 d0 BT /F 1 Tf 1000 0 0 1000 0 0 Tm ({text}) Tj ET")
        };
        let glyph = pdf.stream("", content.as_bytes());
        let inner = if ring { format!("/Font << /F {} 0 R >>", glyph + 1) } else { resources.clone() };
        let font = pdf.add(format!(
            "<< /Type /Font /Subtype /Type3 /FontBBox [0 0 1000 1000] /FontMatrix [0.001 0 0 0.001 0 0] /CharProcs << /a {glyph} 0 R >> /Encoding << /Differences [97 /a] >> /FirstChar 97 /LastChar 97 /Widths [1000] /Resources << {inner} >> >>"
        ));
        resources = format!("/Font << /F {font} 0 R >>");
        if ring {
            break;
        }
    }
    pdf.page("", &resources, format!("BT /F 100 Tf ({text}) Tj ET").as_bytes())
}

/// Pictures inside the content that claim a million pixels a side.
pub(super) fn inline_images(dice: &mut Dice) -> Vec<u8> {
    let sides = [1, 8, 20_000, 65_535, 1_000_000, 2_147_483_647];
    let (width, height) = (dice.number(&sides), dice.number(&sides));
    let colours = dice.pick(&["/G", "/RGB", "/CMYK", "[/I /RGB 255 <00>]"]);
    let bits = dice.number(&[1, 2, 4, 8, 16, 0, 255]);
    let filter = dice.pick(&[
        "",
        "/F /Fl",
        "/F /RL",
        "/F [/AHx /Fl]",
        "/F /CCF /DP << /K -1 /Columns 60000 /Rows 60000 >>",
        "/F /LZW",
    ]);
    let mask = dice.pick(&["", "/IM true", "/I true"]);
    let mut unit = format!(
        "q 612 0 0 792 0 0 cm BI /W {width} /H {height} /CS {colours} /BPC {bits} {mask} {filter} ID "
    )
    .into_bytes();
    let length = dice.between(4, 200);
    unit.extend(if filter.contains("Fl") { pack::zlib(&vec![0; length]) } else { vec![7; length] });
    unit.extend_from_slice(b" EI Q\n");
    let content = unit.repeat(dice.number(&[1, 1, 100]) as usize);
    Pdf::new(dice).page("", "", &content)
}

const FULL_PAGE: &[u8] = b"q 612 0 0 792 0 0 cm /I Do Q";

/// A page that shows one picture.
fn shows(mut pdf: Pdf, body: Vec<u8>, times: usize) -> Vec<u8> {
    let image = pdf.add(body);
    pdf.page("", &format!("/XObject << /I {image} 0 R >>"), &FULL_PAGE.repeat(times))
}

fn image(width: u64, height: u64, more: &str) -> String {
    format!("/Type /XObject /Subtype /Image /Width {width} /Height {height} {more}")
}

pub(super) fn jbig2_images(dice: &mut Dice) -> Vec<u8> {
    let mut pdf = Pdf::new(dice);
    let (width, height) = (
        dice.number(&[1, 5_000, 30_000, 65_000, 65_535, 0x7fff_ffff]),
        dice.number(&[1, 5_000, 65_000, 0x7fff_ffff]),
    );
    let parameters = if dice.percent(30) {
        let globals = jbig2::symbols(dice);
        format!("/DecodeParms << /JBIG2Globals {} 0 R >>", pdf.stream("", &globals))
    } else {
        String::new()
    };
    let data = jbig2::page(width as u32, height as u32, dice);
    let more = format!("/BitsPerComponent 1 /ColorSpace /DeviceGray /Filter /JBIG2Decode {parameters}");
    shows(pdf, Pdf::raw(&image(width, height, &more), &data), 1)
}

pub(super) fn ccitt_images(dice: &mut Dice) -> Vec<u8> {
    let pdf = Pdf::new(dice);
    let (width, height) = (
        dice.number(&[1, 8, 10_000, 65_000, 10_000_000, 2_147_483_647]),
        dice.number(&[0, 1, 10_000, 65_000, 2_147_483_647]),
    );
    let parameters = format!(
        "/K {} /Columns {width} /Rows {height} /BlackIs1 {} /EncodedByteAlign {} /EndOfBlock {}",
        dice.pick(&["-1", "0", "1", "99999"]),
        dice.percent(50),
        dice.percent(50),
        dice.percent(50)
    );
    let more = format!(
        "/BitsPerComponent 1 /ColorSpace /DeviceGray /Filter /CCITTFaxDecode /DecodeParms << {parameters} >>"
    );
    // Ones: in Group 4, each is a line like the one above.
    let fill = dice.number(&[0xff, 0x00, 0x55]) as u8;
    let length = dice.between(10, 60_000);
    let data = if dice.percent(70) { vec![fill; length] } else { dice.bytes(length) };
    shows(pdf, Pdf::raw(&image(width, height, &more), &data), 1)
}

pub(super) fn jpx_images(dice: &mut Dice) -> Vec<u8> {
    let data = jp2::any(dice);
    let (width, height) = (dice.number(&[1, 640, 65_535]), dice.number(&[1, 640, 65_535]));
    let colours = dice.pick(&[
        "",
        "/ColorSpace /DeviceRGB",
        "/ColorSpace /DeviceCMYK",
        "/SMaskInData 1",
        "/SMaskInData 2",
    ]);
    shows(Pdf::new(dice), Pdf::raw(&image(width, height, &format!("/Filter /JPXDecode {colours}")), &data), 1)
}

pub(super) fn dct_images(dice: &mut Dice) -> Vec<u8> {
    let mut data = jpeg::any(dice);
    let (width, height) = (dice.number(&[1, 640, 65_535]), dice.number(&[1, 640, 65_535]));
    let mut filter = "/DCTDecode";
    if data.len() > 100 && dice.percent(40) {
        data = pack::zlib(&data);
        filter = "[/FlateDecode /DCTDecode]";
    }
    let times = dice.number(&[1, 1, 10]) as usize;
    shows(
        Pdf::new(dice),
        Pdf::raw(
            &image(width, height, &format!("/BitsPerComponent 8 /ColorSpace /DeviceRGB /Filter {filter}")),
            &data,
        ),
        times,
    )
}

/// Pictures of samples packed by flate, with predictors of impossible rows.
pub(super) fn predictors(dice: &mut Dice) -> Vec<u8> {
    let predictor = dice.number(&[2, 10, 12, 15, 255]);
    let columns = dice.number(&[1, 0, 612, 1_000_000_000, 2_147_483_647]);
    let colours = dice.number(&[1, 3, 1_000_000, 2_147_483_647]);
    let bits = dice.number(&[1, 8, 16, 2_147_483_647]);
    let parameters =
        format!("/Predictor {predictor} /Columns {columns} /Colors {colours} /BitsPerComponent {bits}");
    let data = pack::zlib_bomb(b"\x02\0\0\x01", dice.between(1, 200));
    let side = dice.number(&[612, 5_000, 20_000]);
    let more = format!(
        "/BitsPerComponent 8 /ColorSpace /DeviceRGB /Filter /FlateDecode /DecodeParms << {parameters} >>"
    );
    shows(Pdf::new(dice), Pdf::raw(&image(side, side, &more), &data), 1)
}

/// Bombs behind every filter and every way of writing its name.
pub(super) fn filter_bombs(dice: &mut Dice) -> Vec<u8> {
    let mut pdf = Pdf::new(dice);
    let mebibytes = dice.between(16, 600);
    let unit = [&b"0 0 612 792 re f\n"[..], b" ", b"0 ", b"q Q\n"][dice.below(4)];
    let (filter, data) = match dice.below(10) {
        0 => ("/FlateDecode".to_owned(), pack::zlib_bomb(unit, mebibytes)),
        1 => ("/#46#6cateDecode".to_owned(), pack::zlib_bomb(unit, mebibytes)),
        2 => (format!("{} 0 R", pdf.add("[/FlateDecode]")), pack::zlib_bomb(unit, mebibytes)),
        3 => {
            let name = pdf.add("/FlateDecode");
            (format!("[{name} 0 R {name} 0 R]"), pack::double_bomb(unit, mebibytes))
        }
        4 => ("[/ASCII85Decode /FlateDecode]".to_owned(), pack::ascii_85(&pack::zlib_bomb(unit, mebibytes))),
        5 => ("[/AHx /Fl /Fl]".to_owned(), pack::ascii_hex(&pack::double_bomb(unit, mebibytes))),
        6 => ("/LZWDecode".to_owned(), pack::lzw_bomb(b' ', dice.between(1, 80))),
        7 => (
            "[/RunLengthDecode /RunLengthDecode]".to_owned(),
            pack::run_length_bomb(129, dice.between(100, 10_000)),
        ),
        8 => {
            let mut data = pack::double_bomb(unit, mebibytes);
            let count = dice.between(1, 40);
            (0..count).for_each(|_| data = pack::zlib(&data));
            (format!("[{}]", "/FlateDecode ".repeat(count + 2)), data)
        }
        _ => ("[/FlateDecode /LZWDecode]".to_owned(), pack::zlib(&pack::lzw_bomb(b'0', dice.between(1, 80)))),
    };
    pdf.set(4, Pdf::raw(&format!("/Filter {filter}"), &data));
    let extra = format!("/Metadata 4 0 R /Thumb 4 0 R {}", dice.pick(&["", "/Group 4 0 R", "/Annots 4 0 R"]));
    pdf.page_of(&extra, "/Font << /F << /Type /Font /Subtype /Type1 /BaseFont /A /ToUnicode 4 0 R >> >>")
}

/// RC4 with the empty password: every stream is a bomb that no scan of the bytes can see.
pub(super) fn encrypted(dice: &mut Dice) -> Vec<u8> {
    const PAD: [u8; 32] = [
        0x28, 0xbf, 0x4e, 0x5e, 0x4e, 0x75, 0x8a, 0x41, 0x64, 0x00, 0x4e, 0x56, 0xff, 0xfa, 0x01, 0x08, 0x2e,
        0x2e, 0x00, 0xb6, 0xd0, 0x68, 0x3e, 0x80, 0x2f, 0x0c, 0xa9, 0xfe, 0x64, 0x53, 0x69, 0x7a,
    ];
    let hex =
        |bytes: &[u8]| String::from_utf8_lossy(&pack::ascii_hex(bytes)).trim_end_matches('>').to_owned();
    // ISO 32000-1, 7.6.3: revision 2, 40 bits, both passwords empty.
    let owner = pack::rc4(&pack::md5(&PAD)[..5], &PAD);
    let id = dice.bytes(16);
    let mut seed = PAD.to_vec();
    seed.extend_from_slice(&owner);
    seed.extend_from_slice(&(-4_i32).to_le_bytes());
    seed.extend_from_slice(&id);
    let key = pack::md5(&seed)[..5].to_vec();
    let user = pack::rc4(&key, &PAD);
    let sealed = |number: usize, data: &[u8]| {
        let mut seed = key.clone();
        seed.extend_from_slice(&(number as u32).to_le_bytes()[..3]);
        seed.extend_from_slice(&[0, 0]);
        pack::rc4(&pack::md5(&seed)[..10], data)
    };
    let mut pdf = Pdf::new(dice);
    let mebibytes = dice.between(16, 600);
    let unit = [&b"0 0 612 792 re f\n"[..], b" ", b"/I Do\n"][dice.below(3)];
    let data =
        if dice.percent(50) { pack::zlib_bomb(unit, mebibytes) } else { pack::double_bomb(unit, mebibytes) };
    let filter = if data.len() < 60_000 { "[/FlateDecode /FlateDecode]" } else { "/FlateDecode" };
    pdf.set(4, Pdf::raw(&format!("/Filter {filter}"), &sealed(4, &data)));
    let mut picture = jpeg::any(dice);
    picture.truncate(400_000);
    let picture = sealed(5, &picture);
    let image = pdf.add(Pdf::raw(
        &image(9_000, 9_000, "/BitsPerComponent 8 /ColorSpace /DeviceRGB /Filter /DCTDecode"),
        &picture,
    ));
    let encrypt = pdf.add(format!(
        "<< /Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O <{}> /U <{}> >>",
        hex(&owner),
        hex(&user)
    ));
    pdf.trailer = format!("/Encrypt {encrypt} 0 R /ID [<{}> <{}>]", hex(&id), hex(&id));
    pdf.page_of("", &format!("/XObject << /I {image} 0 R >>"))
}

/// Objects inside a stream that unpacks to far more than its file.
pub(super) fn object_streams(dice: &mut Dice) -> Vec<u8> {
    let mut pdf = Pdf::new(dice);
    let count = dice.number(&[1, 1_000, 1_000_000, 2_147_483_647]);
    let first = dice.number(&[10, 1_000_000, 4_294_967_295]);
    let unit = [&b"10 0 "[..], b"<< /A [ ", b"[[[[[[[[", b"  "][dice.below(4)];
    let extends = dice.pick(&["", "/Extends 5 0 R", "/Extends 6 0 R"]);
    let dictionary = format!("/Type /ObjStm /N {count} /First {first} {extends} /Filter /FlateDecode");
    let body = Pdf::raw(&dictionary, &pack::zlib_bomb(unit, dice.between(1, 300)));
    pdf.add(body);
    let content = pack::zlib(b"0 0 612 792 re f");
    pdf.set(2, "<< /Type /Pages /Kids [3 0 R] /Count 1 >>");
    pdf.set(
        3,
        format!(
            "<< /Type /Page /Parent 2 0 R /Contents 4 0 R {PAGE} /Resources << /Font << /F 90 0 R >> >> >>"
        ),
    );
    pdf.set(4, Pdf::raw("/Filter /FlateDecode", &content));
    with_table_stream(pdf, dice)
}

/// A cross-reference stream in place of the table: one that lies, or unpacks to gigabytes.
fn with_table_stream(mut pdf: Pdf, dice: &mut Dice) -> Vec<u8> {
    if pdf.objects[0].is_empty() {
        pdf.set(1, "<< /Type /Catalog /Pages 2 0 R >>");
    }
    let mut out = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut rows = vec![0, 0, 0, 0, 0, 0, 0];
    for (index, body) in pdf.objects.iter().enumerate() {
        rows.push(1);
        rows.extend_from_slice(&(out.len() as u32).to_be_bytes());
        rows.extend_from_slice(&[0, 0]);
        out.extend_from_slice(format!("{} 0 obj\n", index + 1).as_bytes());
        out.extend_from_slice(body);
        out.extend_from_slice(b"\nendobj\n");
    }
    // Objects 90 to 99 are said to lie in the object stream.
    for place in 0..10_u8 {
        rows.extend_from_slice(&[2, 0, 0, 0, 5, 0, place]);
    }
    let start = out.len();
    let size = pdf.objects.len() + 1;
    let (size, index) = if dice.percent(40) {
        (
            dice.number(&[1_000_000_000, 4_294_967_295, 8]),
            format!("/Index [0 {}]", dice.number(&[1, 1_000_000_000, 18_446_744_073_709_551_615])),
        )
    } else {
        (100, format!("/Index [0 {size} 90 10]"))
    };
    let widths = if dice.percent(20) {
        *[&"[8 8 8]", &"[0 0 0]", &"[1 4000000000 2]", &"[-1 4 2]"][dice.below(4)]
    } else {
        "[1 4 2]"
    };
    let previous = if dice.percent(30) { format!("/Prev {start}") } else { String::new() };
    let data = if dice.percent(30) {
        pack::zlib_bomb(&[1, 0, 0, 0, 16, 0, 0], dice.between(1, 300))
    } else {
        pack::zlib(&rows)
    };
    let number = pdf.objects.len() + 1;
    out.extend_from_slice(format!("{number} 0 obj\n").as_bytes());
    out.extend(Pdf::raw(
        &format!("/Type /XRef /Root 1 0 R /Size {size} /W {widths} {index} {previous} /Filter /FlateDecode"),
        &data,
    ));
    out.extend_from_slice(format!("\nendobj\nstartxref\n{start}\n%%EOF\n").as_bytes());
    out
}

pub(super) fn table_streams(dice: &mut Dice) -> Vec<u8> {
    let mut pdf = Pdf::new(dice);
    pdf.set(2, "<< /Type /Pages /Kids [3 0 R] /Count 1 >>");
    pdf.set(3, format!("<< /Type /Page /Parent 2 0 R /Contents 4 0 R {PAGE} >>"));
    pdf.set(4, Pdf::raw("", b"0 0 612 792 re f"));
    pdf.add("null");
    with_table_stream(pdf, dice)
}

/// Objects that stand for themselves, wherever one may stand.
pub(super) fn cycles(dice: &mut Dice) -> Vec<u8> {
    let mut pdf = Pdf::new(dice);
    let me = 5;
    let data = pack::zlib(b"0 0 612 792 re f /F Do /S sh");
    let packed = String::from_utf8_lossy(&pack::ascii_hex(&data)).into_owned();
    let body = match dice.below(8) {
        0 => format!("<< /Length {me} 0 R >>\nstream\n{packed}\nendstream"),
        1 => format!("<< /Filter {me} 0 R /Length 20 >>\nstream\n{packed}\nendstream"),
        2 => format!("{me} 0 R"),
        3 => format!("[{me} 0 R {me} 0 R {me} 0 R]"),
        4 => format!(
            "<< /FunctionType 3 /Domain [0 1] /Functions [{me} 0 R {me} 0 R] /Bounds [0.5] /Encode [0 1 0 1] >>"
        ),
        5 => format!("[/Indexed {me} 0 R 255 {me} 0 R]"),
        6 => format!(
            "<< /Type /Page /Parent {me} 0 R /Kids [{me} 0 R] /Resources {me} 0 R /Contents {me} 0 R >>"
        ),
        _ => format!(
            "<< /Type /Font /Subtype /Type0 /DescendantFonts [{me} 0 R] /Encoding {me} 0 R /ToUnicode {me} 0 R /FontDescriptor {me} 0 R >>"
        ),
    };
    pdf.add(body);
    let everywhere = format!(
        "/XObject << /F {me} 0 R >> /Shading << /S << /ShadingType 2 /Coords [0 0 1 1] /ColorSpace {me} 0 R /Function {me} 0 R >> >> /ColorSpace << /C {me} 0 R >> /Font << /T {me} 0 R >> /ExtGState << /G {me} 0 R >>"
    );
    let contents = dice.pick(&["4 0 R", "5 0 R", "[5 0 R 4 0 R 5 0 R]"]);
    pdf.set(
        2,
        format!(
            "<< /Type /Pages /Kids [3 0 R {}] /Count {} /Parent 2 0 R >>",
            dice.pick(&["", "2 0 R", "5 0 R"]),
            dice.number(&[1, 2, 2_147_483_647])
        ),
    );
    pdf.set(
        3,
        format!("<< /Type /Page /Parent 2 0 R /Contents {contents} /Resources << {everywhere} >> {PAGE} >>"),
    );
    pdf.set(4, Pdf::raw("", b"/C cs 1 sc /G gs /F Do /S sh BT /T 12 Tf (abc) Tj ET 0 0 612 792 re f"));
    pdf.finish()
}

/// Arrays and dictionaries hundreds of thousands deep.
pub(super) fn deep(dice: &mut Dice) -> Vec<u8> {
    let depth = dice.number(&[100, 1_000, 20_000, 200_000]) as usize;
    let (open, close) =
        [("[", "]"), ("<< /A ", ">>"), ("[ << /A ", ">> ]"), ("(", ")"), ("<<", "")][dice.below(5)];
    let depth = depth.min(900_000 / (open.len() + close.len()));
    let nested = format!("{} 1 {}", open.repeat(depth), close.repeat(depth));
    let mut pdf = Pdf::new(dice);
    match dice.below(4) {
        0 => {
            let number = pdf.add(nested);
            pdf.page(
                &format!("/Annots {number} 0 R"),
                &format!("/Font {number} 0 R /ColorSpace << /C {number} 0 R >>"),
                b"/C cs 1 scn /X /P BDC EMC",
            )
        }
        1 => pdf.page(
            "",
            "",
            format!("{nested} TJ /A {nested} DP BI /W 1 /H 1 /D {nested} ID x EI").as_bytes(),
        ),
        2 => pdf.page(&format!("/Group {nested}"), "", b"0 0 9 9 re f"),
        _ => {
            let depth = depth.min(8_000);
            let first = pdf.objects.len() + 1;
            for number in first..first + depth {
                pdf.add(format!("[{} 0 R]", number + 1));
            }
            pdf.add("/DeviceGray");
            pdf.page("", &format!("/ColorSpace << /C {first} 0 R >>"), b"/C cs 1 scn 0 0 99 99 re f")
        }
    }
}

/// Page trees that turn in circles, or have a million kids.
pub(super) fn page_trees(dice: &mut Dice) -> Vec<u8> {
    let mut pdf = Pdf::new(dice);
    pdf.set(4, Pdf::raw("", b"0 0 612 792 re f"));
    pdf.set(3, format!("<< /Type /Page /Parent 2 0 R /Contents 4 0 R {PAGE} >>"));
    match dice.below(4) {
        0 => {
            let kids = dice.number(&[21, 1_000, 150_000]) as usize;
            pdf.set(2, format!("<< /Type /Pages /Kids [{}] /Count {kids} >>", "3 0 R ".repeat(kids)));
        }
        1 => {
            // A tree that doubles at each level and ends in the same page.
            let levels = dice.number(&[10, 25, 60]) as usize;
            pdf.set(2, "<< /Type /Pages /Kids [5 0 R 5 0 R] /Count 1 >>");
            for level in 0..levels {
                let child = if level + 1 == levels { 3 } else { level + 6 };
                pdf.add(format!("<< /Type /Pages /Kids [{child} 0 R {child} 0 R] /Count 2 >>"));
            }
        }
        2 => {
            let levels = dice.number(&[100, 9_000]) as usize;
            pdf.set(2, "<< /Type /Pages /Kids [5 0 R] /Count 1 >>");
            for level in 0..levels {
                let child = if level + 1 == levels { 3 } else { level + 6 };
                pdf.add(format!("<< /Type /Pages /Parent {} 0 R /Kids [{child} 0 R] /Count 1 >>", level + 4));
            }
        }
        _ => {
            pdf.set(2, "<< /Type /Pages /Kids [5 0 R 3 0 R 2 0 R] /Count -1 >>");
            pdf.add("<< /Type /Pages /Kids [2 0 R 6 0 R] /Count 4294967296 >>");
            pdf.add("<< /Type /Pages /Kids [5 0 R] >>");
        }
    }
    pdf.finish()
}

/// Ten thousand annotations, each with an appearance that is drawn.
pub(super) fn annotations(dice: &mut Dice) -> Vec<u8> {
    let mut pdf = Pdf::new(dice);
    let content = dice.pick(&["0 0 612 792 re f", "/F Do", "q 612 0 0 792 0 0 cm 0 0 1 1 re f Q"]);
    let form = pdf.stream(
        "/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Group << /S /Transparency >> /Resources << /XObject << /F 5 0 R >> >>",
        content.as_bytes(),
    );
    let note = pdf
        .add(format!("<< /Type /Annot /Subtype /Stamp /Rect [0 0 612 792] /F 4 /AP << /N {form} 0 R >> >>"));
    let count = dice.number(&[100, 10_000, 90_000]) as usize;
    let annotations = format!("{note} 0 R ").repeat(count);
    pdf.page(&format!("/Annots [{annotations}]"), "", b"0 0 9 9 re f")
}

/// Colour spaces over colour spaces, with profiles and tables that are bombs.
pub(super) fn colour_spaces(dice: &mut Dice) -> Vec<u8> {
    let mut pdf = Pdf::new(dice);
    let profile = {
        let data = if dice.percent(50) {
            pack::zlib_bomb(b"acsp\0\0\0\x01", dice.between(1, 200))
        } else {
            pack::zlib(&dice.bytes(3_000))
        };
        let body = Pdf::raw(
            &format!(
                "/N {} /Alternate /DeviceRGB /Filter /FlateDecode",
                dice.number(&[1, 3, 4, 0, 1_000_000])
            ),
            &data,
        );
        pdf.add(body)
    };
    let table = {
        let body = Pdf::raw("/Filter /FlateDecode", &pack::zlib_bomb(b"\x10\x20\x30", dice.between(1, 200)));
        pdf.add(body)
    };
    let high = dice.number(&[1, 255, 65_535, 2_147_483_647]);
    let mut space = format!("[/Indexed [/ICCBased {profile} 0 R] {high} {table} 0 R]");
    for _ in 0..dice.number(&[0, 1, 30, 3_000]) {
        space = match dice.below(3) {
            0 => format!("[/Indexed {space} {high} {table} 0 R]"),
            1 => format!("[/Pattern {space}]"),
            _ => format!(
                "[/Separation /A {space} << /FunctionType 2 /Domain [0 1] /C0 [0 0 0] /C1 [1 1 1] /N 1 >>]"
            ),
        };
    }
    let number = pdf.add(space);
    let samples = pack::zlib_bomb(b"\x01\x02", 4);
    let more = format!("/BitsPerComponent 8 /ColorSpace {number} 0 R /Filter /FlateDecode");
    let image = pdf.add(Pdf::raw(&image(2_000, 2_000, &more), &samples));
    let mut content =
        format!("/C cs {}", "0.4 sc 0 0 612 792 re f\n".repeat(dice.between(1, 200))).into_bytes();
    content.extend_from_slice(FULL_PAGE);
    pdf.page("", &format!("/ColorSpace << /C {number} 0 R >> /XObject << /I {image} 0 R >>"), &content)
}

/// Pictures as large as their data allow, with masks of their own, drawn many times.
pub(super) fn flood_images(dice: &mut Dice) -> Vec<u8> {
    let mut pdf = Pdf::new(dice);
    let (width, height) = (dice.number(&[2_000, 10_000, 20_000]), dice.number(&[2_000, 10_000, 20_000]));
    let mask = {
        let data = pack::zlib_bomb(b"\x7f", (((width * height) >> 20) as usize + 1).min(100));
        let own = pdf.objects.len() + 1;
        let ring = dice.pick(&["", "ring"]);
        let more = if ring.is_empty() { String::new() } else { format!("/SMask {own} 0 R") };
        let body = Pdf::raw(
            &image(
                width,
                height,
                &format!(
                    "/BitsPerComponent 8 /ColorSpace /DeviceGray /Filter /FlateDecode /Interpolate true {more}"
                ),
            ),
            &data,
        );
        pdf.add(body)
    };
    let (bits, colours, factor) =
        [(8, "/DeviceRGB", 24), (16, "/DeviceCMYK", 64), (1, "/DeviceGray", 1), (8, "/DeviceGray", 8)]
            [dice.below(4)];
    let data = pack::zlib_bomb(b"\x30", (((width * height * factor / 8) >> 20) as usize + 1).min(700));
    let kind = dice.pick(&["/SMask", "/Mask"]);
    let decode = dice.pick(&["", "/Decode [1 0 1 0 1 0]", "/Decode [1e30 -1e30]"]);
    let more = format!(
        "/BitsPerComponent {bits} /ColorSpace {colours} /Filter /FlateDecode {kind} {mask} 0 R {decode} /Interpolate {}",
        dice.percent(50)
    );
    let body = Pdf::raw(&image(width, height, &more), &data);
    shows(pdf, body, dice.number(&[1, 1, 20, 500]) as usize)
}

/// Texts without end, in fonts that are noise.
pub(super) fn texts(dice: &mut Dice) -> Vec<u8> {
    let mut pdf = Pdf::new(dice);
    let (key, subtype) = [
        ("FontFile", ""),
        ("FontFile2", ""),
        ("FontFile3", "/Subtype /Type1C"),
        ("FontFile3", "/Subtype /OpenType"),
    ][dice.below(4)];
    let mut program = match dice.below(4) {
        0 => b"%!PS-AdobeFont-1.0\neexec\n".to_vec(),
        1 => b"\0\x01\0\0\0\xff\0\x80\0\x07\0\x50".to_vec(),
        2 => b"\x01\0\x04\x04\0\x01\x01\x01\x02".to_vec(),
        _ => b"OTTO\0\x0a".to_vec(),
    };
    let length = dice.between(0, 30_000);
    program.extend(dice.bytes(length));
    let file = pdf.stream(subtype, &program);
    let cmap = format!(
        "/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <00000000> <ffffffff> endcodespacerange {} endcmap",
        "100 begincidrange <00000000> <ffffffff> 0 endcidrange 1 beginbfrange <0000> <ffff> <0041> endbfrange ".repeat(dice.between(1, 2_000))
    );
    let cmap = pdf
        .stream(&format!("/Type /CMap /CMapName /X /UseCMap {} 0 R", pdf.objects.len() + 1), cmap.as_bytes());
    let first = dice.pick(&["0", "-1", "97"]);
    let font = if dice.percent(50) {
        format!(
            "<< /Type /Font /Subtype /TrueType /BaseFont /A /FirstChar {first} /LastChar 2147483647 /Widths [500] /ToUnicode {cmap} 0 R /FontDescriptor << /Type /FontDescriptor /Flags 4 /{key} {file} 0 R >> >>"
        )
    } else {
        format!(
            "<< /Type /Font /Subtype /Type0 /BaseFont /A /Encoding {cmap} 0 R /ToUnicode {cmap} 0 R /DescendantFonts [<< /Type /Font /Subtype /CIDFontType2 /CIDSystemInfo << /Registry (A) /Ordering (B) /Supplement 0 >> /W [0 2147483647 500] /FontDescriptor << /Type /FontDescriptor /{key} {file} 0 R >> >>] >>"
        )
    };
    let font = pdf.add(font);
    let size = dice.pick(&["12", "1e9", "0.0001", "2000"]);
    let mode = dice.number(&[0, 1, 2, 3, 7]);
    let text = "the quick brown fox ".repeat(dice.number(&[1, 100, 20_000]) as usize);
    let content = format!(
        "BT /H 12 Tf 9 9 Td ({text}) Tj ET BT /F {size} Tf {mode} Tr 10 10 Td ({text}) Tj ET 0 0 612 792 re f"
    );
    pdf.page(
        "",
        &format!("/Font << /F {font} 0 R /H << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"),
        content.as_bytes(),
    )
}

/// Numbers at the end of what a float or integer holds, in every operator.
pub(super) fn numbers(dice: &mut Dice) -> Vec<u8> {
    let values = [
        "1e30",
        "-1e30",
        "3.4e38",
        "1e39",
        "nan",
        "inf",
        "0.00000000000000000001",
        "2147483647",
        "-2147483648",
        "99999999999999999999999",
        "--5",
        ".",
        "+",
        "1.2.3",
    ];
    let operators = [
        ("cm", 6),
        ("re f", 4),
        ("m", 2),
        ("l", 2),
        ("c", 6),
        ("v", 4),
        ("w", 1),
        ("M", 1),
        ("j", 1),
        ("Tf", 2),
        ("Td", 2),
        ("Tm", 6),
        ("rg", 3),
        ("k", 4),
        ("S", 0),
        ("B", 0),
        ("W n", 0),
        ("i", 1),
        ("Tz", 1),
        ("Ts", 1),
        ("d", 1),
        ("q", 0),
        ("Q", 0),
    ];
    let mut content = String::new();
    for _ in 0..dice.between(10, 5_000) {
        let (operator, count) = operators[dice.below(operators.len())];
        for _ in 0..count {
            content.push_str(values[dice.below(values.len())]);
            content.push(' ');
        }
        content.push_str(operator);
        content.push('\n');
    }
    Pdf::new(dice).page("", "", content.as_bytes())
}

/// Revisions upon revisions, tables that point at each other, and files whose table must be guessed.
pub(super) fn revisions(dice: &mut Dice) -> Vec<u8> {
    let mut out = Pdf::new(dice).page("", "", b"0 0 612 792 re f");
    match dice.below(3) {
        0 => {
            for _ in 0..dice.number(&[2, 100, 8_000]) {
                let start = out.len();
                let previous = if dice.percent(2) { start } else { start.saturating_sub(80) };
                out.extend_from_slice(format!("xref\n0 1\n0000000000 65535 f \ntrailer\n<< /Size 9 /Root 1 0 R /Prev {previous} >>\nstartxref\n{start}\n%%EOF\n").as_bytes());
            }
        }
        1 => {
            for number in 0..dice.between(1_000, 20_000) {
                out.extend_from_slice(format!("{number} 0 obj\n<< /Length 9999999 >>\nstream\n").as_bytes());
            }
            out.extend_from_slice(b"startxref\n99999999\n%%EOF\n");
        }
        _ => {
            let start = out.len();
            out.extend_from_slice(
                format!("xref\n0 {}\n", dice.number(&[1_000_000_000, 4_294_967_296, 3])).as_bytes(),
            );
            for number in 0..dice.between(1, 20_000) {
                out.extend_from_slice(format!("{:010} 00000 n \n", number * 7 % start.max(1)).as_bytes());
            }
            out.extend_from_slice(
                format!("trailer\n<< /Size 4294967295 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n")
                    .as_bytes(),
            );
        }
    }
    out
}

/// A page of one content a hundred thousand times.
pub(super) fn contents(dice: &mut Dice) -> Vec<u8> {
    let mut pdf = Pdf::new(dice);
    let unit = dice.pick(&["0 0 612 792 re f ", "q 1 0 0 1 1 1 cm ", "q ", "0 0 m 600 700 l S "]);
    let size = dice.number(&[1, 100, 10_000]) as usize;
    pdf.set(4, Pdf::raw("/Filter /FlateDecode", &pack::zlib(unit.repeat(size).as_bytes())));
    let count = dice.number(&[10, 1_000, 100_000]) as usize;
    pdf.set(2, "<< /Type /Pages /Kids [3 0 R] /Count 1 >>");
    pdf.set(3, format!("<< /Type /Page /Parent 2 0 R /Contents [{}] {PAGE} >>", "4 0 R ".repeat(count)));
    pdf.finish()
}

/// A page that shows this JPEG: a seed for mutations.
pub(super) fn of_jpeg(data: &[u8], width: u32, height: u32) -> Vec<u8> {
    let more = "/BitsPerComponent 8 /ColorSpace /DeviceRGB /Filter /DCTDecode";
    shows(Pdf::new(&Dice::new(0, 0)), Pdf::raw(&image(u64::from(width), u64::from(height), more), data), 1)
}
