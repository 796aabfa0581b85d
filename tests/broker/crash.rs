//! The program itself, killed under load.

use std::collections::HashSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::kafka::{ClusterOptions, KafkaCluster, free_port};
use crate::service::{self, PATIENCE, SECRET, blocking, configuration, copies, status};

/// A running `trunkline serve`, killed when it is dropped.
struct Program {
    child: Child,
    url: String,
    readiness: String,
}

impl Program {
    fn start(folder: &Path, bootstrap_servers: &str) -> Self {
        let [port, admin_port] = [0, 0].map(|_| free_port());
        let text = configuration(bootstrap_servers, folder, "", "")
            .replacen("127.0.0.1:0", &format!("127.0.0.1:{port}"), 1)
            .replacen("127.0.0.1:0", &format!("127.0.0.1:{admin_port}"), 1);
        let file = folder.join("trunkline.toml");
        std::fs::write(&file, text).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_trunkline"))
            .args(["serve", "--config"])
            .arg(&file)
            .env("SECRET", SECRET)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}/webhooks/vonage-eu");
        Self { child, url, readiness: format!("http://127.0.0.1:{admin_port}/readyz") }
    }

    async fn wait_until_ready(&self, client: &reqwest::Client) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = client.get(&self.readiness).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            assert!(Instant::now() < deadline, "the program never became ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn wait_until_drained(&self, client: &reqwest::Client) {
        self.wait_until_ready(client).await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let state = client.get(&self.readiness).send().await.unwrap().bytes().await.unwrap();
            let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
            if state["kafka"]["ready"] == true && state["spool"]["events"] == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "never drained: {state}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// So many webhooks are answered 200 before a kill, which finds others on their way.
const BEFORE_A_KILL: usize = 60;

/// Sends new statuses until the program is gone; tells which were answered 200, and counts them meanwhile.
async fn send_until_gone(url: String, run: usize, sender: usize, count: Arc<AtomicUsize>) -> HashSet<String> {
    let client = reqwest::Client::new();
    let mut taken = HashSet::new();
    for index in 0..1_000_000 {
        let id = format!("m-{run}-{sender}-{index}");
        match service::post(&client, &url, &status(&id, "delivered")).await {
            Ok(200) => {
                taken.insert(format!("vonage:abcd1234:{id}"));
                count.fetch_add(1, Ordering::AcqRel);
            }
            Ok(other) => assert_eq!(other, 503, "a genuine webhook"),
            Err(_) => break,
        }
    }
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_answered_200_before_a_kill_is_in_kafka() {
    let cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    let folder = tempfile::tempdir().unwrap();
    let client = reqwest::Client::new();
    let mut taken = HashSet::new();
    for run in 0..3 {
        let mut program = Program::start(folder.path(), &cluster.bootstrap_servers());
        program.wait_until_ready(&client).await;
        let count = Arc::new(AtomicUsize::new(0));
        let send = |sender| tokio::spawn(send_until_gone(program.url.clone(), run, sender, Arc::clone(&count)));
        let senders: Vec<_> = (0..8).map(send).collect();
        let deadline = Instant::now() + PATIENCE;
        while count.load(Ordering::Acquire) < BEFORE_A_KILL {
            assert!(Instant::now() < deadline, "too few webhooks are taken");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        blocking(|| program.kill());
        for sender in senders {
            taken.extend(sender.await.unwrap());
        }
    }
    // What was answered just before the last kill may be in the spool, from which the next run publishes it.
    let last = Program::start(folder.path(), &cluster.bootstrap_servers());
    last.wait_until_drained(&client).await;
    let records = blocking(|| service::records(&cluster.bootstrap_servers(), "message-status.v1"));
    let copies = copies(&records);
    let missing: Vec<_> = taken.iter().filter(|key| !copies.contains_key(key.as_str())).collect();
    assert!(missing.is_empty(), "answered 200 and not in Kafka: {missing:?}");
    let ids: HashSet<&str> = records.iter().map(|record| record.headers["ce_id"].as_str()).collect();
    assert_eq!(ids.len(), copies.len(), "no event has two ids");
    println!("{} records of {} events", records.len(), copies.len());
    assert!(taken.len() >= 3 * BEFORE_A_KILL, "only {} webhooks were taken", taken.len());
}
