//! What is done to whom and when: all of it from one seed.

use std::time::Duration;

use fluid_proof::{Dice, LEASE};

use crate::proxy::Fault;

/// Something that is done to a process, to its connections, or to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// SIGKILL, and another process takes its place.
    Kill(usize),
    /// SIGTERM, and another process takes its place.
    Stop(usize),
    /// SIGSTOP.
    Hold(usize),
    /// SIGCONT.
    Release(usize),
    /// All connections end at once.
    Cut(usize),
    /// All connections end once so many more bytes have passed.
    CutAfter(usize, u64),
    /// Connections are at fault, or no longer.
    Connect(usize, Option<Fault>),
    /// The server is killed and started again.
    Restart,
    /// The server stops where it is, or goes on.
    HoldServer(bool),
}

/// Who may be disturbed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    /// How many processes there are; they have the places from 0 on.
    pub(crate) processes: usize,
    /// How many of the places, from 0 on, have a proxy before their connections.
    pub(crate) proxies: usize,
    /// There is a server to be restarted.
    pub(crate) server: bool,
}

/// Everything that is done, by when.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) acts: Vec<(Duration, Act)>,
}

/// Before this nothing happens, and after the end there is as much time for what is to be undone.
const QUIET: Duration = Duration::from_secs(1);
/// Between two disturbances.
const GAP_MILLIS: std::ops::RangeInclusive<u64> = 200..=1000;
/// When consumers are paused in any case, in seconds.
const PAUSES: [u64; 2] = [2, 7];
/// How many processes are held at once, at most.
const HELD_AT_ONCE: usize = 2;
/// Nothing that is done to a process or its connections lasts longer.
const LONGEST: Duration = Duration::from_secs(5);
/// Between two things that are done to the server.
const SERVER_EVERY: Duration = Duration::from_secs(8);

/// From when until when.
type Span = (Duration, Duration);

/// Whether a span has to do with what begins at this moment, however long that lasts.
fn meets(span: &Span, at: Duration) -> bool {
    span.0 < at + LONGEST && at < span.1
}

/// Puts a plan together.
struct Writer {
    dice: Dice,
    scene: Scene,
    acts: Vec<(Duration, Act)>,
    /// When each place is held or its connections are at fault.
    taken: Vec<Vec<Span>>,
    /// When any process is held.
    held: Vec<Span>,
    server_at: Duration,
}

impl Plan {
    /// The plan of these choices.
    pub(crate) fn new(dice: Dice, scene: Scene, lasting: Duration) -> Self {
        let places = scene.processes.max(scene.proxies);
        let mut writer = Writer {
            dice,
            scene,
            acts: Vec::new(),
            taken: vec![Vec::new(); places],
            held: Vec::new(),
            server_at: SERVER_EVERY / 2,
        };
        // However short the storm: consumers whose clocks are no faster than others' are paused in the midst of work.
        for (number, at) in (1..).zip(PAUSES.map(Duration::from_secs)) {
            let place = [0, 2][number % 2];
            if at + LEASE * 2 < lasting && place < scene.processes {
                writer.hold(place, at, LEASE + Duration::from_secs(1));
            }
        }
        let mut at = QUIET;
        while at < lasting {
            if scene.server && at >= writer.server_at {
                writer.disturb_server(at);
            } else if scene.proxies > 0 && writer.dice.percent(45) {
                writer.disturb_connections(at);
            } else {
                writer.disturb_process(at);
            }
            at += writer.dice.millis(GAP_MILLIS);
        }
        let mut acts = writer.acts;
        acts.sort_by_key(|(at, _)| *at);
        Self { acts }
    }
}

impl Writer {
    fn act(&mut self, at: Duration, act: Act) {
        self.acts.push((at, act));
    }

    /// A place that nothing is done to now.
    fn idle(&mut self, at: Duration, places: usize) -> Option<usize> {
        let is_idle = |place: &usize| !self.taken[*place].iter().any(|span| meets(span, at));
        let idle: Vec<usize> = (0..places).filter(is_idle).collect();
        (!idle.is_empty()).then(|| *self.dice.one_of(&idle))
    }

