//! Whether what clients were told fits one order of their operations.
//!
//! The canister's log *is* an order. It is the right one if every operation in it was sent, once; every answer is what a
//! model says at that place; and an operation that was answered before another was sent stands before it. Those of which
//! nobody heard may stand anywhere after they were sent, or nowhere. This is linearizability, without a search.

use super::canisters::{ACCOUNTS, Kind, OPENING, REFUSED};
use std::{collections::HashMap, time::Duration};

/// An operation as its client saw it. Times are since the run began.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    /// What it does.
    pub(super) word: u64,
    pub(super) sent: Duration,
    /// When the answer came, and what it was: place and result.
    pub(super) answered: Option<(Duration, u64, u64)>,
}

/// An entry of a canister's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The operation's number.
    pub(super) id: u64,
    pub(super) word: u64,
    pub(super) result: u64,
}

/// A reading: when it was sent and answered, and how many entries there were.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) sent: Duration,
    pub(super) answered: Duration,
    pub(super) count: u64,
}

/// Everything that was sent to one canister, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pub(super) operations: HashMap<u64, Operation>,
    pub(super) readings: Vec<Reading>,
}

/// What does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// In the log, but nobody sent it like that.
    #[error("entry {place} (operation {id}) was never sent")]
    NeverSent {
        /// Where.
        place: u64,
        /// Which.
        id: u64,
    },
    /// Twice in the log.
    #[error("operation {id} ran twice, at {first} and at {second}")]
    Twice {
        /// Which.
        id: u64,
        /// Where.
        first: u64,
        /// And where.
        second: u64,
    },
    /// Answered, but not in the log where the answer says.
    #[error("operation {id} was answered as entry {place}, and is not there")]
    Lost {
        /// Which.
        id: u64,
        /// Where it should be.
        place: u64,
    },
    /// Another result than the model's.
    #[error("entry {place} (operation {id}) has the result {found}, the model says {expected}")]
    Result {
        /// Where.
        place: u64,
        /// Which.
        id: u64,
        /// What it says.
        found: u64,
        /// What it should say.
        expected: u64,
    },
    /// The order contradicts the clock.
    #[error("entry {later} was sent after entry {earlier} was answered, but stands before it")]
    Order {
        /// Where the one that was answered stands.
        earlier: u64,
        /// Where the one that was sent afterwards stands.
        later: u64,
    },
    /// A reading that saw too little or too much.
    #[error("a reading saw {count} entries, where {least} to {most} are possible")]
    Reading {
        /// What it saw.
        count: u64,
        /// At least.
        least: u64,
        /// At most.
        most: u64,
    },
}

impl History {
    /// Compares with the log at the end.
    pub(super) fn check(&self, kind: Kind, log: &[Entry]) -> Result<(), Violation> {
        let places = self.places(log)?;
        for (id, operation) in &self.operations {
            if let Some((_, place, result)) = operation.answered {
                let found = log.get(place as usize).filter(|entry| entry.id == *id);
                let entry = found.ok_or(Violation::Lost { id: *id, place })?;
                if entry.result != result {
                    return Err(Violation::Result { place, id: *id, found: result, expected: entry.result });
                }
            }
        }
        let mut model = Model::default();
        for (place, entry) in (0..).zip(log) {
            let expected = model.apply(kind, entry.word);
            if entry.result != expected {
                return Err(Violation::Result { place, id: entry.id, found: entry.result, expected });
            }
        }
        self.check_order(log, &places)?;
        self.readings.iter().try_for_each(|reading| self.check_reading(reading, &places))
    }

    /// Where each operation stands.
    fn places(&self, log: &[Entry]) -> Result<HashMap<u64, u64>, Violation> {
        let mut places = HashMap::new();
        for (place, entry) in (0..).zip(log) {
            if self.operations.get(&entry.id).is_none_or(|operation| operation.word != entry.word) {
                return Err(Violation::NeverSent { place, id: entry.id });
            }
            if let Some(first) = places.insert(entry.id, place) {
                return Err(Violation::Twice { id: entry.id, first, second: place });
            }
        }
        Ok(places)
    }

    /// From the end of the log: nothing may have been sent after something that stands behind it was answered.
    fn check_order(&self, log: &[Entry], places: &HashMap<u64, u64>) -> Result<(), Violation> {
        let mut first_answered: Option<(Duration, u64)> = None;
        for entry in log.iter().rev() {
            let (operation, place) = (&self.operations[&entry.id], places[&entry.id]);
            if let Some((answered, earlier)) = first_answered
                && answered < operation.sent
            {
                return Err(Violation::Order { earlier, later: place });
            }
            if let Some((answered, ..)) = operation.answered
                && first_answered.is_none_or(|(first, _)| answered < first)
            {
                first_answered = Some((answered, place));
            }
        }
        Ok(())
    }

    fn check_reading(&self, reading: &Reading, places: &HashMap<u64, u64>) -> Result<(), Violation> {
        let (mut least, mut most) = (0, places.len() as u64);
        for (id, place) in places {
            let operation = &self.operations[id];
            if operation.answered.is_some_and(|(answered, ..)| answered < reading.sent) {
                least = least.max(place + 1);
            }
            if operation.sent > reading.answered {
                most = most.min(*place);
            }
        }
        let count = reading.count;
        if (least..=most).contains(&count) { Ok(()) } else { Err(Violation::Reading { count, least, most }) }
    }
}

