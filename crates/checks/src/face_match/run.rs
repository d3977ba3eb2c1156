//! Compares faces, and says which portrait the selfie was compared with.

use evidence::Signal;
use face::Face;
use imaging::RgbImage;
use serde::Serialize;
use serde_json::json;
use workflow::{CheckState, Feature, Finding};

use super::KEPT;
use crate::{
    Engines, Input, Ran, chain,
    faces::{Entities, Look, entities, look, look_at},
    facts::{Comparison, Fact, Facts, Source},
    pictures::Unreadable,
    round::may_give,
};

/// The block of a comparison, without status and warnings; what was not reached is left out.
#[derive(Debug, Default, Serialize)]
struct Block {
    score: Option<f64>,
    #[serde(flatten)]
    seen: Option<Seen>,
    /// Where a second picture was compared: the similarity with the document's portrait …
    #[serde(skip_serializing_if = "Option::is_none")]
    document_score: Option<Option<f64>>,
    /// … and with the picture that the owner gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    portrait_image_score: Option<Option<f64>>,
    /// The faces in the picture that the owner gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    given_image: Option<Option<Entities>>,
    /// `chip` where the chip's own portrait was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
}

#[derive(Debug, Clone, Serialize)]
struct Seen {
    model: Option<String>,
    user_image: Entities,
    ref_image: Option<Entities>,
}

type Compared = (Finding, Block);

fn failed(reason: &str) -> Compared {
    (Finding::failed(Feature::FaceMatch, reason), Block::default())
}

pub(super) fn run(engines: &Engines, input: &Input<'_>) -> Ran {
    let submission = input.submission;
    let selfie = submission.selfie(engines);
    let given = submission.capture("portrait").map(|capture| {
        let picture = capture.picture().map_err(Unreadable::message)?;
        submission.look_at(engines, &picture.pixels)
    });
    let (finding, block, with) = if may_give(input.definition, Fact::Portrait) {
        match with_chip(engines, input.facts.portrait(Source::Chip), given.as_ref(), selfie) {
            Some((finding, block)) => (finding, block, Source::Chip),
            None => {
                let printed = input.facts.portrait(Source::Print);
                let (finding, block) = compare(engines, printed, given.as_ref(), selfie);
                (finding, block, Source::Print)
            }
        }
    } else {
        let kept = || input.gathered.opened.get(KEPT).map(|bytes| look(engines, Some(bytes)));
        let (finding, block) = recognise(engines, given.or_else(kept).as_ref(), selfie);
        (finding, block, Source::Owner)
    };
    match serde_json::to_value(block) {
        Ok(block) => {
            let comparison = Some(Comparison { with });
            Ran { facts: Facts { comparison, ..Facts::default() }, ..Ran::of(finding, block) }
        }
        Err(error) => Ran::failed(Feature::FaceMatch, &chain(&error)),
    }
}

/// Compares with the portrait that the issuer signed, in place of the one cut out of a picture. `None` where that could
/// not be done: the printed one is then compared.
fn with_chip(
    engines: &Engines,
    portrait: Option<&RgbImage>,
    given: Option<&Result<Look, String>>,
    selfie: &Result<Look, String>,
) -> Option<Compared> {
    let (finding, mut block) = compare(engines, Some(portrait?), given, selfie);
    if finding.state != CheckState::Done || finding.score.is_none() {
        return None;
    }
    block.source = Some(Source::Chip);
    Some((finding, block))
}

/// Compares the selfie with the portrait of the document, and with the picture that the owner gave, when there is one:
/// the lower similarity counts.
fn compare(
    engines: &Engines,
    portrait: Option<&RgbImage>,
    given: Option<&Result<Look, String>>,
    selfie: &Result<Look, String>,
) -> Compared {
    let (mut finding, mut block) = compare_portrait(engines, portrait, selfie);
    let (Some(given), Ok(user)) = (given, selfie) else { return (finding, block) };
    let (other, other_block) = match given {
        Ok(reference) => compare_looks(engines, user, Some(reference)),
        Err(reason) => failed(reason),
    };
    block.document_score = Some(finding.score);
    block.portrait_image_score = Some(other.score);
    if other.state != CheckState::Done {
        return (other, block);
    }
    finding.score = match (finding.score, other.score) {
        (Some(a), Some(b)) => Some(a.min(b)),
        _ => None,
    };
    finding.signals.extend(other.signals);
    block.score = finding.score;
    block.given_image = Some(other_block.seen.and_then(|seen| seen.ref_image));
    (finding, block)
}

/// Compares the selfie of a returning person with the portrait kept of them, or given by the owner.
fn recognise(
    engines: &Engines,
    kept: Option<&Result<Look, String>>,
    selfie: &Result<Look, String>,
) -> Compared {
    let user = match selfie {
        Ok(look) => look,
        Err(reason) => return failed(reason),
    };
    match kept {
        None => compare_looks(engines, user, None),
        Some(Ok(reference)) => compare_looks(engines, user, Some(reference)),
        Some(Err(reason)) => failed(reason),
    }
}

fn compare_portrait(
    engines: &Engines,
    portrait: Option<&RgbImage>,
    selfie: &Result<Look, String>,
) -> Compared {
    let selfie = match selfie {
        Ok(look) => look,
        Err(reason) => return failed(reason),
    };
    match portrait.map(|portrait| look_at(engines, portrait)).transpose() {
        Ok(portrait) => compare_looks(engines, selfie, portrait.as_ref()),
        Err(reason) => failed(&reason),
    }
}

/// Compares the most prominent faces of two pictures.
fn compare_looks(engines: &Engines, user: &Look, reference: Option<&Look>) -> (Finding, Block) {
    let mut finding = Finding::done(Feature::FaceMatch);
    let block = |score: Option<f64>, model: Option<String>| {
        let seen = Seen { model, user_image: entities(user), ref_image: reference.map(entities) };
        Block { score, seen: Some(seen), ..Block::default() }
    };
    let faces = user.main().zip(reference.and_then(|look| Some((look, look.main()?))));
    let Some((face, (reference_look, reference_face))) = faces else {
        let shows = json!({
            "face_in_user_image": user.main().is_some(),
            "face_in_reference": reference.is_some_and(|look| look.main().is_some()),
        });
        finding.signals.push(Signal::certain("NO_REFERENCE_IMAGE", "face.detect/1", shows));
        return (finding, block(None, None));
    };
    let compared = engines.faces().map_err(|error| chain(&error)).and_then(|engine| {
        let template = |look: &Look, face: &Face| {
            engine
                .template(&look.image, face)
                .map_err(|error| chain(&error))?
                .ok_or_else(|| "a face could not be aligned".to_owned())
        };
        let (a, b) = (template(user, face)?, template(reference_look, reference_face)?);
        let similarity = engine.compare(&a, &b).map_err(|error| chain(&error))?;
        Ok((similarity, engine.model().to_owned()))
    });
    match compared {
        Ok((similarity, model)) => {
            finding.score = Some(similarity.score_0_100);
            (finding, block(Some(similarity.score_0_100), Some(model)))
        }
        Err(reason) => (Finding::failed(Feature::FaceMatch, &reason), block(None, None)),
    }
}
