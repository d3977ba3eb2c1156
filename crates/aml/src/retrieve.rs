//! Finds the listed names that win most of a query, without reading all that carry its words.
//!
//! MaxScore (Turtle and Flood, *Query evaluation: strategies and optimizations*, 1995): once
//! enough good names are known, words that cannot lift a name among them on their own are no
//! longer scanned but only looked up in the names that the other words found. Names are
//! gone through in blocks that stay in the processor's cache. What is skipped could not have
//! been among the best: the result is that of reading everything, up to the bounds below.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use names::Role;

use crate::index::{Index, NameId, TokenId};
use crate::model::Schema;
use crate::reach::Alone;
use crate::score::{Weighed, Weights};

/// Names aligned in full where no more are wanted.
pub(crate) const FULL: usize = 40;
/// Name postings scanned for one query.
const POSTING_BUDGET: usize = 1_500_000;
/// Postings of other lists read for one query, to see what the names found there have besides.
const REST_BUDGET: usize = 3 * POSTING_BUDGET;
/// What looking up the words of one name costs, in postings read in order.
const LOOKUP: usize = 100;
/// What it costs to see whether a name can still be among the best, in postings read in order.
const SIFT: usize = 8;
/// Names of one block.
const BLOCK: u32 = 1 << 16;
/// Units of one query: as many as a cell has bits for.
pub(crate) const MAX_UNITS: usize = 40;
/// Below so many postings nothing is planned: all are scanned.
const FEW: usize = 2_000;
/// Information is counted in whole parts of a nat, so that sums do not depend on their order.
pub(crate) const PARTS: f32 = 1024.0;
/// What is left over of a listed name counts a tenth of what agrees.
const LEFT_OVER: i64 = 10;

/// How a unit answers the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Tokens like one token of the query.
    Own(usize),
    /// One part of a query token that is read as two, or without its article; parts of one reading have one number.
    Part(usize, usize),
    /// So many tokens of the query, from the first, written as one.
    Joined(usize, usize),
}

/// A token of the lists and what a name wins by it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) token: TokenId,
    pub(crate) won: f32,
}

/// One way to answer a part of the query.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) reading: Reading,
    pub(crate) answers: Vec<Answer>,
}

/// The names that carry one token, and the units that the token may answer.
struct List<'a> {
    names: &'a [NameId],
    units: u64,
    /// What it wins in the unit where it wins most.
    won: u32,
    at: usize,
    scanned: bool,
}

/// A unit being read: which lists answer it, those that win most first; the first `scanned` of them are scanned.
struct Source {
    reading: Reading,
    lists: Vec<usize>,
    scanned: usize,
    postings: usize,
    /// The most that a name wins here which no scanned list has.
    rest: u32,
}

impl Source {
    fn scan(&mut self, count: usize, lists: &[List<'_>]) {
        self.scanned = count;
        self.rest = self.lists.get(count).and_then(|&l| lists.get(l)).map_or(0, |l| l.won);
    }
}

/// Working memory of one retrieval, reused by the next.
#[derive(Default)]
pub(crate) struct Room {
    /// Of each name of a block: what it wins (lower 24 bits) and the units that it wins in (upper 40).
    cells: Vec<u64>,
    touched: Vec<NameId>,
    /// Where each token of the lists stands in the answers, plus one.
    place: Vec<u32>,
}

/// What retrieval needs to know of the query.
pub(crate) struct Asked<'a> {
    pub(crate) tokens: &'a [Weighed<'a>],
    pub(crate) weights: &'a Weights,
    pub(crate) schema: Schema,
    /// Raw score that names must be able to reach.
    pub(crate) bar: f32,
    /// Names that are wanted.
    pub(crate) most: usize,
}

