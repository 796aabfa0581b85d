//! Doing the faults to the running whole.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use trunkline::event::kind::{self, TopicInfo};

use crate::administration::Administration;
use crate::disk::Disk;
use crate::gate::{Gate, HELD_TOPIC};
use crate::kafka::KafkaCluster;
use crate::metrics::Watch;
use crate::program::{Launch, Program};
use crate::say;
use crate::scene::{Scene, Trouble};
use crate::schedule::{Fault, PHASES, seconds};
use crate::topics::{self, Published};

/// Long enough for the slowest machine; only a hang takes as long.
const PATIENCE: Duration = Duration::from_secs(300);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The service and everything that it depends on. Dropped in this order.
pub(crate) struct Stage {
    pub(crate) program: Option<Program>,
    pub(crate) administration: Administration,
    pub(crate) cluster: KafkaCluster,
    pub(crate) launch: Launch,
    pub(crate) disk: Disk,
    pub(crate) scene: Arc<Scene>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) runtime: Handle,
    pub(crate) gate: Arc<Gate>,
    /// What stood in the topic that was deleted.
    pub(crate) before_deletion: Vec<Published>,
    /// Topics that nobody has made again.
    pub(crate) came_back: Vec<String>,
    /// Brokers that are stopped or paused.
    pub(crate) away: Vec<usize>,
    /// How the program ended each time that it was stopped in order.
    pub(crate) exit_codes: Vec<Option<i32>>,
}

impl Stage {
    /// Goes through all phases.
    pub(crate) fn play(&mut self, drill_seconds: f64) {
        for phase in &PHASES {
            let lasts = Duration::from_secs_f64(seconds(phase, drill_seconds));
            let end = Instant::now() + lasts;
            self.scene.enter(phase.name);
            say(&format!("{:6.1} s  {}", self.seconds(), phase.name));
            for fault in phase.faults {
                self.inflict(*fault);
            }
            while Instant::now() < end {
                self.program.as_mut().unwrap().check_runs();
                let rest = end.saturating_duration_since(Instant::now());
                std::thread::sleep(rest.min(Duration::from_millis(200)));
            }
        }
        self.scene.enter("the end");
    }

    fn inflict(&mut self, fault: Fault) {
        if matches!(fault, Fault::FillDisk | Fault::FreeDisk) && !self.disk.is_small() {
            return say("          the disk can not be filled on this machine");
        }
        let began_us = self.scene.now_us();
        match fault {
            Fault::StopBroker(broker) => self.lose(broker, KafkaCluster::stop_broker),
            Fault::KillBroker(broker) => self.lose(broker, KafkaCluster::kill_broker),
            Fault::PauseBroker(broker) => self.lose(broker, KafkaCluster::pause_broker),
            Fault::StartBroker(broker) => self.regain(broker, KafkaCluster::start_broker),
            Fault::ResumeBroker(broker) => self.regain(broker, KafkaCluster::resume_broker),
            Fault::FillDisk => {
                self.scene.begin(Trouble::Disk);
                self.disk.fill();
            }
            Fault::FreeDisk => {
                self.disk.free();
                self.scene.end(Trouble::Disk);
            }
            Fault::DeleteTopic => self.delete_topic(),
            Fault::MakeTopic => self.make_topic(),
            Fault::DemandReplicas => {
                self.scene.begin(Trouble::Kafka);
                self.runtime.block_on(self.administration.demand_replicas(true));
            }
            Fault::DemandNoMore => {
                self.runtime.block_on(self.administration.demand_replicas(false));
                self.scene.end(Trouble::Kafka);
            }
            Fault::Kill => self.restart(|program| {
                program.kill();
                None
            }),
            Fault::Stop => self.restart(|program| Some(program.stop())),
        }
        let took_ms = (self.scene.now_us() - began_us) / 1000;
        say(&format!("{:6.1} s      {fault:?} ({took_ms} ms)", self.seconds()));
    }

