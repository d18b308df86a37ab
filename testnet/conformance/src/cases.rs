//! Cases, each named by its rule, run together against one network.

use crate::World;
use anyhow::Result;
use futures::{FutureExt as _, StreamExt as _, future::LocalBoxFuture};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a case may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// Cases under way at a time.
const TOGETHER: usize = 24;
/// Names a part of the names of the cases to run; all run without it.
const FILTER: &str = "CASE";

type Run = Box<dyn FnOnce(Arc<World>) -> LocalBoxFuture<'static, Result<()>>>;

/// All cases of the suite, in groups.
#[derive(Default)]
pub struct Cases {
    group: &'static str,
    list: Vec<(&'static str, String, Run)>,
}

impl Cases {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The cases that follow belong to this group.
    pub fn group(&mut self, name: &'static str) {
        self.group = name;
    }

    /// A case: the rule it checks, and how.
    pub fn case<F, R>(&mut self, rule: impl Into<String>, run: R)
    where
        R: FnOnce(Arc<World>) -> F + 'static,
        F: Future<Output = Result<()>> + 'static,
    {
        self.list.push((self.group, rule.into(), Box::new(move |world| run(world).boxed_local())));
    }

    /// The groups in their order with the number of their cases.
    pub fn groups(&self) -> Vec<(&'static str, usize)> {
        let mut groups: Vec<(&'static str, usize)> = Vec::new();
        for (group, _, _) in &self.list {
            match groups.iter_mut().find(|(name, _)| name == group) {
                Some((_, count)) => *count += 1,
                None => groups.push((group, 1)),
            }
        }
        groups
    }

    /// Names that occur more than once.
    pub fn repeated(&self) -> Vec<String> {
        let mut names: Vec<String> = self.list.iter().map(|(group, rule, _)| format!("{group}: {rule}")).collect();
        names.sort();
        let mut repeated: Vec<String> =
            names.windows(2).filter(|pair| pair[0] == pair[1]).map(|p| p[0].clone()).collect();
        repeated.dedup();
        repeated
    }

    /// Runs all cases whose names have `CASE` in them, many at a time.
    ///
    /// # Panics
    /// If a case failed: with rule, expected and got of each; or if none ran.
    pub async fn run(self, world: &Arc<World>) {
        let filter = std::env::var(FILTER).unwrap_or_default();
        let began = Instant::now();
        let wanted = self.list.into_iter().map(|(group, rule, run)| (format!("{group}: {rule}"), run));
        let wanted: Vec<_> = wanted.filter(|(name, _)| name.contains(&filter)).collect();
        let count = wanted.len();
        let ran = futures::stream::iter(wanted.into_iter().enumerate());
        let ran = ran.map(|(number, (name, run))| one(world.seen_from(number), name, run));
        let failures: Vec<String> = ran.buffer_unordered(TOGETHER).filter_map(async |failure| failure).collect().await;
        assert!(count > 0, "no case has {filter:?} in its name");
        eprintln!("{} of {count} cases held, {:.0} s", count - failures.len(), began.elapsed().as_secs_f64());
        assert!(failures.is_empty(), "{} of {count} cases failed:\n{}", failures.len(), failures.join("\n"));
    }
}

async fn one(world: Arc<World>, name: String, run: Run) -> Option<String> {
    let began = Instant::now();
    let ran = match tokio::time::timeout(PATIENCE, run(world)).await {
        Ok(ran) => ran,
        Err(_) => Err(anyhow::anyhow!("did not end within {} s", PATIENCE.as_secs())),
    };
    let seconds = began.elapsed().as_secs_f64();
    match ran {
        Ok(()) => {
            eprintln!("ok     {seconds:5.2} s  {name}");
            None
        }
        Err(error) => {
            eprintln!("FAILED {seconds:5.2} s  {name}: {error:#}");
            Some(format!("{name}: {error:#}"))
        }
    }
}