/// The names that win most, at most as many as are wanted, in no order.
pub(crate) fn retrieve(index: &Index, asked: &Asked<'_>, units: &[Unit], room: &mut Room) -> Vec<NameId> {
    let (mut by_token, readings) = answers_of(units);
    let places = place(index, &mut by_token, room);
    let source =
        |reading: &Reading| Source { reading: *reading, lists: Vec::new(), scanned: 0, postings: 0, rest: 0 };
    let mut sources: Vec<Source> = readings.iter().map(source).collect();
    let mut lists: Vec<List<'_>> = by_token
        .chunk_by(|a, b| a.0 == b.0)
        .map(|answers| List {
            names: answers.first().map_or(&[], |a| index.names_with(a.0)),
            units: answers.iter().fold(0, |units, a| units | 1 << a.1),
            won: answers.iter().map(|a| a.2).max().unwrap_or(0),
            at: 0,
            scanned: true,
        })
        .collect();
    lists.sort_by_key(|l| Reverse(l.won));
    for (unit, source) in sources.iter_mut().enumerate() {
        source.lists = (0..lists.len()).filter(|&l| lists[l].units & 1 << unit != 0).collect();
        source.postings = source.lists.iter().map(|&l| lists[l].names.len()).sum();
        source.scan(source.lists.len(), &lists);
    }
    let alone = alone(asked, &readings, &by_token);
    let bounds = Bounds::new(asked);
    let mut best = Best { least: bounds.least(), most: asked.most, names: BinaryHeap::new() };
    let postings: usize = lists.iter().map(|l| l.names.len()).sum();
    room.cells.resize(BLOCK as usize, 0);
    let mut planned: Option<i64> = None;
    let mut budget = REST_BUDGET;
    let names = u32::try_from(index.names()).unwrap_or(u32::MAX);
    let blocks = index.names() / BLOCK as usize + 1;
    let mut start = 0;
    while start < names {
        let end = start.saturating_add(BLOCK).min(names);
        let floor = best.floor();
        if (postings > FEW && planned.is_none()) || planned.is_some_and(|p| floor > p + p / 16) {
            plan(&mut sources, &mut lists, &bounds, floor);
            planned = Some(floor.max(0));
        }
        if lists.iter().all(|l| !l.scanned) {
            break;
        }
        scan(&mut lists, start, end, room);
        let rest: u32 = sources.iter().map(|s| s.rest).sum();
        let Room { cells, touched, place } = room;
        let unread: usize = lists.iter().filter(|l| !l.scanned).map(|l| l.names.len()).sum();
        let unread = unread / blocks;
        // Whether a name can still be among the best is asked first only where that saves much reading.
        let sift = rest > 0 && touched.len() * SIFT < unread;
        if sift {
            let floor = best.floor();
            touched.retain(|&name| {
                let Some(cell) = cells.get_mut((name - start) as usize) else { return false };
                let most = won(*cell) + rest;
                let stays = i64::from(most) * LEFT_OVER > floor && {
                    let worth = index.worth_of(name);
                    // The information of a name is rounded down, and no more than it can agree.
                    let most = most.min((worth * PARTS) as u32 + PARTS as u32).max(won(*cell));
                    best.takes(rank(most, worth), name) && bounds.within(most, worth)
                };
                if !stays {
                    *cell = 0;
                }
                stays
            });
        }
        let look_up = sift && touched.len() * LOOKUP < unread;
        let add = rest > 0 && !look_up && !touched.is_empty() && unread <= budget;
        if add {
            budget -= unread;
            add_rest(&mut lists, start, end, cells);
        }
        // Where lists were left out a name may win by more than is known of it.
        let alone = alone.as_ref().filter(|_| rest == 0 || look_up || add);
        let mut floor = best.floor();
        for &name in touched.iter() {
            let Some(cell) = cells.get_mut((name - start) as usize) else { continue };
            let cell = std::mem::take(cell);
            let (sum, units) =
                if look_up { looked_up(index, name, &by_token, place) } else { (won(cell), cell >> 24) };
            if i64::from(sum) * LEFT_OVER < floor
                || alone.is_some_and(|a| a.rules_out(units, sum, || index.shape_of(name)))
            {
                continue;
            }
            let worth = index.worth_of(name);
            let rank = rank(sum, worth);
            if best.takes(rank, name)
                && bounds.within(sum, worth)
                && asked.schema.can_be(index.schema_of(name))
            {
                best.add(rank, name);
                floor = best.floor();
            }
        }
        touched.clear();
        start = end;
    }
    for token in places {
        if let Some(place) = room.place.get_mut(token as usize) {
            *place = 0;
        }
    }
    best.names.into_iter().map(|(_, name)| name).collect()
}