    fn hold(&mut self, place: usize, at: Duration, lasting: Duration) {
        let until = at + lasting;
        self.taken[place].push((at, until));
        self.held.push((at, until));
        self.act(at, Act::Hold(place));
        self.act(until, Act::Release(place));
    }

    fn disturb_process(&mut self, at: Duration) {
        let Some(place) = self.idle(at, self.scene.processes) else {
            return;
        };
        let held = self.held.iter().filter(|span| meets(span, at)).count();
        match self.dice.number(0..=99) {
            0..50 => self.act(at, Act::Kill(place)),
            50..85 if held < HELD_AT_ONCE => {
                let longer = self.dice.millis(500..=2500);
                self.hold(place, at, LEASE + longer);
            }
            _ => self.act(at, Act::Stop(place)),
        }
    }

    fn disturb_connections(&mut self, at: Duration) {
        let Some(place) = self.idle(at, self.scene.proxies) else {
            return;
        };
        let fault = match self.dice.number(0..=99) {
            0..25 => return self.act(at, Act::Cut(place)),
            25..45 => {
                let bytes = self.dice.number(1..=20_000);
                return self.act(at, Act::CutAfter(place, bytes));
            }
            45..60 => Fault::Delay(self.dice.millis(5..=300)),
            60..75 => Fault::Refuse,
            75..88 => Fault::Silence,
            _ => Fault::NoAnswers,
        };
        let until = at + self.dice.millis(300..=4000);
        self.taken[place].push((at, until));
        self.act(at, Act::Connect(place, Some(fault)));
        // Half of what was held up never arrives.
        if self.dice.percent(50) {
            self.act(until, Act::Cut(place));
        }
        self.act(until, Act::Connect(place, None));
    }

    fn disturb_server(&mut self, at: Duration) {
        let extra = self.dice.millis(0..=4000);
        self.server_at = at + SERVER_EVERY + extra;
        if self.dice.percent(60) {
            self.act(at, Act::Restart);
        } else {
            let until = at + self.dice.millis(500..=3000);
            self.act(at, Act::HoldServer(true));
            self.act(until, Act::HoldServer(false));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SCENE: Scene = Scene {
        processes: 7,
        proxies: 8,
        server: true,
    };

    fn plan(seed: u64, scene: Scene) -> Plan {
        Plan::new(Dice::new(seed), scene, Duration::from_secs(60))
    }

    #[test]
    fn a_seed_gives_the_same_plan_again() {
        assert_eq!(plan(5, SCENE), plan(5, SCENE));
        assert_ne!(plan(5, SCENE), plan(6, SCENE));
    }

    #[test]
    fn what_is_begun_is_undone_and_everything_happens() {
        let mut kinds = BTreeSet::new();
        for seed in 0..20 {
            let (mut held, mut at_fault) = (BTreeSet::new(), BTreeSet::new());
            for (_, act) in plan(seed, SCENE).acts {
                let text = format!("{act:?}");
                kinds.insert(text.split(['(', ' ']).next().unwrap().to_owned());
                match act {
                    Act::Hold(place) => assert!(held.insert(place)),
                    Act::Release(place) => assert!(held.remove(&place)),
                    Act::Connect(place, Some(_)) => assert!(at_fault.insert(place)),
                    Act::Connect(place, None) => assert!(at_fault.remove(&place)),
                    _ => {}
                }
                assert!(held.len() <= HELD_AT_ONCE);
            }
            assert!(held.is_empty() && at_fault.is_empty());
        }
        assert_eq!(kinds.len(), 9, "{kinds:?}");
    }

    #[test]
    fn without_a_server_only_processes_are_disturbed() {
        let scene = Scene {
            processes: 7,
            proxies: 0,
            server: false,
        };
        for (_, act) in plan(1, scene).acts {
            let of_process = matches!(
                act,
                Act::Kill(_) | Act::Stop(_) | Act::Hold(_) | Act::Release(_)
            );
            assert!(of_process, "{act:?}");
        }
    }
}
