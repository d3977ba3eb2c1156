//! The checks on faces: a selfie looked at once, then judged, compared and aged.

use evidence::Signal;
use face::Face;
use imaging::RgbImage;
use serde_json::{Value, json};
use workflow::{CheckState, Definition, Feature, Finding};

use super::decode_photo;
use crate::{
    active::Outcome,
    engines::{Engines, chain},
};

/// A picture with the faces in it, the most prominent first.
pub(crate) struct Look {
    pub(crate) image: RgbImage,
    pub(crate) faces: Vec<Face>,
}

impl Look {
    pub(crate) fn main(&self) -> Option<&Face> {
        self.faces.first()
    }

    /// Leaves out turned faces where the caller did not ask for turned pictures to be tried (`rotate_image`).
    pub(crate) fn keep_upright(&mut self, turned_too: bool) {
        self.faces.retain(|face| turned_too || face.quarter_turns == 0);
    }
}

/// Decodes a picture of a person and finds the faces.
pub(crate) fn look(engines: &Engines, bytes: Option<&[u8]>) -> Result<Look, String> {
    let bytes = bytes.ok_or("no picture of the person")?;
    let picture = decode_photo(bytes).map_err(|error| error.message())?;
    look_at(engines, picture.pixels)
}

/// Finds the faces of a decoded picture.
pub(crate) fn look_at(engines: &Engines, pixels: RgbImage) -> Result<Look, String> {
    let engine = engines.faces().map_err(|error| chain(&error))?;
    // A face fills a good part of a selfie: more pixels than this only cost time.
    let image = imaging::fit_within(&pixels, 1280);
    let faces = engine.faces(&image).map_err(|error| chain(&error))?;
    Ok(Look { image, faces })
}

/// Liveness scores at or below the first decline, at or below the second go to review (the API's legacy defaults).
const LIVENESS_BANDS: (f64, f64) = (30.0, 70.0);

/// Faces as the API lists them.
pub(crate) fn entities(look: &Look) -> Value {
    let faces: Vec<Value> = look
        .faces
        .iter()
        .map(|face| {
            #[expect(clippy::cast_possible_truncation, reason = "pixels of a picture")]
            let bbox: Vec<i64> = face.bbox.iter().map(|edge| edge.round() as i64).collect();
            json!({ "bbox": bbox, "confidence": face.confidence, "age": null, "gender": null, "race": null })
        })
        .collect();
    let angle = look.main().map_or(0, |face| i64::from(face.quarter_turns) * 90);
    json!({ "entities": faces, "best_angle": angle })
}

/// Whether more than one face is in front of the camera, as a signal.
pub(crate) fn several_faces(look: &Look) -> Vec<Signal> {
    let Some(face) = look.main() else { return Vec::new() };
    // A second face counts when it is not far smaller than the first: people in the background are not in front of the camera.
    let rivals = look.faces.iter().skip(1).filter(|other| other.area() > 0.25 * face.area()).count();
    let shows = json!({ "faces": rivals + 1 });
    (rivals > 0)
        .then(|| Signal::certain("MULTIPLE_FACES_DETECTED", "face.detect/1", shows))
        .into_iter()
        .collect()
}

/// Quality and number of faces, as signals.
fn common_signals(look: &Look) -> Vec<Signal> {
    let mut signals = Vec::new();
    let Some(face) = look.main() else {
        signals.push(Signal::certain("NO_FACE_DETECTED", "face.detect/1", Value::Null));
        return signals;
    };
    signals.extend(several_faces(look));
    if !face.quality.passed() {
        let failed: Vec<Value> = face
            .quality
            .components
            .iter()
            .filter(|component| !component.passed)
            .map(|component| json!({ "component": component.name, "value": component.value, "remedy": component.remedy }))
            .collect();
        signals.push(Signal::certain("LOW_FACE_QUALITY", "face.quality/1", json!({ "components": failed })));
    }
    signals
}

/// Passive liveness of a selfie.
pub(crate) fn liveness(engines: &Engines, look: &Result<Look, String>) -> (Finding, Value) {
    match look {
        Ok(look) => liveness_of(engines, look),
        Err(reason) => (Finding::failed(Feature::Liveness, reason), block(None, None)),
    }
}

