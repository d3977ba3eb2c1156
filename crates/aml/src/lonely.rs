//! Passes over names that share one telling part with the query while both have others: *Anna Petrova* and
//! *Anna Schmidt*. What the alignment takes off for it ([`Weights::lonely`], twice) leaves no such name at the bar,
//! so they need not be aligned. Only what is certain is passed over: a name that may agree through an initial, an
//! article or words written as one is aligned.

use names::Role;

use crate::index::{Index, TokenId};
use crate::score::{Weighed, Weights};

/// Most letters by which words written as one differ in length from the words.
const JOIN_SLACK: usize = 1;

/// True for a token that may agree with others than those that it is like.
fn agrees_otherwise(role: Role, omits_vowels: bool) -> bool {
    omits_vowels || matches!(role, Role::Initial | Role::Form | Role::Particle)
}

/// A query whose lonely names cannot reach the bar.
pub(crate) struct Lonely {
    /// The tokens that tell names apart, by bit.
    telling: u32,
    /// Letters of each token and of each two neighbours.
    letters: Vec<usize>,
    pairs: Vec<usize>,
}

impl Lonely {
    /// None where a lonely name may reach the bar, or where the query's tokens agree in other ways than one by one.
    pub(crate) fn new(tokens: &[Weighed<'_>], weights: &Weights, bar: f32) -> Option<Self> {
        if tokens.len() > 32 || tokens.iter().any(|t| agrees_otherwise(t.view.role, t.view.omits_vowels)) {
            return None;
        }
        let (mut telling, mut most, mut others, mut missed) = (0u32, 0.0_f32, 0.0, 0.0);
        for (i, token) in tokens.iter().enumerate() {
            let worth = weights.worth(token.view.role, token.information);
            if token.tells() {
                telling |= 1 << i;
                most = most.max(worth);
                missed += weights.cost(token);
            } else {
                others += worth;
            }
        }
        let substance = |won: f32| won / (won + weights.half_substance);
        let one = weights.lonely * weights.lonely * substance(most + others);
        let none = substance(others) * others / (others + weights.extra_query * missed).max(f32::MIN_POSITIVE);
        if telling.count_ones() < 2 || one.max(none) >= bar {
            return None;
        }
        let letters: Vec<usize> = tokens.iter().map(|t| t.view.latin.len()).collect();
        let pairs = letters.windows(2).map(|pair| pair.iter().sum()).collect();
        Some(Self { telling, letters, pairs })
    }

    /// True for a name that cannot reach the bar. `answers` has the query tokens that each listed token is like, by bit.
    pub(crate) fn passes_over(&self, index: &Index, name: &[TokenId], answers: &[u32]) -> bool {
        let near = |lengths: &[usize], length: usize| lengths.iter().any(|l| l.abs_diff(length) <= JOIN_SLACK);
        let answered = |&id: &TokenId| answers.get(id as usize).copied().unwrap_or(u32::MAX);
        let name = name.get(..name.len().min(32)).unwrap_or(name);
        if (name.iter().fold(0, |all, id| all | answered(id)) & self.telling).count_ones() != 1 {
            return false;
        }
        let mut before = None;
        for &id in name {
            let (role, omits_vowels) = index.role(id);
            let length = index.latin_len(id);
            if agrees_otherwise(role, omits_vowels)
                || near(&self.pairs, length)
                || before.is_some_and(|before| near(&self.letters, before + length))
            {
                return false;
            }
            before = Some(length);
        }
        name.iter().any(|id| answered(id) == 0 && index.token(*id).tells())
    }
}
