//! Doing the faults to the running whole.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::disk::Disk;
use crate::kafka::KafkaCluster;
use crate::metrics::Watch;
use crate::program::{Launch, Program};
use crate::say;
use crate::scene::{Scene, Trouble};
use crate::schedule::{Fault, PHASES, seconds};

/// Long enough for the slowest machine; only a hang takes as long.
const PATIENCE: Duration = Duration::from_secs(90);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The service and everything that it depends on. Dropped in this order.
pub(crate) struct Stage {
    pub(crate) program: Option<Program>,
    pub(crate) cluster: KafkaCluster,
    pub(crate) launch: Launch,
    pub(crate) disk: Disk,
    pub(crate) scene: Arc<Scene>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) runtime: Handle,
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
            Fault::Kill => self.restart(|program| {
                program.kill();
                None
            }),
            Fault::Stop => self.restart(|program| Some(program.stop())),
        }
        let took_ms = (self.scene.now_us() - began_us) / 1000;
        say(&format!("{:6.1} s      {fault:?} ({took_ms} ms)", self.seconds()));
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
        let deadline = Instant::now() + PATIENCE;
        while !self.runtime.block_on(self.watch.is_ok(path)) {
            self.program.as_mut().unwrap().check_runs();
            assert!(Instant::now() < deadline, "{path} is not answered 200 within {PATIENCE:?}");
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    fn seconds(&self) -> f64 {
        f64::from(u32::try_from(self.scene.now_us() / 1000).unwrap()) / 1000.0
    }
}
