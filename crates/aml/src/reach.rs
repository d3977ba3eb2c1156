//! What a listed name can reach at most, told by which of its tokens are like one of the query's, before it is aligned.
//!
//! Most names that retrieval finds share one part with the query and have others besides: *Anna Petrova* and *Anna
//! Schmidt*. What is left over on both sides keeps them below the bar however the rest is aligned. A name that may agree
//! in other ways than token by token (an initial, a legal form, words written as one) is not judged here.

use names::{Role, TokenView};

use crate::index::{Index, TokenId};
use crate::score::{Weighed, Weights};

/// Most letters by which words written as one differ in length from the words.
const JOINED: usize = 1;
/// The same in consonants, where an article stood between them.
const WITH_ARTICLE: usize = 2;
/// Sums in another order differ in the last places.
const ROUNDING: f32 = 1.001;

/// What each token of the lists is like in the query; nothing between searches.
#[derive(Default)]
pub(crate) struct Answers {
    /// The tokens of the query, by bit.
    bits: Vec<u32>,
    /// The most that the token wins.
    won: Vec<f32>,
    noted: Vec<TokenId>,
}

impl Answers {
    pub(crate) fn note(&mut self, index: &Index, token: TokenId, query: usize, won: f32) {
        self.bits.resize(index.tokens(), 0);
        self.won.resize(index.tokens(), 0.0);
        let at = token as usize;
        if let (Some(bits), Some(most)) = (self.bits.get_mut(at), self.won.get_mut(at)) {
            *most = if *bits == 0 { won } else { most.max(won) };
            *bits |= u32::try_from(query).ok().and_then(|q| 1_u32.checked_shl(q)).unwrap_or(0);
            self.noted.push(token);
        }
    }

    pub(crate) fn clear(&mut self) {
        for token in self.noted.drain(..) {
            if let Some(bits) = self.bits.get_mut(token as usize) {
                *bits = 0;
            }
        }
    }

    fn bits(&self, token: TokenId) -> u32 {
        self.bits.get(token as usize).copied().unwrap_or(0)
    }

    fn won(&self, token: TokenId) -> f32 {
        self.won.get(token as usize).copied().unwrap_or(0.0)
    }
}

/// A query whose tokens agree one by one.
pub(crate) struct Reach<'a> {
    tokens: &'a [Weighed<'a>],
    weights: &'a Weights,
    bar: f32,
    /// The tokens that tell names apart, by bit.
    telling: u32,
    /// True where a name needs at least one of these to reach the bar.
    needs_telling: bool,
    /// Letters and consonants of each token, letters of each two neighbours, consonants of two parts around an article.
    letters: Vec<usize>,
    consonants: Vec<usize>,
    pairs: Vec<usize>,
    around: Vec<usize>,
    /// True where a token may be an article and a word, and where the query has an article.
    holds_article: bool,
    has_article: bool,
}