/// What the tokens of the lists win, by unit, and how each unit reads the query.
fn answers_of(units: &[Unit]) -> (Vec<(TokenId, u8, u32)>, Vec<Reading>) {
    let (mut by_token, mut readings) = (Vec::new(), Vec::with_capacity(units.len()));
    for unit in units.iter().filter(|u| !u.answers.is_empty()).take(MAX_UNITS) {
        let number = u8::try_from(readings.len()).unwrap_or(u8::MAX);
        let answers = unit.answers.iter().map(|a| (a.token, number, (a.won.max(0.0) * PARTS) as u32));
        by_token.extend(answers.filter(|a| a.2 > 0));
        readings.push(unit.reading);
    }
    (by_token, readings)
}

/// What rules out names that answer one part of the query; `by_token` is in order.
fn alone(asked: &Asked<'_>, readings: &[Reading], by_token: &[(TokenId, u8, u32)]) -> Option<Alone> {
    let tokens = by_token.chunk_by(|a, b| a.0 == b.0);
    let together = tokens.map(|answers| answers.iter().fold(0, |units, a| units | 1 << a.1));
    Alone::new(asked.tokens, asked.weights, asked.bar, readings, together)
}

/// The names that are ruled out by what they answer.
#[cfg(test)]
pub(crate) fn ruled_out(index: &Index, asked: &Asked<'_>, units: &[Unit]) -> Vec<NameId> {
    let mut room = Room::default();
    let (mut by_token, readings) = answers_of(units);
    place(index, &mut by_token, &mut room);
    let Some(alone) = alone(asked, &readings, &by_token) else { return Vec::new() };
    (0..u32::try_from(index.names()).unwrap_or(u32::MAX))
        .filter(|&name| {
            let (sum, units) = looked_up(index, name, &by_token, &room.place);
            alone.rules_out(units, sum, || index.shape_of(name))
        })
        .collect()
}

/// Notes where each token stands in the answers; the tokens noted.
fn place(index: &Index, by_token: &mut [(TokenId, u8, u32)], room: &mut Room) -> Vec<TokenId> {
    by_token.sort_unstable();
    room.place.resize(index.tokens(), 0);
    let mut noted: Vec<TokenId> = Vec::with_capacity(by_token.len());
    for (at, &(token, ..)) in by_token.iter().enumerate() {
        if noted.last() != Some(&token) {
            noted.push(token);
            if let Some(place) = room.place.get_mut(token as usize) {
                *place = u32::try_from(at + 1).unwrap_or(0);
            }
        }
    }
    noted
}

/// What a name wins by all its tokens, each of which answers one unit, the best first; and these units.
fn looked_up(index: &Index, name: NameId, by_token: &[(TokenId, u8, u32)], place: &[u32]) -> (u32, u64) {
    const MOST: usize = 64;
    let mut pairs = [(0u32, 0u8, 0u8); MOST];
    let mut count = 0;
    for (position, &token) in (0u8..32).zip(index.tokens_of(name)) {
        let Some(at) = place.get(token as usize).and_then(|p| p.checked_sub(1)) else { continue };
        let answers = by_token.get(at as usize..).unwrap_or_default();
        for &(_, unit, won) in answers.iter().take_while(|a| a.0 == token) {
            if let Some(pair) = pairs.get_mut(count) {
                *pair = (won, unit, position);
                count += 1;
            }
        }
    }
    let pairs = &mut pairs[..count];
    pairs.sort_unstable_by(|a, b| b.cmp(a));
    let (mut units, mut positions, mut sum) = (0u64, 0u32, 0);
    for &(won, unit, position) in pairs.iter() {
        if units & 1 << unit == 0 && positions & 1 << position == 0 {
            units |= 1 << unit;
            positions |= 1 << position;
            sum += won;
        }
    }
    (sum, units)
}

fn won(cell: u64) -> u32 {
    (cell & SUM) as u32
}

/// The bits of a cell that hold the sum.
const SUM: u64 = (1 << 24) - 1;