/// What the canisters should do.
struct Model {
    balances: [u64; ACCOUNTS],
}

impl Default for Model {
    fn default() -> Self {
        Self { balances: [OPENING; ACCOUNTS] }
    }
}

impl Model {
    fn apply(&mut self, kind: Kind, word: u64) -> u64 {
        if kind == Kind::List {
            return word;
        }
        let account = |shift: u32| (word >> shift) as usize % ACCOUNTS;
        let (from, to, amount) = (account(0), account(8), word >> 32);
        let Some(left) = self.balances[from].checked_sub(amount) else { return REFUSED };
        self.balances[from] = left;
        self.balances[to] += amount;
        self.balances[from]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn entry(id: u64, word: u64, result: u64) -> Entry {
        Entry { id, word, result }
    }

    /// An append: number, sent, and answered when and where.
    type Append = (u64, u64, Option<(u64, u64)>);

    fn list(operations: &[Append]) -> History {
        let operation = |&(id, sent, answered): &Append| {
            let answered = answered.map(|(at, place)| (ms(at), place, id));
            (id, Operation { word: id, sent: ms(sent), answered })
        };
        History { operations: operations.iter().map(operation).collect(), readings: Vec::new() }
    }

    fn log(ids: &[u64]) -> Vec<Entry> {
        ids.iter().map(|id| entry(*id, *id, *id)).collect()
    }

    #[test]
    fn a_history_that_fits_holds_with_operations_of_which_nobody_heard() {
        let history = list(&[(1, 0, Some((10, 0))), (2, 5, None), (3, 20, Some((30, 2))), (4, 0, None)]);
        assert_eq!(history.check(Kind::List, &log(&[1, 2, 3])), Ok(()));
        assert_eq!(history.check(Kind::List, &log(&[1, 4, 3])), Ok(()));
    }

    #[test]
    fn what_is_lost_repeated_or_invented_is_found() {
        let history = list(&[(1, 0, Some((10, 0))), (2, 5, None)]);
        assert_eq!(history.check(Kind::List, &log(&[])), Err(Violation::Lost { id: 1, place: 0 }));
        assert_eq!(history.check(Kind::List, &log(&[2, 1])), Err(Violation::Lost { id: 1, place: 0 }));
        assert_eq!(history.check(Kind::List, &log(&[1, 2, 2])), Err(Violation::Twice { id: 2, first: 1, second: 2 }));
        assert_eq!(history.check(Kind::List, &log(&[1, 9])), Err(Violation::NeverSent { place: 1, id: 9 }));
    }

    #[test]
    fn an_order_against_the_clock_is_found() {
        // 2 was sent when 1 had been answered, so it cannot stand before it.
        let history = list(&[(1, 0, Some((10, 1))), (2, 11, Some((20, 0)))]);
        assert_eq!(history.check(Kind::List, &log(&[2, 1])), Err(Violation::Order { earlier: 1, later: 0 }));
        // Nor can one of which nobody heard.
        let history = list(&[(1, 0, Some((10, 1))), (2, 11, None)]);
        assert_eq!(history.check(Kind::List, &log(&[2, 1])), Err(Violation::Order { earlier: 1, later: 0 }));
        // At the same time either order is right.
        let history = list(&[(1, 0, Some((10, 1))), (2, 10, Some((20, 0)))]);
        assert_eq!(history.check(Kind::List, &log(&[2, 1])), Ok(()));
    }

    #[test]
    fn a_reading_sees_what_was_answered_and_nothing_of_the_future() {
        let mut history = list(&[(1, 0, Some((10, 0))), (2, 50, Some((60, 1)))]);
        for (sent, answered, count, fits) in [
            (11, 20, 1, true),
            (11, 20, 0, false),
            (11, 20, 2, false),
            (5, 20, 0, true),
            (55, 70, 1, true),
            (61, 70, 1, false),
        ] {
            history.readings = vec![Reading { sent: ms(sent), answered: ms(answered), count }];
            assert_eq!(history.check(Kind::List, &log(&[1, 2])).is_ok(), fits, "{sent} {answered} {count}");
        }
    }

    #[test]
    fn the_bank_is_held_to_its_balances() {
        let transfer = |from: u64, to: u64, amount: u64| from | to << 8 | amount << 32;
        let words = [transfer(0, 1, 600), transfer(0, 1, 600), transfer(1, 0, 1_600), transfer(2, 2, 5)];
        let operations =
            (1..).zip(words).map(|(id, word)| (id, Operation { word, sent: ms(0), answered: None })).collect();
        let history = History { operations, readings: Vec::new() };
        let mut log = vec![
            entry(1, words[0], 400),
            entry(2, words[1], REFUSED),
            entry(3, words[2], 0),
            entry(4, words[3], 1_000),
        ];
        assert_eq!(history.check(Kind::Bank, &log), Ok(()));
        log[1].result = 0;
        let wrong = Violation::Result { place: 1, id: 2, found: 0, expected: REFUSED };
        assert_eq!(history.check(Kind::Bank, &log), Err(wrong));
    }
}
