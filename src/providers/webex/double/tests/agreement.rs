//! What webhooks and lists tell of one world, as the receiver understands it.

use proptest::prelude::*;

use super::super::super::tests::{Taken, take, take_with};
use super::super::calls::LATEST_MS;
use super::*;
use crate::event::privacy::Privacy;
use crate::provider::double::{Delivery, Recipient};

/// An event's customer, record, and id.
type Known = BTreeSet<[String; 3]>;

fn known(taken: &Taken) -> Known {
    assert!(taken.faults.is_empty() && taken.unmapped.is_empty(), "{taken:?}");
    let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    taken.events.iter().map(|event| ["account_id", "record_id", "event_id"].map(|name| text(event, name))).collect()
}

fn recipient() -> Recipient {
    Recipient { url: "http://127.0.0.1:8080/webhooks/w".to_owned(), secret: "somesupersecretphrase".into() }
}

/// Everything that is due.
fn due(subject: &mut Subject, now: Time) -> Vec<Delivery> {
    std::iter::from_fn(|| subject.double.due(&recipient(), now)).collect()
}

/// All deliveries, of which those with an even place are taken.
fn deliveries(subject: &mut Subject, until: Time) -> Vec<Delivery> {
    let deliveries = due(subject, until);
    deliveries.iter().enumerate().for_each(|(place, one)| subject.double.delivered(one.id, place % 2 == 0));
    deliveries
}

fn records(delivery: &Delivery) -> Taken {
    take_with(&delivery.request.body, "", &Privacy::default())
}

/// Everything that counts and records tell of the first hours of a world.
fn listed(subject: &mut Subject, hours: i64) -> Known {
    let mut all = Known::new();
    for number in 0..hours {
        let counts = body(&subject.get(&format!("/v1/partners/cdrcountbyorg?{}", hour(number))));
        for entry in counts["cdr_counts"].as_array().unwrap() {
            let organisation = entry["orgId"].as_str().unwrap();
            let pages = subject.pages(&format!("/v1/partners/cdrsbyorg?orgId={organisation}&{}", hour(number)));
            let told = known(&take(&Value::from(pages.concat())));
            assert_eq!(told.len() as u64, entry["count"].as_u64().unwrap());
            all.extend(told);
        }
    }
    all
}

fn after(hours: i64) -> Time {
    Time::from_unix_ms(world().since.unix_ms() + hours * HOUR_MS + LATEST_MS + 3 * HOUR_MS).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Webhooks and lists tell the same facts under the same ids, but for those of which the truth says that no webhook
    /// tells them; in whatever shape, order or repetition they come.
    #[test]
    fn webhooks_and_lists_of_one_world_tell_the_same(
        seed: u64, lose_percent in 0..60_u8, repeat_percent in 0..60_u8, late_percent in 0..60_u8,
        late_records_percent in 0..60_u8, untold_percent in 0..60_u8, shape in 0..7_usize, doubled in 0..60_u8,
    ) {
        let fates = Fates { lose_percent, repeat_percent, late_percent, late_records_percent, untold_percent, amend_percent: 0 };
        let mut subject = Subject::new(World { seed, fates, facts_per_hour: 20, ..world() });
        let shape = super::super::super::simulate::SIMULATIONS[0].shapes[shape];
        subject.behave(&format!("rates = false\nempty = \"list\"\npage_records = 3\nbatch_shape = \"{shape}\"\ndoubled_percent = {doubled}"));
        subject.now = after(3);
        let to = Time::from_unix_ms(world().since.unix_ms() + 3 * HOUR_MS).unwrap();
        let facts = subject.double.facts(world().since, to);
        let listed = listed(&mut subject, 3);
        prop_assert_eq!(facts.len(), listed.len());
        let keys: BTreeSet<String> = facts.iter().map(|fact| fact["key"].as_str().unwrap().to_owned()).collect();
        let listed_keys = listed.iter().map(|[account, record, _]| format!("webex:{account}:{record}")).collect();
        prop_assert_eq!(&keys, &listed_keys);
        let told: Known = deliveries(&mut subject, after(3)).iter().flat_map(|one| known(&records(one))).collect();
        let silent: BTreeSet<&str> = facts.iter()
            .filter(|fact| matches!(fact["webhook"]["state"].as_str(), Some("lost" | "untold")))
            .map(|fact| fact["record_id"].as_str().unwrap())
            .collect();
        let missing: BTreeSet<&str> = listed.difference(&told).map(|[_, record, _]| record.as_str()).collect();
        prop_assert_eq!(missing, silent);
    }
}

