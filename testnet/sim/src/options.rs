//! What a seed means: which faults, when, and how much work. A pure function of the seed.
//!
//! Every part is drawn from a generator of its own, so that one can be taken away ([`Options::without()`]) and the rest
//! stays what it was: that is how a failing seed shrinks. Each part is absent in a random subset of the seeds.

use crate::{adversary::Behaviour, disk::Loss, host::Skew};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::{collections::BTreeSet, time::Duration};

/// The canister that clients call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// The shipped Rust counter.
    RustCounter,
    /// The shipped Motoko counter.
    MotokoCounter,
    /// A tiny hand-written counter: quick to compile, so that most seeds can use it.
    TinyCounter,
}

/// A fault that lasts from one moment to another, in simulated time since the clients began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When it begins.
    pub from: Duration,
    /// When it ends.
    pub to: Duration,
}

/// Who cannot reach whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The first half and the rest.
    Halves,
    /// One member and the rest.
    Isolate(usize),
    /// Whoever leads at that moment, and the rest.
    IsolateLeader,
    /// Nothing from the first half reaches the rest; the way back is open.
    OneWay,
    /// Every member is on a side that was drawn for it.
    Random(u64),
}

/// When a machine dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// At a time, wherever it stands.
    At(Duration),
    /// At its n-th disk operation after a time: between any two steps.
    Operation(Duration, u64),
}

/// A machine dies and starts again on its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Which member; all of them if `None`.
    pub member: Option<usize>,
    /// When.
    pub moment: Moment,
    /// How long it stays down.
    pub down: Duration,
    /// What happens to what it had not synced.
    pub loss: Loss,
}

/// A part of the options that can be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
#[allow(missing_docs, reason = "the names of faults")]
pub enum Fault {
    Delay,
    Loss,
    Duplication,
    Clogs,
    Partitions,
    Crashes,
    TornWrites,
    RottenDisk,
    Skew,
    FarClock,
    Byzantine,
    SmallLimits,
    Mixture,
    ManyClients,
    ManyMembers,
    Upgrade,
    EmptiedDisk,
    FullDisks,
    SlowDisk,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Delay,
        Self::Loss,
        Self::Duplication,
        Self::Clogs,
        Self::Partitions,
        Self::Crashes,
        Self::TornWrites,
        Self::RottenDisk,
        Self::Skew,
        Self::FarClock,
        Self::Byzantine,
        Self::SmallLimits,
        Self::Mixture,
        Self::ManyClients,
        Self::ManyMembers,
        Self::Upgrade,
        Self::EmptiedDisk,
        Self::FullDisks,
        Self::SlowDisk,
    ];

    /// Its name on the command line.
    pub fn name(self) -> String {
        clap::ValueEnum::to_possible_value(&self).expect("every fault has a name").get_name().to_owned()
    }
}

/// What happens in one simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The seed it follows from.
    pub seed: u64,
    /// What was taken away.
    pub without: BTreeSet<Fault>,
    /// Members of the subnet.
    pub members: usize,
    /// One-way delay of a message, milliseconds.
    pub delay_ms: u64,
    /// Messages lost, of 100.
    pub loss_percent: u32,
    /// Messages that arrive twice, of 100.
    pub duplicated_percent: u32,
    /// Links that are slow for a while: from, to, when.
    pub clogs: Vec<(usize, usize, Window)>,
    /// Partitions.
    pub partitions: Vec<(Shape, Window)>,
    /// Crashes and restarts.
    pub crashes: Vec<Crash>,
    /// A member whose disk flips a bit while it is down.
    pub rotten: Option<usize>,
    /// A member whose disk is empty when it starts again: it observes, fetches a state, and takes part later.
    pub emptied: Option<usize>,
    /// Whether that member has only its checkpoints lost: its votes and blocks are there.
    pub keeps_votes: bool,
    /// Members whose disk takes nothing more for a while, and how many syncs fail as that begins.
    pub full: Vec<(usize, Window, u32)>,
    /// A member whose disk is slow for a while, and how much longer each sync takes.
    pub slow: Option<(usize, Window, Duration)>,
    /// Clocks.
    pub skews: Vec<Skew>,
    /// A member whose clock is far off.
    pub far_clock: Option<usize>,
    /// Members that lie, and how: each in one way or several.
    pub byzantine: Vec<(usize, Behaviour)>,
    /// When members are started with a binary that knows a newer version; `None` for one that stays behind until everything
    /// heals.
    pub upgrade: Option<Vec<Option<Duration>>>,
    /// Checkpoints are frequent and pools small.
    pub small: bool,
    /// What is called.
    pub workload: Workload,
    /// Whether calls that trap, expire or move cycles are among the increments.
    pub mixture: bool,
    /// Calls that clients make.
    pub calls: u32,
    /// Clients that call at the same time.
    pub clients: u32,
}

