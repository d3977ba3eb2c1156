//! Everything that was read from one document, before it is joined and judged.

use std::collections::BTreeMap;

use imaging::Quad;

use crate::codes::Payload;
use crate::fields::Value;
use crate::mrz_zone::Decoded;
use crate::page::{Page, region};
use crate::record::{Barcode, IdentifiedBy, Quality, Side};
use crate::template::{DocumentKind, Template};
use crate::text::Line;

/// Everything that was read from one document.
pub(crate) struct Findings<'a> {
    pub(crate) identified_by: IdentifiedBy,
    pub(crate) kind: Option<&'a str>,
    pub(crate) title: Option<DocumentKind>,
    pub(crate) state: Option<&'a str>,
    pub(crate) template: Option<&'a Template>,
    pub(crate) sides: &'a [SideReading],
    pub(crate) values: &'a [(Side, BTreeMap<String, Value>)],
    pub(crate) mrz: Option<(Side, &'a Decoded)>,
    pub(crate) payload: Option<&'a Payload>,
    pub(crate) portrait_sought: bool,
    pub(crate) portrait_found: bool,
}

/// One side, read.
pub(crate) struct SideReading {
    pub(crate) side: Side,
    pub(crate) page: Page,
    pub(crate) lines: Vec<Line>,
    pub(crate) mrz: Option<Decoded>,
    pub(crate) barcodes: Vec<Barcode>,
    pub(crate) payload: Option<crate::codes::Payload>,
    pub(crate) quality: Quality,
    pub(crate) chroma: f32,
    pub(crate) fringes: Option<f32>,
}

/// Confidence from which a printed value that disagrees counts against the document.
pub(crate) const SURE: f32 = 0.80;

/// The region of a value on its page.
pub(crate) fn place(sides: &[SideReading], side: Side, quad: &Quad) -> Option<[f32; 4]> {
    sides.iter().find(|s| s.side == side).map(|s| region(quad, &s.page.image))
}

/// Kinds whose documents must carry an MRZ on the side that shows the portrait or the title.
pub(crate) fn must_carry_mrz(kind: DocumentKind) -> bool {
    matches!(kind, DocumentKind::Passport | DocumentKind::Visa)
}
