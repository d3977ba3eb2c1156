//! What was seen, as signals for the workflow. Never a verdict.

use evidence::Signal;
use serde_json::json;

use crate::age::{Age, Answer};
use crate::engine::{Engine, Face, Similarity};
use crate::passive::Passive;

const METHOD: &str = "face/1";

/// What the faces of a picture show: none, several, or one whose picture is poor.
pub fn of_faces(faces: &[Face]) -> Vec<Signal> {
    let Some(face) = faces.first() else {
        return vec![Signal::certain("NO_FACE_DETECTED", METHOD, json!({ "faces": 0 }))];
    };
    let mut signals = Vec::new();
    // A second face counts when it could be meant: a fifth of the first one's area, or more.
    let others = faces.iter().skip(1).filter(|f| f.area() >= 0.2 * face.area()).count();
    if others > 0 {
        signals.push(Signal::certain("MULTIPLE_FACES_DETECTED", METHOD, json!({ "faces": others + 1 })));
    }
    let failed = |name: &str| face.quality.components.iter().any(|c| c.name == name && !c.passed);
    if failed("brightness") {
        let value = face.quality.value("brightness").unwrap_or(0.0);
        let risk = if value > 128.0 { "HIGH_FACE_LUMINANCE" } else { "LOW_FACE_LUMINANCE" };
        signals.push(Signal::certain(risk, METHOD, json!({ "brightness": value })));
    }
    let poor: Vec<_> =
        face.quality.components.iter().filter(|c| !c.passed && c.name != "brightness").collect();
    if !poor.is_empty() {
        signals.push(Signal::certain("LOW_FACE_QUALITY", METHOD, json!({ "components": poor })));
    }
    signals
}

/// How unlike two faces are: the score of the risk is 1 at similarity 0, and counts from the decline band on.
pub fn of_similarity(engine: &Engine, similarity: Similarity) -> Signal {
    let bands = engine.calibration();
    Signal::measured(
        "LOW_FACE_MATCH_SIMILARITY",
        1.0 - similarity.score_0_100 / 100.0,
        1.0 - bands.approve_from / 100.0,
        engine.model(),
        json!({
            "score": similarity.score_0_100, "cosine": similarity.raw,
            "decline_below": bands.decline_below, "approve_from": bands.approve_from,
        }),
    )
}

/// What passive liveness saw; not evaluated is a signal of its own, never a silence.
pub fn of_passive(passive: &Passive, threshold_0_100: f64) -> Signal {
    match passive {
        Passive::Evaluated { score, method } => Signal::measured(
            "LOW_LIVENESS_SCORE",
            1.0 - score / 100.0,
            1.0 - threshold_0_100 / 100.0,
            method,
            json!({ "score": score }),
        ),
        Passive::NotEvaluated { reason } => {
            Signal::certain("LIVENESS_NOT_EVALUATED", METHOD, json!({ "reason": reason }))
        }
    }
}

/// What an age estimate says of a threshold; `None` when it is safely over.
pub fn of_age(age: &Age, threshold: f64, buffer: f64) -> Option<Signal> {
    let answer = age.at_least(threshold, buffer);
    let shows = json!({ "answer": answer, "threshold": threshold, "buffer": buffer });
    let score = match answer {
        Answer::Over => return None,
        Answer::Uncertain => 0.5,
        Answer::Under => 1.0,
    };
    Some(Signal::measured("AGE_BELOW_MINIMUM", score, 0.5, &age.method, shows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_face_is_a_certain_signal() {
        assert_eq!(of_faces(&[])[0].risk, "NO_FACE_DETECTED");
    }

    #[test]
    fn liveness_that_was_not_evaluated_is_present() {
        let signal = of_passive(&Passive::NotEvaluated { reason: "no_model" }, 50.0);
        assert!(signal.risk == "LIVENESS_NOT_EVALUATED" && signal.present());
        let low = Passive::Evaluated { score: f64::NAN, method: "m/1".to_owned() };
        assert!(of_passive(&low, 50.0).present(), "not a number counts as an attack");
    }

    #[test]
    fn an_uncertain_age_is_a_signal() {
        let age = |years| Age { years, low: 0.0, high: 99.0, method: "m/1".to_owned() };
        assert!(of_age(&age(30.0), 18.0, 7.0).is_none());
        assert!(of_age(&age(20.0), 18.0, 7.0).is_some_and(|s| s.present()));
    }
}
