//! One side as a flat, upright page with its text boxes: from photo to lines.

use std::borrow::Cow;

use imaging::{Point, Quad, RgbImage};
use inference::{Net, RunError};

use crate::effort::both;
use crate::geometry::{centre, distance, height, point, width};
use crate::labels;
use crate::locate::{self, Outline};
use crate::text::Line;
use crate::text::detect::{Detector, detect};
use crate::text::recognise::LineNet;

/// Long side the photo is brought to before anything is read from it.
const WORK_SIDE: u32 = 2000;
/// Long side of the text detector's input.
pub(crate) const DETECT_SIDE: u32 = 960;

/// Text running down the page, as a share of that across it, from which the page is looked at on its side too: the net
/// finds level lines whole and sideways ones in pieces.
const SIDEWAYS: f32 = 0.3;

/// A photo of one side or more, looked over once.
pub(crate) struct Photo<'a> {
    pub(crate) given: &'a RgbImage,
    /// At the size from which everything is read.
    work: Cow<'a, RgbImage>,
    /// Of the things on its background, in pixels of `work`.
    outlines: Vec<Option<Outline>>,
}

impl<'a> Photo<'a> {
    pub(crate) fn new(given: &'a RgbImage) -> Self {
        let fits = given.width().max(given.height()) <= WORK_SIDE;
        let work =
            if fits { Cow::Borrowed(given) } else { Cow::Owned(imaging::fit_within(given, WORK_SIDE)) };
        Self { outlines: locate::outlines(&work), given, work }
    }

    /// Cards beside each other, in pixels of the photo as given.
    pub(crate) fn cards(&self) -> Vec<Quad> {
        locate::cards(&self.outlines).iter().map(|card| self.as_given(&card.quad)).collect()
    }

    fn as_given(&self, quad: &Quad) -> Quad {
        let scale = self.given.width() as f32 / self.work.width().max(1) as f32;
        quad.map(|p| point(p.x * scale, p.y * scale))
    }
}

/// A side: picture, where the document lies in the photo, and its text boxes.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) image: RgbImage,
    /// Corners in the photo as given.
    pub(crate) quad: Option<Quad>,
    pub(crate) inside: Option<bool>,
    /// Text boxes in page pixels.
    pub(crate) boxes: Vec<Quad>,
}

impl Page {
    /// The document cut out and flattened; the whole photo where no outline stands out.
    pub(crate) fn flatten(photo: &Photo, corners: Option<&dyn Net>) -> Result<Self, RunError> {
        let outline = match (photo.outlines.first().cloned().flatten(), corners) {
            (None, Some(net)) => locate::outline_by_net(net, &photo.work)?,
            (found, _) => found,
        };
        let Some(outline) = outline else { return Ok(Self::whole(photo)) };
        let (w, h) = locate::upright_size(&outline.quad);
        Ok(Self {
            image: imaging::warp_quad(&photo.work, &outline.quad, w, h),
            quad: Some(photo.as_given(&outline.quad)),
            inside: Some(outline.inside),
            boxes: Vec::new(),
        })
    }

    /// The photo as it is.
    pub(crate) fn whole(photo: &Photo) -> Self {
        Self { image: photo.work.clone().into_owned(), quad: None, inside: None, boxes: Vec::new() }
    }

    /// Whether the outline runs along the edge of the photo: a scan that fills its frame, or a card that is cut.
    pub(crate) fn touches_frame(&self, photo: &RgbImage) -> bool {
        let (w, h) = (photo.width() as f32, photo.height() as f32);
        let near = 0.015 * w.max(h);
        self.quad
            .is_some_and(|q| q.iter().any(|p| p.x < near || p.y < near || p.x > w - near || p.y > h - near))
    }

    /// Finds the text boxes.
    pub(crate) fn find_boxes(&mut self, detector: &Detector, long_side: u32) -> Result<(), RunError> {
        self.boxes = detect(detector, &self.image, long_side)?;
        Ok(())
    }

