//! What is enqueued.

use fluid_core::{Due, JsonText, NameError, Priority, QueueRequest, TaskName};

use crate::dice::Dice;
use crate::tasks::Work;

/// How many of a hundred requests are for which task.
const MIX: [(&str, u64); 8] = [
    ("instant", 38),
    ("work", 20),
    ("flaky", 10),
    ("narrow", 10),
    ("lane", 6),
    ("unique", 6),
    ("parent", 5),
    ("fragile", 5),
];
const LANES: u64 = 3;
const KEYS: u64 = 4;
/// How many attempts of a flaky run fail at most; as many as end the run.
const FAILS: u64 = 3;

/// An endless stream of requests.
#[derive(Debug)]
pub struct Load {
    dice: Dice,
}

impl Load {
    /// The requests that these choices give.
    pub fn new(dice: Dice) -> Self {
        Self { dice }
    }

    /// The next request.
    ///
    /// # Errors
    /// None, as the names are good ones.
    pub fn next_request(&mut self) -> Result<QueueRequest, NameError> {
        let dice = &mut self.dice;
        let mut roll = dice.number(0..=99);
        let mut task = MIX[0].0;
        for (name, share) in MIX {
            task = name;
            if roll < share {
                break;
            }
            roll -= share;
        }
        let mut work = Work::default();
        if task != "instant" {
            work.ms = dice.number(50..=500);
        }
        match task {
            "flaky" => work.fails = u32::try_from(dice.number(0..=FAILS)).unwrap_or(0),
            "parent" => work.children = 1,
            "lane" => work.lane = format!("lane-{}", dice.number(1..=LANES)),
            "unique" => work.key = format!("key-{}", dice.number(1..=KEYS)),
            _ => {}
        }
        let params = JsonText::of(&work).unwrap_or_else(|_| JsonText::empty_object());
        let priorities = [Priority::High, Priority::Medium, Priority::Low];
        let mut request = QueueRequest::new(TaskName::parse(task)?, params);
        request.priority = Some(*dice.one_of(&priorities));
        if dice.percent(10) {
            request.due = Due::After(dice.millis(100..=2000));
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Load, MIX};
    use crate::dice::Dice;

    #[test]
    fn every_task_has_its_share() {
        assert_eq!(MIX.iter().map(|(_, share)| share).sum::<u64>(), 100);
        let mut load = Load::new(Dice::new(3));
        let seen: BTreeSet<_> = (0..500)
            .map(|_| load.next_request().unwrap().task.to_string())
            .collect();
        assert_eq!(seen.len(), MIX.len());
    }
}
