//! Applies a template's field rules to the lines of a side.

use std::collections::BTreeMap;

use imaging::RgbImage;

use crate::fields::{Context, Value, normalise};
use crate::fold::fold;
use crate::geometry::{centre, height};
use crate::page::region;
use crate::record::Side;
use crate::template::{Direction, FieldRule, FieldSet, Template, TemplateSide, ValueKind, compile, holds};
use crate::text::Line;

/// Values that the template's rules find; they take the place of what labels alone found.
pub(crate) fn apply(
    template: &Template,
    side: Side,
    lines: &[Line],
    page: &RgbImage,
    context: Context,
    found: &mut BTreeMap<String, Value>,
) {
    let this = if side == Side::Front { TemplateSide::Front } else { TemplateSide::Back };
    for set in &template.field_sets {
        match set {
            FieldSet::EuDrivingLicence if side == Side::Front => eu_driving_licence(lines, context, found),
            FieldSet::EuDrivingLicence => {}
        }
    }
    for rule in template.fields.iter().filter(|r| r.side.is_none_or(|s| s == this)) {
        if let Some(value) = value_of(rule, lines, page, context) {
            found.insert(rule.name.clone(), value);
        }
    }
}

fn value_of(rule: &FieldRule, lines: &[Line], page: &RgbImage, context: Context) -> Option<Value> {
    let pattern = rule.pattern.as_ref().and_then(|p| compile(p).ok());
    let fits = |line: &Line, text: &str| -> Option<Value> {
        let as_field = match rule.kind {
            ValueKind::Date if rule.name.contains("expir") => "expiration_date",
            ValueKind::Date => "date_of_birth",
            ValueKind::Sex => "gender",
            ValueKind::Name => "last_name",
            ValueKind::Country | ValueKind::Text | ValueKind::Address => "_text",
            ValueKind::Number => "document_number",
        };
        let value = normalise(as_field, line, text, context)?;
        let bare: String = value.value.chars().filter(|c| !c.is_whitespace()).collect();
        pattern.as_ref().is_none_or(|p| p.is_match(&bare)).then_some(value)
    };
    if let Some(number) = &rule.number {
        return numbered(lines, number).into_iter().find_map(|(line, text)| fits(&line, &text));
    }
    if let Some(area) = rule.region {
        let inside = |line: &&Line| {
            let r = region(&line.quad, page);
            let (x, y) = (f32::midpoint(r[0], r[2]), f32::midpoint(r[1], r[3]));
            x >= area[0] && x <= area[2] && y >= area[1] && y <= area[3]
        };
        return lines.iter().filter(inside).find_map(|line| fits(line, &line.text()));
    }
    let near = rule.near.as_ref()?;
    let phrases: Vec<String> = near.any.iter().map(|p| fold(p)).collect();
    let anchor = lines.iter().find(|l| phrases.iter().any(|p| holds(&fold(&l.text()), p, false)))?;
    // What follows the words on their own line comes first when it fits.
    if near.dir == Direction::RightOf {
        let text = anchor.text();
        if let Some(value) = text.split_whitespace().enumerate().skip(1).find_map(|(i, _)| {
            let rest: Vec<&str> = text.split_whitespace().skip(i).collect();
            fits(anchor, &rest.join(" "))
        }) {
            return Some(value);
        }
    }
    let (c, h) = (centre(&anchor.quad), height(&anchor.quad));
    let mut candidates: Vec<(f32, &Line)> = lines
        .iter()
        .filter(|l| !std::ptr::eq(*l, anchor))
        .filter_map(|l| {
            let p = centre(&l.quad);
            let (dx, dy) = (p.x - c.x, p.y - c.y);
            match near.dir {
                Direction::RightOf if dx > 0.0 && dy.abs() < 0.8 * h => Some((dx, l)),
                Direction::Below if dy > 0.3 * h && dy < 5.0 * h => {
                    let overlap = l.quad[0].x < anchor.quad[1].x + h && l.quad[1].x > anchor.quad[0].x - h;
                    overlap.then_some((dy + 0.2 * (l.quad[0].x - anchor.quad[0].x).abs(), l))
                }
                _ => None,
            }
        })
        .collect();
    candidates.sort_by(|a, b| a.0.total_cmp(&b.0));
    candidates.into_iter().find_map(|(_, line)| fits(line, &line.text()))
}