    /// Deletes a topic when everything that was answered 200 for it has been read from it. New webhooks for it are sent
    /// when the brokers have closed its logs: until then they would go on taking records, and delete them.
    fn delete_topic(&mut self) {
        self.gate.close();
        let (gate, watch, runtime) = (Arc::clone(&self.gate), Arc::clone(&self.watch), self.runtime.clone());
        self.wait_until("what is in the spool or on its way is not taken", || {
            gate.is_empty() && matches!(runtime.block_on(watch.in_spool()), Ok(None | Some(0)))
        });
        self.before_deletion = topics::read_topics(&self.launch.configuration, std::iter::once(HELD_TOPIC));
        self.scene.begin(Trouble::Kafka);
        let topic = self.administration.name(HELD_TOPIC);
        self.runtime.block_on(self.administration.delete(&topic));
        let deadline = Instant::now() + PATIENCE;
        // The first one may be back, if a topic that somebody asks about is made anew.
        while (1..held_topic().partitions).any(|partition| self.cluster.has_log_of(&topic, partition)) {
            assert!(Instant::now() < deadline, "{topic} is not gone within {PATIENCE:?}");
            std::thread::sleep(POLL_INTERVAL);
        }
        self.gate.open();
    }

    fn make_topic(&mut self) {
        if self.runtime.block_on(self.administration.make(held_topic())) {
            self.came_back.push(self.administration.name(HELD_TOPIC));
        }
        self.scene.end(Trouble::Kafka);
    }

    fn lose(&mut self, broker: usize, way: fn(&mut KafkaCluster, usize)) {
        if self.away.is_empty() {
            self.scene.begin(Trouble::Kafka);
        }
        self.away.push(broker);
        way(&mut self.cluster, broker);
    }

    fn regain(&mut self, broker: usize, way: fn(&mut KafkaCluster, usize)) {
        way(&mut self.cluster, broker);
        self.away.retain(|away| *away != broker);
        if self.away.is_empty() {
            self.scene.end(Trouble::Kafka);
        }
    }

    /// Ends the program in some way and starts it anew. Its counters are read before, since they begin
    /// again from zero.
    fn restart(&mut self, end: impl FnOnce(Program) -> Option<Option<i32>>) {
        self.scene.begin(Trouble::Restart);
        self.runtime.block_on(self.watch.sample());
        self.scene.change_life();
        let program = self.program.take().unwrap();
        self.exit_codes.extend(end(program));
        self.start();
        self.wait_until_alive();
        self.scene.end(Trouble::Restart);
    }

    /// Starts the program. From here on only it can answer.
    pub(crate) fn start(&mut self) {
        let program = self.launch.start(&self.disk);
        self.watch.observe(program.id());
        self.program = Some(program);
        self.scene.change_life();
    }

    /// Waits until the program says that it is alive; it may have been taking webhooks for a moment then.
    pub(crate) fn wait_until_alive(&mut self) {
        self.wait_for("/healthz");
    }

    pub(crate) fn wait_until_ready(&mut self) {
        self.wait_for("/readyz");
    }

    /// Stops the program for the last time; tells its exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        self.runtime.block_on(self.watch.sample());
        self.program.take().unwrap().stop()
    }

    fn wait_for(&mut self, path: &str) {
        let (watch, runtime) = (Arc::clone(&self.watch), self.runtime.clone());
        self.wait_until(&format!("{path} is not answered 200"), || runtime.block_on(watch.is_ok(path)));
    }

    /// Waits as long as the program runs, and panics with what is wrong if it takes too long.
    fn wait_until(&mut self, wrong: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            self.program.as_mut().unwrap().check_runs();
            assert!(Instant::now() < deadline, "{wrong} within {PATIENCE:?}");
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    fn seconds(&self) -> f64 {
        f64::from(u32::try_from(self.scene.now_us() / 1000).unwrap()) / 1000.0
    }
}

fn held_topic() -> &'static TopicInfo {
    kind::topics().find(|topic| topic.suffix == HELD_TOPIC).unwrap()
}
