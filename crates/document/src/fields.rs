//! Takes values from the printed side by the labels beside them, in any language of `data/labels.toml`.
//!
//! A label and its value are joined by place alone (right of it, or below it in the same column) and by the
//! value's type (a date must be a date). No layout is known here; templates refine what this finds.

use std::collections::BTreeMap;

use imaging::{Point, Quad};

use crate::dates::{self, Order, PartialDate, Role};
use crate::fold::fold;
use crate::geometry::{centre, height, width};
use crate::labels;
use crate::text::Line;
use crate::text::recognise::Glyph;
use crate::titles;

/// A value taken from the printed side.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    /// Normalised as in [`crate::Field::value`].
    pub(crate) value: String,
    /// As printed.
    pub(crate) raw: String,
    /// Least probability of its characters.
    pub(crate) confidence: f32,
    /// Corners on the page.
    pub(crate) quad: Quad,
    /// Whether a label named it (rather than its form alone).
    pub(crate) labelled: bool,
}

/// A box in the page's text direction.
#[derive(Debug, Clone, Copy)]
struct Place {
    x0: f32,
    x1: f32,
    y: f32,
    h: f32,
}

impl Place {
    fn of(quad: &Quad, direction: Point) -> Self {
        let c = centre(quad);
        let (x, y) = (c.x * direction.x + c.y * direction.y, -c.x * direction.y + c.y * direction.x);
        let half = width(quad) / 2.0;
        Self { x0: x - half, x1: x + half, y, h: height(quad) }
    }

    fn join(self, other: Self) -> Self {
        Self {
            x0: self.x0.min(other.x0),
            x1: self.x1.max(other.x1),
            y: f32::midpoint(self.y, other.y),
            h: self.h.max(other.h),
        }
    }
}

struct Label {
    field: &'static str,
    place: Place,
    line: usize,
    /// Guessed from a line that was badly read: what a plain label is beside comes first.
    doubtful: bool,
}

struct Piece {
    line: Line,
    text: String,
    place: Place,
    /// Line it came from and whether it is what is left of a line that carries a label.
    source: usize,
    rest_of_label: bool,
}

/// What the reading of values needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    pub(crate) today: jiff::civil::Date,
    pub(crate) order: Order,
}

/// Mean direction of text on a page, a unit vector; wide lines weigh most.
fn direction(lines: &[Line]) -> Point {
    let (mut x, mut y) = (0.0, 0.0);
    for line in lines {
        let q = &line.quad;
        x += (q[1].x - q[0].x) + (q[2].x - q[3].x);
        y += (q[1].y - q[0].y) + (q[2].y - q[3].y);
    }
    let length = x.hypot(y);
    if length < 1e-3 { Point { x: 1.0, y: 0.0 } } else { Point { x: x / length, y: y / length } }
}

