//! Renders SVG text with the fonts of this crate and nothing else.

use imaging::RgbImage;
use resvg::{tiny_skia, usvg};
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

static FONTS: LazyLock<Arc<usvg::fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = usvg::fontdb::Database::new();
    fonts.load_font_data(include_bytes!("../data/fonts/OCRB.otf").to_vec());
    fonts.load_font_data(include_bytes!("../data/fonts/DejaVuSans.ttf").to_vec());
    fonts.load_font_data(include_bytes!("../data/fonts/DejaVuSans-Bold.ttf").to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    Arc::new(fonts)
});

/// A drawing in millimetres that grows by appending.
pub(crate) struct Drawing {
    width_mm: f32,
    height_mm: f32,
    body: String,
}

/// How a text looks.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    pub(crate) size_mm: f32,
    pub(crate) bold: bool,
    pub(crate) colour: &'static str,
}

impl Drawing {
    pub(crate) fn new(width_mm: f32, height_mm: f32) -> Self {
        Self { width_mm, height_mm, body: String::new() }
    }

    /// Appends SVG elements, in millimetres.
    pub(crate) fn add(&mut self, elements: &str) {
        self.body.push_str(elements);
    }

    /// A line of text whose baseline begins at (`x`, `y`); `id` finds its box later.
    pub(crate) fn text(&mut self, id: &str, x: f32, y: f32, style: Style, text: &str) {
        let _ = write!(
            self.body,
            r#"<text id="{id}" x="{x:.3}" y="{y:.3}" font-family="DejaVu Sans" font-size="{}" font-weight="{}" fill="{}">{}</text>"#,
            style.size_mm,
            if style.bold { "bold" } else { "normal" },
            style.colour,
            escaped(text)
        );
    }

    /// A line of an MRZ: OCR-B at 10 characters an inch (ICAO Doc 9303 part 3 §4.3).
    /// The font's advance is 0.723 em, so the pitch of 2.54 mm asks for 3.513 mm.
    /// A `foreign` line has the length it should have, but letters of a font whose widths differ.
    pub(crate) fn mrz_line(&mut self, id: &str, x: f32, y: f32, line: &str, foreign: bool) {
        if foreign {
            let length = 2.54 * line.chars().count() as f32;
            let _ = write!(
                self.body,
                r##"<text id="{id}" x="{x:.3}" y="{y:.3}" textLength="{length:.3}" font-family="DejaVu Sans" font-size="3.3" fill="#101010">{}</text>"##,
                escaped(line)
            );
            return;
        }
        let mut places = String::new();
        for k in 0..line.chars().count() {
            let _ = write!(places, "{:.3} ", x + 2.54 * k as f32);
        }
        let _ = write!(
            self.body,
            r##"<text id="{id}" x="{places}" y="{y:.3}" font-family="OCR B" font-size="3.513" fill="#101010">{}</text>"##,
            escaped(line)
        );
    }

    /// Renders over `base`, and gives the boxes [left, top, width, height] in
    /// pixels of the elements with these ids.
    pub(crate) fn render(
        &self,
        base: &mut RgbImage,
        ids: &[&str],
    ) -> Result<Vec<Option<[f32; 4]>>, usvg::Error> {
        let (width, height) = base.dimensions();
        let text = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {} {}">{}</svg>"#,
            self.width_mm, self.height_mm, self.body
        );
        let options = usvg::Options { fontdb: Arc::clone(&FONTS), ..usvg::Options::default() };
        let tree = usvg::Tree::from_str(&text, &options)?;
        if let Some(mut pixmap) = tiny_skia::Pixmap::new(width, height) {
            resvg::render(&tree, tiny_skia::Transform::identity(), &mut pixmap.as_mut());
            for (to, from) in base.chunks_exact_mut(3).zip(pixmap.pixels()) {
                let left = 255 - u32::from(from.alpha());
                for (to, from) in to.iter_mut().zip([from.red(), from.green(), from.blue()]) {
                    *to = (u32::from(from) + (u32::from(*to) * left + 127) / 255).min(255) as u8;
                }
            }
        }
        let of = |id: &&str| {
            let found = tree.node_by_id(id)?.abs_bounding_box();
            Some([found.x(), found.y(), found.width(), found.height()])
        };
        Ok(ids.iter().map(of).collect())
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
