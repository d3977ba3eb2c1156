//! How a screening is scored and where its bands lie: the settings of a request or of a workflow's node.

use aml::{Profile, didit::Thresholds, profile::DiditWeights};
use serde::{Deserialize, Serialize};
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
        let (mut settings, aml) = (Self::default(), &config.aml);
        let bands = &mut settings.thresholds;
        bands.approve = aml.approve_threshold.unwrap_or(bands.approve);
        bands.review = aml.review_threshold.unwrap_or(bands.review);
        bands.match_score = aml.match_score_threshold.map_or(93.0, f64::from);
        let weights = &mut settings.weights;
        weights.name = aml.name_weight.unwrap_or(weights.name);
        weights.birth = aml.dob_weight.unwrap_or(weights.birth);
        weights.country = aml.country_weight.unwrap_or(weights.country);
        settings.monitoring = aml.monitoring.unwrap_or(false);
        settings.adverse_media = aml.adverse_media.unwrap_or(false);
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
    pub fn profile(&self) -> Profile {
        Profile { didit: self.weights, ..Profile::named("didit").unwrap_or_default() }
    }

    /// Fingerprint of everything that decides a result besides query, lists and engine.
    pub fn hash(&self) -> String {
        super::fingerprint(&(self.profile(), self.thresholds, self.adverse_media))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn config(pairs: &[(&str, Value)]) -> NodeConfig {
        let given = pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        workflow::settings::read(workflow::Feature::Aml, &given).0
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
    }

    #[test]
    fn every_setting_of_a_node_reaches_the_screening() {
        let given = config(&[
            ("aml_score_approve_threshold", 10.into()),
            ("aml_decline_threshold", 20.into()),
            ("aml_match_score_threshold", 30.into()),
            ("aml_name_weight", 50.into()),
            ("aml_dob_weight", 30.into()),
            ("aml_country_weight", 20.into()),
            ("is_aml_ongoing_monitoring_enabled", true.into()),
            ("include_adverse_media", true.into()),
        ]);
        let settings = Settings::of_node(&given).unwrap();
        assert_eq!(
            (settings.thresholds.approve, settings.thresholds.review, settings.thresholds.match_score),
            (10.0, 20.0, 30.0)
        );
        assert_eq!((settings.weights.name, settings.weights.birth, settings.weights.country), (50, 30, 20));
        assert!(settings.monitoring && settings.adverse_media);
    }

    #[test]
    fn the_fingerprint_covers_the_bands() {
        let mut other = Settings::default();
        other.thresholds.approve = 10.0;
        assert_ne!(other.hash(), Settings::default().hash());
    }
}
