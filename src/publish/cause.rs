//! Why brokers are not reached, in the words of Kafka's client and with what helps. The codes of its errors all say
//! "transport failure"; its log and its error callback know more.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the client says, and what helps against it.
const REMEDIES: &[(&str, &str)] = &[
    ("Failed to resolve", "is the name right, and known on this machine?"),
    ("connecting to a PLAINTEXT broker listener?", "see security.protocol in [kafka.properties]"),
    ("verify that ssl.ca.location", "or the certificate is for another name than the one that is connected to"),
    ("Authentication failed", "see sasl.username and sasl.password in [kafka.properties]"),
    ("mechanism", "see sasl.mechanism in [kafka.properties]"),
    (DISCONNECTED, "if it does so each time, it wants TLS or SASL: see security.protocol in [kafka.properties]"),
];

/// All that is told if a broker closes the connection, whether it is going away or does not understand.
const DISCONNECTED: &str = ": Disconnected: connection closed by peer";

/// The client says the same again after half a minute at the latest, and other things meanwhile: several brokers are
/// away, a name has several addresses, or a second attempt fails in a way that tells less. For so long a sentence is
/// given up only for one that tells more.
const KEPT: Duration = Duration::from_secs(35);

/// The best of what a client has said lately about brokers that it does not reach.
#[derive(Debug, Default)]
pub(super) struct Cause(Mutex<Option<(String, Instant)>>);

impl Cause {
    /// Hears a line of the client's log, or a sentence of its error callback.
    pub(super) fn hear(&self, line: &str, now: Instant) {
        let heard = cleaned(line);
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stays = |(told, at): &(String, Instant)| {
            heard != *told && weight(&heard) <= weight(told) && now.saturating_duration_since(*at) < KEPT
        };
        if !told.as_ref().is_some_and(stays) {
            *told = Some((heard, now));
        }
    }

    /// What was heard, with what helps.
    pub(super) fn told(&self) -> Option<String> {
        let (told, _) = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        Some(match remedy(&told) {
            Some(remedy) => format!("{told}; {remedy}"),
            None => told,
        })
    }

    /// Brokers are reached.
    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

fn remedy(sentence: &str) -> Option<&'static str> {
    REMEDIES.iter().find(|(words, _)| sentence.contains(words)).map(|(_, remedy)| *remedy)
}

fn weight(sentence: &str) -> u8 {
    match remedy(sentence) {
        _ if sentence.contains(": Disconnected") && !sentence.contains("handshake") => 0,
        None => 1,
        Some(_) => 2,
    }
}

/// Without the thread's name before it, which is the broker's, and without what changes each time: "(after 1ms in state
/// CONNECT, 3 identical error(s) suppressed)". It names brokers and causes, and no values of the configuration.
fn cleaned(line: &str) -> String {
    let sentence = match line.strip_prefix("[thrd:").and_then(|rest| rest.split_once("]: ")) {
        Some((_, sentence)) => sentence,
        None => line,
    };
    sentence.split(" (after ").next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_told_once_without_what_changes() {
        let cause = Cause::default();
        assert_eq!(cause.told(), None);
        let broker = "127.0.0.1:9092/bootstrap";
        let line = format!(
            "[thrd:{broker}]: {broker}: Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after 0ms in state \
             CONNECT, 1 identical error(s) suppressed)"
        );
        cause.hear(&line, Instant::now());
        let told = "127.0.0.1:9092/bootstrap: Connect to ipv4#127.0.0.1:9092 failed: Connection refused";
        assert_eq!(cause.told().unwrap(), told);
        cause.forget();
        assert_eq!(cause.told(), None);
    }

    #[test]
    fn the_sentence_that_helps_stays_for_as_long_as_it_is_repeated() {
        let (cause, now) = (Cause::default(), Instant::now());
        let handshake = "ssl://a: SSL handshake failed: certificate verify failed: verify that ssl.ca.location is set";
        cause.hear("ssl://a: Disconnected: connection reset by peer (after 0ms in state SSL_HANDSHAKE)", now);
        cause.hear(handshake, now);
        cause.hear("ssl://a: error:0A000086:SSL routines::certificate verify failed", now + KEPT / 2);
        cause.hear(handshake, now + KEPT / 2);
        cause.hear("ssl://a: Disconnected: connection reset by peer", now + KEPT);
        let told = cause.told().unwrap();
        assert!(told.starts_with(handshake) && told.contains("another name"), "{told}");
        cause.hear("a: Connect to ipv4#127.0.0.1:9092 failed: Connection refused", now + KEPT * 2);
        assert!(cause.told().unwrap().ends_with("Connection refused"));
    }

    #[test]
    fn brokers_that_say_the_same_of_themselves_in_turn_are_one_cause() {
        let (cause, now) = (Cause::default(), Instant::now());
        for second in 0..100 {
            let broker = if second % 2 == 0 { "a" } else { "b" };
            let line = format!("{broker}: Connect to ipv4#127.0.0.1:9092 failed: Connection refused");
            cause.hear(&line, now + Duration::from_secs(second));
            assert!(cause.told().unwrap().starts_with("a: "), "{second}");
        }
    }

    #[test]
    fn a_broker_that_goes_away_is_not_said_to_want_something() {
        let (cause, now) = (Cause::default(), Instant::now());
        cause.hear("a: Connect to ipv4#127.0.0.1:9092 failed: Connection refused", now);
        cause.hear("a: Disconnected: connection closed by peer: receive 0 after POLLIN", now);
        assert!(cause.told().unwrap().ends_with("Connection refused"));
    }
}
