//! The loop: kept inputs, then seeds until the time is over.

use crate::{Random, mutate};
use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::PathBuf,
    time::{Duration, Instant},
};

/// What a target tries unless `MAINS_FUZZ_SECONDS` says otherwise.
const SECONDS: u64 = 5;
/// Most that one input may take, on a machine that is busy: checks are bounded in time, or they are no checks.
const CASE_MAX: Duration = Duration::from_secs(60);

/// Something to be tried with many inputs.
pub trait Target {
    /// Names it in messages, and the test that runs it.
    const NAME: &'static str;
    /// The folder in `corpus/` whose files are played first and mutated.
    const CORPUS: &'static str;

    /// An input. `entries` are the kept ones; equal arguments give equal inputs.
    fn input(&self, random: &mut Random, entries: &[Vec<u8>]) -> Vec<u8> {
        mutate(random, entries)
    }

    /// Inputs worth mutating that no file holds.
    fn beginnings(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// Panics if something is wrong with what the code makes of this input. Tells whether the input was interesting (for example
    /// accepted rather than refused): a session in which nothing is, tests nothing.
    fn check(&self, input: &[u8]) -> bool;
}

/// The files kept for a target in the order of their names; those that end in `.wat` are assembled.
///
/// # Panics
/// If one cannot be read.
pub fn corpus(folder: &str) -> Vec<(String, Vec<u8>)> {
    let Ok(files) = fs::read_dir(directory(folder)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a readable corpus").path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let is_text = path.extension().is_some_and(|extension| extension == "wat");
        let bytes = if is_text {
            wat::parse_bytes(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into_owned()
        } else {
            bytes
        };
        (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), bytes)
    };
    paths.into_iter().map(read).collect()
}

/// Plays what is kept, then tries seeds. `MAINS_FUZZ_SECONDS` says for how long, `MAINS_FUZZ_SEED` where to begin (alone: that
/// seed and no other).
///
/// # Panics
/// On the first input that fails; it is a file in the target's corpus then. Or if no input was interesting.
pub fn fuzz<T: Target>(target: &T) {
    let kept = corpus(T::CORPUS);
    for (name, input) in &kept {
        eprintln!("{}: {name}", T::NAME);
        case(target, input, None);
    }
    let mut entries: Vec<Vec<u8>> = kept.into_iter().map(|(_, input)| input).collect();
    entries.extend(target.beginnings());
    let (start, seconds) = (number("MAINS_FUZZ_SEED"), number("MAINS_FUZZ_SECONDS"));
    let only = start.is_some() && seconds.is_none();
    let budget = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let (begun, mut slowest) = (Instant::now(), (Duration::ZERO, 0));
    let (mut seed, mut tried, mut interesting) = (start.unwrap_or(0), 0u64, 0u64);
    loop {
        let input = target.input(&mut Random::new(seed), &entries);
        let case_begun = Instant::now();
        interesting += u64::from(case(target, &input, Some(seed)));
        slowest = slowest.max((case_begun.elapsed(), seed));
        assert!(slowest.0 < CASE_MAX, "{}: seed {seed} took {:?}", T::NAME, slowest.0);
        tried += 1;
        if only || begun.elapsed() >= budget {
            break;
        }
        seed = seed.wrapping_add(1);
    }
    eprintln!("{}: {tried} inputs, {interesting} of interest, last seed {seed}, slowest {slowest:?}", T::NAME);
    assert!(only || interesting > 0, "{}: none of {tried} inputs was of interest", T::NAME);
}

fn case<T: Target>(target: &T, input: &[u8], seed: Option<u64>) -> bool {
    catch_unwind(AssertUnwindSafe(|| target.check(input))).unwrap_or_else(|panic| {
        if let Some(seed) = seed {
            let name = format!("failed-{}", &hex::encode(blake3::hash(input).as_bytes())[..16]);
            let path = directory(T::CORPUS).join(name);
            let saved = fs::create_dir_all(directory(T::CORPUS)).and_then(|()| fs::write(&path, input));
            eprintln!(
                "{name}: seed {seed} failed; again: MAINS_FUZZ_SEED={seed} cargo test --release -p mains-fuzz {name}; input: {} {saved:?}",
                path.display(),
                name = T::NAME,
            );
        }
        resume_unwind(panic)
    })
}

fn directory(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(folder)
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}
