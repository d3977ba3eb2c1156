//! The statuses of sessions and features, and which event may change which.

use serde::{Deserialize, Serialize};

/// Status of a session, spelled as in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SessionStatus {
    /// The link was made, nobody opened it.
    #[serde(rename = "Not Started")]
    NotStarted,
    /// The person is on the way, or the checks are running.
    #[serde(rename = "In Progress")]
    InProgress,
    /// A person of the operator must decide.
    #[serde(rename = "In Review")]
    InReview,
    /// All checks passed.
    Approved,
    /// At least one check failed.
    Declined,
    /// The operator asked for new captures.
    Resubmitted,
    /// The link ran out before it was opened.
    Expired,
    /// The verification was valid and ran out.
    #[serde(rename = "Kyc Expired")]
    KycExpired,
    /// The person began and never finished.
    Abandoned,
}

impl SessionStatus {
    /// Every status.
    pub const ALL: [Self; 9] = [
        Self::NotStarted,
        Self::InProgress,
        Self::InReview,
        Self::Approved,
        Self::Declined,
        Self::Resubmitted,
        Self::Expired,
        Self::KycExpired,
        Self::Abandoned,
    ];

    /// Spelling in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotStarted => "Not Started",
            Self::InProgress => "In Progress",
            Self::InReview => "In Review",
            Self::Approved => "Approved",
            Self::Declined => "Declined",
            Self::Resubmitted => "Resubmitted",
            Self::Expired => "Expired",
            Self::KycExpired => "Kyc Expired",
            Self::Abandoned => "Abandoned",
        }
    }

    /// Reads the spelling of the API.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether the person may still capture and submit.
    pub fn is_open(self) -> bool {
        matches!(self, Self::NotStarted | Self::InProgress | Self::Resubmitted)
    }
}

/// Status of one check within a session, spelled as in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FeatureStatus {
    /// Not run yet.
    #[serde(rename = "Not Finished")]
    NotFinished,
    /// Passed.
    Approved,
    /// A person must look.
    #[serde(rename = "In Review")]
    InReview,
    /// Failed.
    Declined,
}

/// What can happen to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The person opened the link or captured something.
    Begun,
    /// The checks ended with this decision.
    Decided(SessionStatus),
    /// An operator set this status by hand; always audited.
    SetByOperator(SessionStatus),
    /// The expiry time passed.
    TimedOut,
    /// The validity of an approval ran out.
    ValidityEnded,
    /// Something became known after the decision (a watch-list changed): it can only ask for more caution.
    LearnedLater(SessionStatus),
}

/// The event does not fit the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// The operator chose the status the session already has.
    #[error("The new status is the same as the current status.")]
    Same,
    /// The operator may not set this status.
    #[error("You can only update the status to 'Approved', 'Declined', or 'Resubmitted'.")]
    NotSettable,
    /// The session is in a status that this event cannot change.
    #[error(
        "Only sessions with status Approved, Declined, In Review, Kyc Expired, Abandoned, Resubmitted can be updated. Current status: {}",
        .0.as_str()
    )]
    Status(SessionStatus),
}

/// The status after an event.
///
/// # Errors
/// When the event does not fit the status. A decided session changes only by an operator, by time, or towards caution.
pub fn transition(from: SessionStatus, event: Event) -> Result<SessionStatus, NotAllowed> {
    use SessionStatus as S;
    match event {
        Event::Begun => match from {
            S::NotStarted | S::InProgress | S::Resubmitted => Ok(S::InProgress),
            other => Err(NotAllowed::Status(other)),
        },
        Event::Decided(to) => match (from, to) {
            (S::InProgress, S::Approved | S::Declined | S::InReview) => Ok(to),
            (other, _) => Err(NotAllowed::Status(other)),
        },
        Event::SetByOperator(to) => {
            if !matches!(to, S::Approved | S::Declined | S::Resubmitted) {
                return Err(NotAllowed::NotSettable);
            }
            match from {
                S::Approved | S::Declined | S::InReview | S::KycExpired | S::Abandoned | S::Resubmitted => {
                    if from == to {
                        Err(NotAllowed::Same)
                    } else {
                        Ok(to)
                    }
                }
                other => Err(NotAllowed::Status(other)),
            }
        }
        Event::TimedOut => match from {
            S::NotStarted => Ok(S::Expired),
            S::InProgress | S::Resubmitted => Ok(S::Abandoned),
            other => Err(NotAllowed::Status(other)),
        },
        Event::ValidityEnded => match from {
            S::Approved => Ok(S::KycExpired),
            other => Err(NotAllowed::Status(other)),
        },
        Event::LearnedLater(to) => match (from, to) {
            (S::Approved, S::InReview | S::Declined) | (S::InReview, S::Declined) => Ok(to),
            (other, _) => Err(NotAllowed::Status(other)),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{SessionStatus as S, *};

    fn any_status() -> impl Strategy<Value = S> {
        prop::sample::select(S::ALL.to_vec())
    }

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Begun),
            any_status().prop_map(Event::Decided),
            any_status().prop_map(Event::SetByOperator),
            Just(Event::TimedOut),
            Just(Event::ValidityEnded),
            any_status().prop_map(Event::LearnedLater),
        ]
    }

    /// The transitions of the published status table, written out one by one.
    const TABLE: &[(S, &str, S)] = &[
        (S::NotStarted, "begun", S::InProgress),
        (S::InProgress, "begun", S::InProgress),
        (S::Resubmitted, "begun", S::InProgress),
        (S::InProgress, "decided", S::Approved),
        (S::InProgress, "decided", S::Declined),
        (S::InProgress, "decided", S::InReview),
        (S::NotStarted, "timed out", S::Expired),
        (S::InProgress, "timed out", S::Abandoned),
        (S::Resubmitted, "timed out", S::Abandoned),
        (S::Approved, "validity ended", S::KycExpired),
        (S::Approved, "learned later", S::InReview),
        (S::Approved, "learned later", S::Declined),
        (S::InReview, "learned later", S::Declined),
    ];

    fn reference(from: S, event: Event) -> Option<S> {
        let (name, to) = match event {
            Event::Begun => ("begun", None),
            Event::Decided(to) => ("decided", Some(to)),
            Event::TimedOut => ("timed out", None),
            Event::ValidityEnded => ("validity ended", None),
            Event::LearnedLater(to) => ("learned later", Some(to)),
            Event::SetByOperator(to) => {
                let settable = [S::Approved, S::Declined, S::Resubmitted];
                let updatable =
                    [S::Approved, S::Declined, S::InReview, S::KycExpired, S::Abandoned, S::Resubmitted];
                return (settable.contains(&to) && updatable.contains(&from) && from != to).then_some(to);
            }
        };
        TABLE
            .iter()
            .find(|(f, n, t)| *f == from && *n == name && to.is_none_or(|to| to == *t))
            .map(|(_, _, t)| *t)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// T20: random operations against the reference model.
        #[test]
        fn random_events_follow_the_reference_model(events in prop::collection::vec(any_event(), 1..50)) {
            let mut status = S::NotStarted;
            for event in events {
                let expected = reference(status, event);
                let got = transition(status, event).ok();
                prop_assert_eq!(got, expected, "{:?} on {:?}", event, status);
                if let Some(next) = got {
                    let decided = matches!(status, S::Approved | S::Declined | S::InReview | S::Expired | S::KycExpired | S::Abandoned);
                    prop_assert!(
                        !decided || matches!(event, Event::SetByOperator(_) | Event::ValidityEnded | Event::LearnedLater(_)),
                        "a decided session changed by {:?}", event
                    );
                    status = next;
                }
            }
        }
    }
}
