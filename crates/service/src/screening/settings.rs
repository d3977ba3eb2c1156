//! How a screening is scored and where its bands lie: the settings of a request or of a workflow's node.

use aml::{Profile, didit::Thresholds, profile::DiditWeights};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use workflow::NodeConfig;

/// Settings of one screening. Two screenings with equal settings, lists and engine give equal results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Bands of the answer.
    pub thresholds: Thresholds,
    /// Weights of name, date of birth and country.
    pub weights: DiditWeights,
    /// Whether the person is watched from now on.
    pub monitoring: bool,
    /// Whether adverse media were asked for: no source of them is connected, and the answer says so.
    #[serde(default)]
    pub adverse_media: bool,
}

impl Settings {
    /// Reads a workflow node's settings, named as in `POST /v3/aml/`.
    ///
    /// # Errors
    /// The API's sentence about what is wrong.
    pub fn of_node(config: &NodeConfig) -> Result<Self, String> {
        let mut settings = Self::default();
        let number = |field: &str, default: f64| match config.other.get(field) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => value
                .as_f64()
                .filter(|number| (0.0..=100.0).contains(number))
                .ok_or_else(|| format!("{field}: A number from 0 to 100 is required.")),
        };
        let whole = |field: &str, default: u32| {
            let value = number(field, f64::from(default))?;
            if value.fract() != 0.0 {
                return Err(format!("{field}: A valid integer is required."));
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, 0 to 100")]
            let value = value as u32;
            Ok(value)
        };
        settings.thresholds.approve = number("aml_score_approve_threshold", settings.thresholds.approve)?;
        settings.thresholds.review = number("aml_score_review_threshold", settings.thresholds.review)?;
        settings.thresholds.match_score = f64::from(whole("aml_match_score_threshold", 93)?);
        settings.weights = DiditWeights {
            name: whole("aml_name_weight", settings.weights.name)?,
            birth: whole("aml_dob_weight", settings.weights.birth)?,
            country: whole("aml_country_weight", settings.weights.country)?,
        };
        for field in ["include_ongoing_monitoring", "is_ongoing_monitoring_enabled"] {
            match config.other.get(field) {
                None | Some(Value::Null) => {}
                Some(Value::Bool(on)) => settings.monitoring |= on,
                Some(_) => return Err(format!("{field}: Must be a valid boolean.")),
            }
        }
        match config.other.get("include_adverse_media") {
            None | Some(Value::Null) => {}
            Some(Value::Bool(on)) => settings.adverse_media = *on,
            Some(_) => return Err("include_adverse_media: Must be a valid boolean.".to_owned()),
        }
        settings.check()?;
        Ok(settings)
    }

    /// Checks what the single values cannot show.
    ///
    /// # Errors
    /// The API's sentence about what is wrong.
    pub fn check(&self) -> Result<(), String> {
        let DiditWeights { name, birth, country } = self.weights;
        let sum = name.saturating_add(birth).saturating_add(country);
        if sum != 100 {
            return Err(format!(
                "AML weights must sum to 100. Current sum: {sum} (name: {name}, dob: {birth}, country: {country})"
            ));
        }
        let Thresholds { approve, review, .. } = self.thresholds;
        if approve > review {
            return Err(format!(
                "Approve threshold ({approve:.1}) cannot be greater than review threshold ({review:.1})"
            ));
        }
        Ok(())
    }

    /// The matcher's profile.
    pub(crate) fn profile(&self) -> Profile {
        Profile { didit: self.weights, ..Profile::named("didit").unwrap_or_default() }
    }

    /// Fingerprint of everything that decides a result besides query, lists and engine.
    pub(crate) fn hash(&self) -> String {
        super::fingerprint(&(self.profile(), self.thresholds, self.adverse_media))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, Value)]) -> NodeConfig {
        let other = pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        NodeConfig { other, ..NodeConfig::default() }
    }

    #[test]
    fn a_node_without_settings_has_the_documented_defaults() {
        assert_eq!(Settings::of_node(&NodeConfig::default()), Ok(Settings::default()));
    }

    #[test]
    fn weights_that_do_not_sum_to_100_and_thresholds_that_cross_are_refused() {
        let error = Settings::of_node(&config(&[("aml_name_weight", 50.into())])).unwrap_err();
        assert_eq!(error, "AML weights must sum to 100. Current sum: 90 (name: 50, dob: 25, country: 15)");
        let crossed =
            config(&[("aml_score_approve_threshold", 90.into()), ("aml_score_review_threshold", 80.into())]);
        let error = Settings::of_node(&crossed).unwrap_err();
        assert_eq!(error, "Approve threshold (90.0) cannot be greater than review threshold (80.0)");
        assert!(Settings::of_node(&config(&[("aml_match_score_threshold", 101.into())])).is_err());
    }

    #[test]
    fn the_fingerprint_covers_the_bands() {
        let mut other = Settings::default();
        other.thresholds.approve = 10.0;
        assert_ne!(other.hash(), Settings::default().hash());
    }
}
