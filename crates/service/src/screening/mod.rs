//! Screens people and companies against the watch-lists of this installation, and watches them afterwards.
//!
//! The screening itself is the check `checks::aml`. Here `lists` holds the index, `people` the watched people in memory,
//! `watch` carries list changes to the people who are watched, [`review`] takes verdicts about single hits,
//! [`replay`] repeats.

pub mod batch;
mod lists;
mod people;
pub mod replay;
pub mod review;
pub mod status;
pub(crate) mod watch;

use store::ApplicationId;
use workflow::{Feature, FeatureStatus};

pub use self::lists::NotRepeatable;
pub(crate) use self::lists::WatchLists;
pub(crate) use self::people::WatchedPeople;
pub use checks::aml::{Asked, Person, Settings, fingerprint, settings};
pub(crate) use checks::aml::{
    Record, Remembered, Screened, any_node, digest, evidence_of, examine, feature_status, memory, settle,
};

use crate::{
    Service,
    access::Access,
    pool::Work,
    standalone::{Answer, Common, Kept, StandaloneError},
};

impl Service {
    /// Screens a person or company; with monitoring they are watched from then on.
    ///
    /// # Errors
    /// [`StandaloneError`].
    pub async fn screen(
        &self,
        access: &Access,
        asked: Asked,
        common: Common,
    ) -> Result<Answer, StandaloneError> {
        let memory = match &common.vendor_data {
            Some(vendor_data) => self.memory_of(access.application, vendor_data).await?,
            None => Vec::new(),
        };
        let lists = std::sync::Arc::clone(&self.lists);
        let question = asked.clone();
        let outcome = self.pool.run(Work::Search, move || examine(lists.as_ref(), question, memory)).await?;
        let status = match feature_status(&outcome.block) {
            FeatureStatus::Approved => "Approved",
            FeatureStatus::Declined => "Declined",
            _ => "In Review",
        };
        let screened = Screened { asked, record: outcome.record };
        let kept = Kept {
            screened: Some(screened),
            ..Kept::of("AML", Feature::Aml, outcome.block.clone(), status, Vec::new())
        };
        self.answer(access, &common, kept, outcome.block).await
    }

    /// What is known of the person whom the vendor calls so; nothing when there is no such person.
    pub(crate) async fn memory_of(
        &self,
        application: ApplicationId,
        vendor_data: &str,
    ) -> Result<Vec<Remembered>, store::Error> {
        let vendor_data = vendor_data.to_owned();
        self.store
            .read(move |tx| match tx.subjects(application).find_by_vendor("user", &vendor_data)? {
                Some(subject) => memory::of_person(tx, application, &subject.key),
                None => Ok(Vec::new()),
            })
            .await
    }
}