/// Every field that a label on the page names and a fitting value stands beside.
pub(crate) fn extract(lines: &[Line], context: Context) -> BTreeMap<String, Value> {
    let lines = &joined_digits(lines);
    let direction = direction(lines);
    let (labels, pieces) = split(lines, direction);
    let mut candidates: Vec<(f32, usize, usize)> = Vec::new();
    for (l, label) in labels.iter().enumerate() {
        if label.field.starts_with('_') && label.field != "_both_names" && label.field != "_type" {
            continue;
        }
        for (p, piece) in pieces.iter().enumerate() {
            if let Some(cost) = cost(label, piece, &labels)
                && normalise(label.field, &piece.line, &piece.text, context).is_some()
            {
                candidates.push((cost + f32::from(u8::from(label.doubtful)), l, p));
            }
        }
    }
    candidates.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut out: BTreeMap<String, Value> = BTreeMap::new();
    let mut taken = vec![false; pieces.len()];
    for (_, l, p) in candidates {
        let label = &labels[l];
        let piece = &pieces[p];
        if taken[p] || out.contains_key(label.field) {
            continue;
        }
        let Some(value) = normalise(label.field, &piece.line, &piece.text, context) else { continue };
        taken[p] = true;
        out.insert(label.field.to_owned(), value);
        // What stands directly under the first line in the same column belongs to it.
        let lines_more = match label.field {
            "_both_names" => 1,
            "address" => 4,
            "first_name" | "last_name" | "full_name" => 1,
            _ => 0,
        };
        let mut above = piece.place;
        for _ in 0..lines_more {
            let next = pieces.iter().enumerate().find(|(i, other)| {
                !taken[*i]
                    && !other.rest_of_label
                    && other.place.y > above.y + 0.3 * above.h
                    && other.place.y - above.y < 1.7 * above.h.max(other.place.h)
                    && (other.place.x0 - above.x0).abs() < 1.2 * above.h
                    && (other.place.h / above.h - 1.0).abs() < 0.6
                    && (label.field == "_both_names" || goes_on(&piece.line, &other.line))
                    && normalise(label.field, &other.line, &other.text, context).is_some()
                    && !labels.iter().any(|lab| {
                        lab.field != label.field
                            && lab.place.y > above.y
                            && lab.place.y < other.place.y
                            && lab.place.x0 < other.place.x1
                            && lab.place.x1 > other.place.x0
                    })
            });
            let Some((i, other)) = next else { break };
            taken[i] = true;
            above = other.place;
            let Some(more) = normalise(label.field, &other.line, &other.text, context) else { break };
            if label.field == "_both_names" {
                out.insert("first_name".to_owned(), Value { value: more.value.clone(), ..more });
            } else if let Some(value) = out.get_mut(label.field) {
                let glue = if label.field == "address" { ", " } else { " " };
                value.value = format!("{}{glue}{}", value.value, more.value);
                value.raw = format!("{}\n{}", value.raw, more.raw);
                value.confidence = value.confidence.min(more.confidence);
                value.quad = [value.quad[0], value.quad[1], more.quad[2], more.quad[3]];
            }
        }
    }
    if let Some(both) = out.remove("_both_names") {
        if let Some((last, first)) = both.value.clone().split_once(',')
            && !out.contains_key("first_name")
        {
            out.entry("last_name".to_owned())
                .or_insert(Value { value: last.trim().to_owned(), ..both.clone() });
            out.insert("first_name".to_owned(), Value { value: first.trim().to_owned(), ..both });
        } else {
            out.entry("last_name".to_owned()).or_insert(both);
        }
    }
    // One label for the whole name: "DOE, JANE".
    if !out.contains_key("first_name")
        && let Some(whole) = out.get("last_name").cloned()
        && let Some((last, first)) = whole.value.split_once(',')
        && [last, first].iter().all(|part| part.chars().any(char::is_alphabetic))
    {
        out.insert("last_name".to_owned(), Value { value: last.trim().to_owned(), ..whole.clone() });
        out.insert("first_name".to_owned(), Value { value: first.trim().to_owned(), ..whole.clone() });
    }
    out.remove("_type");
    out
}

/// Mean probability of its characters below which a line may be a label that was badly read: labels are small print,
/// values are not. Of labels that were misread beyond recognition on public specimens the surest came to .89.
const DOUBTFUL: f32 = 0.9;
/// Mean probability from which the line below a value may be more of it.
const LEGIBLE: f32 = 0.75;

/// Whether a line may go on with the value that the line above began: it is legible, and set in capitals if that is.
fn goes_on(above: &Line, line: &Line) -> bool {
    let lower = |line: &Line| {
        let count = |is: fn(char) -> bool| line.glyphs.iter().filter(|g| is(g.ch)).count();
        2 * count(char::is_lowercase) > count(char::is_alphabetic)
    };
    line.confidence() >= LEGIBLE && lower(above) == lower(line)
}

