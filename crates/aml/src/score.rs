//! Weighs how well two names agree.
//!
//! Tokens are aligned one to one (or one to two neighbours, where a space was lost
//! or added). An agreement is worth the information of the token: minus the
//! logarithm of the share of names that carry it, so a rare surname in common says
//! more than *Mohammed*. Tokens left over on either side count against, most of all
//! when both sides have some: then the names contradict each other.
//!
//! The raw score is `ratio × substance`: the share of the information that agrees,
//! times how much information that is. It has no plateau: of two perfect agreements
//! the rarer name scores higher.

use names::{Agreement, Likeness, Role, TokenView};
use serde::{Deserialize, Serialize};

/// A token with what it is worth.
#[derive(Clone, Copy, Debug)]
pub struct Weighed<'a> {
    /// The token.
    pub view: TokenView<'a>,
    /// Information in nats: −ln of the share of names that carry it.
    pub information: f32,
    /// The same for its consonants, where only these can be compared.
    pub consonant_information: f32,
}

impl Weighed<'_> {
    /// True for a token that tells names apart on its own.
    pub(crate) fn tells(&self) -> bool {
        tells(self.view.role, self.view.groups)
    }
}

/// [`Weighed::tells`] of a token of this role and these groups.
pub(crate) fn tells(role: Role, groups: &[u32]) -> bool {
    matches!(role, Role::Part | Role::Word | Role::Number) && !names::opens(role, groups)
}

/// The weights of the matcher. `crates/aml/data/README.md` says how they were fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// Worth of a dictionary group against the same letters.
    pub group: f32,
    /// Worth of the same sound.
    pub sound: f32,
    /// Worth of the same consonants where vowels are not written.
    pub consonants: f32,
    /// How fast the worth of a near spelling falls: 1 − `spelling` × (1 − similarity).
    pub spelling: f32,
    /// How much faster it falls the farther apart the spellings are: − `curve` × (1 − similarity)².
    pub curve: f32,
    /// Worth of an initial, of the information of a letter.
    pub initial: f32,
    /// Worth of two tokens written as one.
    pub joined: f32,
    /// Cost of what an agreement is less than perfect.
    pub imperfect: f32,
    /// Cost of a query token nobody answers.
    pub extra_query: f32,
    /// Cost of a listed token the query does not have.
    pub extra_listed: f32,
    /// Cost of tokens left over on both sides.
    pub contradiction: f32,
    /// How far a token left over costs the same however common it is, 0..1; the rest goes by its information.
    pub flat: f32,
    /// What is left of the score when one part alone agrees and the query has others; applied twice when the list has others too.
    pub lonely: f32,
    /// Information at which substance is one half.
    pub half_substance: f32,
    /// Most information one token can carry.
    pub most_information: f32,
    /// How far an agreement is worth only what is told by *all* the listed tokens that agree as well, 0..1.
    pub crowd: f32,
    /// What it costs that parts agree in another order and not surely.
    pub swapped: f32,
    /// How many times over a syllable of the query counts that nobody answers: a Chinese or Korean given name is whole.
    pub syllable: f32,
    /// Weight of particles, titles, legal forms, business words and numbers against a name part.
    pub particle: f32,
    /// Weight of a title.
    pub title: f32,
    /// Weight of a legal form.
    pub form: f32,
    /// Weight of a business word.
    pub word: f32,
    /// Weight of a number.
    pub number: f32,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            group: 0.85,
            sound: 0.8,
            consonants: 1.1,
            spelling: 0.9,
            curve: 1.2,
            initial: 0.4,
            joined: 0.95,
            imperfect: 1.5,
            extra_query: 0.29,
            extra_listed: 0.78,
            contradiction: 2.0,
            flat: 0.18,
            lonely: 0.65,
            half_substance: 1.6,
            most_information: 8.5,
            crowd: 0.8,
            swapped: 0.2,
            syllable: 4.0,
            particle: 0.19,
            title: 0.1,
            form: 0.3,
            word: 0.72,
            number: 1.2,
        }
    }
}