impl Options {
    /// What this seed means. Seed 0 is the calm one.
    pub fn of(seed: u64) -> Self {
        Self::without(seed, &BTreeSet::new())
    }

    /// The same without some parts.
    pub fn without(seed: u64, without: &BTreeSet<Fault>) -> Self {
        let has = |fault: Fault, chance: f64| {
            let mut rng = generator(seed, 100 + fault as u64);
            seed != 0 && rng.random_bool(chance) && !without.contains(&fault)
        };
        let rng = |part: u64| generator(seed, part);
        let members = if seed != 0 && !without.contains(&Fault::ManyMembers) {
            [4, 4, 4, 4, 4, 4, 4, 1, 2, 3, 5, 6, 7, 7, 10, 13][rng(0).random_range(0..16)]
        } else {
            4
        };
        let mut faulty = Faulty::new(members, rng(1));
        let mut byzantine = if has(Fault::Byzantine, 0.4) { faulty.liars(rng(2), rng(13)) } else { Vec::new() };
        // Both together need a larger committee: there it is worth more seeds that a liar is asked for a state.
        let is_lied_to = members >= 7 && !byzantine.is_empty();
        let emptied = if has(Fault::EmptiedDisk, if is_lied_to { 0.6 } else { 0.2 }) { faulty.take() } else { None };
        if let (Some(_), Some((liar, _))) = (emptied, byzantine.first().copied())
            && !byzantine.contains(&(liar, Behaviour::ForgedAnswers))
        {
            byzantine.insert(1, (liar, Behaviour::ForgedAnswers));
        }
        let rotten = if has(Fault::RottenDisk, 0.2) { faulty.take() } else { None };
        let far_clock = if has(Fault::FarClock, 0.15) { faulty.take() } else { None };
        let upgrade = has(Fault::Upgrade, 0.2).then(|| upgrades(members, &mut faulty, rng(12)));
        let loss = if has(Fault::TornWrites, 0.6) { [Loss::TornTail, Loss::Scattered] } else { [Loss::Everything; 2] };
        let mut crashes = if has(Fault::Crashes, 0.6) { crashes(members, loss, rng(3)) } else { Vec::new() };
        for member in rotten.into_iter().chain(emptied) {
            let moment = Moment::At(Duration::from_millis(2_500));
            crashes.push(Crash { member: Some(member), moment, down: Duration::from_secs(1), loss: loss[0] });
        }
        let drawn = Self {
            seed,
            without: without.clone(),
            members,
            delay_ms: if has(Fault::Delay, 0.7) { [5, 20, 60, 100][rng(4).random_range(0..4)] } else { 1 },
            loss_percent: if has(Fault::Loss, 0.5) { [2, 10, 20][rng(5).random_range(0..3)] } else { 0 },
            duplicated_percent: if has(Fault::Duplication, 0.4) { [5, 30, 50][rng(6).random_range(0..3)] } else { 0 },
            clogs: if has(Fault::Clogs, 0.3) { clogs(members, rng(7)) } else { Vec::new() },
            partitions: if has(Fault::Partitions, 0.5) { partitions(members, rng(8)) } else { Vec::new() },
            crashes,
            rotten,
            emptied,
            keeps_votes: emptied.is_some() && rng(14).random_bool(0.3),
            full: if has(Fault::FullDisks, 0.3) { full(members, rng(15)) } else { Vec::new() },
            slow: has(Fault::SlowDisk, 0.25).then(|| slow(members, rng(16))),
            skews: if has(Fault::Skew, 0.5) { skews(members, rng(9)) } else { vec![Skew::default(); members] },
            far_clock,
            byzantine,
            upgrade,
            small: has(Fault::SmallLimits, 0.5),
            workload: match seed % 40 {
                20 => Workload::RustCounter,
                0 if seed != 0 => Workload::MotokoCounter,
                _ => Workload::TinyCounter,
            },
            mixture: has(Fault::Mixture, 0.7),
            // Signatures of a large subnet take most of the time: fewer calls keep such a seed affordable.
            calls: if members > 7 { 6 } else { rng(10).random_range(6..20) },
            clients: if has(Fault::ManyClients, 0.8) { rng(11).random_range(2..5) } else { 1 },
        };
        if seed % SCENES == ROBBED { drawn.robbed() } else { drawn }
    }

