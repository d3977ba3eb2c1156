//! How a path ends: the worst of its verdicts, and only a complete set of sound ones can approve.

use crate::{FeatureStatus, SessionStatus, graph::Ending};

/// One check of a path, as the decision sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its verdict; [`FeatureStatus::NotFinished`] while there is none.
    pub status: FeatureStatus,
    /// Whether it ran to its end and gave sound numbers.
    pub sound: bool,
    /// Whether a fork of the path looked at its verdict.
    pub read: bool,
}

/// Decides a session that reached an ending.
///
/// * `Declined` and `In Review` are the owner's word.
/// * `Determine`: declined outweighs review, review outweighs approval; a declined check decides even before the
///   others ended.
/// * `Approved` overrules the verdict of a check only where a fork of the path looked at that verdict; a verdict
///   nobody looked at goes to review.
/// * Fail closed: without any check, with a check that is not sound, or with a fork that was passed without knowing
///   (`certain` is false), an approval becomes a review. While a check is unfinished nothing is decided.
pub fn conclude(ending: Ending, checks: &[Standing], certain: bool) -> SessionStatus {
    let any = |status| checks.iter().any(|check| check.status == status);
    if ending == Ending::ByChecks && any(FeatureStatus::Declined) {
        return SessionStatus::Declined;
    }
    if any(FeatureStatus::NotFinished) {
        return SessionStatus::InProgress;
    }
    let passes = |check: &Standing| {
        check.sound && (check.status == FeatureStatus::Approved || (ending == Ending::Approved && check.read))
    };
    match ending {
        Ending::Declined => SessionStatus::Declined,
        Ending::InReview => SessionStatus::InReview,
        Ending::Approved | Ending::ByChecks => {
            if certain && !checks.is_empty() && checks.iter().all(passes) {
                SessionStatus::Approved
            } else {
                SessionStatus::InReview
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSED: Standing = Standing { status: FeatureStatus::Approved, sound: true, read: false };

    #[test]
    fn an_unsound_check_is_never_approved_whatever_the_ending_says() {
        for ending in [Ending::Approved, Ending::ByChecks] {
            for read in [false, true] {
                let broken = Standing { sound: false, read, ..PASSED };
                assert_eq!(conclude(ending, &[PASSED, broken], true), SessionStatus::InReview);
            }
            assert_eq!(conclude(ending, &[PASSED], true), SessionStatus::Approved);
            assert_eq!(conclude(ending, &[PASSED], false), SessionStatus::InReview);
            assert_eq!(conclude(ending, &[], true), SessionStatus::InReview);
        }
    }

    #[test]
    fn an_ending_overrules_a_verdict_only_when_a_fork_looked_at_it() {
        for status in [FeatureStatus::Declined, FeatureStatus::InReview] {
            let unread = Standing { status, ..PASSED };
            assert_eq!(conclude(Ending::Approved, &[unread], true), SessionStatus::InReview);
            let read = Standing { read: true, ..unread };
            assert_eq!(conclude(Ending::Approved, &[read], true), SessionStatus::Approved);
        }
    }

    #[test]
    fn nothing_is_decided_while_a_check_is_unfinished_but_a_decline_by_the_checks() {
        let unfinished = Standing { status: FeatureStatus::NotFinished, sound: false, read: true };
        let declined = Standing { status: FeatureStatus::Declined, ..PASSED };
        for ending in [Ending::Approved, Ending::Declined, Ending::InReview, Ending::ByChecks] {
            assert_eq!(conclude(ending, &[PASSED, unfinished], true), SessionStatus::InProgress);
        }
        assert_eq!(conclude(Ending::ByChecks, &[declined, unfinished], true), SessionStatus::Declined);
    }
}