    /// Finds the text boxes and turns the page so that most text runs left to right (or upside down).
    pub(crate) fn find_text(&mut self, detector: &Detector, long_side: u32) -> Result<(), RunError> {
        self.find_boxes(detector, long_side)?;
        let (across, down) = (self.runs(false), self.runs(true));
        if down > SIDEWAYS * across {
            let mut turned = self.clone();
            turned.turn(1);
            turned.boxes = detect(detector, &turned.image, long_side)?;
            if turned.runs(false) > across {
                *self = turned;
            }
        }
        Ok(())
    }

    /// How much text runs across the page, or down it: long lines say more than as many pieces of them.
    fn runs(&self, downwards: bool) -> f32 {
        let slim = self.boxes.iter().filter(|q| width(q) > 2.0 * height(q));
        slim.filter(|q| ((q[1].x - q[0].x).abs() < (q[1].y - q[0].y).abs()) == downwards)
            .map(|q| width(q).powi(2))
            .sum()
    }

    /// Turns page and boxes clockwise by quarter turns.
    pub(crate) fn turn(&mut self, quarters: u8) {
        for _ in 0..quarters % 4 {
            let h = self.image.height() as f32;
            let place = |p: Point| point(h - p.y, p.x);
            self.boxes = self.boxes.iter().map(|q| q.map(place)).collect();
            self.image = imaging::rotate90(&self.image, 1);
            if let Some(q) = &mut self.quad {
                // The page's top-left corner is now the one that was bottom-left.
                *q = [q[3], q[0], q[1], q[2]];
            }
        }
    }

    /// Boxes with their corners in reading order on a page whose text runs along `direction`.
    pub(crate) fn reading_boxes(&self) -> Vec<Quad> {
        self.boxes.iter().map(reading_order).collect()
    }
}

/// Starts the quad at the corner from which it reads left to right; slim upright boxes stay sideways text.
fn reading_order(quad: &Quad) -> Quad {
    let mut best = (f32::MIN, *quad);
    for k in 0..4 {
        let q: Quad = std::array::from_fn(|i| quad[(k + i) % 4]);
        let along = (q[1].x - q[0].x) / distance(q[0], q[1]).max(1e-3);
        if along > best.0 {
            best = (along, q);
        }
    }
    let q = best.1;
    if height(&q) > 2.2 * width(&q) {
        // Vertical text: read it from top to bottom.
        return [q[1], q[2], q[3], q[0]];
    }
    q
}

/// Reads lines, each with the cheapest net that will do.
#[derive(Clone)]
pub(crate) struct Recogniser {
    pub(crate) large: LineNet,
    /// A fifth of the large net's work. Absent: the large one reads everything.
    pub(crate) small: Option<LineNet>,
}

impl Recogniser {
    /// Reads boxes on two threads; lines that say nothing are left out. Order follows the boxes.
    ///
    /// What the small net reads as printed labels and nothing else stands: labels are known phrases, found with slips.
    /// What it reads surely is a draft: words that tell what a document is do not need more, and a line from which a
    /// value is taken is read again ([`Self::again`]) unless every character of it is beyond doubt. Of lines with digits
    /// every character must be sure for that. Everything else is read again at once, unless the page's zone is `proved`:
    /// then only digits are, for what is badly legible beside a zone is small print, and hardly better with the large net.
    ///
    /// `known` are drafts of some of the boxes.
    pub(crate) fn read(
        &self,
        image: &RgbImage,
        boxes: &[Quad],
        known: &[Line],
        proved: bool,
    ) -> Result<Vec<Line>, RunError> {
        let Some(small) = &self.small else { return self.again(image, boxes) };
        self.each(boxes, |quad| {
            let line = match known.iter().find(|l| l.quad == *quad) {
                Some(line) => line.clone(),
                None => Line { quad: *quad, glyphs: small.read(image, quad)?, draft: true },
            };
            let chars: Vec<char> = line.glyphs.iter().map(|g| g.ch).collect();
            if labels::only(&chars) {
                return Ok(Line { draft: false, ..line });
            }
            let number = if proved { SURE_NUMBER } else { BEYOND_DOUBT };
            let sure = line.confidence() >= SURE && (!line.has_digits() || line.least() >= number);
            if sure || proved && (!line.has_digits() || line.confidence() <= ILLEGIBLE) {
                return Ok(line);
            }
            Ok(Line { glyphs: self.large.read(image, quad)?, draft: false, ..line })
        })
    }

