//! Reads a page with Tesseract, as a process of its own: for scripts that the packaged models do not read.
//!
//! Off unless the operator names languages. The process gets one picture on its standard input, drawn by this program,
//! and bounded time, memory and answer; of this program's environment it sees only what it needs to find its data. What
//! it says is data like any other. Only lines with letters of other scripts than
//! Latin are taken: Latin is read better by the packaged models. Tesseract is not part of this program (Debian:
//! `tesseract-ocr` and a package for each language).

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use imaging::RgbImage;
use serde::Serialize;

use crate::record::{Record, Side, Upright};

/// Longest that one page may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Longest answer that is read.
const MOST_BYTES: u64 = 1 << 20;
/// Most memory it may take, in bytes: a page of [`SIDE`] pixels with three languages takes about 300 MB.
const MOST_MEMORY: u64 = 2 << 30;
/// What it is told of the environment: where programs, libraries and its data are, and a language for its texts.
const ENVIRONMENT: [&str; 6] = ["PATH", "LD_LIBRARY_PATH", "TESSDATA_PREFIX", "LANG", "LC_ALL", "HOME"];
/// Longer side of the picture it is given: text of a card is then about 30 pixels high.
const SIDE: u32 = 1600;
/// Confidence (0 to 100) below which a word is left out.
const LEAST_CONFIDENCE: f32 = 50.0;

/// Why Tesseract cannot be used, or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum TesseractError {
    /// The languages are no `rus` or `rus+ara`.
    #[error("`{0}` names no Tesseract languages; write them like `rus` or `rus+ara`")]
    Languages(String),
    /// The program is not there.
    #[error("could not start `{program}`; install tesseract-ocr, or name the program")]
    Missing {
        /// What was to be started.
        program: String,
        /// Why it did not.
        #[source]
        source: std::io::Error,
    },
    /// A language's data are not there.
    #[error("Tesseract has no data for `{language}`; install tesseract-ocr-{language}")]
    NoLanguage {
        /// Which.
        language: String,
    },
    /// It took too long, failed, or said too much.
    #[error("Tesseract {0}")]
    Failed(&'static str),
}

/// A line in another script than Latin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NativeLine {
    /// Side it stands on.
    pub side: Side,
    /// What it says.
    pub text: String,
    /// Mean of its words, 0 to 1, by Tesseract's own measure.
    pub confidence: f32,
    /// Left, top, right, bottom as shares of the upright side.
    pub region: [f32; 4],
}

impl NativeLine {
    /// Words of Tesseract's table joined to lines: level, page, block, paragraph, line, word, left, top, width, height,
    /// confidence, text, on a page of this width and height. Rows that are none are passed over.
    pub fn of_table(table: &str, side: Side, width: f32, height: f32) -> Vec<Self> {
        lines_of(table, side, width, height)
    }
}

/// Tesseract with its languages, found to be there.
#[derive(Debug, Clone)]
pub struct Tesseract {
    program: PathBuf,
    languages: String,
}