fn liveness_of(engines: &Engines, look: &Look) -> (Finding, Value) {
    let mut finding = Finding::done(Feature::Liveness);
    finding.signals = common_signals(look);
    let Some(face) = look.main() else {
        return (finding, block(Some(look), None));
    };
    let passive = match engines.passive() {
        Ok(passive) => passive,
        Err(error) => return (Finding::failed(Feature::Liveness, &chain(&error)), block(Some(look), None)),
    };
    match passive.evaluate(&look.image, face) {
        face::Passive::Evaluated { score, method } => {
            finding.score = Some(score);
            let mut block = block(Some(look), Some(&method));
            block["score"] = json!(score);
            (finding, block)
        }
        face::Passive::NotEvaluated { reason: "no_model" } => {
            finding.state = CheckState::NotEvaluated("no liveness model is installed".to_owned());
            (finding, block(Some(look), None))
        }
        face::Passive::NotEvaluated { reason } => {
            (Finding::failed(Feature::Liveness, reason), block(Some(look), None))
        }
    }
}

/// Active liveness: the judged challenge, with the selfie that came out of it. A picture handed in instead is not live.
pub(crate) fn active_liveness(
    engines: &Engines,
    look: &Result<Look, String>,
    asked: workflow::LivenessMethod,
    outcome: Option<&Outcome>,
) -> (Finding, Value) {
    let method = outcome.map_or(
        if asked == workflow::LivenessMethod::Flashing { "FLASHING" } else { "ACTIVE_3D" },
        |outcome| outcome.method.as_str(),
    );
    let look = match look {
        Ok(look) => look,
        Err(reason) => {
            let mut block = block(None, None);
            block["method"] = json!(method);
            return (Finding::failed(Feature::Liveness, reason), block);
        }
    };
    // The passive judgement of the same picture is further evidence: it can send to review, it never approves.
    let (passive, mut block) = liveness_of(engines, look);
    let mut finding = Finding::done(Feature::Liveness);
    finding.signals = common_signals(look);
    if let Some(score) = passive.score {
        let threshold = 1.0 - LIVENESS_BANDS.1 / 100.0;
        let model = block["model"].as_str().unwrap_or_default().to_owned();
        let shows = json!({ "passive_score": score });
        finding.signals.push(Signal::measured(
            "LOW_LIVENESS_SCORE",
            1.0 - score / 100.0,
            threshold,
            &model,
            shows,
        ));
        block["passive"] = json!({ "score": score, "model": model });
    }
    block["method"] = json!(method);
    block["score"] = Value::Null;
    block["model"] = json!(face::active::METHOD);
    block["challenge"] = json!(outcome.map(|outcome| &outcome.report));
    match outcome {
        None => finding.signals.push(Signal::certain(
            "ACTIVE_LIVENESS_NOT_PERFORMED",
            face::active::METHOD,
            json!({ "asked": method }),
        )),
        Some(outcome) => {
            if let Some(reason) = &outcome.could_not_run {
                return (Finding::failed(Feature::Liveness, reason), block);
            }
            if !outcome.injected.is_empty() {
                let shows = json!({ "marks": outcome.injected });
                finding.signals.push(Signal::certain(
                    "INJECTED_CAPTURE_SUSPECTED",
                    face::active::METHOD,
                    shows,
                ));
            }
            if outcome.passed {
                finding.score = Some(100.0);
                block["score"] = json!(100.0);
            } else {
                let shows = json!({ "challenge": outcome.report });
                finding.signals.push(Signal::certain("ACTIVE_LIVENESS_FAILED", face::active::METHOD, shows));
            }
        }
    }
    (finding, block)
}

/// The block of a liveness check, without status and warnings.
fn block(look: Option<&Look>, model: Option<&str>) -> Value {
    let face = look.and_then(Look::main);
    json!({
        "method": "PASSIVE",
        "score": null,
        "model": model,
        "user_image": look.map(entities),
        "face_quality": face.map(|face| face.quality.score),
        "face_luminance": face.and_then(|face| face.quality.value("brightness")),
        "age_estimation": null,
        "video_url": null,
        "matches": [],
    })
}

/// Compares the selfie with the portrait of the document, and with the picture that the owner gave, when there is one:
/// the lower similarity counts.
pub(crate) fn compare(
    engines: &Engines,
    portrait: Option<&RgbImage>,
    given: Option<&[u8]>,
    selfie: &Result<Look, String>,
) -> (Finding, Value) {
    let (mut finding, mut block) = compare_portrait(engines, portrait, selfie);
    let (Some(given), Ok(user)) = (given, selfie) else { return (finding, block) };
    let (other, other_block) = match look(engines, Some(given)) {
        Ok(reference) => compare_looks(engines, user, Some(&reference)),
        Err(reason) => (Finding::failed(Feature::FaceMatch, &reason), json!({ "score": null })),
    };
    block["document_score"] = json!(finding.score);
    block["portrait_image_score"] = json!(other.score);
    if other.state != CheckState::Done {
        return (other, block);
    }
    finding.score = match (finding.score, other.score) {
        (Some(a), Some(b)) => Some(a.min(b)),
        _ => None,
    };
    finding.signals.extend(other.signals);
    block["score"] = json!(finding.score);
    block["given_image"] = other_block["ref_image"].clone();
    (finding, block)
}

