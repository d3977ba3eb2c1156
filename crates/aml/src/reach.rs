//! What a listed name can reach at most, told by which of its tokens are like one of the query's, before it is aligned.
//!
//! Most names that retrieval finds share one part with the query and have others besides: *Anna Petrova* and *Anna
//! Schmidt*. What is left over on both sides keeps them below the bar however the rest is aligned. A name that may agree
//! in other ways than token by token (an initial, a legal form, words written as one) is not judged here.

use names::{Role, TokenView};

use crate::index::{Index, TokenId};
use crate::retrieve::{MAX_UNITS, PARTS, Reading};
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

/// What can be told of a listed name at a glance, kept in the index.
#[derive(Clone, Copy)]
pub(crate) struct Shape(pub(crate) u32);

impl Shape {
    /// Bits for the lengths of tokens from here on, the last for all longer ones; below four letters nothing is read as
    /// two words.
    const SHORTEST: usize = 4;
    const TOKENS: usize = 14;
    /// Bits for what two neighbours are long together.
    const PAIRS: usize = 16;
    /// A token may agree otherwise than with those that it is like.
    const OTHERWISE: u32 = 1 << 30;
    /// Two tokens or more tell names apart.
    const SEVERAL: u32 = 1 << 31;

    /// Of the role of each token, whether its vowels are not written, its letters, and whether it tells names apart.
    pub(crate) fn of(tokens: impl Iterator<Item = (Role, bool, usize, bool)>) -> Self {
        let (mut bits, mut telling, mut before) = (0, 0, None);
        for (count, (role, omits_vowels, letters, tells)) in tokens.enumerate() {
            if count >= 32 || agrees_otherwise(role, omits_vowels) || role == Role::Particle {
                bits |= Self::OTHERWISE;
            }
            bits |= Self::token(letters);
            bits |= before.map_or(0, |before| Self::pair(before + letters));
            telling += usize::from(tells);
            before = Some(letters);
        }
        Self(bits | if telling > 1 { Self::SEVERAL } else { 0 })
    }

    fn token(letters: usize) -> u32 {
        1 << (letters.max(Self::SHORTEST) - Self::SHORTEST).min(Self::TOKENS - 1)
    }

    fn pair(letters: usize) -> u32 {
        1 << (Self::TOKENS + (letters.max(Self::SHORTEST) - Self::SHORTEST).min(Self::PAIRS - 1))
    }
}

/// A query of several telling tokens, for names that answer one of them: most have other parts besides and are ruled out
/// before anything else is read of them.
pub(crate) struct Alone {
    /// For each unit, its telling token alone.
    units: Vec<One>,
    /// The units that answer no telling token.
    others: u64,
    /// Bits of a shape with which words written as one may agree.
    joins: u32,
}

/// One telling token of the query.
#[derive(Clone, Copy, Default)]
struct One {
    /// The units that answer no other; none where a listed token may answer this and another.
    units: u64,
    /// What must be won where no other is answered: by a name with others that tell, and by one without.
    least: [u32; 2],
}