impl List<'_> {
    /// Its names from `start` to `end`.
    fn between(&mut self, start: NameId, end: NameId) -> &[NameId] {
        let rest = self.names.get(self.at..).unwrap_or_default();
        let Some(&next) = rest.first().filter(|&&n| n < end) else { return &[] };
        // A list that was not scanned for a while is behind.
        let from = if next < start { rest.partition_point(|&n| n < start) } else { 0 };
        let rest = &rest[from..];
        // Most lists are short against a block, so the end is near.
        let count = match rest.get(64) {
            Some(&far) if far < end => rest.partition_point(|&n| n < end),
            _ => rest.iter().take_while(|&&n| n < end).count(),
        };
        self.at += from + count;
        &rest[..count]
    }
}

/// Adds a list to a name's cell, where a unit that it answers is free: those that win more come first.
fn add(cell: &mut u64, units: u64, won: u32) {
    let free = units & !(*cell >> 24);
    if free != 0 {
        *cell += u64::from(won) | 1 << (24 + free.trailing_zeros());
    }
}

/// Adds up what the names of one block win by the scanned lists.
fn scan(lists: &mut [List<'_>], start: NameId, end: NameId, room: &mut Room) {
    let Room { cells, touched, .. } = room;
    for list in lists.iter_mut().filter(|l| l.scanned) {
        let (units, won) = (list.units, list.won);
        for &name in list.between(start, end) {
            let Some(cell) = cells.get_mut((name - start) as usize) else { continue };
            if *cell == 0 {
                touched.push(name);
            }
            add(cell, units, won);
        }
    }
}

/// Adds what the names that were found win by the other lists.
fn add_rest(lists: &mut [List<'_>], start: NameId, end: NameId, cells: &mut [u64]) {
    for list in lists.iter_mut().filter(|l| !l.scanned) {
        let (units, won) = (list.units, list.won);
        for &name in list.between(start, end) {
            if let Some(cell) = cells.get_mut((name - start) as usize).filter(|c| **c != 0) {
                add(cell, units, won);
            }
        }
    }
}

/// Chooses the lists that must be scanned so that no name outside them can be among the best: rare units first, of
/// the last one only its best lists.
fn plan(sources: &mut [Source], lists: &mut [List<'_>], bounds: &Bounds<'_>, floor: i64) {
    let mut order: Vec<usize> = (0..sources.len()).collect();
    order.sort_by_key(|&i| (sources[i].postings, i));
    for source in sources.iter_mut() {
        source.scan(0, lists);
    }
    let mut spent = 0;
    let mut taken = 0;
    for &i in &order {
        if bounds.hopeless(sources, floor) {
            break;
        }
        spent += sources[i].postings;
        if spent > POSTING_BUDGET {
            break;
        }
        let all = sources[i].lists.len();
        sources[i].scan(all, lists);
        taken += 1;
    }
    // What was taken last costs most: give back what is not needed.
    for &i in order[..taken].iter().rev() {
        if !bounds.hopeless(sources, floor) {
            break;
        }
        while let Some(fewer) = sources[i].scanned.checked_sub(1) {
            sources[i].scan(fewer, lists);
            if !bounds.hopeless(sources, floor) {
                sources[i].scan(fewer + 1, lists);
                break;
            }
        }
    }
    for list in lists.iter_mut() {
        list.scanned = false;
    }
    for source in sources.iter() {
        for &list in &source.lists[..source.scanned] {
            lists[list].scanned = true;
        }
    }
}

/// The best names so far; the worst on top.
struct Best {
    /// What a name must win to be able to reach the bar.
    least: i64,
    most: usize,
    names: BinaryHeap<(Reverse<i64>, NameId)>,
}

impl Best {
    /// The rank that must be exceeded, or reached by a name of a lower number.
    fn floor(&self) -> i64 {
        self.names
            .peek()
            .filter(|_| self.names.len() >= self.most)
            .map_or(self.least, |w| w.0.0.max(self.least))
    }

    fn takes(&self, rank: i64, name: NameId) -> bool {
        self.names.len() < self.most || self.names.peek().is_some_and(|worst| (Reverse(rank), name) < *worst)
    }

    fn add(&mut self, rank: i64, name: NameId) {
        if self.takes(rank, name) {
            if self.names.len() >= self.most {
                self.names.pop();
            }
            self.names.push((Reverse(rank), name));
        }
    }
}

/// Order of names before they are aligned: what agrees, less some of what is left over.
fn rank(sum: u32, worth: f32) -> i64 {
    let (sum, worth) = (i64::from(sum), (worth * PARTS) as i64);
    sum * LEFT_OVER - (worth - sum).max(0)
}

/// What names can reach at most.
struct Bounds<'a> {
    asked: &'a Asked<'a>,
    /// Information of the query.
    total: f32,
    /// Of the tokens that are aligned without being looked for.
    unseen: f32,
    /// Of each token: what it costs when nobody answers; nothing for those aligned without being looked for.
    costs: Vec<f32>,
}

impl<'a> Bounds<'a> {
    fn new(asked: &'a Asked<'a>) -> Self {
        let (mut total, mut unseen) = (0.0, 0.0);
        let mut costs = Vec::with_capacity(asked.tokens.len());
        for token in asked.tokens {
            let worth = asked.weights.worth(token.view.role, token.information);
            total += worth;
            if matches!(token.view.role, Role::Initial | Role::Form) {
                unseen += worth;
                costs.push(0.0);
            } else {
                costs.push(asked.weights.cost(token));
            }
        }
        Self { asked, total, unseen, costs }
    }

    /// True when no name outside the scanned lists can be among the best or reach the bar.
    fn hopeless(&self, sources: &[Source], floor: i64) -> bool {
        let tokens = self.costs.len().min(32);
        let (mut own, mut parts) = ([0u32; 32], [(0usize, 0u32); 32]);
        for source in sources {
            let rest = source.rest;
            match source.reading {
                Reading::Own(i) if i < tokens => own[i] = own[i].max(rest),
                Reading::Part(i, reading) if i < tokens => {
                    // Parts of one reading come one after the other.
                    parts[i] =
                        if parts[i].0 == reading { (reading, parts[i].1 + rest) } else { (reading, rest) };
                    own[i] = own[i].max(parts[i].1);
                }
                _ => {}
            }
        }
        let mut most: u32 = own[..tokens].iter().sum();
        let mut answered = (0..tokens).filter(|&i| own[i] > 0).fold(0u32, |mask, i| mask | 1 << i);
        for source in sources {
            if let Reading::Joined(first, count) = source.reading
                && source.rest > 0
                && first + count <= tokens
            {
                let apart: u32 = own[first..first + count].iter().sum();
                most += source.rest.saturating_sub(apart);
                (first..first + count).for_each(|i| answered |= 1 << i);
            }
        }
        if i64::from(most) * LEFT_OVER <= floor {
            return true;
        }
        let weights = self.asked.weights;
        let won = (most as f32 / PARTS + self.unseen).min(self.total);
        let (mut missed, mut telling, mut silent) = (0.0, 0, 0);
        for (i, token) in self.asked.tokens.iter().enumerate().take(tokens) {
            let answers = answered & 1 << i != 0 || self.costs[i] == 0.0;
            if !answers {
                missed += self.costs[i];
            }
            if token.tells() {
                *(if answers { &mut telling } else { &mut silent }) += 1;
            }
        }
        let lonely = if telling == 1 && silent > 0 { weights.lonely } else { 1.0 };
        let against = weights.extra_query * missed;
        lonely * won / (won + against).max(1e-6) * (won / (won + weights.half_substance)) < self.asked.bar
    }

    /// The rank below which no name reaches the bar, whatever else it has.
    fn least(&self) -> i64 {
        let (mut low, mut high) = (0, (self.total * PARTS) as u32);
        while low < high {
            let middle = (low + high) / 2;
            // The worth of a name that has nothing else.
            if self.within(middle, 0.0) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        i64::from(low) * LEFT_OVER - 1
    }

    /// Tells whether a name that wins so much can still reach the bar. Leftovers are charged less than the alignment
    /// charges them: what looks left over may agree in part.
    fn within(&self, sum: u32, worth: f32) -> bool {
        const SURE: f32 = 0.7;
        let weights = self.asked.weights;
        let won = (sum as f32 / PARTS + self.unseen).min(self.total);
        let (own, listed) = (self.total - won, (worth - won).max(0.0));
        let both = own.min(listed);
        let against =
            SURE * (both + weights.extra_query * (own - both) + weights.extra_listed * (listed - both));
        won * won >= self.asked.bar * (won + against) * (won + weights.half_substance)
    }
}
