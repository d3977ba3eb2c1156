//! Reads a whole document: sides, zone, barcodes, fields, checks, in this order.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use std::time::Instant;

use evidence::Signal;
use imaging::{Picture, Quad, RgbImage};
use inference::{LoadError, Models, Net, RunError};

use crate::codes::{Patience, read_barcodes};
use crate::dates::Order;
use crate::effort::{Effort, both};
use crate::fields::{self, Context, Value};
use crate::findings::{Findings, SideReading};
use crate::fold::{edit_distance, fold};
use crate::fuse;
use crate::geometry::{height, point, width, within};
use crate::mrz_zone::{self, Decoded, Zone};
use crate::page::{BEYOND_DOUBT, DETECT_SIDE, ILLEGIBLE, Page, Photo, Recogniser, overlap, sort_lines};
use crate::pixel;
use crate::quality::quality;
use crate::record::{IdentifiedBy, Record, Side, Upright};
use crate::signals::signals;
use crate::template::{Catalogue, Template, TemplateSide};
use crate::text::Line;
use crate::text::detect::Detector;
use crate::text::recognise::{Alphabet, LineNet};
use crate::titles;

/// Finds a face on an upright page: left, top, right, bottom in pixels.
pub type PortraitFinder<'a> = &'a (dyn Fn(&RgbImage) -> Option<[f32; 4]> + Sync);

/// What a caller decides about one reading.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// The day the document is judged on.
    pub today: jiff::civil::Date,
    /// Finds the holder's portrait on an upright page: left, top, right, bottom in pixels. The face crate gives it.
    pub portrait_finder: Option<PortraitFinder<'a>>,
    /// Specimens of issuing authorities are expected (sandbox, tests): they raise no signal.
    pub specimens_allowed: bool,
}

impl Options<'_> {
    /// A reading on this day with nothing else set.
    pub fn on(today: jiff::civil::Date) -> Self {
        Self { today, portrait_finder: None, specimens_allowed: false }
    }
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Neither a zone nor a barcode nor the words of a document are on the pictures (`COULD_NOT_RECOGNIZE_DOCUMENT`).
    #[error("the picture shows no identity document")]
    NotADocument,
    /// A net is missing.
    #[error("a model could not be loaded")]
    Load(#[from] LoadError),
    /// A net failed.
    #[error("a model could not be run")]
    Run(#[from] RunError),
}

impl ReadError {
    /// The risk code of the public API.
    pub fn code(&self) -> Option<&'static str> {
        matches!(self, Self::NotADocument).then_some("COULD_NOT_RECOGNIZE_DOCUMENT")
    }
}

/// Nets and templates, opened once, shared by all readings.
pub struct Reader {
    detector: Detector,
    recogniser: Recogniser,
    mrz_net: Arc<dyn Net>,
    /// Absent: outlines by edges alone.
    corners: Option<Arc<dyn Net>>,
    catalogue: RwLock<Arc<Catalogue>>,
}

/// Least probability of a character of a zone that was read without any doubt.
const SURELY: f32 = 0.9;
/// Long side of the text detector's input where it is asked only whether there is text off an outline. With 960 pixels no
/// record of 63 pictures and of the 210 of `bench poses` is another.
const GLANCE_SIDE: u32 = 640;
/// A better reading may move a value to another line; it does so once, not for ever.
const SETTLING_ROUNDS: usize = 4;

/// The classes of `ppocr-v6-rec-tiny`, whose file does not name them: a character a line, as PaddleOCR publishes them.
const SMALL_CHARACTERS: &str = include_str!("../../../models/ppocr-v6-tiny-characters.txt");