/// Lines with the parts of one date put together: some issuers set day, month and year so far apart that each is found
/// as a line of its own.
pub(crate) fn joined_digits(lines: &[Line]) -> Vec<Line> {
    let digits = |line: &Line| {
        line.glyphs.iter().all(|g| g.ch.is_ascii_digit() || matches!(g.ch, ' ' | '.' | '-' | '/'))
            && (2..=8).contains(&line.glyphs.len())
    };
    let mut out: Vec<Line> = Vec::with_capacity(lines.len());
    let mut parts: Vec<&Line> = lines.iter().filter(|line| digits(line)).collect();
    out.extend(lines.iter().filter(|line| !digits(line)).cloned());
    parts.sort_by(|a, b| a.quad[0].x.total_cmp(&b.quad[0].x));
    let mut used = vec![false; parts.len()];
    for i in 0..parts.len() {
        if std::mem::replace(&mut used[i], true) {
            continue;
        }
        let mut line = parts[i].clone();
        for j in i + 1..parts.len() {
            let (end, next) = (line.quad[1], parts[j]);
            let h = line.height().max(next.height());
            let gap = next.quad[0].x - end.x;
            let beside = (centre(&next.quad).y - f32::midpoint(end.y, line.quad[2].y)).abs() < 0.35 * h;
            if !used[j]
                && beside
                && (0.0..1.2 * h).contains(&gap)
                && line.glyphs.len() + next.glyphs.len() <= 9
            {
                used[j] = true;
                line = line_of_both(&line, next);
            }
        }
        out.push(line);
    }
    out
}

/// Two lines beside each other as one, with a space between.
fn line_of_both(left: &Line, right: &Line) -> Line {
    let (a, b) = (width(&left.quad), width(&right.quad));
    let whole = (right.quad[1].x - left.quad[0].x).hypot(right.quad[1].y - left.quad[0].y).max(1.0);
    let moved = |line: &Line, from: f32, share: f32| -> Vec<Glyph> {
        line.glyphs.iter().map(|g| Glyph { at: from + share * g.at, ..*g }).collect()
    };
    let mut glyphs = moved(left, 0.0, a / whole);
    glyphs.push(Glyph { ch: ' ', at: f32::midpoint(a / whole, 1.0 - b / whole), p: 1.0, or: ['\0'; 4] });
    glyphs.extend(moved(right, 1.0 - b / whole, b / whole));
    Line {
        quad: [left.quad[0], right.quad[1], right.quad[2], left.quad[3]],
        glyphs,
        draft: left.draft || right.draft,
    }
}

/// Parts each line into its labels and what is left.
fn split(lines: &[Line], direction: Point) -> (Vec<Label>, Vec<Piece>) {
    let mut labels: Vec<Label> = Vec::new();
    let mut pieces = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let chars: Vec<char> = line.glyphs.iter().map(|g| g.ch).collect();
        let found = labels::find(&chars);
        if found.is_empty() || is_all_value(&chars, &found) {
            let text = line.text();
            if found.is_empty()
                && line.confidence() < DOUBTFUL
                && let Some(field) = labels::doubtful(&chars)
            {
                let place = Place::of(&line.quad, direction);
                labels.push(Label { field, place, line: index, doubtful: true });
                continue;
            }
            if !text.is_empty() && !titles::only(&fold(&text)) {
                pieces.push(Piece {
                    place: Place::of(&line.quad, direction),
                    text,
                    line: line.clone(),
                    source: index,
                    rest_of_label: false,
                });
            }
            continue;
        }
        let mut rest_from = 0;
        let mut last: Option<(usize, usize)> = None;
        for (i, label) in found.iter().enumerate() {
            // Text before the first label of a line is a value only when it is not a label of an unknown language.
            rest_from = rest_from.max(label.glyphs.end);
            // "Місце народження/Place of birth": the whole line is the label.
            let tongue = i == 0
                && chars[..label.glyphs.start]
                    .iter()
                    .rev()
                    .find(|c| !c.is_whitespace())
                    .is_some_and(|c| *c == '/');
            let from = if tongue { 0 } else { label.glyphs.start };
            let Some(part) = line.slice(from..label.glyphs.end) else { continue };
            let place = Place::of(&part.quad, direction);
            let gap_from = last.map_or(label.glyphs.start, |(_, end)| end);
            let between = &chars[gap_from..label.glyphs.start];
            let joined = last.is_some() && between.iter().filter(|c| c.is_alphanumeric()).count() <= 2;
            let text = fold(&chars[label.glyphs.clone()].iter().collect::<String>());
            let same = last.and_then(|(at, _)| labels.get(at)).is_some_and(|l| l.field == label.field);
            let both_names = |a: &str| matches!(a, "last_name" | "first_name" | "full_name");
            let names = last.and_then(|(at, _)| labels.get(at)).is_some_and(|l| both_names(l.field))
                && both_names(label.field);
            if joined && (same || (names && between.contains(&'/'))) {
                if let Some((at, _)) = last
                    && let Some(group) = labels.get_mut(at)
                {
                    group.place = group.place.join(place);
                    if !same && !MANY_MEANINGS.contains(&text.as_str()) {
                        group.field = label.field;
                    }
                    last = Some((at, label.glyphs.end));
                }
            } else {
                labels.push(Label { field: label.field, place, line: index, doubtful: false });
                last = Some((labels.len() - 1, label.glyphs.end));
            }
            // What stands between this label and the next may be its value.
            let next = found.get(i + 1).map_or(chars.len(), |n| n.glyphs.start);
            let slash = chars[label.glyphs.end..next]
                .iter()
                .find(|c| !c.is_whitespace())
                .is_some_and(|c| matches!(c, '/' | '(' | '·' | '|'));
            let words = labels::words(&chars[label.glyphs.end..next]);
            let ordinal = |w: &labels::Word| w.text.len() <= 2 && w.text.chars().all(|c| c.is_ascii_digit());
            let start = words
                .iter()
                .find(|w| !(ordinal(w) && words.len() > 1 && slash))
                .map(|w| w.glyphs.start + label.glyphs.end);
            let end = words.last().map(|w| w.glyphs.end + label.glyphs.end);
            if let (Some(start), Some(end)) = (start, end)
                && !(slash && words.iter().all(|w| ordinal(w) || w.text.chars().all(char::is_alphabetic)))
                && let Some(part) = line.slice(start..end)
                && !(part.confidence() < DOUBTFUL && labels::doubtful(&chars[start..end]).is_some())
            {
                pieces.push(Piece {
                    place: Place::of(&part.quad, direction),
                    text: part.text(),
                    line: part,
                    source: index,
                    rest_of_label: true,
                });
            }
        }
    }
    (labels, pieces)
}