impl Tesseract {
    /// Looks for the program (on `PATH` unless named) and for every language.
    ///
    /// # Errors
    /// [`TesseractError`] saying what to install.
    pub fn find(program: Option<&Path>, languages: &str) -> Result<Self, TesseractError> {
        let named = |language: &str| {
            (3..=20).contains(&language.len())
                && language.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if !languages.split('+').all(named) {
            return Err(TesseractError::Languages(languages.to_owned()));
        }
        let found = Self {
            program: program.map_or_else(|| PathBuf::from("tesseract"), Path::to_path_buf),
            languages: languages.to_owned(),
        };
        let known = found.run(&["--list-langs"], &[])?;
        let known: Vec<&str> = known.lines().map(str::trim).collect();
        match languages.split('+').find(|language| !known.contains(language)) {
            Some(language) => Err(TesseractError::NoLanguage { language: language.to_owned() }),
            None => Ok(found),
        }
    }

    /// Reads the sides of a record once more and adds the lines in other scripts to it.
    ///
    /// # Errors
    /// [`TesseractError`] when it did not answer.
    pub fn add_to(&self, record: &mut Record) -> Result<(), TesseractError> {
        record.native_text = self.read(&record.sides)?;
        Ok(())
    }

    /// The lines of all sides, top to bottom.
    fn read(&self, sides: &[Upright]) -> Result<Vec<NativeLine>, TesseractError> {
        let mut lines = Vec::new();
        for side in sides {
            lines.extend(self.read_side(side.side, &side.image)?);
        }
        Ok(lines)
    }

    fn read_side(&self, side: Side, image: &RgbImage) -> Result<Vec<NativeLine>, TesseractError> {
        let page = imaging::fit_within(image, SIDE);
        let png = imaging::encode_png(&page);
        let table = self.run(&["stdin", "stdout", "-l", &self.languages, "--psm", "11", "tsv"], &png)?;
        Ok(lines_of(&table, side, page.width() as f32, page.height() as f32))
    }

    /// Starts the program, gives it `input`, and takes its answer within the limits.
    fn run(&self, args: &[&str], input: &[u8]) -> Result<String, TesseractError> {
        let known = ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut child = Command::new(&self.program)
            .args(args)
            .env_clear()
            .envs(known)
            .env("OMP_THREAD_LIMIT", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| TesseractError::Missing {
                program: self.program.display().to_string(),
                source,
            })?;
        let bounded = bound(&child);
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(TesseractError::Failed("has no pipes"));
        };
        if bounded.is_err() {
            // Without its limits it gets no picture.
            let _ = child.kill();
            let _ = child.wait();
            return Err(TesseractError::Failed("could not be given its limits"));
        }
        let input = input.to_vec();
        let (send, answer) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            // A program that reads no input closes the pipe: its answer counts, not that.
            let _ = stdin.write_all(&input);
            drop(stdin);
            let mut said = Vec::new();
            let read = stdout.take(MOST_BYTES + 1).read_to_end(&mut said);
            // Nobody waits any more once the time is over.
            let _ = send.send(read.map(|_| said));
        });
        let said = answer.recv_timeout(LIMIT);
        if said
            .as_ref()
            .map_or(true, |said| said.as_ref().map_or(true, |said| said.len() as u64 > MOST_BYTES))
        {
            // Ends the reading thread too; that the child may be gone already makes no difference.
            let _ = child.kill();
        }
        let ended = child.wait();
        let said = said.map_err(|_| TesseractError::Failed("took too long"))?;
        let said = said.map_err(|_| TesseractError::Failed("closed its output"))?;
        if said.len() as u64 > MOST_BYTES {
            return Err(TesseractError::Failed("said too much"));
        }
        if !ended.is_ok_and(|status| status.success()) {
            return Err(TesseractError::Failed("ended with an error"));
        }
        Ok(String::from_utf8_lossy(&said).into_owned())
    }
}

