//! Makes similarity mean error rates: cosine → score 0–100, and the table behind it.
//!
//! A score is a statement about impostors. Below the top it is
//! `10 - 10·log10(FMR)`: 30 means that one pair in 100 of different people
//! reaches it, 40 one in 1,000, 50 one in 10,000, 60 one in 100,000 (measured
//! on the calibration pairs; beyond what their number can show the line is
//! continued and the table says so). A perfect cosine is 100. The map is a
//! data file, one for each embedder; `bonafide face calibrate` makes it.

use serde::{Deserialize, Serialize};

/// A calibration of one embedder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Name and version of the embedder it belongs to.
    pub model: String,
    /// What it was measured on.
    pub measured_on: String,
    /// Pairs of the same person.
    pub genuine_pairs: u64,
    /// Pairs of different people.
    pub impostor_pairs: u64,
    /// Below this score a match is declined.
    pub decline_below: f64,
    /// From this score a match is approved; between the two a person reviews.
    pub approve_from: f64,
    /// Cosine and score, both rising.
    pub knots: Vec<[f64; 2]>,
    /// What thresholds mean.
    #[serde(default)]
    pub table: Vec<Row>,
    /// The same for groups of people.
    #[serde(default)]
    pub groups: Vec<GroupRow>,
}

/// What a threshold means: rates with their 95 % intervals (Clopper–Pearson).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Threshold on the score.
    pub score: f64,
    /// The same in the embedder's cosine.
    pub cosine: f64,
    /// False match rate.
    pub fmr: f64,
    /// Its interval.
    pub fmr_95: [f64; 2],
    /// False non-match rate.
    pub fnmr: f64,
    /// Its interval.
    pub fnmr_95: [f64; 2],
}

/// False matches within one group at one threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRow {
    /// Both people of a pair belong to it.
    pub group: String,
    /// Threshold on the score.
    pub score: f64,
    /// Pairs of different people within the group.
    pub impostor_pairs: u64,
    /// False match rate.
    pub fmr: f64,
    /// Its interval.
    pub fmr_95: [f64; 2],
}

/// The packaged embedder's calibration.
const PACKAGED: &str = include_str!("../data/calibration.toml");

impl Calibration {
    /// The calibration of the packaged embedder.
    ///
    /// # Panics
    /// Never: a test reads the same text.
    pub fn packaged() -> Self {
        Self::parse(PACKAGED).expect("a test reads the packaged calibration")
    }