    /// Reads boxes with the large net.
    pub(crate) fn again(&self, image: &RgbImage, boxes: &[Quad]) -> Result<Vec<Line>, RunError> {
        self.each(boxes, |quad| Ok(Line { quad: *quad, glyphs: self.large.read(image, quad)?, draft: false }))
    }

    fn each(
        &self,
        boxes: &[Quad],
        read: impl Fn(&Quad) -> Result<Line, RunError> + Sync,
    ) -> Result<Vec<Line>, RunError> {
        // Longest first, dealt alternately, so that both threads end together.
        let mut order: Vec<usize> = (0..boxes.len()).collect();
        order.sort_by(|&a, &b| width(&boxes[b]).total_cmp(&width(&boxes[a])));
        let job = |start: usize| -> Result<Vec<(usize, Line)>, RunError> {
            let mut lines = Vec::new();
            for &i in order.iter().skip(start).step_by(2) {
                lines.push((i, read(&boxes[i])?));
            }
            Ok(lines)
        };
        let (left, right) = both(|| job(0), || job(1));
        let mut lines = left?;
        lines.extend(right?);
        lines.sort_by_key(|(i, _)| *i);
        Ok(lines.into_iter().map(|(_, line)| line).filter(|l| !l.glyphs.is_empty()).collect())
    }

    /// Whether the page stands upright or on its head: some of its lines read surer one way. `None` where it stands on
    /// its head, else the drafts of these lines. It stops asking when the answer is clear.
    pub(crate) fn drafts_if_upright(
        &self,
        image: &RgbImage,
        boxes: &[Quad],
    ) -> Result<Option<Vec<Line>>, RunError> {
        let net = self.small.as_ref().unwrap_or(&self.large);
        let mut long: Vec<&Quad> = boxes.iter().filter(|q| width(q) > 2.5 * height(q)).collect();
        long.sort_by(|a, b| {
            // Middling lengths tell most for their cost.
            let cost = |q: &Quad| (width(q) / height(q).max(1.0) - 8.0).abs();
            cost(a).total_cmp(&cost(b))
        });
        let (mut up, mut down) = (0.0, 0.0);
        let mut drafts = Vec::new();
        for (i, quad) in long.into_iter().take(4).enumerate() {
            let read = |quad: Quad| -> Result<Line, RunError> {
                Ok(Line { quad, glyphs: net.read(image, &quad)?, draft: true })
            };
            let sure = |line: &Line| line.confidence() * (line.glyphs.len() as f32).sqrt();
            let upright = read(*quad)?;
            up += sure(&upright);
            down += sure(&read(crate::geometry::upside_down(quad))?);
            drafts.push(upright);
            if i > 0 && (down > CLEAR * up || up > CLEAR * down) {
                break;
            }
        }
        Ok((down <= 1.1 * up).then_some(drafts))
    }
}