impl Alone {
    /// `together` are the units that one listed token answers, for each that answers any.
    pub(crate) fn new(
        tokens: &[Weighed<'_>],
        weights: &Weights,
        bar: f32,
        units: &[Reading],
        together: impl Iterator<Item = u64>,
    ) -> Option<Self> {
        let reach = Reach::new(tokens, weights, bar)
            .filter(|r| r.needs_telling && r.telling.count_ones() > 1 && !r.has_article)?;
        let bits = |tokens: std::ops::Range<usize>| -> u32 {
            tokens.fold(0, |bits, i| bits | (1_u32.checked_shl(i as u32).unwrap_or(0) & reach.telling))
        };
        let telling: Vec<u32> = units
            .iter()
            .map(|&unit| match unit {
                Reading::Own(i) | Reading::Part(i, _) => bits(i..i + 1),
                Reading::Joined(first, count) => bits(first..first + count),
            })
            .collect();
        let which = |holds: &dyn Fn(u32) -> bool| -> u64 {
            telling.iter().rev().fold(0, |units, &t| units << 1 | u64::from(holds(t)))
        };
        let others = which(&|t| t == 0);
        let of = |mask: u64| -> u32 {
            let answered = telling.iter().enumerate().filter(|(unit, _)| mask & 1 << unit != 0);
            answered.fold(0, |bits, (_, t)| bits | t)
        };
        let shared = together.map(of).filter(|t| t.count_ones() > 1).fold(0, |shared, t| shared | t);
        let one = |t: u32| {
            if t.count_ones() != 1 || t & shared != 0 {
                return One::default();
            }
            let token = t.trailing_zeros() as usize;
            let least = [weights.lonely * weights.lonely, weights.lonely]
                .map(|factor| least(tokens, weights, token, bar / factor));
            One { units: others | which(&|other| other == t), least }
        };
        let about = |length: usize| length.saturating_sub(JOINED)..=length + JOINED;
        let joins = reach.pairs.iter().flat_map(|&l| about(l)).map(Shape::token);
        let apart = reach.letters.iter().flat_map(|&l| about(l)).map(Shape::pair);
        Some(Self {
            units: telling.iter().map(|&t| one(t)).collect(),
            others,
            joins: joins.chain(apart).fold(Shape::OTHERWISE, |bits, bit| bits | bit),
        })
    }

    /// True for a name that wins so much by these units alone and cannot reach the bar with it.
    pub(crate) fn rules_out(&self, units: u64, sum: u32, shape: impl FnOnce() -> Shape) -> bool {
        let first = (units & !self.others).trailing_zeros() as usize;
        let Some(&One { units: own, least: [with_others, without] }) = self.units.get(first) else {
            return false;
        };
        units & !own == 0 && sum < with_others && {
            let Shape(shape) = shape();
            // A part that does not tell may be answered by one that would.
            shape & self.joins == 0
                && (sum < without || shape & Shape::SEVERAL != 0 && units & self.others == 0)
        }
    }
}

/// What must be won, in parts of a nat, to reach a bar where of the telling tokens only this one is answered.
fn least(tokens: &[Weighed<'_>], weights: &Weights, token: usize, bar: f32) -> u32 {
    let missed = tokens.iter().enumerate().filter(|(i, t)| *i != token && t.tells());
    let missed: f32 = missed.map(|(_, t)| weights.cost(t)).sum();
    let total: f32 = tokens.iter().map(|t| weights.worth(t.view.role, t.information)).sum();
    let (mut low, mut high) = (0, (total * PARTS) as u32 + 1);
    while low < high {
        let middle = u32::midpoint(low, high);
        // What each unit wins was rounded down.
        let won = (middle as usize + MAX_UNITS) as f32 / PARTS;
        if raw(weights, won, weights.extra_query * missed) * ROUNDING >= bar {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
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
                || self.may_be_two(index, length, id)
                || self.may_be_one(index, before[1], length)
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

    /// True where a listed token may be two of the query written as one: as long as these and with the first's beginning.
    fn may_be_two(&self, index: &Index, length: usize, id: TokenId) -> bool {
        near(&self.pairs, length, JOINED) && {
            let one = index.token(id).view;
            self.tokens
                .iter()
                .zip(&self.pairs)
                .any(|(first, pair)| pair.abs_diff(length) <= JOINED && begin_alike(one, first.view))
        }
    }

    /// True where a listed token and the one before it may be written as one in the query.
    fn may_be_one(&self, index: &Index, before: Option<(Role, usize, TokenId)>, length: usize) -> bool {
        let Some((_, before, first)) = before else { return false };
        near(&self.letters, before + length, JOINED) && {
            let first = index.token(first).view;
            self.tokens
                .iter()
                .zip(&self.letters)
                .any(|(one, own)| own.abs_diff(before + length) <= JOINED && begin_alike(one.view, first))
        }
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

/// True where the first letters, or the first consonants, are the same.
fn begin_alike(a: TokenView<'_>, b: TokenView<'_>) -> bool {
    let first = |text: &str| text.as_bytes().first().copied();
    first(a.latin) == first(b.latin) || first(a.skeleton) == first(b.skeleton)
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