    /// Reads a calibration and checks that it is a rising map.
    ///
    /// # Errors
    /// The text of what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let calibration: Self = toml::from_str(text).map_err(|e| e.message().to_owned())?;
        let rising = calibration.knots.windows(2).all(|w| w[0][0] < w[1][0] && w[0][1] <= w[1][1]);
        let finite = calibration.knots.iter().flatten().all(|v| v.is_finite());
        let bands = (0.0..=100.0).contains(&calibration.decline_below)
            && (calibration.decline_below..=100.0).contains(&calibration.approve_from);
        if calibration.knots.len() < 2 || !rising || !finite || !bands {
            return Err("the knots must rise and the bands lie in 0..=100".to_owned());
        }
        Ok(calibration)
    }

    /// The calibration as a data file.
    ///
    /// # Errors
    /// Never for finite numbers.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// The score of a cosine, 0 to 100; 0 for what is not a number.
    pub fn score(&self, cosine: f64) -> f64 {
        if cosine.is_nan() {
            return 0.0;
        }
        let mut result = self.knots.first().map_or(0.0, |k| k[1]);
        for pair in self.knots.windows(2) {
            let [[c0, s0], [c1, s1]] = [pair[0], pair[1]];
            if cosine >= c0 {
                let share = ((cosine - c0) / (c1 - c0)).min(1.0);
                result = s0 + share * (s1 - s0);
            }
        }
        result.clamp(0.0, 100.0)
    }

    /// The cosine from which a score is reached.
    pub fn cosine(&self, score: f64) -> f64 {
        for pair in self.knots.windows(2) {
            let [[c0, s0], [c1, s1]] = [pair[0], pair[1]];
            if score <= s1 && s1 > s0 {
                return c0 + ((score - s0) / (s1 - s0)).clamp(0.0, 1.0) * (c1 - c0);
            }
        }
        1.0
    }

    /// Makes a calibration from the cosines of pairs of the same and of different people.
    ///
    /// # Errors
    /// The text of what is missing: at least 20 genuine and 200 impostor pairs are needed.
    pub fn measure(
        model: &str,
        measured_on: &str,
        mut genuine: Vec<f64>,
        mut impostor: Vec<f64>,
    ) -> Result<Self, String> {
        genuine.retain(|v| v.is_finite());
        impostor.retain(|v| v.is_finite());
        if genuine.len() < 20 || impostor.len() < 200 {
            return Err(format!(
                "calibration needs at least 20 genuine and 200 impostor pairs, there are {} and {}",
                genuine.len(),
                impostor.len()
            ));
        }
        genuine.sort_by(f64::total_cmp);
        impostor.sort_by(|a, b| b.total_cmp(a));
        let n = impostor.len() as f64;
        // Quantiles as far as at least ten impostors stand behind one; median at the bottom.
        let mut knots: Vec<[f64; 2]> = vec![[-1.0, 0.0]];
        let mut push = |cosine: f64, score: f64| {
            let last = knots.last().copied().unwrap_or([-1.0, 0.0]);
            if cosine > last[0] + 1e-6 && score > last[1] && cosine < 0.9999 {
                knots.push([cosine, score]);
            }
        };
        let step = 0.25;
        let mut exponent = 0.25;
        let mut tail: Vec<[f64; 2]> = Vec::new();
        while n * 10_f64.powf(-exponent) >= 10.0 {
            let rank = (n * 10_f64.powf(-exponent)).round() as usize;
            let cosine = impostor.get(rank.saturating_sub(1)).copied().unwrap_or(1.0);
            push(cosine, 10.0 + 10.0 * exponent);
            if exponent >= 1.0 {
                tail.push([cosine, 10.0 + 10.0 * exponent]);
            }
            exponent += step;
        }
        // Beyond: the slope of the last decade and a half, continued up to 99.
        if let (Some(last), Some(before)) =
            (tail.last(), tail.iter().rev().nth(6.min(tail.len().saturating_sub(1))))
        {
            let slope = ((last[1] - before[1]) / (last[0] - before[0]).max(1e-6)).max(1.0);
            for extra in [10.0, 20.0, 30.0, 40.0] {
                let score = last[1] + extra;
                if score < 99.0 {
                    push(last[0] + extra / slope, score);
                }
            }
        }
        knots.push([1.0, 100.0]);
        let mut calibration = Self {
            model: model.to_owned(),
            measured_on: measured_on.to_owned(),
            genuine_pairs: genuine.len() as u64,
            impostor_pairs: impostor.len() as u64,
            decline_below: 40.0,
            approve_from: 60.0,
            knots,
            table: Vec::new(),
            groups: Vec::new(),
        };
        calibration.knots.iter_mut().for_each(|k| *k = [round(k[0], 5), round(k[1], 2)]);
        calibration.knots.dedup_by(|b, a| b[0] <= a[0]);
        for score in (20..=70).step_by(5).map(f64::from) {
            let cosine = calibration.cosine(score);
            let false_matches = impostor.partition_point(|&v| v >= cosine) as u64;
            let false_misses = genuine.partition_point(|&v| v < cosine) as u64;
            calibration.table.push(Row {
                score,
                cosine: round(cosine, 4),
                fmr: significant(false_matches as f64 / n),
                fmr_95: interval(false_matches, impostor.len() as u64),
                fnmr: significant(false_misses as f64 / genuine.len() as f64),
                fnmr_95: interval(false_misses, genuine.len() as u64),
            });
        }
        Ok(calibration)
    }
}

fn round(value: f64, digits: i32) -> f64 {
    let p = 10_f64.powi(digits);
    (value * p).round() / p
}

/// Three significant digits.
fn significant(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { round(value, 2 - value.abs().log10().floor() as i32) }
}