/// Compares the selfie of a returning person with the portrait kept of them, or given by the owner.
pub(crate) fn recognise(
    engines: &Engines,
    kept: Option<&[u8]>,
    selfie: &Result<Look, String>,
) -> (Finding, Value) {
    let failed = |reason: &str| (Finding::failed(Feature::FaceMatch, reason), json!({ "score": null }));
    let user = match selfie {
        Ok(look) => look,
        Err(reason) => return failed(reason),
    };
    match kept.map(|kept| look(engines, Some(kept))).transpose() {
        Ok(reference) => compare_looks(engines, user, reference.as_ref()),
        Err(reason) => failed(&reason),
    }
}

fn compare_portrait(
    engines: &Engines,
    portrait: Option<&RgbImage>,
    selfie: &Result<Look, String>,
) -> (Finding, Value) {
    let selfie = match selfie {
        Ok(look) => look,
        Err(reason) => return (Finding::failed(Feature::FaceMatch, reason), json!({ "score": null })),
    };
    let portrait = match portrait.map(|portrait| look_at(engines, portrait.clone())) {
        Some(Ok(look)) => Some(look),
        Some(Err(reason)) => return (Finding::failed(Feature::FaceMatch, &reason), json!({ "score": null })),
        None => None,
    };
    compare_looks(engines, selfie, portrait.as_ref())
}

/// Compares the most prominent faces of two pictures.
pub(crate) fn compare_looks(engines: &Engines, user: &Look, reference: Option<&Look>) -> (Finding, Value) {
    let mut finding = Finding::done(Feature::FaceMatch);
    let block = |score: Option<f64>, model: Option<&str>| {
        json!({
            "score": score,
            "model": model,
            "user_image": entities(user),
            "ref_image": reference.map(entities),
        })
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
            (finding, block(Some(similarity.score_0_100), Some(&model)))
        }
        Err(reason) => (Finding::failed(Feature::FaceMatch, &reason), block(None, None)),
    }
}

/// The template of the most prominent face; `None` where there is none, or no net to make one.
pub(crate) fn template(engines: &Engines, look: &Result<Look, String>) -> Option<face::Template> {
    let look = look.as_ref().ok()?;
    engines.faces().ok()?.template(&look.image, look.main()?).ok()?
}

/// Estimates the age of the person on a selfie.
pub(crate) fn age(engines: &Engines, look: &Result<Look, String>) -> (Finding, Value) {
    let look = match look {
        Ok(look) => look,
        Err(reason) => return (Finding::failed(Feature::AgeEstimation, reason), block(None, None)),
    };
    let mut finding = Finding::done(Feature::AgeEstimation);
    finding.signals = common_signals(look);
    let mut block = block(Some(look), None);
    let Some(face) = look.main() else { return (finding, block) };
    match engines.ages() {
        Ok(ages) => match ages.as_ref().as_ref() {
            None => {
                finding.state =
                    CheckState::NotEvaluated("the age model is not installed; it is opt-in".to_owned())
            }
            Some(ages) => match ages.estimate(&look.image, face) {
                Ok(None) => {}
                Ok(Some(age)) => {
                    finding.age = Some(age.years);
                    block["age_estimation"] = json!(age.years);
                    block["age_interval"] = json!([age.low, age.high]);
                    block["model"] = json!(age.method);
                }
                Err(error) => finding = Finding::failed(Feature::AgeEstimation, &chain(&error)),
            },
        },
        Err(error) => finding = Finding::failed(Feature::AgeEstimation, &chain(&error)),
    }
    (finding, block)
}

/// Fills thresholds that a workflow leaves open with those measured for the models in use.
pub fn face_threshold_defaults(engines: &Engines, definition: &mut Definition) {
    for node in &mut definition.nodes {
        let defaults = match node.feature {
            Feature::FaceMatch => engines
                .faces()
                .ok()
                .map(|engine| (engine.calibration().decline_below, engine.calibration().approve_from)),
            Feature::Liveness => Some(LIVENESS_BANDS),
            _ => None,
        };
        if let Some((decline, approve)) = defaults {
            let review = node.config.review_threshold;
            let decline = *node.config.decline_threshold.get_or_insert(decline.min(review.unwrap_or(100.0)));
            node.config.review_threshold.get_or_insert(approve.max(decline));
        }
    }
}