/// Label words that mean a surname in one language and a given name in another.
const MANY_MEANINGS: [&str; 8] = ["NOM", "NOME", "NAME", "NOMBRE", "NAAM", "IME", "NUME", "NAVN"];

/// A line whose only label is one short word among several is a value that happens to hold it ("RUE DU NOM").
fn is_all_value(chars: &[char], found: &[labels::Found]) -> bool {
    let letters = chars.iter().filter(|c| c.is_alphanumeric()).count();
    let covered: usize = found.iter().map(|f| f.glyphs.len()).sum();
    let first = found.first().map_or(0, |f| f.glyphs.start);
    let before = chars[..first.min(chars.len())].iter().filter(|c| c.is_alphanumeric()).count();
    found.len() == 1 && before > 4 && covered * 3 < letters
}

/// How far a piece is from being this label's value; `None` when it cannot be.
fn cost(label: &Label, piece: &Piece, labels: &[Label]) -> Option<f32> {
    let (l, p) = (label.place, piece.place);
    let h = l.h.max(p.h).max(1.0);
    if piece.rest_of_label && piece.source == label.line {
        let gap = p.x0 - l.x1;
        return (gap > -h && gap < 12.0 * h).then(|| 0.2 + gap.max(0.0) / (8.0 * h));
    }
    if piece.rest_of_label {
        return None;
    }
    let dy = p.y - l.y;
    if dy.abs() < 0.55 * h && p.x0 > l.x1 - 0.5 * h {
        let gap = (p.x0 - l.x1).max(0.0) / h;
        let blocked = labels.iter().any(|other| {
            !std::ptr::eq(other, label)
                && (other.place.y - l.y).abs() < 0.6 * h
                && other.place.x0 > l.x1 - 0.5 * h
                && other.place.x1 < p.x0 + 0.5 * h
        });
        return (!blocked && gap < 14.0).then_some(0.6 + gap / 4.0);
    }
    if dy > 0.35 * h && dy < 3.6 * h {
        let overlap = p.x1.min(l.x1) - p.x0.max(l.x0);
        if overlap < -0.8 * h {
            return None;
        }
        // A label of another field in between, over the same column, owns what is below it.
        let blocked = labels.iter().any(|other| {
            other.field != label.field
                && other.place.y > l.y + 0.3 * l.h
                && other.place.y < p.y - 0.25 * p.h
                && other.place.x0 < p.x1
                && other.place.x1 > p.x0.max(l.x0)
        });
        let shift = (p.x0 - l.x0).abs().min(((p.x0 + p.x1) - (l.x0 + l.x1)).abs() / 2.0) / h;
        return (!blocked).then_some(0.3 * dy / h + 0.25 * shift);
    }
    // A value may stand above its label (driving licences of some states): last resort, dates only.
    None
}