    /// A scene that chance would hardly ever make: a member has to fetch a state because nobody has the first blocks any more,
    /// and one of those that it asks lies.
    fn robbed(self) -> Self {
        let has = |fault: Fault| !self.without.contains(&fault);
        let members = if has(Fault::ManyMembers) { 7 } else { 4 };
        let (liar, robbed) = (self.seed as usize / 7 % members, (self.seed as usize / 7 + 1) % members);
        let is_robbed = members >= 7 && has(Fault::EmptiedDisk);
        let crash = Crash {
            member: Some(robbed),
            moment: Moment::At(Duration::from_secs(2)),
            down: Duration::from_secs(2),
            loss: Loss::Everything,
        };
        Self {
            members,
            delay_ms: 1,
            loss_percent: 0,
            clogs: Vec::new(),
            partitions: Vec::new(),
            crashes: is_robbed.then_some(crash).into_iter().collect(),
            rotten: None,
            emptied: is_robbed.then_some(robbed),
            keeps_votes: self.seed / SCENES % 3 == 1,
            slow: None,
            skews: vec![Skew::default(); members],
            far_clock: None,
            byzantine: has(Fault::Byzantine).then_some((liar, Behaviour::ForgedAnswers)).into_iter().collect(),
            upgrade: None,
            small: has(Fault::SmallLimits),
            workload: Workload::TinyCounter,
            calls: 32,
            clients: 4,
            ..self
        }
    }

    /// Members that may be faulty.
    pub fn faults_max(members: usize) -> usize {
        (members - 1) / 3
    }

    /// Whether a member keeps to the rules and has a sound disk: what is checked of honest replicas holds for it.
    pub fn is_honest(&self, member: usize) -> bool {
        self.rotten != Some(member) && self.byzantine.iter().all(|(liar, _)| *liar != member)
    }

    /// A member's clock.
    pub fn skew(&self, member: usize) -> Skew {
        if self.far_clock == Some(member) {
            let ahead = self.seed.is_multiple_of(2);
            return Skew { offset_ms: if ahead { 30_000 } else { -30_000 }, drift_ppm: 0 };
        }
        self.skews[member]
    }
}

/// One seed in this many is a scene, see [`Options::robbed()`].
const SCENES: u64 = 20;
const ROBBED: u64 = 13;

/// A generator for one part of a seed's options.
fn generator(seed: u64, part: u64) -> StdRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    bytes[8..16].copy_from_slice(&part.to_be_bytes());
    StdRng::from_seed(bytes)
}

/// Ways in which one member lies at most.
const BEHAVIOURS_MAX: usize = 3;

/// Hands out members that may be faulty, at most f of them.
struct Faulty {
    left: usize,
    order: Vec<usize>,
}

impl Faulty {
    fn new(members: usize, mut rng: StdRng) -> Self {
        let mut order: Vec<usize> = (0..members).collect();
        for index in (1..members).rev() {
            order.swap(index, rng.random_range(0..=index));
        }
        Self { left: Options::faults_max(members), order }
    }

    fn take(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        self.order.pop()
    }

    fn liars(&mut self, mut rng: StdRng, mut first: StdRng) -> Vec<(usize, Behaviour)> {
        let count = rng.random_range(1..=self.left.max(1));
        let mut liars = Vec::new();
        for member in (0..count).map_while(|_| self.take()) {
            if first.random_bool(0.5) {
                liars.push((member, Behaviour::RARE[first.random_range(0..Behaviour::RARE.len())]));
            }
            for _ in 0..rng.random_range(1..=BEHAVIOURS_MAX) {
                let lie = (member, Behaviour::COMMON[rng.random_range(0..Behaviour::COMMON.len())]);
                if !liars.contains(&lie) {
                    liars.push(lie);
                }
            }
        }
        liars
    }
}

fn window(rng: &mut StdRng) -> Window {
    let from = Duration::from_millis(rng.random_range(200..4_000));
    Window { from, to: from + Duration::from_millis(rng.random_range(500..5_000)) }
}

fn clogs(members: usize, mut rng: StdRng) -> Vec<(usize, usize, Window)> {
    (0..rng.random_range(1..4))
        .map(|_| (rng.random_range(0..members), rng.random_range(0..members), window(&mut rng)))
        .filter(|(from, to, _)| from != to)
        .collect()
}

fn partitions(members: usize, mut rng: StdRng) -> Vec<(Shape, Window)> {
    let mut after = Duration::ZERO;
    (0..rng.random_range(1..3))
        .map(|_| {
            let shape = match rng.random_range(0..5) {
                0 => Shape::Halves,
                1 => Shape::Isolate(rng.random_range(0..members)),
                2 => Shape::IsolateLeader,
                3 => Shape::OneWay,
                _ => Shape::Random(rng.random_range(0..1 << members)),
            };
            let Window { from, to } = window(&mut rng);
            let next = Window { from: after + from, to: after + to };
            after = next.to;
            (shape, next)
        })
        .collect()
}