/// Mean probability of its characters from which a line of the small net needs no second look.
const SURE: f32 = 0.8;
/// Least probability of its characters from which a line of the small net with digits may wait. Of 192 such lines of
/// documents whose mean is [`SURE`], 130 reach it, and the large net reads 3 of these otherwise: an accent, and twice a
/// full stop. Of the 62 others it reads 27 otherwise.
const SURE_NUMBER: f32 = 0.9;
/// Least probability of its characters from which the large net is not asked about a line without digits. Of 290 lines of
/// documents from which values are taken and which the small net reads surely, 215 reach it, and the large net reads none of these
/// otherwise (rule of three: less than 1.4 %); of the 75 others 27.
pub(crate) const BEYOND_DOUBT: f32 = 0.95;
/// Mean probability of its characters up to which a line says nothing. The large net reads 46 of 116 such lines of the
/// small net above it, 44 of them as single letters and fragments.
pub(crate) const ILLEGIBLE: f32 = 0.4;
/// How much surer two lines must read one way than the other for no third to be asked.
const CLEAR: f32 = 1.4;

/// Share of a box that lies within another.
pub(crate) fn overlap(inner: &Quad, outer: &Quad) -> f32 {
    let range = |q: &Quad, f: fn(&Point) -> f32| {
        q.iter().map(f).fold((f32::MAX, f32::MIN), |(a, b), v| (a.min(v), b.max(v)))
    };
    let ((ix0, ix1), (iy0, iy1)) = (range(inner, |p| p.x), range(inner, |p| p.y));
    let ((ox0, ox1), (oy0, oy1)) = (range(outer, |p| p.x), range(outer, |p| p.y));
    let w = (ix1.min(ox1) - ix0.max(ox0)).max(0.0);
    let h = (iy1.min(oy1) - iy0.max(oy0)).max(0.0);
    w * h / ((ix1 - ix0) * (iy1 - iy0)).max(1e-3)
}

/// Left, top, right, bottom of a quad as shares of a page.
pub(crate) fn region(quad: &Quad, image: &RgbImage) -> [f32; 4] {
    let (w, h) = (image.width().max(1) as f32, image.height().max(1) as f32);
    let mut r = [1.0f32, 1.0, 0.0, 0.0];
    for p in quad {
        let (x, y) = ((p.x / w).clamp(0.0, 1.0), (p.y / h).clamp(0.0, 1.0));
        r = [r[0].min(x), r[1].min(y), r[2].max(x), r[3].max(y)];
    }
    r.map(|v| (v * 1e4).round() / 1e4)
}

/// Sorts lines as they are read: top to bottom, then left to right.
pub(crate) fn sort_lines(lines: &mut [Line]) {
    lines.sort_by(|a, b| {
        let (ca, cb) = (centre(&a.quad), centre(&b.quad));
        let row = |y: f32, h: f32| (y / (0.7 * h.max(1.0))) as i32;
        let h = 24.0;
        row(ca.y, h).cmp(&row(cb.y, h)).then(ca.x.total_cmp(&cb.x))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turning_a_page_four_times_gives_it_back() {
        let mut page = Page {
            image: RgbImage::from_fn(40, 20, |x, y| [x as u8, y as u8, 0].into()),
            quad: None,
            inside: None,
            boxes: vec![[point(1.0, 2.0), point(11.0, 2.0), point(11.0, 6.0), point(1.0, 6.0)]],
        };
        let before = page.clone();
        page.turn(1);
        assert_eq!(page.image.dimensions(), (20, 40));
        // The box's corners turn with the picture: (1, 2) of a 20-high page comes to (18, 1).
        assert!(distance(page.boxes[0][0], point(18.0, 1.0)) < 1e-3);
        page.turn(3);
        assert_eq!(page.image, before.image);
        assert!(distance(page.boxes[0][0], before.boxes[0][0]) < 1e-3);
    }

    #[test]
    fn a_single_letter_is_read_upright_and_a_tall_box_from_top_to_bottom() {
        let letter = reading_order(&[point(0.0, 20.0), point(0.0, 0.0), point(14.0, 0.0), point(14.0, 20.0)]);
        assert!(letter[1].x > letter[0].x && letter[3].y > letter[0].y);
        let tall = reading_order(&[point(0.0, 0.0), point(10.0, 0.0), point(10.0, 100.0), point(0.0, 100.0)]);
        assert!(tall[1].y > tall[0].y);
    }
}