/// The value as the field's type wants it; `None` when it is not of that type.
pub(crate) fn normalise(field: &str, line: &Line, text: &str, context: Context) -> Option<Value> {
    let text = text.trim_matches(|c: char| {
        c.is_whitespace() || matches!(c, ':' | '.' | ',' | ';' | '/' | '-' | '|' | '*')
    });
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let value = match field {
        "date_of_birth" => date(text, Role::Past, context)?.to_string(),
        "date_of_issue" => date(text, Role::Past, context)?.to_string(),
        "expiration_date" => date(text, Role::Expiry, context)?.to_string(),
        "gender" => sex(text)?.to_owned(),
        "last_name" | "first_name" | "full_name" | "birth_name" | "_both_names" => (letters >= 1
            && digits == 0
            && letters * 10 >= text.chars().filter(|c| !c.is_whitespace()).count() * 6
            && text.chars().count() <= 60)
            .then(|| text.to_owned())?,
        "document_number" | "personal_number" => {
            let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            let fitting =
                squeezed.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '.' | '*'));
            let one_number = text.split_whitespace().count() <= 5;
            (fitting
                && one_number
                && (5..=24).contains(&squeezed.len())
                && squeezed.chars().filter(char::is_ascii_digit).count() >= 2
                && dates::parse(text, Role::Any, context.order, context.today)
                    .is_none_or(|_| squeezed.len() == 8 && !text.contains(['.', '/', '-', ' '])))
            .then_some(squeezed)?
        }
        "issuing_state" => (letters == 3 && text.len() == 3).then(|| text.to_uppercase())?,
        "nationality" => {
            (letters >= 1 && digits == 0 && text.chars().count() <= 40).then(|| text.to_owned())?
        }
        "card_access_number" => (digits == 6 && text.len() == 6).then(|| text.to_owned())?,
        "height" => (digits >= 2 && text.len() <= 10).then(|| text.to_owned())?,
        "blood_group" => (text.len() <= 6).then(|| text.to_owned())?,
        "_type" => (text.len() <= 3).then(|| text.to_owned())?,
        _ => (letters + digits >= 2).then(|| text.to_owned())?,
    };
    let confidence = line.glyphs.iter().filter(|g| g.ch.is_alphanumeric()).map(|g| g.p).fold(1.0, f32::min);
    Some(Value { value, raw: text.to_owned(), confidence, quad: line.quad, labelled: true })
}

fn date(text: &str, role: Role, context: Context) -> Option<PartialDate> {
    dates::parse(text, role, context.order, context.today)
}