impl<'a> Reach<'a> {
    pub(crate) fn new(tokens: &'a [Weighed<'a>], weights: &'a Weights, bar: f32) -> Option<Self> {
        if tokens.len() > 32 || tokens.iter().any(|t| agrees_otherwise(t.view.role, t.view.omits_vowels)) {
            return None;
        }
        let (mut telling, mut others, mut missed) = (0u32, 0.0, 0.0);
        for (i, token) in tokens.iter().enumerate() {
            if token.tells() {
                telling |= 1 << i;
                missed += weights.cost(token);
            } else {
                others += weights.worth(token.view.role, token.information);
            }
        }
        let without = raw(weights, others, weights.extra_query * missed);
        let letters: Vec<usize> = tokens.iter().map(|t| t.view.latin.len()).collect();
        let consonants: Vec<usize> = tokens.iter().map(|t| t.view.skeleton.len()).collect();
        let around = tokens.windows(3).zip(consonants.windows(3));
        Some(Self {
            tokens,
            weights,
            bar,
            telling,
            needs_telling: without * ROUNDING < bar,
            pairs: letters.windows(2).map(|pair| pair.iter().sum()).collect(),
            around: around
                .filter(|(three, _)| three[1].view.role == Role::Particle)
                .map(|(_, consonants)| consonants[0] + consonants[2])
                .collect(),
            letters,
            consonants,
            holds_article: tokens.iter().any(|t| holds_article(t.view)),
            has_article: tokens.iter().any(|t| t.view.role == Role::Particle),
        })
    }

    /// True for a name that cannot reach the bar.
    pub(crate) fn is_beyond(&self, index: &Index, name: &[TokenId], answers: &Answers) -> bool {
        let name = name.get(..name.len().min(32)).unwrap_or(name);
        let (mut bits, mut won, mut left) = (0u32, 0.0, 0.0);
        let mut before: [Option<(Role, usize, TokenId)>; 2] = [None; 2];
        for &id in name {
            let (role, omits_vowels, information) = index.role(id);
            let length = index.latin_len(id);
            if agrees_otherwise(role, omits_vowels)
                || near(&self.pairs, length, JOINED)
                || before[1].is_some_and(|(_, before, _)| near(&self.letters, before + length, JOINED))
                || (self.has_article && self.may_hold_article(index, id))
                || self.may_be_around(index, before, id)
            {
                return false;
            }
            match answers.bits(id) {
                0 => left += self.weights.cost_of(role, information),
                answered => {
                    bits |= answered;
                    won += answers.won(id);
                }
            }
            before = [before[1], Some((role, length, id))];
        }
        let missed = self.tokens.iter().enumerate().filter(|(i, _)| bits & (1 << i) == 0);
        let missed: f32 = missed.map(|(_, token)| self.weights.cost(token)).sum();
        let against = self.weights.extra_query * missed
            + self.weights.extra_listed * left
            + self.weights.contradiction * missed.min(left);
        let mut most = raw(self.weights, won, against) * ROUNDING;
        let lonely =
            self.needs_telling && (bits & self.telling).count_ones() == 1 && self.telling.count_ones() > 1;
        if lonely {
            most *= self.weights.lonely;
        }
        let has_others = || name.iter().any(|&id| answers.bits(id) == 0 && index.token(id).tells());
        if lonely && most >= self.bar && has_others() {
            most *= self.weights.lonely;
        }
        most < self.bar
    }

    /// True where a listed token may be an article and a word of the query.
    fn may_hold_article(&self, index: &Index, id: TokenId) -> bool {
        let view = index.token(id).view;
        holds_article(view) || near(&self.around, view.skeleton.len(), WITH_ARTICLE)
    }

    /// True where this token and an article before it, or the parts around an article, may be one token of the query.
    fn may_be_around(&self, index: &Index, before: [Option<(Role, usize, TokenId)>; 2], id: TokenId) -> bool {
        let Some((Role::Particle, ..)) = before[1] else { return false };
        let consonants = |id: TokenId| index.token(id).view.skeleton.len();
        self.holds_article
            || before[0].is_some_and(|(.., first)| {
                near(&self.consonants, consonants(first) + consonants(id), WITH_ARTICLE)
            })
    }
}

fn near(lengths: &[usize], length: usize, most: usize) -> bool {
    lengths.iter().any(|l| l.abs_diff(length) <= most)
}

fn raw(weights: &Weights, won: f32, against: f32) -> f32 {
    if won > 0.0 { won / (won + against) * won / (won + weights.half_substance) } else { 0.0 }
}

/// True for a token that may agree with others than those that it is like.
fn agrees_otherwise(role: Role, omits_vowels: bool) -> bool {
    omits_vowels || matches!(role, Role::Initial | Role::Form)
}

/// True for a token that may begin with its article: *Essabar*, *Lazhar*.
fn holds_article(view: TokenView<'_>) -> bool {
    match view.latin.as_bytes() {
        [b'a' | b'e', second, third, ..] => second == third,
        [b'l', b'a' | b'e' | b'i' | b'o' | b'u', ..] => true,
        _ => false,
    }
}
