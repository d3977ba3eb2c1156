//! The tables, one file each: what a row means, and the named statements that touch it.

pub mod api_keys;
pub mod applications;
pub mod checks;
pub mod consents;
pub mod counters;
pub mod events;
pub mod faces;
pub mod idempotency;
pub mod jobs;
pub mod lists;
pub mod objects;
pub mod reviews;
pub mod screening;
pub mod sessions;
pub mod subjects;
pub mod traces;
pub mod webhooks;
pub mod workflows;

/// Every named statement of the crate, for the test that prepares all of them on both engines.
#[cfg(test)]
pub(crate) fn all_statements() -> Vec<&'static str> {
    [
        crate::audit::STATEMENTS,
        crate::keys::STATEMENTS,
        api_keys::STATEMENTS,
        applications::STATEMENTS,
        checks::STATEMENTS,
        consents::STATEMENTS,
        counters::STATEMENTS,
        events::STATEMENTS,
        faces::STATEMENTS,
        idempotency::STATEMENTS,
        jobs::STATEMENTS,
        lists::STATEMENTS,
        objects::STATEMENTS,
        reviews::STATEMENTS,
        screening::STATEMENTS,
        sessions::STATEMENTS,
        subjects::STATEMENTS,
        traces::STATEMENTS,
        webhooks::STATEMENTS,
        workflows::STATEMENTS,
    ]
    .concat()
}