/// `M`, `F` or `X` from what documents print ("F/F", "М/M", "Female", "K / F").
pub(crate) fn sex(text: &str) -> Option<&'static str> {
    let folded = fold(text);
    let words: Vec<&str> = folded.split(' ').filter(|w| !w.is_empty()).collect();
    if words.is_empty() || words.len() > 3 {
        return None;
    }
    let one = |w: &str| match w {
        "F" | "FEMALE" | "FEMININ" | "FEMENINO" | "FEMININO" | "FEMMINILE" | "FEMME" | "WEIBLICH" | "W"
        | "MUJER" | "Ж" | "VROUW" | "KOBIETA" => Some("F"),
        "M" | "MALE" | "MASCULIN" | "MASCULINO" | "MASCHILE" | "HOMME" | "MANNLICH" | "HOMBRE" | "М"
        | "Ч" | "MAN" | "MEZCZYZNA" => Some("M"),
        "X" => Some("X"),
        _ => None,
    };
    let found: Vec<&str> = words.iter().filter_map(|w| one(w)).collect();
    let first = *found.first()?;
    found.iter().all(|s| *s == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::point;

    const CONTEXT: Context = Context { today: jiff::civil::date(2026, 11, 23), order: Order::DayFirst };

    fn line(text: &str, x: f32, y: f32, h: f32) -> Line {
        let n = text.chars().count() as f32;
        let w = n * h * 0.5;
        let glyphs = text
            .chars()
            .enumerate()
            .map(|(i, ch)| Glyph { ch, at: (i as f32 + 0.5) / n, p: 0.99, or: ['\0'; 4] })
            .collect();
        Line {
            quad: [point(x, y), point(x + w, y), point(x + w, y + h), point(x, y + h)],
            glyphs,
            draft: false,
        }
    }

    fn value(fields: &BTreeMap<String, Value>, name: &str) -> String {
        fields.get(name).map(|v| v.value.clone()).unwrap_or_default()
    }

    #[test]
    fn values_below_their_labels_are_taken() {
        let lines = [
            line("Nom / Surname (1)", 100.0, 100.0, 16.0),
            line("VAN DER BERG", 100.0, 120.0, 20.0),
            line("Prénoms / Given names (2)", 100.0, 145.0, 16.0),
            line("José", 100.0, 165.0, 20.0),
            line("Date de naissance / Date of birth (4)", 100.0, 190.0, 16.0),
            line("21.08.1997", 100.0, 210.0, 20.0),
            line("Lieu de naissance / Place of birth (6)", 450.0, 190.0, 16.0),
            line("Zenith", 450.0, 210.0, 20.0),
        ];
        let fields = extract(&lines, CONTEXT);
        assert_eq!(value(&fields, "last_name"), "VAN DER BERG");
        assert_eq!(value(&fields, "first_name"), "José");
        assert_eq!(value(&fields, "date_of_birth"), "1997-08-21");
        assert_eq!(value(&fields, "place_of_birth"), "Zenith");
    }

    #[test]
    fn values_right_of_their_labels_and_on_the_same_line_are_taken() {
        let lines = [
            line("DOB: 08/31/1978", 100.0, 100.0, 20.0),
            line("Sex F", 100.0, 130.0, 20.0),
            line("Surname", 100.0, 160.0, 20.0),
            line("MUSTERMANN", 300.0, 160.0, 20.0),
        ];
        let fields = extract(&lines, CONTEXT);
        assert_eq!(value(&fields, "date_of_birth"), "1978-08-31");
        assert_eq!(value(&fields, "gender"), "F");
        assert_eq!(value(&fields, "last_name"), "MUSTERMANN");
    }

    #[test]
    fn one_label_for_both_names_takes_two_lines() {
        let lines = [
            line("NAME, Vornamen / SURNAME, Given names", 100.0, 100.0, 14.0),
            line("ŠIMEK", 100.0, 118.0, 22.0),
            line("Marta", 100.0, 142.0, 22.0),
            line("Geschlecht / Sex", 100.0, 180.0, 14.0),
            line("F", 100.0, 198.0, 22.0),
        ];
        let fields = extract(&lines, CONTEXT);
        assert_eq!(value(&fields, "last_name"), "ŠIMEK");
        assert_eq!(value(&fields, "first_name"), "Marta");
        assert_eq!(value(&fields, "gender"), "F");
    }

    #[test]
    fn a_label_over_two_lines_owns_the_value_below_both() {
        let lines = [
            line("Staatsangehörigkeit", 100.0, 100.0, 16.0),
            line("/Nationality/Nationalité", 100.0, 117.0, 14.0),
            line("D", 100.0, 134.0, 18.0),
            line("Gültig bis", 100.0, 154.0, 16.0),
            line("/Expiry date/Date d'expiration", 100.0, 171.0, 14.0),
            line("31.10.2030", 100.0, 188.0, 18.0),
        ];
        let fields = extract(&lines, CONTEXT);
        assert_eq!(value(&fields, "nationality"), "D");
        assert_eq!(value(&fields, "expiration_date"), "2030-10-31");
    }

    /// A line whose characters were read with this probability.
    fn unsure(p: f32, line: Line) -> Line {
        Line { glyphs: line.glyphs.into_iter().map(|g| Glyph { p, ..g }).collect(), ..line }
    }

    #[test]
    fn a_title_is_no_label_with_a_value_and_no_value_of_a_label() {
        let lines = [
            line("RESIDENCE PERMIT / PERMIS DE SÉJOUR", 500.0, 100.0, 16.0),
            line("Anschrift / Address", 100.0, 130.0, 16.0),
            line("PASSPORT", 100.0, 148.0, 18.0),
            line("UFERSTR. 8", 100.0, 168.0, 18.0),
            line("Authority", 400.0, 200.0, 16.0),
            line("PASSPORT OFFICE", 400.0, 218.0, 18.0),
        ];
        let fields = extract(&lines, CONTEXT);
        assert_eq!(value(&fields, "address"), "UFERSTR. 8");
        assert_eq!(value(&fields, "authority"), "PASSPORT OFFICE");
    }

    #[test]
    fn a_label_in_another_script_before_a_stroke_belongs_to_the_label() {
        let lines = [
            line("Micue Hapaupkerers/ Place of birth", 190.0, 100.0, 14.0),
            line("KYIV/UKR", 190.0, 116.0, 16.0),
            line("O, u/ uority", 360.0, 134.0, 14.0),
            line("XXXX", 360.0, 150.0, 16.0),
        ];
        assert_eq!(value(&extract(&lines, CONTEXT), "place_of_birth"), "KYIV/UKR");
    }

    #[test]
    fn a_badly_read_label_below_a_name_is_not_more_of_it() {
        let lines = [
            line("Surname / Nom", 100.0, 100.0, 14.0),
            line("SPECIMEN", 100.0, 116.0, 18.0),
            unsure(0.7, line("Chwen name(sl/ Prinoméa)", 98.0, 136.0, 14.0)),
            line("SAMPLE", 100.0, 152.0, 18.0),
            unsure(0.7, line("Drieljaratvo/Ratiorelly/Naticralte", 98.0, 172.0, 14.0)),
            line("HRVATSKO", 100.0, 188.0, 18.0),
            unsure(0.7, line("Mjsto NABOZENT/ PLACT OF SURTH", 98.0, 208.0, 14.0)),
            line("ZAGREB", 100.0, 224.0, 18.0),
        ];
        let fields = extract(&lines, CONTEXT);
        assert_eq!(value(&fields, "last_name"), "SPECIMEN");
        assert_eq!(value(&fields, "nationality"), "HRVATSKO");
        assert_eq!(value(&fields, "place_of_birth"), "ZAGREB");
        // A name over two lines stays one.
        let lines = [
            line("Surname / Nom", 100.0, 100.0, 14.0),
            line("VAN DER BERG", 100.0, 116.0, 18.0),
            line("DE LA TORRE", 100.0, 136.0, 18.0),
        ];
        assert_eq!(value(&extract(&lines, CONTEXT), "last_name"), "VAN DER BERG DE LA TORRE");
    }

    #[test]
    fn one_label_for_a_name_with_a_comma_gives_both_names() {
        let lines = [line("Name", 100.0, 100.0, 14.0), line("CRITTENDEN, LEE W", 100.0, 116.0, 18.0)];
        let fields = extract(&lines, CONTEXT);
        assert_eq!(value(&fields, "last_name"), "CRITTENDEN");
        assert_eq!(value(&fields, "first_name"), "LEE W");
    }

    #[test]
    fn a_date_whose_parts_stand_far_apart_is_one() {
        let lines = [
            line("Date of birth", 100.0, 100.0, 14.0),
            line("07", 100.0, 116.0, 18.0),
            line("03", 130.0, 116.0, 18.0),
            line("1971", 162.0, 117.0, 18.0),
            line("12345", 320.0, 116.0, 18.0),
        ];
        assert_eq!(value(&extract(&lines, CONTEXT), "date_of_birth"), "1971-03-07");
    }

    #[test]
    fn sex_is_read_in_the_forms_documents_print() {
        for (text, sex_is) in [("F/F", "F"), ("Ж/F", "F"), ("M", "M"), ("Male", "M"), ("X", "X")] {
            assert_eq!(sex(text), Some(sex_is), "{text}");
        }
        assert_eq!(sex("M/F"), None);
        assert_eq!(sex("Zenith"), None);
    }
}