/// Lines that begin with a field number ("4a."), without it; a number read as a line of its own takes the line right of it.
fn numbered(lines: &[Line], number: &str) -> Vec<(Line, String)> {
    let wanted = fold(number);
    let mut out = Vec::new();
    for line in lines {
        let text = line.text();
        let mut words = text.split_whitespace();
        let Some(first) = words.next() else { continue };
        let head = fold(first.trim_end_matches(['.', ',', ':', ')']));
        if head == wanted {
            let rest = words.collect::<Vec<_>>().join(" ");
            if !rest.is_empty() {
                out.push((line.clone(), rest));
                continue;
            }
            let (c, h) = (centre(&line.quad), height(&line.quad));
            let right = lines
                .iter()
                .filter(|l| !std::ptr::eq(*l, line))
                .filter(|l| {
                    (centre(&l.quad).y - c.y).abs() < 0.6 * h
                        && l.quad[0].x > c.x
                        && l.quad[0].x - line.quad[1].x < 6.0 * h
                })
                .min_by(|a, b| a.quad[0].x.total_cmp(&b.quad[0].x));
            if let Some(right) = right {
                out.push((right.clone(), right.text()));
            }
        } else if let Some(rest) = first.strip_prefix(number).filter(|r| r.starts_with(['.', ','])) {
            // "1.MORGAN": the space was lost.
            let rest =
                format!("{} {}", rest.trim_start_matches(['.', ',']), words.collect::<Vec<_>>().join(" "));
            out.push((line.clone(), rest.trim().to_owned()));
        }
    }
    out
}

/// Directive 2006/126/EC, Annex I, 3: the numbered fields of page 1.
fn eu_driving_licence(lines: &[Line], context: Context, found: &mut BTreeMap<String, Value>) {
    let mut take = |number: &str, name: &str, kind: &str| {
        let value = numbered(lines, number).into_iter().find_map(|(line, text)| {
            let text = if kind == "place" {
                // "3. 11.03.1965 LONDON": what follows the date.
                text.split_whitespace()
                    .filter(|w| w.chars().all(|c| !c.is_ascii_digit()))
                    .collect::<Vec<_>>()
                    .join(" ")
            } else {
                text
            };
            normalise(if kind == "place" { "place_of_birth" } else { kind }, &line, &text, context)
        });
        if let Some(value) = value {
            found.insert(name.to_owned(), value);
        }
    };
    take("1", "last_name", "last_name");
    take("2", "first_name", "first_name");
    take("3", "date_of_birth", "date_of_birth");
    take("3", "place_of_birth", "place");
    take("4a", "date_of_issue", "date_of_issue");
    take("4b", "expiration_date", "expiration_date");
    take("4c", "authority", "authority");
    take("4d", "personal_number", "personal_number");
    take("5", "document_number", "document_number");
    take("8", "address", "address");
    take("9", "dl_categories", "_text");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dates::Order;
    use crate::geometry::point;
    use crate::text::recognise::Glyph;

    fn line(text: &str, x: f32, y: f32) -> Line {
        let n = text.chars().count() as f32;
        let glyphs = text
            .chars()
            .enumerate()
            .map(|(i, ch)| Glyph { ch, at: (i as f32 + 0.5) / n, p: 0.99, or: ['\0'; 4] })
            .collect();
        Line {
            quad: [point(x, y), point(x + 10.0 * n, y), point(x + 10.0 * n, y + 20.0), point(x, y + 20.0)],
            glyphs,
            draft: false,
        }
    }

    #[test]
    fn the_numbered_fields_of_a_european_licence_are_read() {
        let context = Context { today: jiff::civil::date(2026, 11, 23), order: Order::DayFirst };
        let lines = [
            line("1. MORGAN", 300.0, 100.0),
            line("2.", 300.0, 130.0),
            line("SARAH MEREDYTH", 340.0, 130.0),
            line("3. 11.03.1976 UNITED KINGDOM", 300.0, 160.0),
            line("4a. 19.01.2013", 300.0, 190.0),
            line("4b. 18.01.2033", 300.0, 220.0),
            line("5. MORGA753116SM9IJ", 300.0, 250.0),
        ];
        let mut found = BTreeMap::new();
        eu_driving_licence(&lines, context, &mut found);
        let value = |n: &str| found.get(n).map(|v| v.value.as_str()).unwrap_or_default();
        assert_eq!(value("last_name"), "MORGAN");
        assert_eq!(value("first_name"), "SARAH MEREDYTH");
        assert_eq!(value("date_of_birth"), "1976-03-11");
        assert_eq!(value("expiration_date"), "2033-01-18");
        assert_eq!(value("place_of_birth"), "UNITED KINGDOM");
        assert_eq!(value("document_number"), "MORGA753116SM9IJ");
    }
}