impl Weights {
    /// Information of a token after its role and the cap.
    #[must_use]
    pub fn worth(&self, role: Role, information: f32) -> f32 {
        let factor = match role {
            Role::Part | Role::Initial => 1.0,
            Role::Particle => self.particle,
            Role::Form => self.form,
            Role::Title => self.title,
            Role::Number => self.number,
            Role::Word => self.word,
        };
        information.min(self.most_information) * factor
    }

    /// What a token left over counts before the weight of its side.
    pub(crate) fn cost(&self, token: &Weighed<'_>) -> f32 {
        self.cost_of(token.view.role, token.information)
    }

    pub(crate) fn cost_of(&self, role: Role, information: f32) -> f32 {
        const COMMON: f32 = 6.5;
        self.worth(role, self.flat * COMMON + (1.0 - self.flat) * information.min(self.most_information))
    }

    fn grade(&self, agreement: Agreement) -> f32 {
        match agreement.likeness {
            Likeness::Exact => 1.0,
            Likeness::Group => self.group,
            Likeness::Sound => self.sound,
            Likeness::Consonants => (self.consonants * agreement.similarity).min(1.0),
            Likeness::Spelling => {
                let apart = 1.0 - agreement.similarity;
                (1.0 - self.spelling * apart - self.curve * apart * apart).max(0.0)
            }
            Likeness::Initial => self.initial,
        }
    }

    /// What an agreement of two tokens wins and loses of the information at stake. `crowd` is the information of
    /// agreeing at least as well with any token of the lists: what half of them are like says little.
    #[must_use]
    pub fn value(&self, q: &Weighed<'_>, c: &Weighed<'_>, agreement: Agreement, crowd: f32) -> (f32, f32) {
        let mut base = self.worth(q.view.role, q.information).min(self.worth(c.view.role, c.information));
        if agreement.likeness == Likeness::Consonants {
            base = base.min(self.worth(c.view.role, c.consonant_information.min(q.consonant_information)));
        }
        if agreement.likeness == Likeness::Initial {
            base = base.min(3.0);
        }
        let grade = self.grade(agreement);
        let told = base - self.crowd * (base - self.worth(q.view.role, crowd)).max(0.0);
        (told * grade, base * (1.0 - grade))
    }
}

/// Tokens of the query and of the listed name that answer each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pairing {
    /// First token of the query and how many (1 or 2).
    pub query: (u8, u8),
    /// First token of the listed name and how many (1 or 2).
    pub listed: (u8, u8),
    /// How they agree.
    pub agreement: Agreement,
    /// Information won.
    pub won: f32,
    /// Information lost because the agreement is not perfect.
    pub lost: f32,
}

/// The outcome for two names.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Alignment {
    /// `ratio × substance`, 0..1.
    pub raw: f32,
    /// The share of the information that agrees, 0..1: 1 for equal names however common.
    pub ratio: f32,
    /// Information that agrees.
    pub won: f32,
    /// Information of the query's tokens left over.
    pub extra_query: f32,
    /// Information of the listed name's tokens left over.
    pub extra_listed: f32,
}

/// Room for the alignment, kept between calls.
#[derive(Debug, Default)]
pub struct Room {
    options: Vec<Pairing>,
    /// The pairings of the last alignment, best first.
    pub pairings: Vec<Pairing>,
}