/// The 95 % interval of a rate with `events` out of `n` (Clopper and Pearson 1934).
pub fn interval(events: u64, n: u64) -> [f64; 2] {
    if n == 0 {
        return [0.0, 1.0];
    }
    let (k, n) = (events.min(n) as f64, n as f64);
    let low = if k == 0.0 { 0.0 } else { solve(|p| beta_tail(k, n - k + 1.0, p) - 0.025) };
    let high = if k == n { 1.0 } else { solve(|p| beta_tail(k + 1.0, n - k, p) - 0.975) };
    [significant(low), significant(high)]
}

/// Root of a rising function of p in 0..1.
fn solve(f: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if f(middle) > 0.0 { high = middle } else { low = middle }
    }
    (low + high) / 2.0
}

/// Regularised incomplete beta function, by its continued fraction (Lentz).
fn beta_tail(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp();
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_tail(b, a, 1.0 - x);
    }
    let (mut f, mut c, mut d) = (1.0, 1.0, 0.0);
    for i in 0..400 {
        let m = f64::from(i / 2);
        let term = match (i, i % 2) {
            (0, _) => 1.0,
            (_, 0) => m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            _ => -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        };
        d = 1.0 / nonzero(1.0 + term * d);
        c = nonzero(1.0 + term / c);
        f *= c * d;
        if (c * d - 1.0).abs() < 1e-12 {
            break;
        }
    }
    front * (f - 1.0) / a
}

fn nonzero(v: f64) -> f64 {
    if v.abs() < 1e-300 { 1e-300 } else { v }
}

/// Logarithm of the gamma function (Lanczos, g = 7).
fn ln_gamma(x: f64) -> f64 {
    const C: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let t = x + 7.5;
    let sum = C.iter().enumerate().skip(1).fold(C[0], |s, (i, c)| s + c / (x + i as f64));
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packaged_calibration_rises_from_0_to_100() {
        let c = Calibration::packaged();
        let mut last = -1.0;
        for i in -100..=100 {
            let score = c.score(f64::from(i) / 100.0);
            assert!((0.0..=100.0).contains(&score) && score >= last);
            last = score;
        }
        assert_eq!(c.score(1.0), 100.0);
        assert_eq!(c.score(f64::NAN), 0.0);
    }

    #[test]
    fn score_and_cosine_are_inverse() {
        let c = Calibration::packaged();
        for score in [20.0, 30.0, 45.0, 60.0] {
            assert!((c.score(c.cosine(score)) - score).abs() < 1e-6);
        }
    }

    #[test]
    fn intervals_are_clopper_and_pearsons() {
        // Values of R's binom.test.
        let close = |got: [f64; 2], want: [f64; 2]| {
            assert!(
                (got[0] - want[0]).abs() < 6e-4 && (got[1] - want[1]).abs() < 6e-4,
                "{got:?} for {want:?}"
            );
        };
        close(interval(0, 100), [0.0, 0.03622]);
        close(interval(5, 100), [0.01643, 0.11283]);
        close(interval(50, 100), [0.39832, 0.60168]);
        close(interval(100, 100), [0.96378, 1.0]);
    }

    #[test]
    fn a_measured_calibration_says_what_the_scores_claim() {
        // Impostors evenly spread over 0..0.9, genuine pairs over 0.8..1.
        let impostor: Vec<f64> = (0..10_000).map(|i| 0.9 * f64::from(i) / 10_000.0).collect();
        let genuine = (0..100).map(|i| 0.8 + 0.2 * f64::from(i) / 100.0).collect();
        let c = Calibration::measure("m/1", "made up", genuine, impostor).expect("enough pairs");
        assert!((c.cosine(30.0) - 0.9 * 0.99).abs() < 2e-3, "1 % of impostors reach 30");
        assert!((c.cosine(40.0) - 0.9 * 0.999).abs() < 2e-3, "one in 1,000 reaches 40");
        let row = c.table.iter().find(|r| r.score == 30.0).expect("a row");
        assert!((row.fmr - 0.01).abs() < 1e-3 && row.fmr_95[0] < 0.01 && row.fmr_95[1] > 0.01);
        let text = toml::to_string(&c).expect("writes");
        assert_eq!(Calibration::parse(&text).expect("reads"), c);
    }

    #[test]
    fn too_few_pairs_are_refused() {
        assert!(Calibration::measure("m/1", "", vec![0.9; 5], vec![0.1; 500]).is_err());
    }
}