/// Of one member, of some, or of all: each for itself.
fn full(members: usize, mut rng: StdRng) -> Vec<(usize, Window, u32)> {
    let chance = [0.3, 0.3, 1.0][rng.random_range(0..3)];
    (0..members)
        .filter_map(|member| {
            let (window, syncs) = (window(&mut rng), rng.random_range(0..4));
            rng.random_bool(chance).then_some((member, window, syncs))
        })
        .collect()
}

/// Of one member, for some seconds.
fn slow(members: usize, mut rng: StdRng) -> (usize, Window, Duration) {
    let Window { from, to } = window(&mut rng);
    let by = Duration::from_millis(rng.random_range(100..500));
    (rng.random_range(0..members), Window { from, to: to + Duration::from_secs(4) }, by)
}

fn crashes(members: usize, loss: [Loss; 2], mut rng: StdRng) -> Vec<Crash> {
    (0..rng.random_range(1..4))
        .map(|_| {
            let at = Duration::from_millis(rng.random_range(0..4_000));
            Crash {
                member: rng.random_bool(0.8).then(|| rng.random_range(0..members)),
                moment: if rng.random_bool(0.5) {
                    Moment::At(at)
                } else {
                    Moment::Operation(at, rng.random_range(1..60))
                },
                down: Duration::from_millis(rng.random_range(50..3_000)),
                loss: loss[rng.random_range(0..2)],
            }
        })
        .collect()
}

/// A rolling upgrade: one after another, in no order; in half of them one that may fail stays behind.
fn upgrades(members: usize, faulty: &mut Faulty, mut rng: StdRng) -> Vec<Option<Duration>> {
    let mut at = || Some(Duration::from_millis(rng.random_range(0..4_000)));
    let mut upgrades: Vec<_> = (0..members).map(|_| at()).collect();
    if let Some(member) = faulty.take().filter(|_| rng.random_bool(0.5)) {
        upgrades[member] = None;
    }
    upgrades
}

fn skews(members: usize, mut rng: StdRng) -> Vec<Skew> {
    let mut skew = || Skew { offset_ms: rng.random_range(-120..=120), drift_ppm: rng.random_range(-200..=200) };
    (0..members).map(|_| skew()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_means_the_same_and_every_part_comes_and_goes() {
        let all: Vec<Options> = (0..200).map(Options::of).collect();
        assert_eq!(all, (0..200).map(Options::of).collect::<Vec<_>>());
        type Part = (&'static str, fn(&Options) -> bool);
        let parts: [Part; 17] = [
            ("delay", |options| options.delay_ms > 1),
            ("loss", |options| options.loss_percent > 0),
            ("duplication", |options| options.duplicated_percent > 0),
            ("clogs", |options| !options.clogs.is_empty()),
            ("partitions", |options| !options.partitions.is_empty()),
            ("crashes", |options| !options.crashes.is_empty()),
            ("rotten", |options| options.rotten.is_some()),
            ("emptied", |options| options.emptied.is_some()),
            ("full disks", |options| !options.full.is_empty()),
            ("slow disk", |options| options.slow.is_some()),
            ("skew", |options| options.skews.iter().any(|skew| *skew != Skew::default())),
            ("far clock", |options| options.far_clock.is_some()),
            ("byzantine", |options| !options.byzantine.is_empty()),
            ("upgrade", |options| options.upgrade.is_some()),
            ("small", |options| options.small),
            ("one member", |options| options.members == 1),
            ("many members", |options| options.members == 13),
        ];
        for (name, part) in parts {
            assert!(all.iter().any(part), "{name} never comes");
            assert!(!all.iter().all(part), "{name} never goes");
        }
    }

    #[test]
    fn never_more_than_f_members_are_faulty_in_any_way() {
        for options in (0..2_000).map(Options::of) {
            let mut faulty: Vec<usize> = options.byzantine.iter().map(|(member, _)| *member).collect();
            faulty.dedup();
            faulty.extend(options.rotten);
            faulty.extend(options.far_clock);
            faulty.extend(options.emptied);
            let behind = options.upgrade.iter().flatten().enumerate().filter(|(_, at)| at.is_none());
            faulty.extend(behind.map(|(member, _)| member));
            let count = faulty.len();
            faulty.sort_unstable();
            faulty.dedup();
            assert_eq!(faulty.len(), count, "seed {}: a member is faulty in one way only", options.seed);
            assert!(count <= Options::faults_max(options.members), "seed {}", options.seed);
        }
    }

    #[test]
    fn taking_a_part_away_leaves_the_others() {
        for seed in 0..100 {
            let all = Options::of(seed);
            let calm = Options::without(seed, &BTreeSet::from([Fault::Partitions]));
            assert!(calm.partitions.is_empty());
            let without = calm.without.clone();
            assert_eq!(
                Options { partitions: all.partitions.clone(), without, ..all },
                Options { partitions: all.partitions.clone(), ..calm }
            );
        }
    }
}