impl Reader {
    /// Loads the nets and the built-in templates.
    ///
    /// # Errors
    /// [`LoadError`] naming the model that is not installed.
    pub fn open(models: &Models) -> Result<Self, LoadError> {
        let line_net = |name: &'static str, characters: Option<&str>| -> Result<LineNet, LoadError> {
            let written = models.entry(name).and_then(|e| e.metadata.get("character")).map(String::as_str);
            let alphabet = Alphabet::from_metadata(written.or(characters).unwrap_or_default());
            Ok(LineNet { net: models.net(name)?, alphabet: Arc::new(alphabet), name })
        };
        let detector = |name: &'static str| models.net(name).map(|net| Detector { net, name });
        Ok(Self {
            // The small one finds the same lines of documents at a third of the work.
            detector: detector("ppocr-v6-det-tiny").or_else(|_| detector("ppocr-v6-det"))?,
            recogniser: Recogniser {
                large: line_net("ppocr-v6-rec", None)?,
                small: line_net("ppocr-v6-rec-tiny", Some(SMALL_CHARACTERS)).ok(),
            },
            mrz_net: models.net("mrz-lines")?,
            corners: models.net("document-corners").ok(),
            catalogue: RwLock::new(Arc::new(Catalogue::built_in())),
        })
    }

    /// Takes another set of templates; readings under way keep theirs.
    pub fn set_catalogue(&self, catalogue: Catalogue) {
        *self.catalogue.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(catalogue);
    }

    /// The templates in use.
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Reads one document from the picture of its front and, where there is one, of its back.
    ///
    /// # Errors
    /// [`ReadError::NotADocument`] when the pictures show none; the others when a net fails.
    pub fn read(
        &self,
        front: &Picture,
        back: Option<&Picture>,
        options: &Options,
    ) -> Result<Record, ReadError> {
        let started = Instant::now();
        let mut effort = Effort::default();
        let (front, back) = effort.stage("outline", || match back {
            None => (Photo::new(&front.pixels), None),
            Some(back) => {
                let (front, back) = both(|| Photo::new(&front.pixels), || Photo::new(&back.pixels));
                (front, Some(back))
            }
        });
        let cards = if back.is_none() { front.cards() } else { Vec::new() };
        if let [one, other] = &cards[..]
            && let Some(record) = self.read_pair(&front, [one, other], options, &mut effort)?
        {
            return Ok(finished(record, effort, started));
        }
        let photos: Vec<(Side, &Photo)> = [(Side::Front, Some(&front)), (Side::Back, back.as_ref())]
            .into_iter()
            .filter_map(|(s, p)| Some((s, p?)))
            .collect();
        let sides = self.read_sides(&photos, false, options, &mut effort)?;
        let outlines: Vec<_> =
            photos.iter().zip(&sides).map(|((_, photo), side)| (*photo, side.page.quad)).collect();
        let flattened = outlines.iter().any(|(_, outline)| outline.is_some());
        let record = match self.assemble(sides, options, &mut effort) {
            Err(ReadError::NotADocument) if flattened => {
                // The outlines may have been something else than the document.
                let sides = self.read_sides(&photos, true, options, &mut effort)?;
                self.assemble(sides, options, &mut effort)
            }
            Ok(record)
                if flattened
                    && record.identified_by == IdentifiedBy::Unknown
                    && self.zone_off_the_outline(&outlines, options, &mut effort)? =>
            {
                let sides = self.read_sides(&photos, true, options, &mut effort)?;
                self.assemble(sides, options, &mut effort).or(Ok(record))
            }
            other => other,
        }?;
        let mut record = record;
        if cards.len() > 2 {
            // One of them was read, and nothing says that it is the one that is meant.
            record.cards_on_front_picture = u8::try_from(cards.len()).unwrap_or(u8::MAX);
            let shows = serde_json::json!({ "cards": cards.len() });
            record.signals.push(Signal::certain("SEVERAL_DOCUMENTS_IN_PICTURE", "outline.count/1", shows));
        }
        Ok(finished(record, effort, started))
    }

    /// Whether a zone stands on a photo as it was taken, off the outline or across its edge: the outline may have been a
    /// part of the document.
    fn zone_off_the_outline(
        &self,
        photos: &[(&Photo, Option<Quad>)],
        options: &Options,
        effort: &mut Effort,
    ) -> Result<bool, ReadError> {
        for (photo, outline) in photos {
            let Some(outline) = outline else { continue };
            let mut page = Page::whole(photo);
            let scale = page.image.width() as f32 / photo.given.width().max(1) as f32;
            let outline = outline.map(|p| point(p.x * scale, p.y * scale));
            effort.stage("text_detection", || {
                page.find_boxes(&self.detector, GLANCE_SIDE)?;
                page.boxes.retain(|text| !within(text, &outline));
                if page.boxes.is_empty() { Ok(()) } else { page.find_text(&self.detector, DETECT_SIDE) }
            })?;
            let found = |page: &mut Page| -> Result<bool, ReadError> {
                Ok(self.read_mrz(page, options.today)?.is_some() || self.scan(page, options.today)?.is_some())
            };
            if !page.boxes.is_empty() && effort.stage("mrz", || found(&mut page))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads a picture on which both sides of one card lie beside each other; `None` where what they are is no document.
    fn read_pair(
        &self,
        photo: &Photo,
        cards: [&Quad; 2],
        options: &Options,
        effort: &mut Effort,
    ) -> Result<Option<Record>, ReadError> {
        let parts = cards.map(|quad| {
            let margin = 0.06 * width(quad).max(height(quad));
            let (left, top, right, bottom) =
                quad.iter().fold((f32::MAX, f32::MAX, f32::MIN, f32::MIN), |(l, t, r, b), p| {
                    (l.min(p.x), t.min(p.y), r.max(p.x), b.max(p.y))
                });
            let (x, y) = ((left - margin).max(0.0) as u32, (top - margin).max(0.0) as u32);
            let (w, h) = ((right + margin) as u32 - x, (bottom + margin) as u32 - y);
            (imaging::crop(photo.given, x, y, w, h), (x, y))
        });
        let [first, second] = &parts;
        let (front, back) =
            effort.stage("outline", || both(|| Photo::new(&first.0), || Photo::new(&second.0)));
        let photos = [(Side::Front, &front), (Side::Back, &back)];
        let mut sides = self.read_sides(&photos, false, options, effort)?;
        let mut corners = [first.1, second.1];
        // Cards carry their three-line zone on the back (ICAO Doc 9303-5 §4.1).
        if let [a, b] = &mut sides[..]
            && a.mrz.as_ref().is_some_and(|d| d.strips.len() == 3)
            && b.mrz.is_none()
        {
            (a.side, b.side) = (Side::Back, Side::Front);
            for s in [&mut *a, &mut *b] {
                let side = s.side;
                s.barcodes.iter_mut().for_each(|code| code.side = side);
            }
            sides.reverse();
            corners.reverse();
        }
        match self.assemble(sides, options, effort) {
            Ok(mut record) => {
                for (side, (x, y)) in record.sides.iter_mut().zip(corners) {
                    side.quad = side.quad.map(|q| q.map(|p| point(p.x + x as f32, p.y + y as f32)));
                }
                record.cards_on_front_picture = 2;
                Ok(Some(record))
            }
            Err(ReadError::NotADocument) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Reads the sides side by side, then looks for barcodes where they can matter.
    fn read_sides(
        &self,
        photos: &[(Side, &Photo)],
        whole: bool,
        options: &Options,
        effort: &mut Effort,
    ) -> Result<Vec<SideReading>, ReadError> {
        let read = |(side, photo): (Side, &Photo)| {
            let mut effort = Effort::default();
            let reading = self.read_side_well(side, photo, whole, options, &mut effort);
            (reading, effort)
        };
        let done = match *photos {
            [front, back] => {
                let (front, back) = both(|| read(front), || read(back));
                vec![front, back]
            }
            _ => photos.iter().copied().map(read).collect(),
        };
        let mut sides = Vec::with_capacity(done.len());
        for (reading, spent) in done {
            effort.add(&spent);
            sides.push(reading?);
        }
        effort.stage("barcode", || self.read_codes(&mut sides, photos));
        Ok(sides)
    }

    /// Barcodes of all sides. Where a valid zone or a template without barcodes names the document, a code adds little and
    /// gets a quick look; else the back is searched patiently (that is where licences carry theirs), then the front.
    fn read_codes(&self, sides: &mut [SideReading], photos: &[(Side, &Photo)]) {
        let named = sides.iter().any(|s| s.mrz.as_ref().is_some_and(|d| d.valid)) || {
            let catalogue = self.catalogue();
            catalogue.by_anchors(&folded_lines(sides)).is_some_and(|(t, _)| {
                [&t.sides.front, &t.sides.back].iter().all(|side| side.barcode.is_none())
            })
        };
        let look = |s: &SideReading, wanted: bool| {
            let photo = photos.iter().find(|(side, _)| *side == s.side).map(|(_, photo)| photo.given);
            let patience = match s.fringes {
                _ if !wanted => Patience::QUICK,
                Some(share) if share > pixel::FRINGES => Patience::SCREEN,
                _ => Patience::WHOLE,
            };
            read_barcodes(s.side, &s.page, photo, patience)
        };
        let found = match &*sides {
            [front, back] => {
                let (a, b) = both(|| look(front, false), || look(back, !named));
                let a = if named || !a.0.is_empty() || !b.0.is_empty() { a } else { look(front, true) };
                vec![a, b]
            }
            _ => sides.iter().map(|s| look(s, !named)).collect(),
        };
        for (side, (barcodes, payload)) in sides.iter_mut().zip(found) {
            side.barcodes = barcodes;
            side.payload = payload;
        }
    }

    fn read_side_well(
        &self,
        side: Side,
        photo: &Photo,
        whole: bool,
        options: &Options,
        effort: &mut Effort,
    ) -> Result<SideReading, ReadError> {
        let reading = self.read_side(side, photo, whole, options, effort)?;
        let cut = reading.mrz.as_ref().is_some_and(|d| d.cut);
        if !whole
            && (cut || reading.page.touches_frame(photo.given))
            && reading.mrz.as_ref().is_none_or(|d| !d.valid)
        {
            // An outline within the document, or along the picture's own edge, may have cut the zone off.
            let again = self.read_side(side, photo, true, options, effort)?;
            if again.mrz.is_some() || (reading.mrz.is_none() && again.lines.len() > reading.lines.len()) {
                return Ok(again);
            }
        }
        Ok(reading)
    }

    fn read_side(
        &self,
        side: Side,
        photo: &Photo,
        whole: bool,
        options: &Options,
        effort: &mut Effort,
    ) -> Result<SideReading, ReadError> {
        let mut page = effort.stage("outline", || {
            if whole { Ok(Page::whole(photo)) } else { Page::flatten(photo, self.corners.as_deref()) }
        })?;
        effort.stage("text_detection", || {
            page.find_text(&self.detector, DETECT_SIDE)?;
            if page.quad.is_some() && page.boxes.len() < 3 {
                // The outline was something else (a table, a window): take the photo as it is.
                let mut whole = Page::whole(photo);
                whole.find_text(&self.detector, DETECT_SIDE)?;
                if whole.boxes.len() > page.boxes.len() {
                    page = whole;
                }
            }
            Ok::<(), RunError>(())
        })?;
        let mut mrz = effort.stage("mrz", || self.read_mrz(&mut page, options.today))?;
        let lines =
            effort.stage("text_recognition", || self.read_text(&mut page, &mut mrz, options.today))?;
        let (quality, chroma, fringes) = effort.stage("pixels", || {
            (quality(&page), pixel::chroma(&page.image), pixel::colour_fringes(photo.given))
        });
        Ok(SideReading {
            side,
            page,
            lines,
            mrz,
            barcodes: Vec::new(),
            payload: None,
            quality,
            chroma,
            fringes,
        })
    }

    /// The printed lines outside the zone; a page without one may turn out to stand on its head.
    fn read_text(
        &self,
        page: &mut Page,
        mrz: &mut Option<Decoded>,
        today: jiff::civil::Date,
    ) -> Result<Vec<Line>, ReadError> {
        let outside = |page: &Page, mrz: &Option<Decoded>| -> Vec<Quad> {
            let zone: Vec<Quad> = mrz.iter().flat_map(|d| d.strips.iter().map(|s| s.quad)).collect();
            page.reading_boxes().into_iter().filter(|b| zone.iter().all(|z| overlap(b, z) < 0.5)).collect()
        };
        let mut known = Some(Vec::new());
        if mrz.is_none() {
            known = self.recogniser.drafts_if_upright(&page.image, &outside(page, mrz))?;
            if known.is_none() {
                page.turn(2);
                page.boxes = page.reading_boxes();
                // A zone may still be found now that lines read forwards and the bottom is the bottom.
                *mrz = self.read_mrz(page, today)?;
            }
        }
        let proved = mrz.as_ref().is_some_and(|d| d.valid);
        let mut lines =
            self.recogniser.read(&page.image, &outside(page, mrz), &known.unwrap_or_default(), proved)?;
        if mrz.is_none() && lines.iter().any(|l| mrz_zone::is_like_a_piece(&l.text())) {
            *mrz = self.scan(page, today)?;
            let strips = mrz.iter().flat_map(|d| &d.strips);
            lines.retain(|l| strips.clone().all(|s| overlap(&l.quad, &s.quad) < 0.5));
        }
        lines.retain(is_legible);
        sort_lines(&mut lines);
        Ok(lines)
    }

    /// Finds the zone, turns the page by it, and reads it as well as the ladder of retries allows.
    fn read_mrz(&self, page: &mut Page, today: jiff::civil::Date) -> Result<Option<Decoded>, ReadError> {
        let net = self.mrz_net.as_ref();
        let zones = mrz_zone::zones(net, &page.image, &page.boxes)?;
        let mut best: Option<Decoded> = None;
        for zone in &zones {
            take_better(&mut best, self.best_reading(page, zone, today)?);
        }
        // Lines that were read surely are not read better from other strips, whatever their digits say.
        if best.as_ref().is_some_and(|b| !b.valid && b.least < SURELY) {
            take_better(&mut best, self.scan(page, today)?);
        }
        let Some(mut decoded) = best else { return Ok(None) };
        decoded.doubt_if_cut(&page.image);
        // The zone says which way is up.
        let Some(first) = decoded.strips.first() else { return Ok(Some(decoded)) };
        let (dx, dy) = (first.quad[1].x - first.quad[0].x, first.quad[1].y - first.quad[0].y);
        let quarters = if dx.abs() >= dy.abs() {
            if dx >= 0.0 { 0 } else { 2 }
        } else if dy > 0.0 {
            3
        } else {
            1
        };
        if quarters == 0 {
            return Ok(Some(decoded));
        }
        let mut carrier = page.clone();
        carrier.boxes = decoded.strips.iter().map(|s| s.quad).collect();
        carrier.turn(quarters);
        let strips = decoded
            .strips
            .into_iter()
            .zip(&carrier.boxes)
            .map(|(s, q)| mrz_zone::Strip { quad: *q, ..s })
            .collect();
        page.turn(quarters);
        Ok(Some(Decoded { strips, ..decoded }))
    }

    /// Looks for the zone where the text boxes do not show its lines.
    fn scan(&self, page: &Page, today: jiff::civil::Date) -> Result<Option<Decoded>, ReadError> {
        let mut best = None;
        for zone in mrz_zone::scan_bottom(self.mrz_net.as_ref(), &page.image, &page.boxes)? {
            take_better(&mut best, mrz_zone::decode(&zone, today));
        }
        if let Some(decoded) = &mut best {
            decoded.doubt_if_cut(&page.image);
        }
        Ok(best)
    }

    /// A zone as first seen; where that leaves any doubt, the reading on which most crops of the same lines agree.
    fn best_reading(
        &self,
        page: &Page,
        zone: &Zone,
        today: jiff::civil::Date,
    ) -> Result<Option<Decoded>, ReadError> {
        let first = mrz_zone::decode(zone, today);
        if first.as_ref().is_some_and(|d| d.valid && d.corrections.is_empty() && d.least > SURELY) {
            return Ok(first);
        }
        if first.is_none() && zone.fillers() == 0 {
            // Lines without fillers are print.
            return Ok(None);
        }
        let mut readings: Vec<Decoded> = first.into_iter().collect();
        for (tall, wide, shift) in [
            (0.08, 0.0, 0.0),
            (-0.06, 0.004, 0.0),
            (0.02, 0.012, 0.05),
            (0.0, -0.004, -0.05),
            (0.15, 0.008, 0.0),
            (-0.1, 0.0, 0.03),
        ] {
            let mut strips = Vec::with_capacity(zone.strips.len());
            for strip in &zone.strips {
                let quad = mrz_zone::jittered(&strip.quad, tall, wide, shift);
                strips.push(mrz_zone::read_strip(self.mrz_net.as_ref(), &page.image, &quad)?);
            }
            readings.extend(mrz_zone::decode(&Zone { strips }, today));
        }
        Ok(mrz_zone::vote(readings))
    }

    /// Reads again, with the large net, every draft line from which a value would be taken, until none is left.
    fn settle(
        &self,
        sides: &mut [SideReading],
        catalogue: &Catalogue,
        today: jiff::civil::Date,
    ) -> Result<(), ReadError> {
        let zone = sides.iter().find_map(|s| s.mrz.clone());
        for _ in 0..SETTLING_ROUNDS {
            if sides.iter().all(|s| s.lines.iter().all(|l| !l.draft)) {
                break;
            }
            let folded = folded_lines(sides);
            let template = match &zone {
                Some(d) => catalogue.by_mrz(
                    fuse::format_name(d.mrz.format),
                    &d.mrz.document_code,
                    &d.mrz.issuing_state,
                    &folded,
                ),
                None => catalogue.by_anchors(&folded).map(|(t, _)| t),
            };
            let names: Vec<String> = zone
                .iter()
                .flat_map(|d| [&d.mrz.names.surname, &d.mrz.names.given_names])
                .map(|name| fold(name))
                .filter(|name| !name.is_empty())
                .collect();
            let mut settled = true;
            for s in sides.iter_mut() {
                let context = Context { today, order: Order::DayFirst };
                let mut values = fields::extract(&s.lines, context);
                if let Some(template) = template {
                    let page = &s.page.image;
                    crate::template_fields::apply(template, s.side, &s.lines, page, context, &mut values);
                }
                let repeated =
                    |name: &str, value: &Value| zone.as_ref().is_some_and(|d| d.repeats(name, &value.value));
                let taken = |line: &Line| {
                    let text = fold(&line.text());
                    values.iter().any(|(name, v)| {
                        overlap(&line.quad, &v.quad).max(overlap(&v.quad, &line.quad)) > 0.5
                            // Two nets that read the same number from two places leave nothing for a third.
                            && !(line.has_digits() && repeated(name, v))
                    }) || names.iter().any(|n| edit_distance(&text, n, 2 + n.len() / 6).is_some())
                };
                let doubted = |l: &&Line| l.draft && (l.has_digits() || l.least() < BEYOND_DOUBT) && taken(l);
                let boxes: Vec<Quad> = s.lines.iter().filter(doubted).map(|l| l.quad).collect();
                if boxes.is_empty() {
                    continue;
                }
                settled = false;
                s.lines.retain(|l| !boxes.contains(&l.quad));
                s.lines.extend(self.recogniser.again(&s.page.image, &boxes)?.into_iter().filter(is_legible));
                sort_lines(&mut s.lines);
            }
            if settled {
                break;
            }
        }
        Ok(())
    }

    fn assemble(
        &self,
        mut sides: Vec<SideReading>,
        options: &Options,
        effort: &mut Effort,
    ) -> Result<Record, ReadError> {
        let catalogue = self.catalogue();
        effort.stage("text_recognition", || self.settle(&mut sides, &catalogue, options.today))?;
        let folded = folded_lines(&sides);
        let texts: Vec<String> = folded.iter().map(|(_, t)| t.clone()).collect();
        let decoded = sides
            .iter()
            .filter_map(|s| s.mrz.as_ref().map(|d| (s.side, d)))
            .max_by_key(|(_, d)| (d.valid, std::cmp::Reverse(d.mrz.errors.len())));
        let payload = sides.iter().find_map(|s| s.payload.as_ref());

        let title = titles::kind(&texts);
        let by_anchors = catalogue.by_anchors(&folded);
        let (identified_by, template, kind, state): (
            IdentifiedBy,
            Option<&Template>,
            Option<String>,
            Option<String>,
        ) = if let Some((_, d)) = decoded {
            let mrz = &d.mrz;
            let template = catalogue.by_mrz(
                fuse::format_name(mrz.format),
                &mrz.document_code,
                &mrz.issuing_state,
                &folded,
            );
            let kind = template.map_or_else(|| fuse::kind_of_code(mrz, title), |t| t.kind);
            (
                IdentifiedBy::Mrz,
                template,
                Some(kind.display_name().to_owned()),
                Some(mrz.issuing_state_alpha3().to_owned()),
            )
        } else if let Some(payload) = payload {
            (
                IdentifiedBy::Barcode,
                None,
                Some(payload.document_type.to_owned()),
                Some(payload.country.clone()),
            )
        } else if let Some((template, _)) = by_anchors {
            (
                IdentifiedBy::Template,
                Some(template),
                Some(template.kind.display_name().to_owned()),
                Some(template.country.clone()),
            )
        } else {
            (IdentifiedBy::Unknown, None, title.map(|k| k.display_name().to_owned()), None)
        };

        let order = match state.as_deref() {
            Some("USA") => Order::MonthFirst,
            _ => Order::DayFirst,
        };
        let context = Context { today: options.today, order };
        let mut values: Vec<(Side, BTreeMap<String, Value>)> = Vec::new();
        for s in &sides {
            let mut found = fields::extract(&s.lines, context);
            if let Some(template) = template {
                crate::template_fields::apply(template, s.side, &s.lines, &s.page.image, context, &mut found);
            }
            values.push((s.side, found));
        }
        let labelled: usize = values.iter().map(|(_, v)| v.len()).sum();
        let dated =
            values.iter().any(|(_, v)| v.contains_key("date_of_birth") || v.contains_key("expiration_date"));
        if identified_by == IdentifiedBy::Unknown
            && !(title.is_some() && labelled >= 1
                || labelled >= 3 && dated
                || title.is_some() && fuse::looks_like_card(&sides))
        {
            return Err(ReadError::NotADocument);
        }

        let find = || {
            sides.iter().find_map(|s| {
                let [x0, y0, x1, y1] = options.portrait_finder?(&s.page.image)?;
                let (w, h) = (x1 - x0, y1 - y0);
                // The finder boxes the face; the portrait is the face with head and shoulders.
                let x = (x0 - 0.45 * w).max(0.0) as u32;
                let y = (y0 - 0.55 * h).max(0.0) as u32;
                Some(imaging::crop(&s.page.image, x, y, (1.9 * w) as u32, (2.1 * h) as u32))
            })
        };
        let portrait = options.portrait_finder.and_then(|_| effort.stage("portrait", find));

        let findings = Findings {
            identified_by,
            kind: kind.as_deref(),
            title,
            state: state.as_deref(),
            template,
            sides: &sides,
            values: &values,
            mrz: decoded,
            payload,
            portrait_sought: options.portrait_finder.is_some(),
            portrait_found: portrait.is_some(),
        };
        let fields = fuse::fields(&findings, context);
        let signals = signals(&findings, &fields, context, options.specimens_allowed);
        let mrz = decoded.map(|(side, d)| fuse::mrz_record(side, d));
        let template = template.map(|t| t.id.clone());
        let barcodes = sides.iter_mut().flat_map(|s| std::mem::take(&mut s.barcodes)).collect();
        Ok(Record {
            identified_by,
            template,
            document_type: kind,
            issuing_state: state,
            fields,
            mrz,
            cards_on_front_picture: 1,
            barcodes,
            quality: sides.iter().map(|s| (s.side, s.quality.clone())).collect(),
            signals,
            timing_ms: BTreeMap::new(),
            cpu_ms: BTreeMap::new(),
            net_pixels: BTreeMap::new(),
            native_text: Vec::new(),
            text: sides.iter().flat_map(|s| s.lines.iter().map(|l| (s.side, l.text()))).collect(),
            sides: sides
                .into_iter()
                .map(|s| Upright { side: s.side, quad: s.page.quad, image: s.page.image })
                .collect(),
            portrait,
        })
    }
}

/// The record with what the reading cost.
fn finished(record: Record, mut effort: Effort, started: Instant) -> Record {
    let round = |stages: BTreeMap<&'static str, f64>| {
        stages.into_iter().map(|(stage, ms)| (stage, (ms * 10.0).round() / 10.0)).collect()
    };
    effort.wall_ms.insert("total", started.elapsed().as_secs_f64() * 1e3);
    Record {
        timing_ms: round(effort.wall_ms),
        cpu_ms: round(effort.cpu_ms),
        net_pixels: effort.net_pixels,
        ..record
    }
}

/// Whether a line says anything: what reads worse is a pattern, not text.
fn is_legible(line: &Line) -> bool {
    line.confidence() > ILLEGIBLE
}

fn take_better(best: &mut Option<Decoded>, new: Option<Decoded>) {
    let Some(new) = new else { return };
    let rank =
        |d: &Decoded| (d.mrz.valid(), -(d.mrz.errors.len() as i32), -(d.corrections.len() as i32), d.mean);
    if best.as_ref().is_none_or(|b| rank(&new) > rank(b)) {
        *best = Some(new);
    }
}

/// Every printed line as templates match it, with its side.
fn folded_lines(sides: &[SideReading]) -> Vec<(TemplateSide, String)> {
    sides
        .iter()
        .flat_map(|s| {
            let side = if s.side == Side::Front { TemplateSide::Front } else { TemplateSide::Back };
            s.lines.iter().map(move |l| (side, fold(&l.text())))
        })
        .collect()
}