/// Bounds the program before it has read a byte of its input: memory, processor time, written files, core dumps.
#[cfg(target_os = "linux")]
fn bound(child: &std::process::Child) -> rustix::io::Result<()> {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let limits = [
        (Resource::As, MOST_MEMORY),
        (Resource::Cpu, LIMIT.as_secs()),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ];
    let pid = Pid::from_child(child);
    for (resource, most) in limits {
        match prlimit(Some(pid), resource, Rlimit { current: Some(most), maximum: Some(most) }) {
            // One that has ended needs no bounds.
            Ok(_) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Other systems give no limits to a process that runs; it has its deadline.
#[cfg(not(target_os = "linux"))]
fn bound(_: &std::process::Child) -> rustix::io::Result<()> {
    Ok(())
}

/// Whether a letter belongs to another script than Latin.
fn other_script(c: char) -> bool {
    c.is_alphabetic() && !matches!(c, '\0'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
}

/// A line under way: block, paragraph and line; words with their confidence; the box around them.
struct Words {
    place: [u32; 3],
    words: Vec<(String, f32)>,
    region: [f32; 4],
}

fn lines_of(table: &str, side: Side, width: f32, height: f32) -> Vec<NativeLine> {
    let mut lines: Vec<Words> = Vec::new();
    for row in table.lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        let [_, _, block, paragraph, line, _, left, top, w, h, confidence, text] = cells[..] else {
            continue;
        };
        let number = |text: &str| text.parse::<f32>().ok().filter(|v| v.is_finite());
        let place = [block, paragraph, line].map(|n| n.parse::<u32>().unwrap_or(0));
        let (Some(left), Some(top), Some(w), Some(h)) = (number(left), number(top), number(w), number(h))
        else {
            continue;
        };
        let likely = |c: &f32| (LEAST_CONFIDENCE..=100.0).contains(c);
        let Some(confidence) = number(confidence).filter(likely) else { continue };
        let word = text.trim();
        if word.is_empty() {
            continue;
        }
        let word = (word.to_owned(), confidence / 100.0);
        let region = [left / width, top / height, (left + w) / width, (top + h) / height];
        match lines.last_mut().filter(|line| line.place == place) {
            Some(line) => {
                line.words.push(word);
                for (edge, (all, new)) in line.region.iter_mut().zip(region).enumerate() {
                    *all = if edge < 2 { all.min(new) } else { all.max(new) };
                }
            }
            None => lines.push(Words { place, words: vec![word], region }),
        }
    }
    let line = |line: Words| {
        let confidence = line.words.iter().map(|w| w.1).sum::<f32>() / line.words.len().max(1) as f32;
        let text = line.words.into_iter().map(|w| w.0).collect::<Vec<_>>().join(" ");
        // A page without size has no shares: NaN stays NaN when clamped.
        let region = line.region.map(|v| if v.is_finite() { v.clamp(0.0, 1.0) } else { 0.0 });
        (text.chars().filter(|c| other_script(*c)).count() >= 2).then_some(NativeLine {
            side,
            text,
            confidence,
            region,
        })
    };
    lines.into_iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n";

    #[test]
    fn words_are_joined_to_lines_and_latin_lines_left_out() {
        let table = format!(
            "{HEAD}4\t1\t1\t1\t1\t0\t10\t20\t80\t10\t-1\t\n5\t1\t1\t1\t1\t1\t10\t20\t30\t10\t96.0\tИВАНОВ\n\
             5\t1\t1\t1\t1\t2\t50\t18\t40\t12\t90.0\tИван\n5\t1\t1\t1\t2\t1\t10\t40\t30\t10\t95.0\tIVANOV\n\
             5\t1\t1\t1\t3\t1\t10\t60\t30\t10\t12.0\tшум\nbroken\n"
        );
        let lines = lines_of(&table, Side::Front, 100.0, 100.0);
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!(line.text, "ИВАНОВ Иван");
        let close = |a: f32, b: f32| (a - b).abs() < 1e-5;
        assert!(close(line.confidence, 0.93), "{}", line.confidence);
        assert!(
            line.region.into_iter().zip([0.1, 0.18, 0.9, 0.3]).all(|(a, b)| close(a, b)),
            "{:?}",
            line.region
        );
        assert!(lines_of("", Side::Front, 0.0, 0.0).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn any_table_gives_lines_within_the_page(
            cells in proptest::collection::vec(proptest::collection::vec("[0-9.eINFa-]{0,6}|[а-я]{1,4}|\\PC{0,4}", 0..14), 0..6),
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
            (width, height) in (0u16..2000, 0u16..2000),
        ) {
            let rows: Vec<String> = cells.iter().map(|row| row.join("\t")).collect();
            for table in [format!("{HEAD}{}", rows.join("\n")), String::from_utf8_lossy(&bytes).into_owned()] {
                for line in lines_of(&table, Side::Front, f32::from(width), f32::from(height)) {
                    proptest::prop_assert!(line.region.iter().all(|v| (0.0..=1.0).contains(v)), "{line:?}");
                    proptest::prop_assert!((0.5..=1.0).contains(&line.confidence), "{line:?}");
                    proptest::prop_assert!(line.text.chars().count() <= table.chars().count());
                }
            }
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(matches!(Tesseract::find(None, "rus;rm"), Err(TesseractError::Languages(_))));
        assert!(matches!(Tesseract::find(None, ""), Err(TesseractError::Languages(_))));
        let nowhere = Tesseract::find(Some(Path::new("/nonexistent/tesseract")), "rus").err();
        assert!(nowhere.is_some_and(|error| error.to_string().contains("tesseract-ocr")));
        match Tesseract::find(None, "tlh_nosuch") {
            Err(TesseractError::NoLanguage { language }) => assert_eq!(language, "tlh_nosuch"),
            Err(TesseractError::Missing { .. }) => println!("skipped: tesseract is not installed"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_blank_page_has_no_lines() {
        let blank =
            Upright { side: Side::Front, image: RgbImage::from_pixel(400, 200, [255; 3].into()), quad: None };
        match Tesseract::find(None, "rus") {
            Ok(tesseract) => assert_eq!(tesseract.read(&[blank]).expect("it answers"), []),
            Err(error) => println!("skipped: {error}"),
        }
    }
}