#[test]
fn worlds_of_one_seed_are_equal_whenever_they_begin() {
    let world = World { fates: Fates { lose_percent: 10, ..Fates::default() }, ..world() };
    let since = Time::from_unix_ms(world.since.unix_ms() + 2 * HOUR_MS).unwrap();
    let facts = |world| Subject::new(world).double.facts(since, time(NOW));
    assert_eq!(facts(world), facts(World { since, ..world }));
    assert_ne!(facts(world), facts(World { seed: 2, ..world }));
    let [batches, again] = [world, world].map(|world| due(&mut Subject::new(world), time(NOW)));
    assert!(!batches.is_empty());
    assert_eq!(batches, again);
}

#[test]
fn a_batch_comes_every_five_minutes_and_holds_what_ended_ten_to_five_minutes_before() {
    let mut subject = Subject::new(World { facts_per_hour: 120, ..world() });
    let facts = subject.double.facts(world().since, time(NOW));
    let report_ms: BTreeMap<&str, i64> = facts
        .iter()
        .map(|fact| (fact["record_id"].as_str().unwrap(), time(fact["report_time"].as_str().unwrap()).unix_ms()))
        .collect();
    let deliveries = deliveries(&mut subject, time(NOW));
    assert_eq!(deliveries.len(), 6 * 12 + 1);
    for delivery in &deliveries {
        let due_ms = delivery.due_at.unix_ms();
        assert_eq!(due_ms % 300_000, 0);
        let taken = known(&records(delivery));
        assert_eq!(taken.len(), delivery.facts);
        assert!(taken.iter().all(|[_, id, _]| (300_000..=600_000).contains(&(due_ms - report_ms[id.as_str()]))));
    }
    assert!(deliveries.windows(2).all(|pair| pair[0].due_at < pair[1].due_at));
    assert!(due(&mut subject, time(NOW)).is_empty(), "none is given twice");
    let next = due(&mut subject, time("2026-02-03T12:15:00Z"));
    assert_eq!(next.iter().map(|one| one.due_at.to_string()).collect::<Vec<_>>(), ["2026-02-03T12:15:00Z"]);
}

#[test]
fn batches_are_signed_as_the_receiver_checks_it() {
    let mut subject = Subject::with("");
    let delivery = due(&mut subject, time(NOW)).remove(0);
    for (secret, is_taken) in [("somesupersecretphrase", true), ("another secret of ours", false)] {
        assert_eq!(is_signed_with(secret, &delivery), is_taken);
    }
}

#[test]
fn the_truth_tells_what_became_of_each_webhook() {
    let fates = Fates { lose_percent: 20, untold_percent: 20, ..Fates::default() };
    let mut subject = Subject::new(World { fates, facts_per_hour: 120, ..world() });
    deliveries(&mut subject, time("2026-02-03T11:00:00Z"));
    let facts = subject.double.facts(world().since, time(NOW));
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for fact in &facts {
        let state = fact["webhook"]["state"].as_str().unwrap();
        *states.entry(state).or_default() += 1;
        assert_eq!(fact["webhook"]["due_at"].as_array().unwrap().is_empty(), matches!(state, "lost" | "untold"));
    }
    assert_eq!(states.keys().copied().collect::<Vec<_>>(), ["due", "lost", "refused", "taken", "untold"]);
    let users: BTreeSet<&str> = facts.iter().map(|fact| fact["user_id"].as_str().unwrap()).collect();
    assert!(users.len() <= 15, "the same few users have all calls: {}", users.len());
}

#[test]
fn an_amended_record_is_a_fresher_one_under_the_same_key() {
    let fates = Fates { amend_percent: 40, ..Fates::default() };
    let mut subject = Subject::new(World { fates, ..world() });
    let target = format!("/v1/partners/cdrsbyorg?orgId={}&{}", subject.organisation(0), hour(4));
    let mut told_at = |at: &str| {
        subject.now = time(at);
        let records = subject.pages(&target).concat();
        known(&take(&Value::from(records)))
    };
    let (first, later) = (told_at("2026-02-03T11:10:00Z"), told_at("2026-02-03T13:10:00Z"));
    let keys = |known: &Known| known.iter().map(|[_, record, _]| record.clone()).collect::<BTreeSet<_>>();
    assert_eq!((first.len(), keys(&first)), (later.len(), keys(&later)));
    let changed: BTreeSet<&str> = later.difference(&first).map(|[_, record, _]| record.as_str()).collect();
    let facts = subject.double.facts(world().since, subject.now);
    let amended = facts.iter().filter(|fact| fact["amended_at"].is_string());
    let amended: BTreeSet<&str> = amended.map(|fact| fact["record_id"].as_str().unwrap()).collect();
    assert!(!changed.is_empty() && changed.len() < later.len());
    assert!(later.iter().all(|[_, id, _]| changed.contains(id.as_str()) == amended.contains(id.as_str())));
}