/// Aligns two names. `agree(i, j)` tells how query token `i` and listed token `j` agree.
pub fn align(
    query: &[Weighed<'_>],
    listed: &[Weighed<'_>],
    weights: &Weights,
    room: &mut Room,
    mut agree: impl FnMut(usize, usize) -> Option<(Agreement, f32)>,
) -> Alignment {
    let Room { options, pairings } = room;
    options.clear();
    pairings.clear();
    let mut answered = 0u32;
    for (i, q) in query.iter().enumerate().take(32) {
        for (j, c) in listed.iter().enumerate().take(32) {
            if let Some((agreement, crowd)) = agree(i, j) {
                let (won, lost) = weights.value(q, c, agreement, crowd);
                if agreement.likeness == Likeness::Exact {
                    answered |= 1 << i;
                }
                options.push(Pairing { won, lost, ..option((i, 1), (j, 1), agreement, 0.0, 0.0) });
            }
        }
    }
    joined(query, listed, weights, answered, options);
    options.sort_unstable_by(|a, b| {
        b.won.total_cmp(&a.won).then(a.query.cmp(&b.query)).then(a.listed.cmp(&b.listed))
    });
    let (mut used_q, mut used_c) = (0u64, 0u64);
    let mut lost = 0.0;
    let mut won = 0.0;
    for option in options.iter() {
        let q = mask(option.query);
        let c = mask(option.listed);
        if used_q & q != 0 || used_c & c != 0 {
            continue;
        }
        used_q |= q;
        used_c |= c;
        won += option.won;
        lost += option.lost;
        pairings.push(*option);
    }
    let left = |side: &[Weighed<'_>], used: u64| -> f32 {
        side.iter()
            .enumerate()
            .take(32)
            .filter(|(i, _)| used & (1 << i) == 0)
            .map(|(_, t)| weights.cost(t))
            .sum()
    };
    let syllables: f32 = query
        .iter()
        .enumerate()
        .take(32)
        .filter(|(i, t)| t.view.syllabic && used_q & (1 << i) == 0)
        .map(|(_, t)| weights.cost(t))
        .sum();
    let extra_query = left(query, used_q) + (weights.syllable - 1.0) * syllables;
    let extra_listed = left(listed, used_c);
    if won <= 0.0 {
        return Alignment { extra_query, extra_listed, ..Alignment::default() };
    }
    let against = weights.imperfect * lost
        + weights.extra_query * extra_query
        + weights.extra_listed * extra_listed
        + weights.contradiction * extra_query.min(extra_listed);
    let mut ratio = won / (won + against);
    let parts = |side: &[Weighed<'_>], used: u64, taken: bool| {
        side.iter().enumerate().take(32).filter(|(i, t)| t.tells() && (used & (1 << i) != 0) == taken).count()
    };
    if parts(query, used_q, true) == 1 && parts(query, used_q, false) > 0 {
        ratio *= weights.lonely;
        if parts(listed, used_c, false) > 0 {
            ratio *= weights.lonely;
        }
    }
    if turned(query, pairings) {
        ratio *= 1.0 - weights.swapped;
    }
    let raw = ratio * (won / (won + weights.half_substance));
    Alignment { raw, ratio, won, extra_query, extra_listed }
}

/// True when name parts agree crosswise, the first with the last, and one of them not surely.
fn turned(query: &[Weighed<'_>], pairings: &[Pairing]) -> bool {
    let sure = |p: &Pairing| matches!(p.agreement.likeness, Likeness::Exact | Likeness::Group);
    if pairings.iter().all(sure) {
        return false;
    }
    let parts = |p: &&Pairing| query.get(usize::from(p.query.0)).is_some_and(|t| t.view.role == Role::Part);
    pairings.iter().filter(parts).enumerate().any(|(i, a)| {
        pairings
            .iter()
            .filter(parts)
            .skip(i + 1)
            .any(|b| (a.query.0 < b.query.0) != (a.listed.0 < b.listed.0))
    })
}

fn option(query: (usize, u8), listed: (usize, u8), agreement: Agreement, base: f32, grade: f32) -> Pairing {
    let small = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
    Pairing {
        query: (small(query.0), query.1),
        listed: (small(listed.0), listed.1),
        agreement,
        won: base * grade,
        lost: base * (1.0 - grade),
    }
}

fn mask((start, count): (u8, u8)) -> u64 {
    ((1u64 << count) - 1) << start
}

/// What stands between two parts with an article once they are written as one: *Shahab al-Din, Shahabuddin*.
pub(crate) const JOINERS: [&str; 2] = ["u", "al"];

/// Adds options for one token against two neighbours of the other side, or three with a particle between.
fn joined(
    query: &[Weighed<'_>],
    listed: &[Weighed<'_>],
    weights: &Weights,
    answered: u32,
    options: &mut Vec<Pairing>,
) {
    let text = &mut String::new();
    for (i, q) in query.iter().enumerate().take(32) {
        if answered & (1 << i) != 0 {
            continue;
        }
        for (j, pair) in listed.windows(2).enumerate().take(31) {
            if let Some(agreement) = joined_agreement(q, &pair[0], &pair[1], text) {
                let parts = weights.worth(pair[0].view.role, pair[0].information)
                    + weights.worth(pair[1].view.role, pair[1].information);
                let base =
                    joined_base(q, weights.worth(q.view.role, q.information * 2.0).min(parts), agreement);
                options.push(option(
                    (i, 1),
                    (j, 2),
                    agreement,
                    base,
                    weights.grade(agreement) * weights.joined,
                ));
            }
        }
    }
    for (i, three) in query.windows(3).enumerate().take(30) {
        for (j, c) in listed.iter().enumerate().take(32) {
            if let Some(agreement) = with_article(c, three, text) {
                let base = base_of_one(three, c, weights, agreement);
                options.push(option(
                    (i, 3),
                    (j, 1),
                    agreement,
                    base,
                    weights.grade(agreement) * weights.joined,
                ));
            }
        }
    }
    for (i, q) in query.iter().enumerate().take(32) {
        for (j, three) in listed.windows(3).enumerate().take(30) {
            if let Some(agreement) = with_article(q, three, text) {
                let parts: f32 = three.iter().map(|t| weights.worth(t.view.role, t.information)).sum();
                let base =
                    joined_base(q, parts.min(weights.worth(q.view.role, q.information * 2.0)), agreement);
                options.push(option(
                    (i, 1),
                    (j, 3),
                    agreement,
                    base,
                    weights.grade(agreement) * weights.joined,
                ));
            }
        }
    }
    for (i, pair) in query.windows(2).enumerate().take(31) {
        if answered & (3 << i) == 3 << i {
            continue;
        }
        for (j, c) in listed.iter().enumerate().take(32) {
            if let Some(agreement) = joined_agreement(c, &pair[0], &pair[1], text) {
                let base = base_of_one(pair, c, weights, agreement);
                options.push(option(
                    (i, 2),
                    (j, 1),
                    agreement,
                    base,
                    weights.grade(agreement) * weights.joined,
                ));
            }
        }
    }
}

/// Information at stake where so many tokens of the query are one listed token.
fn base_of_one(query: &[Weighed<'_>], one: &Weighed<'_>, weights: &Weights, agreement: Agreement) -> f32 {
    let parts: f32 = query.iter().map(|t| weights.worth(t.view.role, t.information)).sum();
    joined_base(one, parts.min(weights.worth(one.view.role, one.information) * 1.5), agreement)
}

/// True where a listed token is these two or, with an article between them, three tokens of the query.
pub(crate) fn is_written_apart(one: &Weighed<'_>, query: &[Weighed<'_>], text: &mut String) -> bool {
    match query {
        [a, b] => joined_agreement(one, a, b, text).is_some(),
        three => three.len() == 3 && with_article(one, three, text).is_some(),
    }
}

/// Two tokens that have the consonants of one have no more than these in common.
fn joined_base(one: &Weighed<'_>, base: f32, agreement: Agreement) -> f32 {
    if agreement.likeness == Likeness::Consonants { base.min(one.consonant_information * 0.7) } else { base }
}

/// The article written into its word as Algeria and Tunisia do: *al-Sabar, Essabar*; *al-Azhar, Lazhar*.
fn article_within(
    one: &Weighed<'_>,
    article: &Weighed<'_>,
    word: &Weighed<'_>,
    text: &mut String,
) -> Option<Agreement> {
    let (whole, rest) = (one.view.latin.as_bytes(), word.view.latin.as_bytes());
    if article.view.role != Role::Particle || article.view.skeleton != "al" || rest.len() < 3 {
        return None;
    }
    let prefix = match whole {
        [b'a' | b'e', second, third, ..] if second == third && Some(second) == rest.first() => 2,
        [b'l', b'a' | b'e' | b'i' | b'o' | b'u', ..] if word.view.skeleton.starts_with('a') => 1,
        _ => return None,
    };
    text.clear();
    text.push_str(one.view.latin.get(prefix..)?);
    let (sound, skeleton) = (names::sound(text), names::skeleton(text));
    let one = TokenView {
        latin: text,
        sound: &sound,
        skeleton: &skeleton,
        groups: &[],
        role: Role::Part,
        omits_vowels: one.view.omits_vowels,
        syllabic: false,
    };
    names::compare(one, word.view).filter(|a| a.similarity >= 0.7)
}

fn with_article(one: &Weighed<'_>, three: &[Weighed<'_>], text: &mut String) -> Option<Agreement> {
    let (a, b) = (&three[0], &three[2]);
    if three[1].view.role != Role::Particle
        || !matches!(a.view.role, Role::Part | Role::Particle)
        || b.view.role != Role::Part
    {
        return None;
    }
    let length = a.view.skeleton.len() + b.view.skeleton.len();
    if one.view.role != Role::Part
        || one.view.skeleton.len() < 3
        || one.view.skeleton.len().abs_diff(length) > 2
    {
        return None;
    }
    JOINERS.iter().find_map(|middle| {
        text.clear();
        text.push_str(a.view.latin);
        text.push_str(middle);
        text.push_str(b.view.latin);
        let same = *text == one.view.latin || names::sound(text) == one.view.sound;
        if same {
            return Some(Agreement { likeness: Likeness::Sound, similarity: 0.95 });
        }
        (names::skeleton(text) == one.view.skeleton)
            .then_some(Agreement { likeness: Likeness::Consonants, similarity: 0.9 })
    })
}

fn joined_agreement(
    one: &Weighed<'_>,
    a: &Weighed<'_>,
    b: &Weighed<'_>,
    text: &mut String,
) -> Option<Agreement> {
    let plain =
        |t: &Weighed<'_>| matches!(t.view.role, Role::Part | Role::Particle | Role::Word | Role::Number);
    if !plain(one) || !plain(a) || !plain(b) || one.view.latin.len() < 4 {
        return None;
    }
    if let Some(agreement) = article_within(one, a, b, text) {
        return Some(agreement);
    }
    if one.view.latin.as_bytes().first() != a.view.latin.as_bytes().first()
        && one.view.skeleton.as_bytes().first() != a.view.skeleton.as_bytes().first()
    {
        return None;
    }
    let vowelless = one.view.omits_vowels || a.view.omits_vowels || b.view.omits_vowels;
    if vowelless {
        let length = a.view.skeleton.len() + b.view.skeleton.len();
        if one.view.skeleton.len() < 3
            || one.view.skeleton.len() + 2 < length
            || one.view.skeleton.len() > length + 1
        {
            return None;
        }
    } else if one.view.latin.len().abs_diff(a.view.latin.len() + b.view.latin.len()) > 1 {
        return None;
    }
    text.clear();
    text.push_str(a.view.latin);
    text.push_str(b.view.latin);
    if *text == one.view.latin {
        return Some(Agreement { likeness: Likeness::Exact, similarity: 1.0 });
    }
    if vowelless {
        let skeleton = names::skeleton(text);
        return (skeleton == one.view.skeleton)
            .then_some(Agreement { likeness: Likeness::Consonants, similarity: 0.9 });
    }
    if names::sound(text) == one.view.sound {
        return Some(Agreement { likeness: Likeness::Sound, similarity: 0.95 });
    }
    // *Muhammadi* is derived from *Muhammad* and is not *Muhammad Yi*: what is only nearly the same was written apart
    // where both parts are more than an ending.
    if a.view.latin.len().min(b.view.latin.len()) < 3 {
        return None;
    }
    let sound = names::sound(text);
    let skeleton = names::skeleton(text);
    let whole = TokenView {
        latin: text,
        sound: &sound,
        skeleton: &skeleton,
        groups: &[],
        role: Role::Part,
        omits_vowels: false,
        syllabic: false,
    };
    let one = TokenView { groups: &[], role: Role::Part, ..one.view };
    names::compare(whole, one).filter(|a| a.similarity >= 0.85)
}

/// The raw score at which one in a hundred applicants who are on no list is alerted by name alone, on
/// lists of the size of OFAC and UN together; measured by `examples/fit.rs`.
pub const ALERT_AT: f32 = 0.45;
