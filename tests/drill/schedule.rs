//! Which fault comes when.

/// Something that is done to the service or to what it depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGTERM to a broker, which hands over its partitions first.
    StopBroker(usize),
    /// SIGKILL to a broker.
    KillBroker(usize),
    StartBroker(usize),
    /// SIGSTOP: its connections stay open and nothing answers on them.
    PauseBroker(usize),
    ResumeBroker(usize),
    FillDisk,
    FreeDisk,
    /// Every topic demands more replicas than there are brokers, so that nothing is acknowledged though all of them
    /// are well. A client that is stuck looks the same, and is replaced.
    DemandReplicas,
    DemandNoMore,
    /// A topic is deleted while the brokers make every topic that they are asked about.
    DeleteTopic,
    /// It is made again, with its partitions and replicas.
    MakeTopic,
    /// SIGKILL to the program, which is started again at once.
    Kill,
    /// SIGTERM to the program, which is started again as soon as it has ended.
    Stop,
}

use Fault::{
    DeleteTopic, DemandNoMore, DemandReplicas, FillDisk, FreeDisk, Kill, KillBroker, MakeTopic, PauseBroker,
    ResumeBroker, StartBroker, Stop, StopBroker,
};

/// Part of the drill: faults at its beginning, and then some time to show what comes of them.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) faults: &'static [Fault],
    /// How long it lasts, compared with the others.
    weight: u32,
}

const fn phase(weight: u32, name: &'static str, faults: &'static [Fault]) -> Phase {
    Phase { name, faults, weight }
}

pub(crate) const BROKERS: usize = 3;

/// The disk is filled in the first outage: later the spool may have room of its own, left by what it has
/// handed over.
pub(crate) const PHASES: [Phase; 26] = [
    phase(2, "calm", &[]),
    phase(2, "one broker stopped", &[StopBroker(0)]),
    phase(2, "that broker back", &[StartBroker(0)]),
    phase(2, "a topic deleted", &[DeleteTopic]),
    phase(2, "that topic made again", &[MakeTopic]),
    phase(1, "disk full, Kafka there", &[FillDisk]),
    phase(3, "disk full, Kafka away", &[StopBroker(0), StopBroker(1), StopBroker(2)]),
    phase(3, "disk free, Kafka away", &[FreeDisk]),
    phase(2, "killed while Kafka is away", &[Kill]),
    phase(4, "Kafka back", &[StartBroker(0), StartBroker(1), StartBroker(2)]),
    phase(2, "killed while Kafka is there", &[Kill]),
    // Longer than the program waits before it replaces its client, in the shortest drill too.
    phase(5, "nothing is acknowledged", &[DemandReplicas]),
    phase(2, "acknowledged again", &[DemandNoMore]),
    phase(3, "one broker hangs", &[PauseBroker(1)]),
    phase(3, "all brokers hang", &[PauseBroker(0), PauseBroker(2)]),
    phase(3, "all brokers go on", &[ResumeBroker(0), ResumeBroker(1), ResumeBroker(2)]),
    phase(2, "one broker killed", &[KillBroker(2)]),
    phase(1, "killed while one broker is away", &[Kill]),
    phase(2, "that broker back again", &[StartBroker(2)]),
    phase(2, "stopped while Kafka is there", &[Stop]),
    phase(2, "all brokers killed", &[KillBroker(0), KillBroker(1), KillBroker(2)]),
    phase(2, "stopped while Kafka is away", &[Stop]),
    phase(1, "killed again while Kafka is away", &[Kill]),
    phase(1, "Kafka back again", &[StartBroker(0), StartBroker(1), StartBroker(2)]),
    phase(2, "killed while draining", &[Kill]),
    phase(3, "calm again", &[]),
];

/// Seconds that a phase lasts in a drill of so many seconds. Faults that take longer, such as starting
/// a broker, prolong it.
pub(crate) fn seconds(phase: &Phase, drill_seconds: f64) -> f64 {
    let all: u32 = PHASES.iter().map(|phase| phase.weight).sum();
    drill_seconds * f64::from(phase.weight) / f64::from(all)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn at_the_end_everything_runs_and_the_disk_is_free() {
        let (mut running, mut paused) = (HashSet::from([0, 1, 2]), HashSet::new());
        let (mut full, mut demanding, mut deleted) = (false, false, false);
        for fault in PHASES.iter().flat_map(|phase| phase.faults) {
            let sensible = match fault {
                StopBroker(broker) | KillBroker(broker) => running.remove(broker),
                StartBroker(broker) => running.insert(*broker),
                PauseBroker(broker) => running.contains(broker) && paused.insert(*broker),
                ResumeBroker(broker) => paused.remove(broker),
                FillDisk => !std::mem::replace(&mut full, true),
                FreeDisk => std::mem::replace(&mut full, false),
                DemandReplicas => !std::mem::replace(&mut demanding, true),
                DemandNoMore => std::mem::replace(&mut demanding, false),
                DeleteTopic => !std::mem::replace(&mut deleted, true),
                MakeTopic => std::mem::replace(&mut deleted, false),
                Kill | Stop => true,
            };
            assert!(sensible, "{fault:?}");
        }
        assert_eq!((running.len(), paused.len(), full, demanding, deleted), (BROKERS, 0, false, false, false));
    }

    #[test]
    fn phases_have_names_of_their_own_and_share_the_time() {
        let names: HashSet<_> = PHASES.iter().map(|phase| phase.name).collect();
        assert_eq!(names.len(), PHASES.len());
        let all: f64 = PHASES.iter().map(|phase| seconds(phase, 600.0)).sum();
        assert!((all - 600.0).abs() < 0.001, "{all}");
    }
}
